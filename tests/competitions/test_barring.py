"""Players who may not compete any more, and where players live."""

from datetime import datetime

import pytest

from palio import competitions, identity
from palio.competitions import jobs
from palio.competitions.types import (
    Admission,
    Claim,
    CompetitionId,
    Counted,
    NewEntrant,
    StateChange,
    Submission,
)
from palio.identity.messages import PlayerExcluded, ProfileChanged
from palio.identity.service import accounts
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, live, new, players, settle

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


async def playing(tx: Tx, noon: datetime, users: list[UserId], **changes: object) -> CompetitionId:
    """They take part, and are ranked in this order."""
    competition_id = await live(tx, noon, **changes)
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    for number, entrant in enumerate(await competitions.admit_many(tx, items, now=noon)):
        item = Submission(competition_id, entrant, 10 - number, "first", noon)
        await competitions.submit_many(tx, [item], now=noon)
    return competition_id


async def suspend(tx: Tx, user: UserId) -> None:
    statement = "update identity.users set status = 'suspended', suspension_reason = 'under review' where id = %s"
    await db.run(tx, "update identity.users set status = 'active', activated_at = now() where id = %s", user)
    await db.run(tx, statement, user)


async def ranked(tx: Tx, competition_id: CompetitionId) -> list[UserId | None]:
    board = await competitions.top(tx, competition_id=competition_id, limit=10)
    return [row.standing.user_id for row in board.rows]


@pytest.mark.parametrize("how", ["a break", "a suspension"])
async def test_whoever_may_not_compete_loses_his_place_and_those_behind_him_move_up(
    tx: Tx, noon: datetime, how: str
) -> None:
    """His score stays, later ones do not bring him back, and the prizes are those of the others."""
    users = await players(tx, 4, noon)
    competition_id = await playing(tx, noon, users)
    if how == "a break":
        await identity.take_break(tx, user_id=users[0], length="1y", now=noon)
    else:
        await suspend(tx, users[0])

    assert await competitions.leave_out(tx, user_id=users[0], now=noon + HOUR) == 1
    assert await competitions.leave_out(tx, user_id=users[0], now=noon + HOUR) == 0
    entrant = (await competitions.entered_by(tx, user_id=users[0], competition_ids=[competition_id]))[competition_id]
    later = Submission(competition_id, entrant, 100, "later", noon + HOUR)
    assert isinstance((await competitions.submit_many(tx, [later], now=noon + HOUR))[0], Counted)

    assert await ranked(tx, competition_id) == users[1:]
    await settle(tx, competition_id, noon + 5 * HOUR)
    assert await balances(tx, *(f"user:{user}:main" for user in users)) == [0, 5_000, 3_000, 2_000]
    assert not (await competitions.verify(tx, competition_id=competition_id)).differences


async def test_what_was_frozen_was_won_and_is_paid(tx: Tx, noon: datetime) -> None:
    users = await players(tx, 2, noon)
    competition_id = await playing(tx, noon, users, review_h=24)
    await settle(tx, competition_id, noon + 5 * HOUR)
    await suspend(tx, users[0])
    assert await competitions.leave_out(tx, user_id=users[0], now=noon + 6 * HOUR) == 0
    entrant = (await competitions.entered_by(tx, user_id=users[0], competition_ids=[competition_id]))[competition_id]
    change = StateChange(competition_id, entrant, "out", "out", noon, "he withdraws")
    assert await competitions.set_state_many(tx, [change], now=noon + 6 * HOUR) == 0  # nor does a product take him out
    await settle(tx, competition_id, noon + 30 * HOUR)
    assert await balances(tx, *(f"user:{user}:main" for user in users)) == [5_000, 3_000]


