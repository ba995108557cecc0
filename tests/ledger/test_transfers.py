"""Transfers by programs, over HTTP: on the short way and on the ordinary one, which answer alike."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from pydantic import TypeAdapter
from starlette.requests import Request

from palio import identity, ledger
from palio.infra import db, settings
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger.schemas import transfers as shapes
from palio.ledger.types import API_FAMILIES, BATCH_ITEMS_MAX, Posted, Refused, TransferId
from palio.ledger.web.transfers import short_ways
from palio.ui import problems
from palio.ui.actor import Asking
from palio.ui.edge import REQUEST_ID
from palio.ui.refusals import BatchRefused
from tests.factories.ledger import Superuser, new_wallet
from tests.factories.programs import BATCH, SYSTEM, TRANSFERS, Bank, furnish, program

HOUSE = "issuance:gift"
OTHER_HEADERS = {"x-request-id", "ratelimit", "content-length"}  # they tell this request from others


@pytest.fixture(scope="module")
async def service(database: Database) -> tuple[UserId, str]:
    await furnish(database)
    return await program(database)


@pytest.fixture(params=[True, False], ids=["short way", "ordinary way"])
async def bank(database: Database, request: pytest.FixtureRequest) -> Bank:
    return Bank(database, is_quick=request.param, key=new_id().bytes * 2)


@pytest.fixture
async def client(bank: Bank, service: tuple[UserId, str]) -> AsyncIterator[httpx2.AsyncClient]:
    async with bank.talk(service[1]) as client:
        yield client


def move(wallet: str, amount: int, **more: object) -> dict[str, object]:
    """Coins from the house into a wallet, or back."""
    legs = [
        {"account": wallet, "asset": "COIN", "amount": amount},
        {"account": HOUSE, "asset": "COIN", "amount": -amount},
    ]
    return {"kind": "ledger.transfer", "legs": legs, **more}


def under(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def keys_of(database: Database, user_id: UserId, *names: str) -> list[str]:
    """Which of these keys of a program are taken."""
    async with database.begin(SYSTEM) as tx:
        found = await db.column(
            tx, "select key from ledger.keys where key = any (%s) order by key", [f"api:{user_id}:{n}" for n in names]
        )
    return [key.rpartition(":")[2] for key in found]


async def balance(database: Database, wallet: str) -> int:
    async with database.begin(SYSTEM) as tx:
        return await ledger.balance(tx, address=wallet, asset="COIN")


def outline(answer: httpx2.Response) -> list[object]:
    """What became of the items of a batch: status, or the code it was refused with."""
    said = answer.json()
    results = said["results"] if answer.status_code == 200 else said["facts"]["results"]
    assert [result["index"] for result in results] == list(range(len(results)))
    return [result["problem"]["code"] if "problem" in result else result["status"] for result in results]


async def test_a_transfer_is_posted_once_and_told_again(
    client: httpx2.AsyncClient, bank: Bank, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    key = str(new_id())

    first = await client.post(TRANSFERS, json=move(wallet, 1000, description="a gift"), headers=under(key))
    again = await client.post(TRANSFERS, json=move(wallet, 1000, description="in other words"), headers=under(key))
    other = await client.post(TRANSFERS, json=move(wallet, 1001), headers=under(key))

    assert first.status_code == 201
    assert first.json()["balances"] == {wallet: {"balance": 1000, "seq": 1}}
    assert set(first.json()) == {"id", "posted_at", "balances"}
    assert (again.status_code, again.content) == (201, first.content)
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert (other.status_code, other.json()["code"]) == (422, "ledger.key_mismatch")
    assert await balance(database, wallet) == 1000
    async with database.begin(SYSTEM) as tx:
        actors = await db.column(tx, "select actor from ledger.transfers where id = %s", first.json()["id"])
    assert actors == [f"player:{service[0]}"]
    assert bank.ordinary == (0 if bank.is_quick else 3)
    assert [(one.route, one.status, one.code) for one in bank.served] == [
        (TRANSFERS, 201, None),
        (TRANSFERS, 201, None),
        (TRANSFERS, 422, "ledger.key_mismatch"),
    ]


async def test_a_key_is_of_one_program(client: httpx2.AsyncClient, bank: Bank, database: Database, wallet: str) -> None:
    """Nobody reads what another one did under the same key; the order of what stands in a body says nothing."""
    key, body = str(new_id()), move(wallet, 7)
    first = await client.post(TRANSFERS, json=body, headers=under(key))
    _, secret = await program(database)
    async with bank.talk(secret) as stranger:
        theirs = await stranger.post(TRANSFERS, json=move(wallet, 9), headers=under(key))
        mine = await stranger.post(TRANSFERS, json=body, headers=under(key))
    turned = {"legs": [dict(reversed(leg.items())) for leg in reversed(body["legs"])], "kind": body["kind"]}  # type: ignore[call-overload]  # a list of legs
    again = await client.post(TRANSFERS, json=turned, headers=under(key))

    assert (first.status_code, theirs.status_code, mine.status_code) == (201, 201, 422)
    assert first.json()["id"] != theirs.json()["id"]
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert await balance(database, wallet) == 16


async def test_a_key_is_free_after_a_defect(
    client: httpx2.AsyncClient,
    database: Database,
    service: tuple[UserId, str],
    superuser: Superuser,
    wallet: str,
) -> None:
    """Nothing has moved, and the same request is carried out once there is no defect any more."""
    key, body = str(new_id()), move(wallet, 1_234)
    superuser.run("alter table ledger.entries add constraint defect check (amount <> 1234) not valid")
    try:
        broken = [await client.post(TRANSFERS, json=body, headers=under(key)) for _ in range(2)]
        broken.append(await client.post(BATCH, json={"items": [{"key": key, **body}]}))
    finally:
        superuser.run("alter table ledger.entries drop constraint defect")
    left = await keys_of(database, service[0], key), await balance(database, wallet)
    first, again = [await client.post(TRANSFERS, json=body, headers=under(key)) for _ in range(2)]

    assert [(answer.status_code, answer.json()["code"]) for answer in broken] == [(500, "internal_error")] * 3
    assert left == ([], 0)
    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert await balance(database, wallet) == 1_234


async def test_a_batch_answers_each_item(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    """Acceptance 1 and 2 of the ledger."""
    start, k1, k2, c1 = (str(new_id()) for _ in range(4))
    await client.post(TRANSFERS, json=move(wallet, 1000), headers=under(start))
    items = [
        {"key": k1, **move(wallet, -600)},
        {"key": k2, "op": "transfer", **move(wallet, -600)},
        {"key": k1, **move(wallet, -600)},
        {"key": k1, **move(wallet, -601)},
    ]

    answer = await client.post(BATCH, json={"items": items})

    assert outline(answer) == ["ok", "ledger.insufficient_funds", "duplicate", "ledger.key_mismatch"]
    results = answer.json()["results"]
    assert answer.json()["counts"] == {"ok": 1, "duplicate": 1, "refused": 2}
    assert [result["ref"] for result in results] == [k1, k2, k1, k1]
    assert results[0]["data"]["balances"] == {wallet: {"balance": 400, "seq": 2}}
    assert results[2]["data"] == results[0]["data"]
    assert results[1]["problem"]["facts"] == {"available": 400, "needed": 600}
    assert await keys_of(database, service[0], k1, k2) == [k1]

    more = {"items": [{"key": c1, **move(wallet, 500)}, {"key": k2, **move(wallet, -600)}]}
    assert outline(await client.post(BATCH, json=more)) == ["ok", "ok"]
    assert outline(await client.post(BATCH, json=more)) == ["duplicate", "duplicate"]
    assert await balance(database, wallet) == 300


def lines(*parts: object) -> dict[str, Any]:
    """A body of JSON lines; what is text stands in it as it is."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in parts]
    return {"content": "\r\n".join(texts), "headers": {"content-type": "application/x-ndjson"}}


