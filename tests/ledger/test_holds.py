"""What is set aside is spent by nobody else, captured in parts, and given back once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from palio import ledger
from palio.infra import jobs
from palio.infra.db import Address, Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Capture, Held, Hold, HoldId, Refused, Void, Voided
from palio.ledger import jobs as ledger_jobs
from palio.ledger.messages import ExpireHolds
from palio.ledger.service import holding
from tests.factories.ledger import HOUSE, Superuser, codes, fund, new_wallet, owner_of, pay
from tests.ledger.test_posting import counted

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR, INSTANT = timedelta(hours=1), timedelta(microseconds=1)
LATER = NOON + HOUR


def hold(key: str, wallet: str, amount: int, *, until: datetime = LATER, asset: str = "COIN") -> Hold:
    return Hold(key, wallet, asset, amount, "order 7", "store.order", until)


def take(key: str, wallet: str, amount: int, hold_id: HoldId, *, is_final: bool = False) -> ledger.Post:
    """A capture: so much of the hold, for the house."""
    return pay(key, wallet, -amount, capture=Capture(hold_id, is_final))


async def placed(tx: Tx, wallet: str, amount: int, *, until: datetime = LATER, now: datetime = NOON) -> HoldId:
    [outcome] = await ledger.hold_many(tx, [hold(f"hold:{new_id()}", wallet, amount, until=until)], now=now)
    assert isinstance(outcome, Held)
    return outcome.hold_id


async def purse(tx: Tx, wallet: str) -> tuple[int, int, int]:
    """What is posted, held and available."""
    [found] = [one for one in await ledger.wallets(tx, owner_id=owner_of(wallet)) if one.asset == "COIN"]
    return found.balance, found.held, found.available


async def state_of(tx: Tx, hold_id: UUID) -> tuple[object, ...] | None:
    found = await tx.execute("select state, captured, released, closed_at from ledger.holds where id = %s", [hold_id])
    return await found.fetchone()


async def test_a_hold_is_captured_in_parts_and_closed_once(tx: Tx, wallet: str) -> None:
    """700 of 1000: what is left cannot be spent, more than is held cannot be captured, the rest comes back."""
    await fund(tx, wallet, 1000, now=NOON)
    hold_id = await placed(tx, wallet, 700)
    assert await purse(tx, wallet) == (1000, 700, 300)
    assert await ledger.post_many(tx, [pay("spend", wallet, -301)], now=NOON) == [
        Refused("ledger.insufficient_funds", {"available": 300, "needed": 301})
    ]

    assert codes(await ledger.capture_many(tx, [take("c1", wallet, 250, hold_id)], now=NOON)) == ["posted"]
    assert await purse(tx, wallet) == (750, 450, 300)
    assert await state_of(tx, hold_id) == ("open", 250, 0, None)
    assert await ledger.capture_many(tx, [take("c2", wallet, 451, hold_id)], now=NOON) == [
        Refused("ledger.hold_exceeded", {"remaining": 450, "needed": 451})
    ]
    final = take("c3", wallet, 200, hold_id, is_final=True)
    assert codes(await ledger.capture_many(tx, [final], now=NOON)) == ["posted"]
    assert await purse(tx, wallet) == (550, 0, 550)
    assert await state_of(tx, hold_id) == ("captured", 450, 250, NOON)

    refused = [Refused("ledger.hold_not_open", {"state": "captured"})]
    assert await ledger.void_many(tx, [Void("v", hold_id)], now=NOON) == refused
    assert await ledger.void_many(tx, [Void("v", hold_id)], now=NOON) == refused
    assert codes(await ledger.capture_many(tx, [final], now=NOON + 2 * HOUR)) == ["replayed"]
    assert (await ledger.verify(tx)).is_sound


async def test_a_hold_can_be_captured_until_it_expires_and_not_at_that_instant(tx: Tx, wallet: str) -> None:
    """Even before the job has run."""
    await fund(tx, wallet, 100, now=NOON)
    hold_id = await placed(tx, wallet, 60)
    assert codes(await ledger.capture_many(tx, [take("t", wallet, 1, hold_id)], now=LATER - INSTANT)) == ["posted"]
    assert await ledger.capture_many(tx, [take("late", wallet, 1, hold_id)], now=LATER) == [
        Refused("ledger.hold_expired", {"expires_at": LATER})
    ]
    assert await purse(tx, wallet) == (99, 59, 40)


async def messages(tx: Tx, task: str) -> list[object]:
    """What waits in the queue for a handler."""
    found = await tx.execute(
        "select args -> 'message' from jobs.procrastinate_jobs where task_name = %s order by id", [task]
    )
    return [row[0] for row in await found.fetchall()]


async def test_what_expired_is_given_back_and_told_once(tx: Tx, wallet: str) -> None:
    """Not before its time; whoever has voided it was first; a second run finds nothing."""
    tx.equipment = replace(tx.equipment, addresses={ledger.HoldExpired: (Address("tests:heard", "default", 0),)})
    await fund(tx, wallet, 100, now=NOON)
    hold_id, voided = await placed(tx, wallet, 60), await placed(tx, wallet, 10)
    await ledger.void_many(tx, [Void("v", voided)], now=NOON)
    assert await ledger.void_many(tx, [Void("early", hold_id, expired=True)], now=LATER - INSTANT) == [
        Refused("ledger.hold_not_due", {"expires_at": LATER})
    ]
    await holding.expire(tx, now=LATER - INSTANT)
    assert await purse(tx, wallet) == (100, 60, 40)

    for now in (LATER, LATER + HOUR):
        assert not await holding.expire(tx, now=now)

    assert await purse(tx, wallet) == (100, 0, 100)
    assert await state_of(tx, hold_id) == ("expired", 0, 60, LATER)
    assert await messages(tx, "tests:heard") == [
        {"hold": str(hold_id), "owner": str(owner_of(wallet)), "subject": "order 7"}
    ]


async def test_more_than_a_turn_of_holds_goes_on_in_a_job_of_its_own(tx: Tx, wallet: str, noon: datetime) -> None:
    """The thousand and first waits for the next transaction; by the clock of this machine all are long over."""
    turn = holding.HOLDS_OF_A_TURN_MAX
    await fund(tx, wallet, turn + 1, now=NOON)
    await ledger.hold_many(tx, [hold(f"h{n}", wallet, 1) for n in range(turn + 1)], now=NOON)
    await ledger_jobs.expire_holds(tx, ExpireHolds())
    assert await purse(tx, wallet) == (turn + 1, 1, turn)
    assert await messages(tx, jobs.task_name(ledger_jobs.expire_holds)) == [{}]
    await ledger_jobs.expire_holds(tx, ExpireHolds())
    assert await purse(tx, wallet) == (turn + 1, 0, turn + 1)


async def test_six_holds_of_a_thousand_of_five_thousand(tx: Tx, wallet: str) -> None:
    """The sixth is refused; all five captured leave nothing, and never less."""
    await fund(tx, wallet, 5000, now=NOON)
    outcomes = await ledger.hold_many(tx, [hold(f"h{n}", wallet, 1000) for n in range(6)], now=NOON)
    assert codes(outcomes) == ["held"] * 5 + ["ledger.insufficient_funds"]
    ids = [outcome.hold_id for outcome in outcomes if isinstance(outcome, Held)]
    captures = [take(f"c{n}", wallet, 1000, hold_id) for n, hold_id in enumerate(ids)]
    assert codes(await ledger.capture_many(tx, captures, now=NOON)) == ["posted"] * 5
    assert await purse(tx, wallet) == (0, 0, 0)


async def test_a_repeat_answers_as_the_first_time(tx: Tx, wallet: str) -> None:
    """Also when the hold is long over, with another text and another end; another amount is another request."""
    await fund(tx, wallet, 100, now=NOON)
    [held] = await ledger.hold_many(tx, [hold("h", wallet, 60)], now=NOON)
    assert isinstance(held, Held)
    [voided] = await ledger.void_many(tx, [Void("v", held.hold_id)], now=NOON)
    assert voided == Voided(held.hold_id, 60)

    again = replace(hold("h", wallet, 60, until=NOON), subject="again")
    items = [again, Void("v", held.hold_id), hold("h", wallet, 61), Void("v", held.hold_id, expired=True)]
    assert await ledger.post_many(tx, items, now=LATER + HOUR) == [
        Held(held.hold_id, 60, LATER, replayed=True),
        Voided(held.hold_id, 60, replayed=True),
        Refused("ledger.key_mismatch"),
        Refused("ledger.key_mismatch"),
    ]
    assert await purse(tx, wallet) == (100, 0, 100)


async def test_a_key_is_of_one_operation(tx: Tx, wallet: str) -> None:
    """Two of one batch: the second is answered by the first."""
    await fund(tx, wallet, 100, now=NOON)
    outcomes = await ledger.post_many(
        tx, [hold("k", wallet, 10), hold("k", wallet, 10), pay("k", wallet, -10), Void("k", HoldId(new_id()))], now=NOON
    )
    assert codes(outcomes) == ["held", "replayed", "ledger.key_mismatch", "ledger.key_mismatch"]
    assert await purse(tx, wallet) == (100, 10, 90)


async def test_items_of_every_kind_see_those_before_them(database: Database, wallet: str) -> None:
    """A credit makes room for a hold, which stops a debit; a release makes room for the next. Two round trips."""
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 5, now=NOON)
        first = await placed(tx, wallet, 5)
    batch = [
        pay(f"{wallet}:a", wallet, 10),
        hold(f"{wallet}:b", wallet, 10),
        pay(f"{wallet}:c", wallet, -1),
        Void(f"{wallet}:d", first),
        take(f"{wallet}:e", wallet, 1, first),
        pay(f"{wallet}:f", wallet, -5),
        Void(f"{wallet}:g", HoldId(new_id())),
    ]
    async with database.begin(SYSTEM) as tx:
        with counted(tx) as trips:
            outcomes = await ledger.post_many(tx, batch, now=NOON)
        assert trips == [2]
        assert codes(outcomes) == [
            *("posted", "held", "ledger.insufficient_funds", "voided", "ledger.hold_not_open", "posted"),
            "ledger.no_such_hold",
        ]
        assert await purse(tx, wallet) == (10, 10, 0)
        assert (await ledger.verify(tx)).is_sound


async def test_parts_of_one_hold_are_captured_in_one_batch(tx: Tx, wallet: str) -> None:
    """Each sees what the one before left; the whole needs no final one."""
    await fund(tx, wallet, 100, now=NOON)
    hold_id = await placed(tx, wallet, 100)
    parts = [take(f"c{n}", wallet, 40, hold_id) for n in range(3)] + [take("rest", wallet, 20, hold_id)]
    assert codes(await ledger.capture_many(tx, parts, now=NOON)) == [
        "posted",
        "posted",
        "ledger.hold_exceeded",
        "posted",
    ]
    assert await state_of(tx, hold_id) == ("captured", 100, 0, NOON)
    assert await purse(tx, wallet) == (0, 0, 0)


async def test_a_capture_takes_from_the_account_of_its_hold(tx: Tx, wallet: str) -> None:
    """Not from somebody else's, not from another asset, and not by a credit."""
    other = new_wallet()
    for address, asset in ((wallet, "COIN"), (other, "COIN"), (wallet, "USD")):
        await fund(tx, address, 100, now=NOON, asset=asset)
    capture = Capture(await placed(tx, wallet, 60))
    items = [
        pay("a", other, -5, capture=capture),
        pay("b", wallet, -5, asset="USD", capture=capture),
        pay("c", wallet, 5, capture=capture),
    ]
    assert await ledger.capture_many(tx, items, now=NOON) == [Refused("ledger.hold_mismatch")] * 3
    assert await purse(tx, wallet) == (100, 60, 40)


