"""Prizes that wallets did not take: staff pay them after all or send them back, each once, and never their own."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from random import Random

import pytest

from palio import competitions, ledger
from palio.competitions.types import CompetitionId, EntrantId
from palio.entry.approving import COMMANDS
from palio.infra import approvals, db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.parts import Part
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, balances, banded, set_wallet, withheld

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
CHECKER = Actor("staff", UserId(new_id()), RequestId(new_id()))
WHY = "ticket 4711 is answered"


def act(competition_id: CompetitionId, entrant: EntrantId, now: datetime, /, **more: object) -> dict[str, object]:
    plain = {
        "competition_id": competition_id,
        "entrant_id": entrant,
        "actor": STAFF,
        "reason": WHY,
        "now": now + 7 * HOUR,
    }
    return {**plain, **more}


async def state(tx: Tx, competition_id: CompetitionId) -> list[str]:
    return [reward.status for reward in await competitions.rewards(tx, competition_id=competition_id)]


async def agreed(tx: Tx, proposal: approvals.Approval, now: datetime) -> approvals.Approval:
    """Somebody else agrees, and it is done."""
    held = {approvals.DECIDE, COMMANDS[proposal.command].permission}
    await approvals.decide(
        tx, approval_id=proposal.id, actor=CHECKER, decision="approve", reason="", held=held, commands=COMMANDS, now=now
    )
    return await approvals.execute(tx, approval_id=proposal.id, commands=COMMANDS, now=now)


async def test_a_withheld_prize_is_paid_once_the_wallet_takes_it(tx: Tx, noon: datetime) -> None:
    """While it does not, nothing moves; a repeat changes nothing, and writes nothing down."""
    competition_id, [entrant], [user] = await withheld(tx, noon)
    assert await state(tx, competition_id) == ["withheld"]
    with pytest.raises(ledger.AccountFrozen):
        async with db.attempt(tx):
            await competitions.pay_withheld_or_propose(tx, **act(competition_id, entrant, noon))
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [1, 5_000]

    await set_wallet(tx, user, "active")
    assert await competitions.pay_withheld_or_propose(tx, **act(competition_id, entrant, noon)) is None
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [5_001, 0]
    [reward] = await competitions.rewards(tx, competition_id=competition_id)
    assert (reward.status, reward.paid_at) == ("paid", noon + 7 * HOUR)
    [line, *_] = (await ledger.statement(tx, owner_id=user, asset="USD")).lines
    assert (line.transfer_id, line.metadata) == (
        reward.transfer_id,
        {"competition": str(competition_id), "rank": 1, "title": "Spring"},
    )
    assert not await competitions.pay_withheld(tx, **act(competition_id, entrant, noon))
    audited = "select count(*) from infra.audit_rows where entity_id = %s and action = 'competition.pay_withheld'"
    assert await db.value(tx, audited, str(competition_id)) == 1
    assert await balances(tx, f"pool:{competition_id}") == [0]


@pytest.mark.parametrize(("pool", "needs"), [(200_000, False), (200_002, True)])
async def test_a_large_prize_is_paid_by_two_people(tx: Tx, noon: datetime, pool: int, needs: bool) -> None:
    """Half of the pool is 1,000.00, or a cent more than the limit."""
    competition_id, [entrant], [user] = await released(tx, noon, pool)
    await set_wallet(tx, user, "active")
    waiting = await competitions.pay_withheld_or_propose(tx, **act(competition_id, entrant, noon))
    assert ((await balances(tx, f"user:{user}:main")) == [1], waiting is not None) == (needs, needs)
    if waiting is None:
        return
    assert (waiting.subject_user_id, waiting.amount, waiting.asset) == (user, pool // 2, "USD")
    told = await approvals.preview(tx, found=waiting, commands=COMMANDS, now=noon + 8 * HOUR)
    assert [(each.what, each.before, each.after) for each in told] == [
        *(("prize", "withheld", "paid"), ("pool", pool // 2, 0), ("wallet", 1, pool // 2 + 1)),
    ]
    again = await competitions.pay_withheld_or_propose(tx, **act(competition_id, entrant, noon))
    assert again and again.id == waiting.id
    assert (await agreed(tx, waiting, noon + 8 * HOUR)).state == "executed"
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [pool // 2 + 1, 0]


async def released(tx: Tx, noon: datetime, pool: int) -> tuple[CompetitionId, list[EntrantId], list[UserId]]:
    """The same with a large pool, which two people have released."""
    found = await withheld(tx, noon, guaranteed_pool=pool)
    now = noon + 6 * HOUR
    waiting = await competitions.release_or_propose(tx, competition_id=found[0], actor=STAFF, reason=WHY, now=now)
    assert waiting and (await agreed(tx, waiting, now)).state == "executed"
    while await competitions.settle(tx, competition_id=found[0], now=now):
        pass
    assert await state(tx, found[0]) == ["withheld"]
    return found


async def test_a_forfeited_prize_goes_where_left_overs_go_by_two_people(tx: Tx, noon: datetime) -> None:
    competition_id, [entrant], [user] = await withheld(tx, noon, leftover_to="treasury")
    (before,) = await balances(tx, "treasury:main")
    waiting = await competitions.forfeit_or_propose(tx, **act(competition_id, entrant, noon))
    assert waiting and await state(tx, competition_id) == ["withheld"]
    told = await approvals.preview(tx, found=waiting, commands=COMMANDS, now=noon + 8 * HOUR)
    assert [(each.what, each.before, each.after) for each in told] == [
        *(("prize", "withheld", "void"), ("pool", 5_000, 0), ("balance", before, before + 5_000)),
    ]
    assert (await agreed(tx, waiting, noon + 8 * HOUR)).state == "executed"
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [1, 0]
    assert await balances(tx, "treasury:main") == [before + 5_000]
    won = await competitions.won_by(tx, competition_id=competition_id, entrant_id=entrant, user_id=user)
    assert won and (won.status, won.forfeited, won.exact) == ("void", WHY, "5000")
    assert await competitions.forfeit_or_propose(tx, **act(competition_id, entrant, noon)) is None
    with pytest.raises(competitions.NotWithheld):
        await competitions.pay_withheld(tx, **act(competition_id, entrant, noon))


async def test_nobody_decides_about_his_own_prize(tx: Tx, noon: datetime) -> None:
    """Neither as the one who asks nor as the one who agrees."""
    competition_id, [entrant], [user] = await withheld(tx, noon)
    await set_wallet(tx, user, "active")
    winner = Actor("staff", user, RequestId(new_id()))
    for decide in (competitions.pay_withheld_or_propose, competitions.forfeit_or_propose):
        with pytest.raises(approvals.OwnBenefit):
            await decide(tx, **act(competition_id, entrant, noon, actor=winner))
    with pytest.raises(approvals.OwnBenefit):
        await competitions.forfeit(tx, **act(competition_id, entrant, noon, approved_by=user))
    waiting = await competitions.forfeit_or_propose(tx, **act(competition_id, entrant, noon))
    assert waiting
    with pytest.raises(approvals.OwnBenefit):
        await approvals.decide(
            tx,
            approval_id=waiting.id,
            actor=winner,
            decision="approve",
            reason="",
            held={approvals.DECIDE, "competitions.settlement.run"},
            commands=COMMANDS,
            now=noon + 8 * HOUR,
        )
    assert await state(tx, competition_id) == ["withheld"]
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [1, 5_000]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "  "}, "competitions.reason_missing"),
        ({"entrant_id": 1}, "competitions.no_such_prize"),
        ({"competition_id": CompetitionId(new_id())}, "competitions.no_such_competition"),
    ],
)
async def test_what_cannot_be_decided_is_refused(
    tx: Tx, noon: datetime, changes: Mapping[str, object], code: str
) -> None:
    competition_id, [entrant], _ = await withheld(tx, noon)
    for decide in (competitions.pay_withheld_or_propose, competitions.forfeit_or_propose):
        with pytest.raises(competitions.errors.Refusal) as refused:
            await decide(tx, **act(competition_id, entrant, noon, **changes))
        assert refused.value.code == code
    assert await state(tx, competition_id) == ["withheld"]


async def test_those_that_wait_are_listed_and_counted(tx: Tx, noon: datetime) -> None:
    """By the page, either way, and the first in line is the oldest."""
    before, _ = await competitions.waiting_withheld(tx)
    first, entrants, users = await withheld(tx, noon, (9, 7))
    second, *_ = await withheld(tx, noon + HOUR)
    assert await competitions.waiting_withheld(tx) == (before + 3, noon + 6 * HOUR)
    found = await competitions.list_withheld(tx, part=Part(2))
    assert [each.competition_id for each in found] == [second, first]
    [rest] = await competitions.list_withheld(tx, part=Part(5, older_than=found[1].key), competition_id=first)
    assert (rest.entrant_id, rest.user_id, rest.refusal) == (entrants[0], users[0], "ledger.account_frozen")
    back = await competitions.list_withheld(tx, part=Part(5, newer_than=rest.key))
    assert [each.key for each in back] == [each.key for each in found]


async def test_whatever_is_decided_in_whatever_order_every_unit_is_somewhere(tx: Tx, noon: datetime) -> None:
    """After each decision the pool holds what waits, and wallets, pool and treasury together what they held."""
    chance = Random(4711)  # noqa: S311 - the same decisions in every run
    for _ in range(6):
        count = chance.randint(1, 7)
        rule = banded("occupants", (1, count, 10_000))
        competition_id, entrants, users = await withheld(
            tx,
            noon,
            [chance.randint(1, 3) for _ in range(count)],
            prize_rule=rule,
            guaranteed_pool=chance.randint(count, 90_000),
            leftover_to="treasury",
        )
        places = [f"pool:{competition_id}", "treasury:main", *(f"user:{user}:main" for user in users)]
        whole = sum(await balances(tx, *places))
        for user in users:
            await set_wallet(tx, user, "active")
        order = [(entrant, chance.choice(("pay", "forfeit"))) for entrant in entrants for _ in range(2)]
        chance.shuffle(order)
        for entrant, wanted in order:
            decide = competitions.pay_withheld if wanted == "pay" else competitions.forfeit
            try:
                async with db.attempt(tx):
                    await decide(tx, **act(competition_id, entrant, noon, approved_by=CHECKER.user_id))
            except competitions.NotWithheld:
                pass
            rewards = await competitions.rewards(tx, competition_id=competition_id)
            waits = sum(reward.amount for reward in rewards if reward.status == "withheld")
            held = await balances(tx, *places)
            assert (held[0], sum(held)) == (waits, whole)
        assert set(await state(tx, competition_id)) <= {"paid", "void"}


async def test_of_two_who_decide_at_once_one_does(database: Database, noon: datetime) -> None:
    """The 50.00 are in the wallet or with the house, never in both."""

    async def decide(competition_id: CompetitionId, entrant: EntrantId, *, pays: bool) -> bool:
        chosen = competitions.pay_withheld if pays else competitions.forfeit
        try:
            async with database.begin(STAFF) as tx:
                return await chosen(tx, **act(competition_id, entrant, noon, approved_by=CHECKER.user_id))
        except competitions.NotWithheld:
            return False

    for _ in range(4):
        async with database.begin(SYSTEM) as tx:
            competition_id, [entrant], [user] = await withheld(tx, noon)
            await set_wallet(tx, user, "active")
        turns = (decide(competition_id, entrant, pays=pays) for pays in (True, False, True, False))
        done = await asyncio.gather(*turns)
        assert sum(done) == 1
        async with database.begin(SYSTEM) as tx:
            paid = done[0] or done[2]
            assert await state(tx, competition_id) == ["paid" if paid else "void"]
            held = await balances(tx, f"user:{user}:main", f"pool:{competition_id}")
            assert held == [5_001 if paid else 1, 0]


async def test_without_the_lock_both_have_it(database: Database, noon: datetime) -> None:
    """The control: who looks first and moves the money then pays 50.00 twice out of a pool of 50.00."""
    async with database.begin(SYSTEM) as tx:
        competition_id, _, [user] = await withheld(tx, noon)
        await set_wallet(tx, user, "active")
    both_have_looked = asyncio.Barrier(2)

    async def naive(address: str) -> None:
        async with database.begin(SYSTEM) as tx:
            [reward] = await competitions.rewards(tx, competition_id=competition_id)
            await both_have_looked.wait()
            if reward.status == "withheld":
                legs = ((f"pool:{competition_id}", "USD", -reward.amount), (address, "USD", reward.amount))
                post = ledger.Post(f"naive:{address}:{competition_id}", "competitions.prize", legs)
                await ledger.post(tx, post, now=noon)

    await asyncio.gather(naive(f"user:{user}:main"), naive("treasury:main"))
    async with database.begin(SYSTEM) as tx:
        assert await balances(tx, f"pool:{competition_id}") == [-5_000]