async def test_a_batch_comes_as_lines_too_and_is_answered_the_same(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    """What is no JSON is refused like an item that is none, and its neighbours are unharmed."""
    k1, k2, k3 = (str(new_id()) for _ in range(3))
    first, second = {"key": k1, **move(wallet, 600)}, {"key": k2, **move(wallet, 7)}
    broken = ['{"key": NaN}', '{"key": "a", "key": "b"}', "{", '"{}"', "[]"]

    answer = await client.post(BATCH, **lines(first, "", *broken, first, second, {"key": k3, "op": "none"}))

    assert answer.status_code == 200, answer.text
    assert outline(answer) == ["ok", *["validation_failed"] * 5, "duplicate", "ok", "validation_failed"]
    assert answer.json()["counts"] == {"ok": 2, "duplicate": 1, "refused": 6}
    assert [one["pointer"] for one in answer.json()["results"][3]["problem"]["errors"]] == ["/items/3"]
    assert await keys_of(database, service[0], k1, k2, k3) == sorted([k1, k2])
    whole = await client.post(BATCH, json={"items": [first, second]})
    assert (await client.post(BATCH, **lines(first, second))).content == whole.content
    assert await balance(database, wallet) == 607


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b'{"key": "\xff"}', 400, "malformed_json"),
        (b'{"key": "\\ud800"}', 400, "malformed_json"),
        (b"[" * 31 + b"]" * 31, 400, "malformed_json"),
        (b'{"key": "\\u0007"}', 422, "validation_failed"),
        (b"{}\n" * (BATCH_ITEMS_MAX.default + 1), 413, "ledger.batch_too_large"),
        (b" " * ((8 << 20) + 1), 413, "body_too_large"),
    ],
    ids=["no UTF-8", "half a character", "too deep", "a control character", "too many", "too long"],
)
async def test_what_no_body_may_have_no_lines_may_have(
    client: httpx2.AsyncClient, content: bytes, status: int, code: str
) -> None:
    answer = await client.post(BATCH, content=content, headers={"content-type": "application/x-ndjson; charset=utf-8"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_lines_are_for_bulk_alone(client: httpx2.AsyncClient, wallet: str) -> None:
    single = await client.post(TRANSFERS, **lines(move(wallet, 1)))
    latin = {"content-type": "application/x-ndjson; charset=latin-1"}
    other = await client.post(BATCH, content=b"{}", headers=latin)

    assert [(one.status_code, one.json()["code"]) for one in (single, other)] == [(415, "unsupported_media_type")] * 2


async def test_all_or_nothing(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    """Acceptance 3: every result is told, nothing is written."""
    await client.post(TRANSFERS, json=move(wallet, 1000), headers=under(str(new_id())))
    k1, k2 = str(new_id()), str(new_id())
    amounts = [(k1, -600), (k2, -600), (k1, -600), (k1, -601)]
    items = [{"key": key, **move(wallet, amount)} for key, amount in amounts]

    answer = await client.post(BATCH, json={"mode": "all", "items": items})

    assert (answer.status_code, answer.json()["code"]) == (409, "batch_refused")
    aborted, lacking = "ledger.batch_aborted", "ledger.insufficient_funds"
    assert outline(answer) == [aborted, lacking, aborted, "ledger.key_mismatch"]
    assert await keys_of(database, service[0], k1, k2) == []
    assert await balance(database, wallet) == 1000
    for bad in ({"key": k2, **move(wallet, 0)}, {"key": k2, **move("pool:main", 5)}):  # judged before the ledger
        answer = await client.post(BATCH, json={"mode": "all", "items": [items[0], bad]})
        assert outline(answer)[0] == aborted
    assert await balance(database, wallet) == 1000
    assert outline(await client.post(BATCH, json={"mode": "all", "items": items[:1]})) == ["ok"]


async def test_a_dry_run_keeps_nothing(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    key = str(new_id())
    answer = await client.post(BATCH, json={"dry_run": True, "items": [{"key": key, **move(wallet, 5)}]})
    assert outline(answer) == ["ok"]
    assert (await balance(database, wallet), await keys_of(database, service[0], key)) == (0, [])


async def test_holds_are_placed_captured_released_and_what_is_posted_is_taken_back(
    client: httpx2.AsyncClient, database: Database, wallet: str
) -> None:
    """Single ones are a batch of one."""
    given = await client.post(TRANSFERS, json=move(wallet, 1000), headers=under(str(new_id())))

    async def one(**item: object) -> dict[str, Any]:
        answer = await client.post(BATCH, json={"items": [{"key": str(new_id()), **item}]})
        [result] = answer.json()["results"]
        return result.get("data") or result["problem"]

    place = {"account": wallet, "asset": "COIN", "kind": "games.bet", "subject": "a bet"}
    held = await one(op="hold", amount=700, **place)
    assert held["amount"] == 700
    assert (await one(**move(wallet, -301)))["code"] == "ledger.insufficient_funds"
    paid = await one(**move(wallet, -250), capture={"hold": held["id"]})
    assert paid["balances"] == {wallet: {"balance": 750, "seq": 2}}
    assert (await one(**move(wallet, -451), capture={"hold": held["id"]}))["code"] == "ledger.hold_exceeded"
    await one(**move(wallet, -200), capture={"hold": held["id"], "final": True})
    assert (await one(op="void", hold=held["id"]))["code"] == "ledger.hold_not_open"
    other = await one(op="hold", amount=50, expires_at="2100-01-01T00:00:00Z", **place)
    assert other["facts"] == {"field": "expires_at"}  # further than an operator lets holds reach
    other = await one(op="hold", amount=50, **place)
    assert await one(op="void", hold=other["id"]) == {"id": other["id"], "released": 50}
    back = await one(op="reverse", transfer=given.json()["id"], amount=400, reason="too much")
    assert back["balances"] == {wallet: {"balance": 150, "seq": 4}}
    assert (await one(op="reverse", transfer=back["id"], reason="no"))["code"] == "ledger.reversal_of_reversal"
    assert (await one(op="reverse", transfer=str(new_id()), reason="no"))["code"] == "ledger.no_such_transfer"
    assert (await one(op="void", hold=str(new_id())))["code"] == "ledger.no_such_hold"
    assert await balance(database, wallet) == 150


async def test_thirty_requests_with_one_key_are_one_transfer(
    cluster: Any, database_name: str, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    """Acceptance 4, over two web processes, one of which answers on the ordinary way."""
    there = Database(cluster.dsn("palio_app", database_name))
    await there.pool.open(wait=True)
    key, body = str(new_id()), move(wallet, 7)
    try:
        async with Bank(database).talk(service[1]) as here, Bank(there, is_quick=False).talk(service[1]) as other:
            asked = [(here, other)[number % 2].post(TRANSFERS, json=body, headers=under(key)) for number in range(30)]
            first, *answers = await asyncio.gather(*asked)
            mismatched = await other.post(TRANSFERS, json=move(wallet, 8), headers=under(key))
    finally:
        await there.pool.close()

    assert (mismatched.status_code, mismatched.json()["code"]) == (422, "ledger.key_mismatch")
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, first.content)}
    assert [answer.headers.get("idempotency-replayed") for answer in (first, *answers)].count(None) == 1
    assert await balance(database, wallet) == 7


MALFORMED: Mapping[str, str] = {  # what is put in the place of an amount of a sound body
    "NaN": "malformed_json",
    "1e308": "validation_failed",
    "1.5": "validation_failed",
    "1.0": "validation_failed",
    "1e3": "validation_failed",
    '"10"': "validation_failed",
    "true": "validation_failed",
    "null": "validation_failed",
    "0": "validation_failed",
    "-0": "validation_failed",
    "9007199254740992": "validation_failed",
    "-9007199254740992": "validation_failed",
    "01": "malformed_json",
    "9" * 5_000: "malformed_json",
    "[" * 40 + "]" * 40: "malformed_json",
    '1, "amount": 1': "malformed_json",
    '1, "amou\\u006et": 1': "malformed_json",
    '1, "note": 1': "unknown_field",
    '"\\ud800"': "malformed_json",
    '"\xff"': "validation_failed",
}


@pytest.mark.parametrize(("amount", "code"), MALFORMED.items(), ids=[text[:24] for text in MALFORMED])
async def test_an_amount_is_a_whole_number(
    client: httpx2.AsyncClient, database: Database, wallet: str, amount: str, code: str
) -> None:
    """In a batch the neighbours of an item that can be read are unharmed."""
    key, neighbour = str(new_id()), str(new_id())
    text = json.dumps(move(wallet, 1)).replace('"amount": 1}', f'"amount": {amount}}}')

    answer = await post(client, TRANSFERS, text, **under(key))
    items = f'[{{"key": "{key}", {text[1:]}, {json.dumps({"key": neighbour, **move(wallet, 3)})}]'
    batch = await post(client, BATCH, f'{{"items": {items}}}')

    assert (answer.status_code, answer.json()["code"]) == (400 if code == "malformed_json" else 422, code)
    if code == "malformed_json":
        assert (batch.status_code, batch.json()["code"]) == (400, code)
    else:
        assert answer.json()["errors"][0]["pointer"].startswith("/legs/0/")
        assert outline(batch) == [code, "ok"]
        assert batch.json()["results"][0]["problem"]["errors"][0]["pointer"].startswith("/items/0/legs/0/")
    assert await balance(database, wallet) == (0 if code == "malformed_json" else 3)


async def test_the_largest_amount_survives_the_way_there_and_back(client: httpx2.AsyncClient, wallet: str) -> None:
    """As a number that every program reads exactly; one more is refused, as above."""
    posted = await client.post(TRANSFERS, json=move(wallet, 2**53 - 1), headers=under(str(new_id())))

    assert posted.status_code == 201
    assert '"balance":9007199254740991' in posted.text.replace(" ", "")


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [' + 100_000 * "[" + 100_000 * "]" + "]}",
        '{"items": [], "items": []}',
        '{"items": [], "mode": "each", "mode": "all"}',
        '{"items": [{"key": "a", "key": "b"}]}',
        '{"items": []} {}',
        '{"items": [NaN]}',
        '{"items": [',
    ],
    ids=lambda text: text[:40],
)
async def test_a_batch_that_cannot_be_read(client: httpx2.AsyncClient, text: str) -> None:
    answer = await post(client, BATCH, text)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ('{"items": {}}', "/items"),
        ('{"items": [], "mode": "some"}', "/mode"),
        ('{"items": [], "dry_run": 1}', "/dry_run"),
        ('{"items": [], "note": 1}', "/note"),
        ("{}", "/items"),
    ],
)
async def test_a_batch_of_another_shape(client: httpx2.AsyncClient, text: str, pointer: str) -> None:
    answer = await post(client, BATCH, text)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("item", ["5", "[]", "null", '{"key": "a", "op": 5}', '{"key": 5, "op": "void"}'])