async def test_a_capture_is_refused_for_its_other_legs_and_leaves_the_hold(tx: Tx, wallet: str) -> None:
    other = new_wallet()
    await fund(tx, wallet, 100, now=NOON)
    hold_id = await placed(tx, wallet, 60)
    legs = (wallet, "COIN", -5), (other, "COIN", -1), (HOUSE, "COIN", 6)
    post = ledger.Post("both", "ledger.transfer", legs, capture=Capture(hold_id, is_final=True))
    assert await ledger.capture_many(tx, [post], now=NOON) == [
        Refused("ledger.insufficient_funds", {"available": 0, "needed": 1})
    ]
    assert await purse(tx, wallet) == (100, 60, 40)
    assert await state_of(tx, hold_id) == ("open", 0, 0, None)


async def test_a_transfer_without_a_hold_is_no_capture(tx: Tx, wallet: str) -> None:
    with pytest.raises(ledger.InvalidPost):
        await ledger.capture_many(tx, [pay("k", wallet, 1)], now=NOON)


async def test_one_capture_raises_its_refusal(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 10, now=NOON)
    with pytest.raises(ledger.NoSuchHold):
        await ledger.post(tx, take("k", wallet, 1, HoldId(new_id())), now=NOON)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": -5}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": float("nan")}, "amount"),
        ({"amount": 2**53}, "amount"),
        ({"key": "a b"}, "key"),
        ({"kind": "store.bribe"}, "kind"),
        ({"asset": "EUR"}, "asset"),
        ({"address": "house:games"}, "address"),
        ({"address": "user:../x:main"}, "address"),
        ({"address": f"user:{new_id()}:debt"}, "address"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 256}, "subject"),
        ({"expires_at": NOON.replace(tzinfo=None)}, "expires_at"),
        ({"expires_at": NOON}, "expires_at"),
        ({"expires_at": NOON + timedelta(days=90) + INSTANT}, "expires_at"),
    ],
)
async def test_a_bad_hold_names_its_field_and_harms_nobody(
    tx: Tx, wallet: str, change: dict[str, object], field: str
) -> None:
    await fund(tx, wallet, 100, now=NOON)
    bad = replace(hold("bad", wallet, 5), **change)  # type: ignore[arg-type]
    outcomes = await ledger.hold_many(tx, [bad, hold("good", wallet, 7)], now=NOON)
    assert outcomes[0] == Refused("ledger.invalid", {"field": field})
    assert codes(outcomes[1:]) == ["held"]
    assert await purse(tx, wallet) == (100, 7, 93)
    keys = await (await tx.execute("select key from ledger.keys where key in ('bad', 'good')")).fetchall()
    assert keys == [("good",)]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (Void("a b", HoldId(new_id())), "key"),
        (Void("k", "not an id"), "hold_id"),  # type: ignore[arg-type]
        (pay("k", new_wallet(), -1, capture=("not an id", False)), "capture"),
    ],
)
async def test_a_bad_release_or_capture_names_its_field(tx: Tx, item: ledger.Item, field: str) -> None:
    assert await ledger.post_many(tx, [item], now=NOON) == [Refused("ledger.invalid", {"field": field})]


