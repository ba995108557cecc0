"""What players give to each other: off until the house says otherwise, within the limits of a day, never twice."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import httpx2
import psycopg
import pytest

from palio import identity, ledger
from palio.infra import embedded, settings
from palio.infra.db import Database, Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId, new_id
from palio.kernel.settings import Catalogue
from palio.ledger import Gift, Hold
from palio.ledger.types import GIFTS_ENABLED, GIFTS_OF_A_DAY_MAX, GIVEN_ON_A_DAY_MAX
from palio.ledger.types import SETTINGS as OF_LEDGER
from tests.conftest import SYSTEM
from tests.factories.ledger import fund, new_wallet, owner_of, pay
from tests.ui.conftest import talk_to
from tests.ui.people import OURS, caller
from tests.ui.product import product


@pytest.fixture(scope="module", autouse=True)
def giftable(cluster: embedded.Cluster, database_name: str) -> Iterator[None]:
    """Coins and inputs can be given away while these tests run."""
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        conn.execute("update ledger.assets set giftable = code in ('COIN', 'INPUT')")
        yield
        conn.execute("update ledger.assets set giftable = false")


async def allow(tx: Tx, *, gifts: int = 10, amount: int = 1_000) -> None:
    await settings.declare(tx, Catalogue(OF_LEDGER))
    changes = [(GIFTS_ENABLED, True), (GIFTS_OF_A_DAY_MAX, gifts), (GIVEN_ON_A_DAY_MAX, amount)]
    wanted = [settings.Change(setting, value) for setting, value in changes if value != setting.default]
    await settings.change(tx, SYSTEM, wanted, "a test of gifts")


def of(giver: str, receiver: str, amount: int, *, key: str = "", asset: str = "COIN") -> Gift:
    return Gift(key or new_id().hex, owner_of(giver), owner_of(receiver), asset, amount)


async def balances(tx: Tx, *wallets: str) -> list[int]:
    return [await ledger.balance(tx, address=wallet, asset="COIN") for wallet in wallets]


async def test_a_gift_moves_once_for_its_key(tx: Tx, wallet: str, noon: datetime) -> None:
    await allow(tx)
    await fund(tx, wallet, 100, now=noon)
    other, key = new_wallet(), new_id().hex
    first, again = [await ledger.gift(tx, gift=of(wallet, other, 40, key=key), now=noon) for _ in range(2)]
    assert (again.transfer_id, again.replayed, first.balances) == (first.transfer_id, True, again.balances)
    assert await balances(tx, wallet, other) == [60, 40]
    [line] = (await ledger.statement(tx, owner_id=owner_of(other), asset="COIN")).lines
    assert (line.kind, line.amount) == ("ledger.gift", 40)
    with pytest.raises(ledger.KeyMismatch):
        await ledger.gift(tx, gift=of(wallet, other, 41, key=key), now=noon)
    assert (await ledger.verify(tx)).is_sound


@pytest.mark.parametrize(
    ("asset", "amount", "code"),
    [
        ("COIN", 0, "ledger.invalid"),
        ("COIN", -5, "ledger.invalid"),
        ("COIN", 2**53, "ledger.invalid"),
        ("USD", 5, "ledger.not_giftable"),
        ("GOLD", 5, "ledger.unknown_asset"),
        ("COIN", 101, "ledger.insufficient_funds"),
    ],
)
async def test_what_cannot_be_given_is_refused(
    tx: Tx, wallet: str, noon: datetime, asset: str, amount: int, code: str
) -> None:
    await allow(tx)
    await fund(tx, wallet, 100, now=noon)
    other = new_wallet()
    with pytest.raises(Refusal) as refused:
        await ledger.gift(tx, gift=of(wallet, other, amount, asset=asset), now=noon)
    assert refused.value.code == code
    assert await balances(tx, wallet, other) == [100, 0]


async def test_gifts_are_off_until_the_house_says_otherwise(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 100, now=noon)
    other = new_wallet()
    with pytest.raises(ledger.GiftsOff):
        await ledger.gift(tx, gift=of(wallet, other, 5), now=noon)
    assert await balances(tx, wallet, other) == [100, 0]


async def test_nobody_gives_to_himself(tx: Tx, wallet: str, noon: datetime) -> None:
    await allow(tx)
    await fund(tx, wallet, 100, now=noon)
    with pytest.raises(ledger.GiftToSelf):
        await ledger.gift(tx, gift=of(wallet, wallet, 5), now=noon)
    assert await balances(tx, wallet) == [100]


async def test_what_is_held_is_not_given(tx: Tx, wallet: str, noon: datetime) -> None:
    await allow(tx)
    await fund(tx, wallet, 100, now=noon)
    hold = Hold(f"{wallet}:h", wallet, "COIN", 70, "order:1", "store.order", noon + timedelta(days=1))
    await ledger.hold_many(tx, [hold], now=noon)
    with pytest.raises(ledger.InsufficientFunds) as refused:
        await ledger.gift(tx, gift=of(wallet, new_wallet(), 31), now=noon)
    assert refused.value.facts == {"available": 30, "needed": 31}
    await ledger.gift(tx, gift=of(wallet, new_wallet(), 30), now=noon)


async def test_whoever_owes_gives_nothing_until_it_is_paid(tx: Tx, wallet: str, noon: datetime) -> None:
    """Of the asset he owes: other assets are no way to pay that."""
    await allow(tx)
    debt = wallet.replace(":main", ":debt")
    await fund(tx, wallet, 100, now=noon)
    await fund(tx, wallet, 3, now=noon, asset="INPUT")
    await ledger.post(tx, pay(f"{wallet}:debt", debt, -30), now=noon)
    with pytest.raises(ledger.WalletInDebt) as refused:
        await ledger.gift(tx, gift=of(wallet, new_wallet(), 5), now=noon)
    assert refused.value.facts == {"asset": "COIN", "owed": 30}
    await ledger.gift(tx, gift=of(wallet, new_wallet(), 1, asset="INPUT"), now=noon)
    await ledger.post(tx, pay(f"{wallet}:paid", debt, 30), now=noon)
    await ledger.gift(tx, gift=of(wallet, new_wallet(), 5), now=noon)


async def test_a_day_has_room_for_so_many_gifts_and_so_much(tx: Tx, wallet: str, noon: datetime) -> None:
    """Gifts count over all assets, amounts in each; other debits do not. Days are those of UTC."""
    await allow(tx, gifts=3, amount=50)
    await fund(tx, wallet, 1_000, now=noon)
    await fund(tx, wallet, 100, now=noon, asset="INPUT")
    await ledger.post(tx, pay(f"{wallet}:bet", wallet, -500), now=noon)

    async def attempt(amount: int, at: datetime, asset: str = "COIN") -> object:
        try:
            await ledger.gift(tx, gift=of(wallet, new_wallet(), amount, asset=asset), now=at)
        except ledger.GiftLimit as refused:
            return refused.facts
        return "given"

    midnight = noon.replace(hour=0) + timedelta(days=1)
    assert await attempt(30, noon) == "given"
    assert await attempt(21, noon) == {"gifts": 1, "gifts_max": 3, "given": 30, "given_max": 50}
    assert await attempt(20, noon) == "given"
    assert await attempt(50, noon, "INPUT") == "given"
    full = {"gifts": 3, "gifts_max": 3, "given": 50, "given_max": 50}
    assert await attempt(1, midnight - timedelta(microseconds=1)) == full
    assert await attempt(50, midnight) == "given"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with database.begin(SYSTEM) as tx:
        await allow(tx)
        await settings.snapshot.load(tx)
    async with talk_to(product(database)) as client:
        yield client
    async with database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [settings.Change(GIFTS_ENABLED, None)], "the test is over")
        await settings.snapshot.load(tx)


@pytest.fixture
async def alice(database: Database, noon: datetime) -> str:
    """The name of somebody to give to."""
    async with database.begin(SYSTEM) as tx:
        return (await identity.create(tx, username=f"alice{new_id().hex[-12:]}", now=noon)).username


@pytest.fixture
async def giver(database: Database, noon: datetime) -> UserId:
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100, now=noon)
        hold = Hold(f"{wallet}:h", wallet, "COIN", 70, "order:17", "store.order", noon + timedelta(days=1))
        await ledger.hold_many(tx, [hold], now=noon)
    return owner_of(wallet)


async def give(client: httpx2.AsyncClient, giver: UserId, body: dict, key: str | None) -> httpx2.Response:
    headers = {**caller("player", giver), **OURS, **({"idempotency-key": key} if key else {})}
    return await client.post("/api/v1/wallet/gifts", json=body, headers=headers)


async def test_a_gift_over_http(client: httpx2.AsyncClient, giver: UserId, alice: str) -> None:
    """With a key, told again; the same key with another body is refused."""
    body, key = {"to": alice.upper(), "asset": "COIN", "amount": 12}, str(new_id())
    first, again = [await give(client, giver, body, key) for _ in range(2)]
    assert (first.status_code, first.json()["to"], first.json()["balance_after"]["amount"]) == (201, alice, 88)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    other = await give(client, giver, {**body, "amount": 13}, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    none = await give(client, giver, body, None)
    assert (none.status_code, none.json()["code"]) == (400, "idempotency_key_required")
    wallet = (await client.get("/api/v1/wallet/COIN/balance", headers=caller("player", giver))).json()
    assert wallet["balance"]["amount"] == 88


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"to": "nobody-is-called-so"}, 404, "ledger.no_such_recipient"),
        ({"to": "\u202ealice"}, 404, "ledger.no_such_recipient"),
        ({"amount": 31}, 409, "ledger.insufficient_funds"),
        ({"amount": 1.5}, 422, "validation_failed"),
        ({"amount": "12"}, 422, "validation_failed"),
        ({"amount": True}, 422, "validation_failed"),
        ({"amount": 0}, 422, "validation_failed"),
        ({"amount": 2**53}, 422, "validation_failed"),
        ({"asset": "USD"}, 422, "ledger.not_giftable"),
        ({"asset": "GOLD"}, 404, "ledger.unknown_asset"),
        ({"note": "for you"}, 422, "unknown_field"),
    ],
)
async def test_a_bad_gift_changes_nothing(
    client: httpx2.AsyncClient, giver: UserId, alice: str, change: dict, status: int, code: str
) -> None:
    answer = await give(client, giver, {"to": alice, "asset": "COIN", "amount": 12, **change}, str(new_id()))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    wallet = (await client.get("/api/v1/wallet/COIN/balance", headers=caller("player", giver))).json()
    assert wallet["balance"]["amount"] == 100


async def test_without_gifts_there_is_no_page_and_no_form(
    client: httpx2.AsyncClient, database: Database, giver: UserId, alice: str
) -> None:
    headers = caller("player", giver)
    assert "Give some away" in (await client.get("/wallet/COIN", headers=headers)).text
    async with database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [settings.Change(GIFTS_ENABLED, None)], "no longer")
        await settings.snapshot.load(tx)
    assert "Give some away" not in (await client.get("/wallet/COIN", headers=headers)).text
    assert (await client.get(f"/wallet/COIN/gift?to={alice}&amount=5", headers=headers)).status_code == 404
    refused = await give(client, giver, {"to": alice, "asset": "COIN", "amount": 5}, str(new_id()))
    assert (refused.status_code, refused.json()["code"]) == (403, "ledger.gifts_off")


async def test_the_page_names_who_gets_it_before_it_is_given(
    client: httpx2.AsyncClient, giver: UserId, alice: str
) -> None:
    headers = caller("player", giver)
    page = (await client.get(f"/wallet/COIN/gift?to={alice.upper()}&amount=12", headers=headers)).text
    assert re.search(rf"Give <bdi[^>]*>12 coins</bdi> to {alice}", page) and "18 coins" in page
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
    sent = [await client.post("/wallet/COIN/gift", data=fields, headers={**headers, **OURS}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [303, 303]
    receipt = await client.get(sent[0].headers["location"], headers=headers)
    assert "Gift" in receipt.text and "88 coins" in receipt.text
    assert sent[0].headers["location"] == sent[1].headers["location"]

    alone = (await client.get("/wallet/COIN/gift?to=nobody-is-called-so&amount=12", headers=headers)).text
    assert "Nobody here is called so" in alone and "Give <bdi" not in alone


@pytest.mark.parametrize("amount", ["0", "-5", "1.5", "NaN", "1e308", "ten", "9" * 17])
async def test_what_is_no_amount_is_told_beside_what_was_typed(
    client: httpx2.AsyncClient, giver: UserId, alice: str, amount: str
) -> None:
    """On the page that asks, and in answer to a form that was sent all the same; nothing is given."""
    headers = caller("player", giver)
    page = await client.get(f"/wallet/COIN/gift?to={alice}&amount={amount}", headers=headers)
    small = (await client.get(f"/wallet/COIN/gift?to={alice}&amount=3", headers=headers)).text
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', small)) | {"amount": amount}
    answer = await client.post("/wallet/COIN/gift", data=fields, headers={**headers, **OURS})

    for told in (page, answer):
        assert told.status_code == 422
        field = re.search(r'<input id="amount"[^>]*>', told.text)
        assert field and f'value="{amount}"' in field[0] and 'aria-invalid="true"' in field[0]
        assert "Give <bdi" not in told.text
    assert "100 coins" in (await client.get("/wallet/COIN", headers=headers)).text


async def test_a_gift_that_is_too_large_is_told_with_what_is_held(
    client: httpx2.AsyncClient, giver: UserId, alice: str
) -> None:
    """On the page that asks, and in answer to a form that was sent all the same."""
    headers = caller("player", giver)
    page = (await client.get(f"/wallet/COIN/gift?to={alice}&amount=31", headers=headers)).text
    small = (await client.get(f"/wallet/COIN/gift?to={alice}&amount=3", headers=headers)).text
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', small)) | {"amount": "31"}
    answer = await client.post("/wallet/COIN/gift", data=fields, headers={**headers, **OURS})
    assert answer.status_code == 409
    for text in (page, answer.text):
        assert "That is more than you can spend" in text
        for words in ("31 coins", "<bdi>17</bdi>", "70 coins", "30 coins", "100 coins"):
            assert words in text
        assert "Give <bdi" not in text