async def test_an_item_of_no_kind_is_refused_where_it_stands(client: httpx2.AsyncClient, item: str) -> None:
    answer = await post(client, BATCH, f'{{"items": [{item}]}}')
    assert outline(answer) == ["validation_failed"]
    assert answer.json()["results"][0]["problem"]["errors"][0]["pointer"].startswith("/items/0")


async def post(client: httpx2.AsyncClient, path: str, text: str, **headers: str) -> httpx2.Response:
    return await client.post(path, content=text.encode(), headers={"content-type": "application/json", **headers})


def bodies() -> dict[str, tuple[int, str, object]]:
    """Transfers that cannot be, with what they are refused with."""
    wallet = new_wallet()
    plain = move(wallet, 5)
    coin, usd = {"account": HOUSE, "asset": "COIN", "amount": -5}, {"account": HOUSE, "asset": "USD", "amount": -5}
    into = {"account": wallet, "asset": "COIN", "amount": 5}
    return {
        "unknown kind": (422, "ledger.invalid", {**plain, "kind": "ledger.nothing"}),
        "unknown asset": (422, "ledger.invalid", {**plain, "legs": [into | {"asset": "GEM"}, coin | {"asset": "GEM"}]}),
        "one leg": (422, "validation_failed", {**plain, "legs": [into]}),
        "101 legs": (422, "validation_failed", {**plain, "legs": [into] * 101}),
        "same account twice": (422, "ledger.invalid", {**plain, "legs": [into, into | {"amount": -5}]}),
        "unbalanced": (422, "ledger.invalid", {**plain, "legs": [into, coin | {"amount": -4}]}),
        "unbalanced by asset": (422, "ledger.invalid", {**plain, "legs": [into, usd]}),
        "not an address": (422, "ledger.invalid", {**plain, "legs": [into | {"account": "user:../x:main"}, coin]}),
        "unknown family": (422, "ledger.invalid", {**plain, "legs": [into | {"account": "bank:main"}, coin]}),
        "a foreign family": (403, "ledger.family", {**plain, "legs": [into | {"account": "pool:main"}, coin]}),
        "no funds": (409, "ledger.insufficient_funds", move(wallet, -5)),
        "unknown field": (422, "unknown_field", {**plain, "note": "x"}),
        "a control character": (422, "validation_failed", {**plain, "description": "a\x07"}),
        "a raw control character": (422, "validation_failed", {**plain, "description": "a\x85"}),
        "a long description": (422, "validation_failed", {**plain, "description": "x" * 256}),
        "long metadata": (422, "ledger.invalid", {**plain, "metadata": {"a": "x" * 4_100}}),
        "metadata that is none": (422, "validation_failed", {**plain, "metadata": [1]}),
        "no such hold": (404, "ledger.no_such_hold", {**plain, "capture": {"hold": str(new_id())}}),
        "a hold that is no id": (422, "validation_failed", {**plain, "capture": {"hold": "x"}}),
        "nothing": (422, "validation_failed", {}),
        "no object": (422, "validation_failed", [plain]),
        "no text": (422, "validation_failed", {**plain, "kind": 5}),
    }