async def test_a_hold_may_last_for_ninety_days(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 1, now=NOON)
    assert codes(await ledger.hold_many(tx, [hold("h", wallet, 1, until=NOON + timedelta(days=90))], now=NOON)) == [
        "held"
    ]


@pytest.mark.parametrize(
    ("status", "place", "capture", "void"),
    [
        ("no_debit", "ledger.account_frozen", "ledger.account_frozen", "voided"),
        ("frozen", "ledger.account_frozen", "ledger.account_frozen", "voided"),
        ("closed", "ledger.account_closed", "ledger.account_closed", "voided"),
    ],
)
async def test_a_status_stops_holds_and_captures_but_no_release(
    database: Database, superuser: Superuser, status: str, place: str, capture: str, void: str
) -> None:
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100, now=NOON)
        hold_id = await placed(tx, wallet, 60)
    superuser.set_status(wallet, status)
    async with database.begin(SYSTEM) as tx:
        items = [
            hold(f"{wallet}:h", wallet, 1),
            take(f"{wallet}:c", wallet, 1, hold_id),
            Void(f"{wallet}:v", hold_id),
        ]
        assert codes(await ledger.post_many(tx, items, now=NOON)) == [place, capture, void]


async def test_an_all_or_nothing_batch_holds_nothing(database: Database, wallet: str) -> None:
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100, now=NOON)
    with pytest.raises(ledger.BatchRefused) as caught:
        async with database.begin(SYSTEM) as tx:
            await ledger.post_many(
                tx, [hold(f"{wallet}a", wallet, 60), hold(f"{wallet}b", wallet, 60)], now=NOON, mode="all"
            )
    assert codes(caught.value.facts["outcomes"]) == ["ledger.batch_aborted", "ledger.insufficient_funds"]  # type: ignore[arg-type]
    async with database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [hold(f"{wallet}a", wallet, 60)], now=NOON, dry_run=True)) == ["held"]
        assert await purse(tx, wallet) == (100, 0, 100)


