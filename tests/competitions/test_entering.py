"""Joining and leaving: who may, how many, and the fee that comes back to the unit."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import competitions, identity, ledger
from palio.competitions.types import CompetitionId, NewCompetition, Participation
from palio.entry.wiring import ENTRY_CHECKS
from palio.identity.service import accounts
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, live, new, players
from tests.factories.seals import RING

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
WHY = "he played for somebody else"


async def announced(tx: Tx, noon: datetime, **changes: object) -> CompetitionId:
    """Open to players, and beginning in an hour."""
    terms = new(noon + HOUR, **{"join_mode": "open", **changes})
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    return competition_id


async def join(tx: Tx, competition_id: CompetitionId, user: UserId, now: datetime) -> Participation:
    return await competitions.join(tx, competition_id=competition_id, user_id=user, now=now, checks=ENTRY_CHECKS)


async def leave(tx: Tx, competition_id: CompetitionId, user: UserId, now: datetime) -> Participation:
    return await competitions.leave(tx, competition_id=competition_id, user_id=user, now=now)


async def test_whoever_joins_twice_takes_part_once_and_pays_once(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, entry_fee=99)
    (user,) = await players(tx, 1, noon, each=500)
    first = await join(tx, competition_id, user, noon)
    again = await join(tx, competition_id, user, noon + HOUR / 2)
    assert (first.state, first.via, first.joined_at) == ("active", "join", noon)
    assert again == first
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [401, 10_090]
    (line,) = (await ledger.statement(tx, owner_id=user, asset="USD")).lines[:1]
    assert (line.kind, line.metadata) == ("competitions.entry_fee", {"competition": str(competition_id)})


async def test_whoever_leaves_before_the_start_has_his_fee_back_and_may_come_again(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, entry_fee=99)
    (user,) = await players(tx, 1, noon, each=200)
    for _ in range(2):
        await join(tx, competition_id, user, noon)
        left = await leave(tx, competition_id, user, noon)
        assert (left.state, left.fee_transfer_id) == ("left", None)
        assert await leave(tx, competition_id, user, noon) == left
    assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [200, 10_000]
    sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert (sums.pool, sums.treasury) == (10_000, 0)

    await join(tx, competition_id, user, noon)
    with pytest.raises(competitions.NotOpen):
        await leave(tx, competition_id, user, noon + HOUR)
    assert await balances(tx, f"user:{user}:main") == [101]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"eligibility": {"countries": {"allow": ["NP"]}}}, "countries"),
        ({"eligibility": {"linked_account": True}}, "linked_account"),
        ({"eligibility": {"no_such_rule": 1}}, "no_such_rule"),
        ({"eligibility": {"min_age": 18}}, "min_age"),
        ({"join_mode": "invite"}, "invited"),
    ],
)
async def test_who_is_not_admitted_pays_nothing(
    tx: Tx, noon: datetime, changes: Mapping[str, object], rule: str
) -> None:
    competition_id = await announced(tx, noon, entry_fee=10, **changes)
    (user,) = await players(tx, 1, noon, each=100)
    with pytest.raises(competitions.NotEligible) as refused:
        await join(tx, competition_id, user, noon)
    assert refused.value.facts == {"rule": rule}
    assert await competitions.participation(tx, competition_id=competition_id, user_id=user) is None
    assert await balances(tx, f"user:{user}:main") == [100]


async def test_a_country_that_is_denied_keeps_out_only_its_own(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, eligibility={"countries": {"deny": ["US"]}})
    from_nepal, from_there = await players(tx, 2, noon)
    for user, country in ((from_nepal, "NP"), (from_there, "US")):
        await db.run(tx, "update identity.users set country = %s, country_source = 'user' where id = %s", country, user)
    assert (await join(tx, competition_id, from_nepal, noon)).state == "active"
    with pytest.raises(competitions.NotEligible):
        await join(tx, competition_id, from_there, noon)


async def test_who_is_invited_may_join_and_nobody_else(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, join_mode="invite", entry_fee=10)
    guest, stranger = await players(tx, 2, noon, each=100)
    for new_ones in (1, 0):
        invited = await competitions.invite_many(
            tx, competition_id=competition_id, user_ids=[guest], actor=STAFF, now=noon
        )
        assert invited == new_ones
    assert (await join(tx, competition_id, guest, noon)).via == "invite"
    with pytest.raises(competitions.NotEligible):
        await join(tx, competition_id, stranger, noon)
    assert await balances(tx, f"user:{guest}:main", f"user:{stranger}:main") == [90, 100]


async def test_staff_of_competitions_take_no_part(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon)
    (user,) = await players(tx, 1, noon)
    await identity.declare_roles(tx, permissions=competitions.types.PERMISSIONS, now=noon)
    await identity.grant_role(tx, user_id=user, role="races", reason="runs them", now=noon)
    with pytest.raises(competitions.NotEligible) as refused:
        await join(tx, competition_id, user, noon)
    assert refused.value.facts == {"rule": "staff"}


async def test_without_the_fee_in_the_wallet_nobody_enters(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, entry_fee=101)
    (user,) = await players(tx, 1, noon, each=100)
    with pytest.raises(ledger.InsufficientFunds):
        async with db.attempt(tx):
            await join(tx, competition_id, user, noon)
    assert await competitions.participation(tx, competition_id=competition_id, user_id=user) is None


async def test_places_are_counted_and_become_free_again(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, max_participants=2)
    first, second, third = await players(tx, 3, noon)
    await join(tx, competition_id, first, noon)
    await join(tx, competition_id, second, noon)
    with pytest.raises(competitions.Full):
        await join(tx, competition_id, third, noon)
    await leave(tx, competition_id, first, noon)
    assert (await join(tx, competition_id, third, noon)).state == "active"
    with pytest.raises(competitions.Full):
        await join(tx, competition_id, first, noon)


async def test_whoever_was_taken_out_does_not_come_back_by_himself(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon)
    (user,) = await players(tx, 1, noon)
    entrant = (await join(tx, competition_id, user, noon)).entrant_id
    await competitions.start(tx, competition_id=competition_id, now=noon + HOUR)
    await competitions.disqualify(
        tx, competition_id=competition_id, entrant_id=entrant, actor=STAFF, reason=WHY, now=noon + HOUR
    )
    for act in (join, leave):
        with pytest.raises(competitions.NotEligible) as refused:
            await act(tx, competition_id, user, noon + HOUR)
        assert refused.value.facts == {"rule": "disqualified"}
    mine = await competitions.participation(tx, competition_id=competition_id, user_id=user)
    assert mine and (mine.state, mine.reason) == ("disqualified", WHY)


async def test_what_is_over_rests_or_is_entered_by_playing_is_not_open(tx: Tx, noon: datetime) -> None:
    (user,) = await players(tx, 1, noon)
    automatic, over, resting = [await live(tx, noon, join_mode=mode) for mode in ("auto", "open", "open")]
    await competitions.pause(tx, competition_id=resting, actor=STAFF, reason=WHY, now=noon)
    for competition_id, now in ((automatic, noon), (over, noon + 5 * HOUR), (resting, noon)):
        with pytest.raises(competitions.NotOpen):
            await join(tx, competition_id, user, now)
    draft = await competitions.create(tx, new=new(noon, join_mode="open"), created_by=None, now=noon)
    with pytest.raises(competitions.NoSuchCompetition):
        await join(tx, draft, user, noon)


@pytest.mark.parametrize(
    "changes",
    [
        {"entry_fee": 5},
        {"join_mode": "open", "min_participants": 3, "max_participants": 2},
        {"eligibility": {"countries": ["NP"]}},
        {"eligibility": {"countries": {"allow": ["Nepal"]}}},
        {"eligibility": {"countries": {"allow": ["NP"], "deny": ["US"]}}},
    ],
)
async def test_a_way_in_that_nobody_can_walk_is_refused(tx: Tx, noon: datetime, changes: Mapping[str, object]) -> None:
    terms: NewCompetition = new(noon, **changes)
    with pytest.raises(competitions.EligibilityInvalid):
        await competitions.create(tx, new=terms, created_by=None, now=noon)


async def test_a_player_joins_and_leaves_with_his_own_rights(database: Database, noon: datetime) -> None:
    """Row security lets him write his fee and take it back, and nothing of others."""
    system = Actor("system", None, RequestId(new_id()))
    async with database.begin(system) as tx:
        competition_id = await announced(tx, noon, entry_fee=99, max_participants=5)
        (user,) = await players(tx, 1, noon, each=100)
    player = Actor("player", user, RequestId(new_id()))
    async with database.begin(player) as tx:
        await join(tx, competition_id, user, noon)
    async with database.begin(system) as tx:
        assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [1, 10_090]
    async with database.begin(player) as tx:
        await leave(tx, competition_id, user, noon)
    async with database.begin(system) as tx:
        assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [100, 10_000]


async def test_a_break_from_playing_keeps_out(tx: Tx, noon: datetime) -> None:
    """Whatever identity says of him is what he is told."""
    competition_id = await announced(tx, noon)
    (user,) = await players(tx, 1, noon)
    await identity.take_break(tx, user_id=user, length="1y", now=noon)
    with pytest.raises(identity.SelfExcluded):
        await join(tx, competition_id, user, noon)
    assert await competitions.participation(tx, competition_id=competition_id, user_id=user) is None


async def test_whoever_is_old_enough_on_the_day_may_join(tx: Tx, noon: datetime) -> None:
    competition_id = await announced(tx, noon, eligibility={"min_age": 18})
    tx.equipment = replace(tx.equipment, keyring=RING)  # birthdays are sealed
    on_the_day, a_day_short = await players(tx, 2, noon)
    for user, born in ((on_the_day, noon.date()), (a_day_short, noon.date() + timedelta(days=1))):
        await accounts.say_once(tx, user_id=user, born=born.replace(year=noon.year - 18), now=noon)
    assert (await join(tx, competition_id, on_the_day, noon)).state == "active"
    with pytest.raises(competitions.NotEligible) as refused:
        await join(tx, competition_id, a_day_short, noon)
    assert refused.value.facts == {"rule": "min_age"}


@pytest.mark.parametrize("asked", [0, 121, "18", True, None, 18.5])
async def test_an_age_that_is_none_is_refused(tx: Tx, noon: datetime, asked: object) -> None:
    with pytest.raises(competitions.EligibilityInvalid):
        await announced(tx, noon, eligibility={"min_age": asked})