@pytest.mark.parametrize("name", bodies())
async def test_what_cannot_be_is_refused_and_changes_nothing(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], name: str
) -> None:
    status, code, body = bodies()[name]
    key = str(new_id())
    answer = await client.post(TRANSFERS, json=body, headers=under(key))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await keys_of(database, service[0], key) == []


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_required"),
        ("", "idempotency_key_invalid"),
        ("a b", "idempotency_key_invalid"),
        ("a/b", "idempotency_key_invalid"),
        ("x" * 160, "idempotency_key_invalid"),
    ],
)
async def test_a_key_is_one_that_the_ledger_can_keep(
    client: httpx2.AsyncClient, wallet: str, database: Database, key: str | None, code: str
) -> None:
    headers = {} if key is None else under(key)
    answer = await client.post(TRANSFERS, json=move(wallet, 5), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    if key:
        answer = await client.post(BATCH, json={"items": [{"key": key, **move(wallet, 5)}]})
        assert outline(answer) == [code]
        assert answer.json()["results"][0]["problem"]["errors"][0]["pointer"] == "/items/0/key"
    assert await balance(database, wallet) == 0
    longest = await client.post(TRANSFERS, json=move(wallet, 5), headers=under(str(new_id()).ljust(159, "x")))
    assert longest.status_code == 201


async def test_no_more_items_than_one_call_takes(client: httpx2.AsyncClient, wallet: str, database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [settings.Change(BATCH_ITEMS_MAX, 3)], "a test")
        await settings.snapshot.load(tx)
    items = [{"key": str(new_id()), **move(wallet, 5)} for _ in range(4)]
    answer = await client.post(BATCH, json={"items": items})
    async with database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [settings.Change(BATCH_ITEMS_MAX, None)], "a test")
        await settings.snapshot.load(tx)
    assert (answer.status_code, answer.json()["code"]) == (413, "ledger.batch_too_large")
    assert answer.json()["facts"] == {"items": 4, "limit": 3}
    many = await client.post(BATCH, json={"items": items[:1] * 10_001})
    assert (many.status_code, many.json()["facts"]) == (413, {"items": 10_001, "limit": 10_000})
    assert await balance(database, wallet) == 0


