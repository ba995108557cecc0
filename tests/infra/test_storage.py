"""Objects: whole or not at all, by keys that cannot leave their folder."""

import asyncio
import hashlib

import pytest

from palio.infra.storage import Storage, address_of


async def test_what_was_put_is_got_and_after_deletion_it_is_not_there(tmp_path):
    storage = Storage(tmp_path / "files")
    key = address_of("payloads", hashlib.sha256(b"body").digest())
    await storage.put(key, b"body")
    await storage.put(key, b"body")

    assert await storage.get(key) == b"body"
    assert [path.name for path in (tmp_path / "files").rglob("*") if path.is_file()] == [key.rsplit("/", 1)[1]]
    await storage.delete(key)
    await storage.delete(key)
    with pytest.raises(FileNotFoundError):
        await storage.get(key)


async def test_what_is_kept_first_stays_also_of_several_at_once(tmp_path):
    storage = Storage(tmp_path / "files")
    kept = await asyncio.gather(*(storage.keep("a/b", b"%d" % n) for n in range(8)))

    assert (kept.count(True), await storage.get("a/b")) == (1, b"%d" % kept.index(True))
    assert not await storage.keep("a/b", b"later")


def test_content_is_addressed_by_its_hash():
    assert address_of("payloads", bytes(range(32))) == "payloads/00/" + bytes(range(1, 32)).hex()


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/.hidden", "a b", "ä", "a/"])
async def test_a_key_that_could_lead_elsewhere_is_a_bug(tmp_path, key):
    with pytest.raises(ValueError, match="is no key"):
        await Storage(tmp_path / "files").put(key, b"")


async def test_a_store_is_named_by_its_address():
    storage = Storage("memory:///")
    await storage.put("a/b", b"x")
    assert await storage.get("a/b") == b"x"