async def test_before_the_start_he_leaves_with_his_fee_and_his_place_is_free(tx: Tx, noon: datetime) -> None:
    barred, next_one = await players(tx, 2, noon, each=10)
    terms = new(noon + HOUR, join_mode="open", entry_fee=10, max_participants=1)
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    await competitions.join(tx, competition_id=competition_id, user_id=barred, now=noon)
    await suspend(tx, barred)
    assert await competitions.leave_out(tx, user_id=barred, now=noon) == 1
    assert await competitions.leave_out(tx, user_id=barred, now=noon) == 0
    assert await balances(tx, f"user:{barred}:main", f"pool:{competition_id}") == [10, 10_000]
    assert (await competitions.join(tx, competition_id=competition_id, user_id=next_one, now=noon)).state == "active"


async def test_who_may_compete_stays_and_staff_may_reinstate_who_was_left_out(tx: Tx, noon: datetime) -> None:
    users = await players(tx, 2, noon)
    competition_id = await playing(tx, noon, users)
    assert await competitions.leave_out(tx, user_id=users[0], now=noon) == 0
    await suspend(tx, users[0])
    await competitions.leave_out(tx, user_id=users[0], now=noon)
    await db.run(tx, "update identity.users set status = 'active', suspension_reason = null where id = %s", users[0])
    assert await ranked(tx, competition_id) == users[1:]
    entrant = (await competitions.entered_by(tx, user_id=users[0], competition_ids=[competition_id]))[competition_id]
    for _ in range(2):
        await competitions.reinstate(
            tx,
            competition_id=competition_id,
            entrant_id=entrant,
            actor=STAFF,
            reason="it was a mistake",
            now=noon + HOUR,
        )
    assert await ranked(tx, competition_id) == users


async def test_a_break_of_competing_is_heard_and_a_shorter_one_is_not(tx: Tx, noon: datetime) -> None:
    users = await players(tx, 2, noon)
    competition_id = await playing(tx, noon, users)
    clock.use(lambda: noon)
    try:
        await identity.take_break(tx, user_id=users[0], length="7d", now=noon)
        await jobs.leave_out(tx, PlayerExcluded(users[0], "time_out", ("stake", "pay_in", "bonus", "marketing"), noon))
        assert await ranked(tx, competition_id) == users
        await identity.take_break(tx, user_id=users[0], length="1y", now=noon)
        await jobs.leave_out(tx, PlayerExcluded(users[0], "self_exclusion", ("stake", "compete"), noon))
    finally:
        clock.use(clock.real)
    assert await ranked(tx, competition_id) == users[1:]


async def country_of(tx: Tx, user: UserId) -> list[str | None]:
    return list(await db.column(tx, "select country from competitions.entrants where user_id = %s order by kind", user))


async def test_entrants_live_where_their_user_says_however_they_are_met(tx: Tx, noon: datetime) -> None:
    admitted, joined, scored, linked, silent = await players(tx, 5, noon)
    for user, country in ((admitted, "NP"), (joined, "IN"), (scored, "BT"), (linked, "LK")):
        await accounts.say_once(tx, user_id=user, country=country, now=noon)
    competition_id = await playing(tx, noon, [admitted, silent], join_mode="open")
    await competitions.join(tx, competition_id=competition_id, user_id=joined, now=noon)
    await competitions.enter_many(tx, [NewEntrant("user", str(scored), scored)])
    ref = str(new_id())
    outsider = Admission(competition_id, "player", ref, None, "out***", country="US")
    await competitions.admit_many(tx, [outsider], now=noon)
    met = "select country from competitions.entrants where kind = 'player' and ref = %s"
    assert await db.value(tx, met, ref) == "US"
    await competitions.claim_many(tx, [Claim("player", ref, linked)], now=noon)

    assert [await country_of(tx, user) for user in (admitted, joined, scored, linked, silent)] == [
        ["NP"],
        ["IN"],
        ["BT"],
        ["LK"],
        [None],
    ]
    await accounts.say_once(tx, user_id=silent, country="DE", now=noon)
    await jobs.renew_country(tx, ProfileChanged(silent, ("display_name",)))
    assert await country_of(tx, silent) == [None]
    await jobs.renew_country(tx, ProfileChanged(silent, ("country",)))
    assert await country_of(tx, silent) == ["DE"]