async def test_an_operator_names_the_families(client: httpx2.AsyncClient, wallet: str, database: Database) -> None:
    """A reversal may not touch others either."""
    given = await client.post(TRANSFERS, json=move(wallet, 5), headers=under(str(new_id())))
    async with database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [settings.Change(API_FAMILIES, ["user", "pool"])], "a test")
        await settings.snapshot.load(tx)
    try:
        items = [
            {"key": str(new_id()), **move(wallet, 5)},
            {"key": str(new_id()), "op": "reverse", "transfer": given.json()["id"], "reason": "no"},
        ]
        answer = await client.post(BATCH, json={"items": items})
        refused = await client.post(TRANSFERS, json=move(wallet, 5), headers=under(str(new_id())))
    finally:
        async with database.begin(SYSTEM) as tx:
            await settings.change(tx, SYSTEM, [settings.Change(API_FAMILIES, None)], "a test")
            await settings.snapshot.load(tx)
    assert outline(answer) == ["ledger.family", "ledger.family"]
    assert (refused.status_code, refused.json()["facts"]) == (403, {"family": "issuance"})
    assert await balance(database, wallet) == 5


async def test_batches_are_counted(client: httpx2.AsyncClient) -> None:
    """Sixty, and what comes back a second while they are sent."""
    taken = 0
    while (answer := await client.post(BATCH, json={"items": []})).status_code == 200:
        taken += 1
    assert (taken >= 60, answer.status_code) == (True, 429)
    assert answer.json()["facts"] == {"policy": "transfer-batches", "limit": 60, "window_s": 60}


