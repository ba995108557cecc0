"""Proofs: what a player can check offline, what of it says something of others, and the heads that everybody sees."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx2
import pytest

from palio import ledger
from palio.infra import embedded, seals
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import NoSuchTransfer, NotSealed, Post, SealBroken
from palio.ledger.types import TransferId
from tests.factories.ledger import Superuser, owner_of, pay, settled
from tests.factories.seals import RING, SYSTEM, equipment
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

SCRIPT = Path(__file__).parents[2] / "docs/check_proof.py"
KEY = seals.public_keys(RING)[1]
OTHER = "user:01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44:main"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """What anybody checks a proof with: it imports nothing of ours."""
    spec = spec_from_file_location("check_proof", SCRIPT)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
async def sealing(database: Database, cluster: embedded.Cluster) -> Database:
    database.equipment = equipment()
    return database


@pytest.fixture
async def client(sealing: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(sealing)) as client:
        yield client


async def seal(database: Database, now: datetime) -> seals.Seal:
    await settled(database)
    async with database.begin(SYSTEM) as tx:
        made = await ledger.seal(tx, now=now)
    assert made
    return made


async def post(database: Database, *posts: Post, now: datetime) -> list[TransferId]:
    async with database.begin(SYSTEM) as tx:
        outcomes = await ledger.post_many(tx, posts, now=now)
    return [outcome.transfer_id for outcome in outcomes if isinstance(outcome, ledger.Posted)]


@pytest.fixture
async def wallet(sealing: Database, noon: datetime) -> str:
    """Somebody with five movements of his own among eleven of one seal."""
    wallet = f"user:{new_id()}:main"
    posts = [pay(f"{wallet}:{n}", wallet if n % 2 else OTHER, 10) for n in range(11)]
    await post(sealing, *posts, now=noon)
    await seal(sealing, noon)
    return wallet


async def own(database: Database, wallet: str) -> list[TransferId]:
    async with database.begin(SYSTEM) as tx:
        found = await tx.execute("select id from ledger.transfers where key like %s order by id", [f"{wallet}:%"])
        return [number for (number,) in await found.fetchall()][1::2]


async def proof_of(client: httpx2.AsyncClient, number: UUID, user: UserId) -> httpx2.Response:
    return await client.get(f"/api/v1/wallet/transactions/{number}/proof", headers=caller("player", user))


async def test_a_player_proves_his_movements_with_nothing_of_ours(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, script: ModuleType, tmp_path: Path
) -> None:
    numbers = await own(sealing, wallet)
    assert len(numbers) == 5
    for number in numbers:
        answer = await proof_of(client, number, owner_of(wallet))
        assert answer.status_code == 200, answer.text
        proof = answer.json()
        assert list(script.flaws_of(proof, KEY, proof["seal"]["head"])) == []
        content = json.loads(proof["content"])
        assert content["id"] == str(number)
        assert [entry["address"] for entry in content["entries"]] == [wallet, "issuance:gift"]

    (tmp_path / "proof.json").write_text(answer.text)
    words = [str(tmp_path / "proof.json"), "--key", KEY.hex(), "--head", proof["seal"]["head"]]
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(SCRIPT), *words, stdout=asyncio.subprocess.PIPE
    )
    assert (await run.communicate(), run.returncode) == ((b"The proof holds.\n", None), 0)


def flipped(text: str) -> str:
    return f"{text[:-1]}{'0' if text[-1] != '0' else '1'}"


async def test_a_proof_of_which_anything_was_altered_does_not_hold(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, script: ModuleType
) -> None:
    number = (await own(sealing, wallet))[2]
    proof: dict[str, Any] = (await proof_of(client, number, owner_of(wallet))).json()
    seal = proof["seal"]
    altered: list[dict[str, Any]] = [
        {"content": proof["content"].replace(":10,", ":11,", 1)},
        {"leaf": flipped(proof["leaf"])},
        {"index": proof["index"] + 1},
        {"path": [flipped(step) for step in proof["path"]]},
        {"path": proof["path"][1:]},
        {"chain": "audit"},
        *({"seal": seal | {name: seal[name] + 1}} for name in ("rows", "from_tx", "to_tx")),
        *({"seal": seal | {name: flipped(seal[name])}} for name in ("root", "prev", "head", "signature")),
        {"seal": seal | {"sums": "{}"}},
        {"seal": seal | {"at": "2026-03-20T12:00:00.000001Z"}},
    ]
    assert list(script.flaws_of(proof, KEY)) == []
    assert [change for change in altered if not list(script.flaws_of(proof | change, KEY))] == []
    assert list(script.flaws_of(proof, bytes(31) + b"\1")) == ["the head is not signed by this key"]
    assert list(script.flaws_of(proof, KEY, flipped(seal["head"]))) == ["it is another head than yours"]


async def test_what_belongs_to_somebody_else_is_not_there(
    client: httpx2.AsyncClient, sealing: Database, wallet: str
) -> None:
    number = (await own(sealing, wallet))[0]
    stranger = await proof_of(client, number, UserId(new_id()))
    nothing = await proof_of(client, new_id(), owner_of(wallet))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "ledger.no_such_transfer")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "ledger.no_such_transfer")


async def test_what_is_too_young_can_be_proved_a_little_later(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, noon: datetime
) -> None:
    (number,) = await post(sealing, pay(f"{wallet}:young", wallet, 1), now=noon)
    answer = await proof_of(client, number, owner_of(wallet))
    assert (answer.status_code, answer.json()["code"]) == (409, "ledger.not_sealed")
    await seal(sealing, noon)
    assert (await proof_of(client, number, owner_of(wallet))).status_code == 200


async def test_a_proof_says_nothing_of_other_people(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, noon: datetime, script: ModuleType
) -> None:
    """The balance of others is in the leaf of a gift, who of the staff it was in that of an adjustment."""
    staff = Actor("staff", UserId(new_id()), RequestId(new_id()))
    player = Actor("player", owner_of(wallet), RequestId(new_id()))
    gift = Post(f"{wallet}:gift", "ledger.gift", ((wallet, "COIN", -3), (OTHER, "COIN", 3)), actor=player)
    (given,) = await post(sealing, gift, now=noon)
    adjusted, own_act = await post(
        sealing,
        pay(f"{wallet}:adjusted", wallet, 4, actor=staff),
        pay(f"{wallet}:own", wallet, -4, actor=player),
        now=noon,
    )
    await seal(sealing, noon)
    for number, is_shown in ((given, False), (adjusted, False), (own_act, True)):
        proof = (await proof_of(client, number, owner_of(wallet))).json()
        assert (proof["content"] is not None) == is_shown
        assert list(script.flaws_of(proof, KEY)) == []
        if not is_shown:
            assert str(owner_of(OTHER)) not in json.dumps(proof)
            assert str(staff.user_id) not in json.dumps(proof)
    async with sealing.begin(SYSTEM) as tx:
        assert (await ledger.proof(tx, transfer_id=given)).content, "the house sees it"


async def test_no_false_proof_is_given(sealing: Database, wallet: str, superuser: Superuser) -> None:
    number = (await own(sealing, wallet))[1]
    superuser.tamper("update ledger.transfers set kind = 'ledger.gift' where id = %s", number)
    async with sealing.begin(SYSTEM) as tx:
        with pytest.raises(SealBroken):
            await ledger.proof(tx, transfer_id=number)
    superuser.tamper("update ledger.transfers set kind = 'ledger.transfer' where id = %s", number)
    async with sealing.begin(SYSTEM) as tx:
        assert await ledger.proof(tx, transfer_id=number)


async def test_no_proof_is_given_that_does_not_lead_to_its_head(
    sealing: Database, wallet: str, superuser: Superuser
) -> None:
    """Where the leaf of a neighbour was altered, or the seal is gone."""
    number = (await own(sealing, wallet))[1]
    async with sealing.begin(SYSTEM) as tx:
        n = await ledger.seal_of(tx, transfer_id=number)
    ((leaves,),) = superuser.ask("select leaves from ledger.seal_leaves where n = %s", n)
    assert isinstance(leaves, bytes)
    for altered in (bytes(32) + leaves[32:], leaves[:-32], leaves + bytes(32), leaves[32:] + leaves[:32]):
        superuser.tamper("update ledger.seal_leaves set leaves = %s where n = %s", altered, n)
        async with sealing.begin(SYSTEM) as tx:
            with pytest.raises(SealBroken):
                await ledger.proof(tx, transfer_id=number)
    superuser.tamper("update ledger.seal_leaves set leaves = %s where n = %s", leaves, n)
    async with sealing.begin(SYSTEM) as tx:
        assert await ledger.proof(tx, transfer_id=number)
        assert await seals.prove(tx, chain=ledger.CHAIN, n=10**6, index=0) is None


async def test_the_number_of_a_seal_is_known_to_who_may_see_the_transfer(
    sealing: Database, wallet: str, noon: datetime
) -> None:
    number = (await own(sealing, wallet))[0]
    (young,) = await post(sealing, pay(f"{wallet}:later", wallet, 1), now=noon)
    async with sealing.begin(Actor("player", owner_of(wallet), RequestId(new_id()))) as tx:
        (newest,) = await ledger.heads(tx, limit=1)
        assert await ledger.seal_of(tx, transfer_id=number) == newest.n
        assert await ledger.seal_of(tx, transfer_id=young) is None
        with pytest.raises(NotSealed):
            await ledger.proof(tx, transfer_id=young)
    async with sealing.begin(Actor("player", owner_of(OTHER), RequestId(new_id()))) as tx:
        with pytest.raises(NoSuchTransfer):
            await ledger.seal_of(tx, transfer_id=number)


async def test_heads_are_everybodys_and_come_in_pages(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, noon: datetime
) -> None:
    for number in range(3):
        await post(sealing, pay(f"{wallet}:page{number}", wallet, 1), now=noon)
        last = await seal(sealing, noon)
    first = (await client.get("/api/v1/transparency/heads?limit=2")).json()
    assert [head["n"] for head in first["items"]] == [last.n, last.n - 1]
    assert (first["items"][0]["head"], first["prev"]) == (last.head.hex(), None)
    assert first["keys"] == [{"id": 1, "public_key": KEY.hex()}]
    second = (await client.get(f"/api/v1/transparency/heads?limit=2&cursor={first['next']}")).json()
    assert [head["n"] for head in second["items"]] == [last.n - 2, last.n - 3]
    assert second["items"][0]["head"] == first["items"][1]["prev"]
    back = (await client.get(f"/api/v1/transparency/heads?limit=2&cursor={second['prev']}")).json()
    assert [head["n"] for head in back["items"]] == [last.n, last.n - 1]
    assert back["prev"] is None


async def test_a_page_shows_heads_keys_and_how_to_check(
    client: httpx2.AsyncClient, sealing: Database, wallet: str
) -> None:
    page = await client.get("/transparency?limit=1")
    async with sealing.begin(SYSTEM) as tx:
        (newest,) = await ledger.heads(tx, limit=1)
    assert page.status_code == 200
    assert newest.head.hex() in page.text
    assert KEY.hex() in page.text
    assert "palio-seal-v1:ledger:" in page.text
    assert 'href="/transparency?cursor=' in page.text


async def test_a_receipt_leads_to_the_place_of_its_seal(
    client: httpx2.AsyncClient, sealing: Database, wallet: str, noon: datetime
) -> None:
    """The page that begins with it, from which one goes on to both sides."""
    await post(sealing, pay(f"{wallet}:leads", wallet, 1), now=noon)
    sealed = await seal(sealing, noon)
    await post(sealing, pay(f"{wallet}:later", wallet, 1), now=noon)
    later = await seal(sealing, noon)
    receipt = (await client.get("/wallet/COIN/entries/6", headers=caller("player", owner_of(wallet)))).text
    there = (await client.get(f"/transparency?at={sealed.n}")).text
    newer = there.partition('aria-label="More heads"')[2].partition('href="')[2].partition('"')[0]
    back = (await client.get(newer.replace("&amp;", "&"))).text
    nothing = await client.get("/transparency?at=0")

    assert f'href="/transparency?at={sealed.n}#seal-{sealed.n}"' in receipt
    assert f'id="seal-{sealed.n}" aria-current="true"' in there and later.head.hex() not in there
    assert f'id="seal-{later.n}"' in back
    assert nothing.status_code == 422


async def test_a_page_without_seals_and_keys_says_so(database: Database, superuser: Superuser) -> None:
    superuser.tamper("delete from ledger.seal_leaves")
    superuser.tamper("delete from ledger.seals")
    database.equipment = equipment(keyring=None)
    async with talk_to(product(database)) as client:
        page = await client.get("/transparency")
    database.equipment = equipment()
    assert "Nothing is sealed yet." in page.text
    assert "This process has none." in page.text
