"""Anchors of this machine, and those who are told of them: nothing is left out, whatever fails on the way."""

import asyncio
import fcntl
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from palio.infra import seals
from palio.infra.anchors import Anchors
from palio.infra.db import Equipment
from palio.infra.mail import Kept
from palio.infra.seals.telling import LINES_AT_A_TIME, tell_witnesses
from palio.kernel import clock

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Receiver:
    """Somebody who is told, and what came in; `status` is what he answers."""

    status: int = 204
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[list[str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(size)
        self.heads.append(head)
        if self.status < 300:
            self.bodies.append(body.decode().splitlines())
        writer.write(f"HTTP/1.1 {self.status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


def lines(*numbers: int, chain: str = "ledger", at: datetime = NOON) -> list[str]:
    return [json.dumps({"chain": chain, "n": n, "sealed_at": clock.text(at)}) for n in numbers]


def add(anchors: Anchors, said: Sequence[str], at: datetime = NOON) -> None:
    anchors.append(at, lambda _: said)


def equipped(anchors: Anchors, **more: object) -> Equipment:
    return Equipment(anchors=anchors, is_simulated=True, mail=Kept(), **more)  # type: ignore[arg-type]


def test_what_somebody_was_not_told_of_comes_the_oldest_first(tmp_path: Path) -> None:
    """Over the end of a month, so many at a time; each listener has his own place."""
    anchors, march, april = Anchors(tmp_path), lines(1, 2, 3), lines(4, 5)
    add(anchors, march)
    add(anchors, april, NOON + 20 * DAY)

    first = anchors.untold("a", 2)
    assert first.lines == march[:2]
    anchors.mark_told("a", first, NOON)
    rest = anchors.untold("a", 10)
    assert rest.lines == [march[2], *april]
    anchors.mark_told("a", rest, NOON + HOUR)
    assert (anchors.untold("a", 10).lines, anchors.told_at("a")) == ([], NOON + HOUR)
    assert (anchors.untold("b", 10).lines, anchors.told_at("b")) == ([*march, *april], None)


def test_a_line_that_is_half_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    anchors, [line] = Anchors(tmp_path, file), lines(1)
    file.write_text(line)
    assert anchors.untold("a", 10).lines == []
    file.write_text(f"{line}\n")
    assert anchors.untold("a", 10).lines == [line]


def test_another_file_is_told_from_its_beginning(tmp_path: Path) -> None:
    """One of another name, and one that was begun anew."""
    old, new = (Anchors(tmp_path, tmp_path / name) for name in ("old.jsonl", "new.jsonl"))
    add(old, lines(1, 2))
    old.mark_told("a", old.untold("a", 10), NOON)
    add(new, lines(3))
    assert new.untold("a", 10).lines == lines(3)
    (tmp_path / "old.jsonl").write_text("")
    add(old, lines(4))
    assert old.untold("a", 10).lines == lines(4)


@pytest.mark.parametrize("noted", [b"", b"{", b"[1]", b"\xff"])
def test_whoever_cannot_read_what_was_noted_tells_everything(tmp_path: Path, noted: bytes) -> None:
    anchors = Anchors(tmp_path)
    add(anchors, lines(1))
    (tmp_path / "told.json").write_bytes(noted)

    untold = anchors.untold("a", 10)
    assert untold.lines == lines(1)
    anchors.mark_told("a", untold, NOON)
    assert anchors.untold("a", 10).lines == []


def test_a_lock_that_is_never_let_go_is_named(tmp_path: Path) -> None:
    """Nothing is written, and whoever waited knows which file it is."""
    file = tmp_path / "heads.jsonl"
    anchors = Anchors(tmp_path, file, lock_seconds_max=0.1)
    with file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"heads\.jsonl locked for 0\.1 s"):
            add(anchors, lines(1))
    assert file.read_bytes() == b""
    add(anchors, lines(1))
    assert list(anchors.newest_first()) == lines(1)


async def test_an_address_is_sent_every_line_once_and_what_failed_later(tmp_path: Path) -> None:
    async with receiving() as receiver:
        anchors = Anchors(tmp_path, url=f"http://127.0.0.1:{receiver.port}/heads?key=k")
        equipment, many = equipped(anchors), lines(*range(LINES_AT_A_TIME + 1))
        add(anchors, many)
        await tell_witnesses(equipment, now=NOON)
        await tell_witnesses(equipment, now=NOON)
        assert receiver.bodies == [many[:LINES_AT_A_TIME], many[LINES_AT_A_TIME:]]
        assert receiver.heads[0].startswith("post /heads?key=k http/1.1")
        assert "content-type: application/x-ndjson" in receiver.heads[0]

        receiver.status = 503
        add(anchors, lines(900))
        await tell_witnesses(equipment, now=NOON)
        add(anchors, lines(901))
        receiver.status = 200
        await tell_witnesses(equipment, now=NOON)
        assert receiver.bodies[2:] == [lines(900, 901)]


async def test_an_address_inside_is_not_called(tmp_path: Path) -> None:
    """Though the operator named it: it is as good a way in as any."""
    async with receiving() as receiver:
        anchors = Anchors(tmp_path, url=f"http://127.0.0.1:{receiver.port}/")
        add(anchors, lines(1))
        await tell_witnesses(replace(equipped(anchors), is_simulated=False), now=NOON)
        assert receiver.heads == []


async def test_an_object_store_gets_an_object_each_time(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    anchors = Anchors(tmp_path / "anchors", store=store.as_uri())
    add(anchors, lines(1, 2))
    await tell_witnesses(equipped(anchors), now=NOON)
    add(anchors, lines(3))
    await tell_witnesses(equipped(anchors), now=NOON + MINUTE)

    kept = sorted((store / "anchors").iterdir())
    assert [file.read_text().splitlines() for file in kept] == [lines(1, 2), lines(3)]
    assert kept[0].name.startswith("2026-03-20T120000")


async def test_a_mailbox_gets_the_newest_heads_once_a_day(tmp_path: Path) -> None:
    anchors = Anchors(tmp_path, mailbox="heads@example.com")
    equipment = equipped(anchors)
    add(anchors, [*lines(1, 2), *lines(7, chain="audit")])
    for at in (NOON, NOON + HOUR, NOON + DAY):
        await tell_witnesses(equipment, now=at)
    add(anchors, lines(3))
    await tell_witnesses(equipment, now=NOON + DAY)

    mail = equipment.mail
    assert isinstance(mail, Kept)
    first, second = mail.letters
    assert (first.to, first.subject) == ("heads@example.com", "Heads of the seals of http://localhost:8000")
    assert [line for line in first.text.splitlines() if line.startswith("{")] == [*lines(7, chain="audit"), *lines(2)]
    assert [line for line in second.text.splitlines() if line.startswith("{")] == lines(3)


@pytest.mark.parametrize("store", ["nonsense", "ftp://somewhere/else"])
async def test_one_who_cannot_be_told_is_in_nobodys_way(tmp_path: Path, store: str) -> None:
    """He is told of by name, once an hour has gone by."""
    async with receiving() as receiver:
        anchors = Anchors(tmp_path, url=f"http://127.0.0.1:{receiver.port}/", store=store, mailbox="heads@example.com")
        equipment = equipped(anchors)
        add(anchors, lines(1))
        await tell_witnesses(equipment, now=NOON)
        assert receiver.bodies == [lines(1)]
        assert await seals.behind(equipment, now=NOON + HOUR) == []
        assert await seals.behind(equipment, now=NOON + HOUR + MINUTE) == [seals.Behind("PALIO_ANCHOR_STORE", NOON)]