async def test_only_a_program_that_may_posts(database: Database, bank: Bank, wallet: str) -> None:
    await furnish(database)
    tokens = (
        ("scope_missing", (await program(database, scopes=["ledger:read"]))[1]),
        ("permission_missing", (await program(database, role=None))[1]),
        ("unauthenticated", "palio_00000000_" + "x" * 49),
        ("unauthenticated", None),
    )
    for code, token in tokens:
        async with bank.talk(token) as client:
            answer = await client.post(TRANSFERS, json=move(wallet, 5), headers=under("a"))
        assert answer.json()["code"] == code
        assert answer.status_code == (401 if code == "unauthenticated" else 403)
    assert await balance(database, wallet) == 0


async def test_a_revoked_token_is_refused_at_once(database: Database, bank: Bank, wallet: str) -> None:
    user_id, token = await program(database)
    async with bank.talk(token) as client:
        before = await client.post(TRANSFERS, json=move(wallet, 5), headers=under("a"))
        async with database.begin(SYSTEM) as tx:
            [one] = await identity.tokens_of(tx, user_id=user_id, now=clock.now())
            await identity.revoke_token(tx, user_id=user_id, token_id=one.id, now=clock.now())
        after = await client.post(TRANSFERS, json=move(wallet, 5), headers=under("b"))
    assert (before.status_code, after.status_code, after.json()["code"]) == (201, 401, "token_revoked")
    assert await balance(database, wallet) == 5


