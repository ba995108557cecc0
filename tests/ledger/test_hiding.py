"""Lines that somebody no longer wants to see: gone from his list, and from nothing else."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx2
import pytest

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Filter, Reverse
from tests.conftest import SYSTEM
from tests.factories.ledger import fund, new_wallet, owner_of, pay
from tests.ui.conftest import talk_to
from tests.ui.people import OURS, caller
from tests.ui.product import product

HOUR = timedelta(hours=1)
BECOME = "select set_config('palio.kind', %s, true), set_config('palio.user_id', %s, true)"
REASON = "asked for it by letter"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


@pytest.fixture
async def owner(database: Database, noon: datetime) -> UserId:
    """Somebody with +100, -30 and +5, an hour apart."""
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        for n, amount in enumerate((100, -30, 5)):
            await ledger.post(tx, pay(f"{wallet}:{n}", wallet, amount, description="=1+1"), now=noon + n * HOUR)
    return owner_of(wallet)


def as_player(user_id: UserId) -> Actor:
    return Actor("player", user_id, RequestId(new_id()))


async def lines(client: httpx2.AsyncClient, owner: UserId, query: str = "") -> list[dict]:
    answer = await client.get(f"/api/v1/wallet/COIN/transactions{query}", headers=caller("player", owner))
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def act(client: httpx2.AsyncClient, who: UserId, transfer: str, verb: str, *, kind: str = "player") -> int:
    path = f"/api/v1/wallet/transactions/{transfer}/{verb}"
    return (await client.post(path, headers={**caller(kind, who), **OURS})).status_code  # type: ignore[arg-type]


async def test_a_hidden_movement_is_gone_from_the_list_and_from_nothing_else(
    client: httpx2.AsyncClient, owner: UserId
) -> None:
    _, second, _ = before = await lines(client, owner)
    balances = (await client.get("/api/v1/wallet", headers=caller("player", owner))).content

    assert [await act(client, owner, second["id"], "hide") for _ in range(2)] == [204, 204]

    assert [line["seq"] for line in await lines(client, owner)] == [3, 1]
    everything = await lines(client, owner, "?include_hidden=true")
    assert [(line["seq"], line["hidden"]) for line in everything] == [(3, False), (2, True), (1, False)]
    assert (everything[1]["updated_at"], everything[0]["updated_at"]) == (
        "2026-03-20T12:00:00.000000Z",
        everything[0]["created_at"],
    )
    assert (await client.get("/api/v1/wallet", headers=caller("player", owner))).content == balances
    receipt = await client.get(f"/api/v1/wallet/transactions/{second['id']}", headers=caller("player", owner))
    assert receipt.json()["entries"][0]["balance_after"]["amount"] == 70

    assert [await act(client, owner, second["id"], "unhide") for _ in range(2)] == [204, 204]
    assert await lines(client, owner) == before


async def test_a_table_adds_up_whatever_is_hidden(client: httpx2.AsyncClient, owner: UserId) -> None:
    """And what looks like a formula is text."""
    for line in (await lines(client, owner))[:2]:
        assert await act(client, owner, line["id"], "hide") == 204
    answer = await client.get("/api/v1/wallet/COIN/transactions.csv", headers=caller("player", owner))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(int(row["amount_amount"]) for row in rows) == 75
    assert [(row["seq"], row["hidden"], row["description"]) for row in rows] == [
        ("3", "true", "'=1+1"),
        ("2", "true", "'=1+1"),
        ("1", "false", "'=1+1"),
    ]


async def test_what_belongs_to_somebody_else_is_not_there_to_be_hidden(
    client: httpx2.AsyncClient, owner: UserId, database: Database
) -> None:
    stranger = UserId(new_id())
    transfer = (await lines(client, owner))[0]["id"]
    assert await act(client, stranger, transfer, "hide") == 404
    assert await act(client, owner, str(new_id()), "hide") == 404
    assert await act(client, owner, transfer, "hide", kind="viewer") == 403
    assert [line["seq"] for line in await lines(client, owner)] == [3, 2, 1]

    assert await act(client, owner, transfer, "hide") == 204
    assert await act(client, stranger, transfer, "unhide") == 404
    marks = "select count(*) from ledger.hidden"
    counted = []
    for actor in (as_player(owner), as_player(stranger), Actor("viewer", owner, RequestId(new_id()))):
        async with database.begin(actor) as tx:
            found = await (await tx.execute(marks)).fetchone()
            counted.append(found and found[0])
    assert counted == [1, 0, 1]


@pytest.mark.parametrize("act", ["hide", "unhide"])
async def test_the_functions_of_the_database_know_whose_line_it_is(
    tx: Tx, wallet: str, noon: datetime, act: str
) -> None:
    """Whoever calls them past the program: strangers and those who only look change nothing."""
    await fund(tx, wallet, 5, now=noon)
    owner = owner_of(wallet)
    if act == "unhide":
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=1, now=noon, reason=REASON)
    calls = {
        "hide": "select ledger.hide(%s, 'COIN', '{1}', null, now())",
        "unhide": "select ledger.unhide(%s, 'COIN', '{1}')",
    }
    changed = []
    for kind, who in (("player", new_id()), ("viewer", owner), ("none", ""), ("player", owner)):
        await tx.execute(BECOME, [kind, str(who)])
        found = await (await tx.execute(calls[act], [owner])).fetchone()
        changed.append(found and found[0])
    assert changed == [0, 0, 0, 1]


async def test_the_application_cannot_mark_a_line_itself(database: Database, owner: UserId) -> None:
    for statement in (
        "insert into ledger.hidden values (1, 1, infra.actor_id(), now(), 'me', null)",
        "update ledger.hidden set reason = 'x'",
        "delete from ledger.hidden",
    ):
        async with database.begin(as_player(owner)) as tx:
            with pytest.raises(Exception, match="permission denied"):
                await tx.execute(statement)
            await tx.rollback()


async def test_staff_hide_with_a_reason_that_is_written_down_each_time(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 5, now=noon)
    owner = owner_of(wallet)
    with pytest.raises(ledger.HidingReasonMissing):
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=1, now=noon, reason="  too short  ")
    for _ in range(2):
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=1, now=noon, reason=REASON)
    await ledger.unhide(tx, owner_id=owner, asset="COIN", seq=1, reason="it was a mistake")

    found = await (
        await tx.execute(
            "select action, reason, changes from infra.audit_rows where subject_user_id = %s order by id", [owner]
        )
    ).fetchall()
    assert found == [
        ("wallet_line.hide", REASON, {"hidden": [False, True]}),
        ("wallet_line.hide", REASON, {"hidden": [True, True]}),
        ("wallet_line.unhide", "it was a mistake", {"hidden": [True, False]}),
    ]


@pytest.mark.parametrize(("asset", "seq"), [("COIN", 2), ("USD", 1), ("GOLD", 1)])
async def test_a_line_that_is_not_there_cannot_be_hidden(
    tx: Tx, wallet: str, noon: datetime, asset: str, seq: int
) -> None:
    await fund(tx, wallet, 5, now=noon)
    with pytest.raises(Refusal):
        await ledger.hide(tx, owner_id=owner_of(wallet), asset=asset, seq=seq, now=noon, reason=REASON)
    hidden = await tx.execute("select * from ledger.hidden where owner_id = %s", [owner_of(wallet)])
    assert await hidden.fetchall() == []


async def test_pages_go_over_hidden_lines(tx: Tx, wallet: str, noon: datetime) -> None:
    """A page is full, and the cursor goes on behind it."""
    await ledger.post_many(tx, [pay(f"{wallet}:{n}", wallet, 1) for n in range(9)], now=noon)
    owner = owner_of(wallet)
    for seq in (8, 7, 5, 2):
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=seq, now=noon, reason=REASON)
    first = await ledger.statement(tx, owner_id=owner, asset="COIN", limit=2)
    second = await ledger.statement(tx, owner_id=owner, asset="COIN", after=first.next, limit=2)
    back = await ledger.statement(tx, owner_id=owner, asset="COIN", before=second.prev, limit=2)
    assert [[line.seq for line in page.lines] for page in (first, second, back)] == [[9, 6], [4, 3], [9, 6]]
    everything = await ledger.statement(tx, owner_id=owner, asset="COIN", wanted=Filter(with_hidden=True))
    assert [line.seq for line in everything.lines] == list(range(9, 0, -1))


async def test_a_line_says_how_much_of_it_was_taken_back(tx: Tx, wallet: str, noon: datetime) -> None:
    """Also where some of that is owed, and never of the wallet on the other side."""
    owner, other = owner_of(wallet), new_wallet()
    won = await ledger.post(tx, pay("won", wallet, 100), now=noon)
    gone = await ledger.post(
        tx, ledger.Post("gone", "ledger.gift", ((wallet, "COIN", -90), (other, "COIN", 90))), now=noon
    )
    await ledger.reverse(tx, Reverse("back", gone.transfer_id, REASON, amount=40), now=noon)
    await ledger.reverse(tx, Reverse("more", won.transfer_id, REASON, amount=70, to_debt=True), now=noon)

    page = await ledger.statement(tx, owner_id=owner, asset="COIN")
    assert [(line.amount, line.reversed) for line in page.lines] == [(-50, 0), (40, 0), (-90, 40), (100, 70)]
    of_other = await ledger.statement(tx, owner_id=owner_of(other), asset="COIN")
    assert [(line.amount, line.reversed) for line in of_other.lines] == [(-40, 0), (90, 40)]


async def test_a_debt_that_is_paid_back_counts_once(tx: Tx, wallet: str, noon: datetime) -> None:
    """What moved between a wallet and its own debt is taken back in the wallet: both sides would make nothing."""
    debt = wallet.replace(":main", ":debt")
    await ledger.post_many(tx, [pay("owed", debt, -60), pay("fund", wallet, 60)], now=noon)
    paid = await ledger.post(
        tx, ledger.Post("paid", "ledger.debt", ((wallet, "COIN", -60), (debt, "COIN", 60))), now=noon
    )
    await ledger.reverse(tx, Reverse("back", paid.transfer_id, REASON, amount=25), now=noon)
    page = await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")
    assert [(line.amount, line.reversed) for line in page.lines] == [(25, 0), (-60, 25), (60, 0)]


async def test_the_page_leaves_a_line_out_and_offers_to_undo_it(client: httpx2.AsyncClient, owner: UserId) -> None:
    headers = caller("player", owner)

    async def shown(query: str = "") -> str:
        return (await client.get(f"/wallet/COIN{query}", headers=headers)).text

    page = await shown("?type=credit")
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"csrf_token": token, "query": "type=credit"}
    sent = {"data": form, "headers": {**headers, **OURS}}
    answer = await client.post("/wallet/COIN/entries/3/hide", **sent)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["location"]) == (303, "/wallet/COIN?type=credit&hid=3#lines")
    page = await shown("?type=credit&hid=3")
    assert "Line <bdi>3</bdi> is left out" in page and 'formaction="/wallet/COIN/entries/3/unhide"' in page
    assert '/wallet/COIN/entries/3"' not in page and '/wallet/COIN/entries/1"' in page
    assert "is left out" not in await shown("?hid=1")
    assert '/wallet/COIN/entries/3"' in await shown("?include_hidden=true")

    answer = await client.post("/wallet/COIN/entries/3/unhide", **sent)  # type: ignore[arg-type]
    assert answer.headers["location"] == "/wallet/COIN?type=credit#lines"
    assert '/wallet/COIN/entries/3"' in await shown()


@pytest.mark.parametrize("query", ["//elsewhere.example", "a=b\r\nSet-Cookie: c", "x#y", "a b"])
async def test_whoever_hides_is_led_nowhere_else(client: httpx2.AsyncClient, owner: UserId, query: str) -> None:
    headers = caller("player", owner)
    token = (await client.get("/wallet/COIN", headers=headers)).text.split('name="csrf_token" value="')[1].split('"')[0]
    answer = await client.post(
        "/wallet/COIN/entries/3/hide", data={"csrf_token": token, "query": query}, headers={**headers, **OURS}
    )
    assert answer.status_code == 422
    assert [line["seq"] for line in await lines(client, owner)] == [3, 2, 1]