async def test_the_owner_is_told_of_what_is_held(tx: Tx, wallet: str) -> None:
    """A capture tells of the movement and of what is held; a hold or a release only of the latter."""
    await fund(tx, wallet, 100, now=NOON)
    hold_id = await placed(tx, wallet, 60)
    await ledger.capture_many(tx, [take("c", wallet, 10, hold_id)], now=NOON)
    await ledger.void_many(tx, [Void("v", hold_id)], now=NOON)
    found = await tx.execute(
        "select data from infra.stream_pending where users = array[%s] order by id offset 1", [owner_of(wallet)]
    )
    data = [(*row[0]["amount"], *row[0]["balance"], *row[0]["held"]) for row in await found.fetchall()]
    assert data == [(0, 100, 60), (-10, 90, 50), (0, 90, 0)]


async def test_an_owner_sees_his_holds_and_a_stranger_none(database: Database, wallet: str) -> None:
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 10, now=NOON)
        hold_id = await placed(tx, wallet, 5)
    owner, stranger = owner_of(wallet), UserId(new_id())
    actors = [
        ("player", owner, 1),
        ("viewer", owner, 1),
        ("player", stranger, 0),
        ("none", None, 0),
        ("staff", stranger, 1),
    ]
    for kind, user, seen in actors:
        async with database.begin(Actor(kind, user, RequestId(new_id()))) as tx:  # type: ignore[arg-type]
            found = await tx.execute("select count(*) from ledger.holds where id = %s", [hold_id])
            assert await found.fetchone() == (seen,)