ODD: Mapping[str, dict[str, Any]] = {  # requests that are fine, or are not, whichever way they go
    "plain": {},
    "a parameter": {"params": {"x": "1"}},
    "another type": {"headers": {"content-type": "text/plain"}},
    "a charset": {"headers": {"content-type": "application/json; charset=utf-8"}},
    "nothing that we answer": {"headers": {"accept": "text/csv"}},
    "anything": {"headers": {"accept": "*/*"}},
    "its own id": {"headers": {"x-request-id": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"}},
    "an id that is none": {"headers": {"x-request-id": "7"}},
    "a cookie": {"headers": {"cookie": "palio_session=x"}},
    "from a browser": {"headers": {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}},
    "too many headers": {"headers": {"x-padding": "x" * 17_000}},
}


@pytest.mark.parametrize("name", ODD)
async def test_both_ways_answer_alike(database: Database, service: tuple[UserId, str], name: str) -> None:
    """Status, body and headers, of what is posted, repeated and refused."""
    wallet, key = new_wallet(), str(new_id())
    sound, lacking = json.dumps(move(wallet, 5)), json.dumps(move(wallet, -50))
    odd = ODD[name]
    told = []
    for is_quick in (True, False):
        async with Bank(database, is_quick=is_quick, key=new_id().bytes * 2).talk(service[1]) as client:
            for path, text, own in (
                (TRANSFERS, sound, key),
                (TRANSFERS, sound, key),
                (TRANSFERS, lacking, "b"),
                (BATCH, f'{{"items": [{{"key": "{key}", {sound[1:]}, {{"key": "b", {lacking[1:]}]}}', ""),
            ):
                headers = {"content-type": "application/json", **under(own), **odd.get("headers", {})}
                answer = await client.post(path, content=text, params=odd.get("params"), headers=headers)
                said = {name: value for name, value in answer.headers.items() if name not in OTHER_HEADERS}
                body = answer.json() | {"request_id": None}
                told.append((answer.status_code, body, said, "x-request-id" in answer.headers))
    assert told[1:4] == told[5:]
    assert (told[0][0], told[0][1]) == (told[4][0], told[4][1])


async def test_ten_thousand_items_leave_others_their_turn(
    client: httpx2.AsyncClient, database: Database, service: tuple[UserId, str], wallet: str
) -> None:
    """Acceptance 10 of the API: what is wrong with seven of them is nobody else's fault."""
    prefix = str(new_id())
    items = [{"key": f"{prefix}:{number}", **move(wallet, 1)} for number in range(10_000)]
    for number in range(0, 7_000, 1_000):
        items[number]["legs"][0]["amount"] = 1.5  # type: ignore[index]
    answer = await client.post(BATCH, json={"items": items})
    assert answer.json()["counts"] == {"ok": 9_993, "duplicate": 0, "refused": 7}
    refused = [result for result in answer.json()["results"] if "problem" in result]
    assert [result["problem"]["errors"][0]["pointer"] for result in refused] == [
        f"/items/{number}/legs/0/amount" for number in range(0, 7_000, 1_000)
    ]
    assert await balance(database, wallet) == 9_993


class Refusing:
    """A teller that refuses every batch that happens whole or not at all."""

    def __init__(self, outcomes: Sequence[Refused]) -> None:
        self._outcomes = outcomes

    async def post_apart(self, *_: object, **__: object) -> list[object]:
        raise ledger.BatchRefused(outcomes=self._outcomes)


async def longest_turn(work: Awaitable[None]) -> float:
    """For how many seconds of the processor nobody else had a turn, at the most, whatever others have left lying."""
    gc.collect()
    gc.freeze()
    turns = [time.thread_time()]

    async def watch() -> None:
        while True:
            turns.append(time.thread_time())
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await work
    await asyncio.sleep(0)
    watching.cancel()
    gc.unfreeze()
    return max(later - earlier for earlier, later in pairwise(turns))


async def test_ten_thousand_refusals_are_told_part_by_part(wallet: str) -> None:
    """No turn takes as long as a third of what it takes to write them in one."""
    items = [{"key": f"k{number}", **move(wallet, -7)} for number in range(10_000)]
    batch = shapes.read_batch(json.dumps({"mode": "all", "items": items}).encode())
    assert batch
    forms = shapes.read_items(batch.items)
    refused = [Refused("ledger.insufficient_funds", {"available": 5, "needed": 7}) for _ in items]
    _, many = short_ways(Refusing(refused))  # type: ignore[arg-type]  # all that a batch asks of a teller
    ask = Asking(Actor("player", UserId(new_id()), RequestId(new_id())), clock.now())
    scope = {"type": "http", "method": "POST", "path": BATCH, "query_string": b"", "headers": []}
    request = Request(scope | {REQUEST_ID: ask.actor.request_id})
    told: list[bytes] = []

    async def tell() -> None:
        try:
            await many.answer(ask, (batch, forms))
        except BatchRefused as refusal:
            told.append(bytes(problems.respond(request, problems.describe(request, refusal)).body))

    async def tell_at_once() -> None:
        results = json.loads(told[0])["facts"]["results"]
        told.append(problems.DOCUMENT.dump_json(problems.describe(request, BatchRefused(results=results))))

    longest, in_one = await longest_turn(tell()), await longest_turn(tell_at_once())
    facts = json.loads(told[0])["facts"]
    assert facts["counts"] == {"ok": 0, "duplicate": 0, "refused": 10_000}
    assert [one["ref"] for one in facts["results"]] == [one["key"] for one in items]
    assert facts["results"][9_999]["problem"]["facts"] == {"available": 5, "needed": 7}
    assert longest < in_one / 3


@pytest.mark.parametrize("micros", [0, 1, 120_000, 999_999])
def test_a_time_is_written_alike_on_both_ways(noon: datetime, wallet: str, micros: int) -> None:
    posted = Posted(TransferId(new_id()), {wallet: (5, 1)}, noon.replace(microsecond=micros))
    plain = TypeAdapter(shapes.TransferAnswer).dump_json(shapes.TransferAnswer.of(posted))
    assert shapes.written(posted) == plain
