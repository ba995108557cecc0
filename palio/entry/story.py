"""What the people of a demo do at which instant: they say which player they are, and staff decide.

Every act looks at what is there before it does anything, so that an instant can be lived through twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias
from uuid import NAMESPACE_URL, UUID, uuid5

from palio import affiliates, competitions, identity, races
from palio.affiliates.types import (
    DEFAULT_PROGRAMME,
    LinkDecision,
    LinkRequest,
    LinkWish,
    PlayerId,
    ProgrammeId,
    ProofShown,
)
from palio.competitions.types import CompetitionId
from palio.entry.approving import COMMANDS
from palio.infra import approvals, db
from palio.infra.approvals import Decision
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, new_id
from palio.races.types import MICRO_PER_UNIT

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
NOON = 12 * HOUR
LINKED_AFTER = 9 * DAY + NOON  # the start of the first race: by then it is paid
OPEN = {"pending", "under_review"}
SILENT = "CF2FtINYRP67YfLsvpvz"  # a player of the captures who never wagers
WEEKLY = "Weekly race"  # how the races are called of which this story tells
RELEASER = "adam"
RELEASED = "nobody else looks after this demo, and the totals are those of its feed"
Act: TypeAlias = Callable[[Tx, datetime], Awaitable[None]]


def script(first: datetime, now: datetime) -> Mapping[datetime, tuple[Act, ...]]:
    """What happens when: `first` is the start of the first race, `now` the end of the story.

    Ranks are those of the first weekly race as it stands at that instant. A story of fewer than three weeks has no room
    for what takes time: there are links and open requests in it, and nothing that was decided before.
    """
    evening = now.replace(hour=0, minute=0, second=0, microsecond=0) - 6 * HOUR
    linked = first + LINKED_AFTER
    if linked + WEEK >= evening:
        known = {"chen": 1, "bela": 3, "dara": 7, "kaja": 9, "salma": 10}
        return {
            evening: (
                *(partial(_link, who=who, rank=rank, by="sam") for who, rank in known.items()),
                *_asked_last_evening(),
            ),
            now: _done_today(),
        }
    return {
        first + 6 * DAY + NOON: (
            partial(_ask, who="hugo", uid=SILENT, proof="other", note="I think this is me"),  # and nobody looks at it
        ),
        linked - 6 * HOUR: (
            partial(_ask, who="chen", rank=1, proof="screenshot", note="my profile, with today's date"),
            partial(_ask, who="ines", rank=1, proof="other", note="the winner is me, believe me"),
            partial(_ask, who="gina", rank=6, proof="email", note="my address there begins with gi"),
        ),
        linked: (
            partial(_decide, who="chen", by="sam", decision="approve"),
            partial(_decide, who="gina", by="sam", decision="reject", note="That account has another address."),
            partial(_link, who="bela", rank=3, by="sam"),
            partial(_link, who="dara", rank=7, by="sam"),
            partial(_link, who="kaja", rank=9, by="sam"),
            partial(_link, who="salma", rank=10, by="sam"),
        ),
        linked + DAY: (
            partial(_ask, who="gina", rank=5, proof="transaction", note="then it is this one: bet 4711 on Tuesday"),
            partial(_ask, who="jona", rank=4, proof="other", note="a mistake, sorry"),
        ),
        linked + 2 * DAY: (
            partial(_ask_more, who="gina", by="sam", note="At what time was it?"),
            partial(_cancel, who="jona"),
            partial(_move, to="leon", rank=9, by="sam", reason="kaja and leon took each other's account"),
            partial(_move, to="ines", rank=8, by="sam", reason="she wrote to us about it"),
        ),
        linked + 3 * DAY: (
            partial(_answer, who="gina", note="At 19:40, two dollars."),
            partial(_judge, by="olga", decision="approve", why="kaja and leon took each other's account"),
            partial(_judge, by="olga", decision="reject", why="she wrote to us about it"),
        ),
        linked + 4 * DAY: (
            partial(_decide, who="gina", by="sam", decision="approve"),
            partial(_move, to="jona", rank=4, by="sam", reason="nobody will look at this one"),
        ),
        linked + WEEK: (
            partial(_unlink, who="dara"),
            partial(_adjust, rank=5, units=25, by="fiona", note="a wager that the provider booked late"),
        ),
        evening: _asked_last_evening(),
        now: (
            *_done_today(),
            partial(_move, to="dara", rank=7, by="sam", reason="dara wants her player back"),
            partial(_move, to="kaja", rank=9, by="sam", reason="it was kaja's after all"),
        ),
    }


def _asked_last_evening() -> tuple[Act, ...]:
    return (
        partial(_ask, who="ada", rank=2, proof="screenshot", note="I was second in the first race"),
        partial(_ask, who="hugo", rank=2, proof="other", note="no, I was"),
        partial(_ask, who="ines", rank=6, proof="name_code", note="the code stands in my name"),
        partial(_ask, who="jona", rank=4, proof="email", note="this time it is no mistake"),
    )


def _done_today() -> tuple[Act, ...]:
    return (
        partial(_take, who="ada", by="sam"),
        partial(_ask_more, who="jona", by="sam", note="Which address do you use there?"),
        partial(_adjust, rank=4, units=1_500, by="fiona", note="a day that the provider did not count"),
    )


async def release_overdue(tx: Tx, *, after: timedelta, now: datetime) -> list[int]:
    """Have staff of the demo release what waits for them after its review, with a reason; answers which races.

    Nobody else plays staff there: a race whose final picture came days late, since the demo was off, would wait for
    ever. Whoever wants to decide himself has until so long `after` its end.
    """
    released = []
    for line in await races.recent(tx):
        if line.status != "settling" or now < line.ends_at + after:
            continue
        progress = await races.advance(tx, number=line.number, now=now)
        if progress.waits_for != "release":
            continue
        with suppress(Refusal):  # a pool for which it takes two
            async with db.attempt(tx):
                actor = await _staff(tx, RELEASER)
                await races.release(tx, number=line.number, actor=actor, reason=RELEASED, now=now)
            await races.advance(tx, number=line.number, now=now)
            released.append(line.number)
    return released


async def _staff(tx: Tx, username: str) -> Actor:
    user = await identity.get(tx, name_or_id=username)
    return Actor("staff", user.id, RequestId(new_id()))


async def _programme(tx: Tx) -> ProgrammeId:
    return (await affiliates.programme(tx, code=DEFAULT_PROGRAMME)).id


async def _uid(tx: Tx, rank: int) -> str | None:
    """Who is there in the first weekly race; None in one that has so few players."""
    number = min(line.number for line in await races.recent(tx) if line.title.startswith(WEEKLY))
    ranked = [line.uid for line in await races.lines(tx, number=number) if line.rank]
    return ranked[rank - 1] if rank <= len(ranked) else None


async def _open_request(tx: Tx, username: str) -> LinkRequest | None:
    user = await identity.get(tx, name_or_id=username)
    return next((one for one in await affiliates.requests_of(tx, user_id=user.id) if one.state in OPEN), None)


async def _ask(
    tx: Tx, at: datetime, *, who: str, proof: ProofShown, note: str, rank: int = 0, uid: str | None = None
) -> None:
    user, uid = await identity.get(tx, name_or_id=who), uid or await _uid(tx, rank)
    if uid and all(one.note != note for one in await affiliates.requests_of(tx, user_id=user.id)):
        await affiliates.request_link(tx, wish=LinkWish(user.id, proof, uid=uid, note=note), now=at)


async def _take(tx: Tx, at: datetime, *, who: str, by: str) -> None:
    if request := await _open_request(tx, who):
        await affiliates.take(tx, request_id=request.id, actor=await _staff(tx, by), now=at)


async def _ask_more(tx: Tx, at: datetime, *, who: str, by: str, note: str) -> None:
    request = await _open_request(tx, who)
    if request and request.player_note != note:
        await affiliates.ask_more(tx, request_id=request.id, actor=await _staff(tx, by), note=note, now=at)


async def _answer(tx: Tx, at: datetime, *, who: str, note: str) -> None:
    user = await identity.get(tx, name_or_id=who)
    request = await _open_request(tx, who)
    if request and all(step.note != note for step in await affiliates.history_of(tx, user_id=user.id)):
        await affiliates.answer(tx, request_id=request.id, user_id=user.id, note=note, now=at)


async def _cancel(tx: Tx, at: datetime, *, who: str) -> None:
    if request := await _open_request(tx, who):
        await affiliates.cancel(tx, request_id=request.id, user_id=request.user_id, now=at)


async def _decide(tx: Tx, at: datetime, *, who: str, by: str, decision: LinkDecision, note: str = "") -> None:
    if request := await _open_request(tx, who):
        actor = await _staff(tx, by)
        await affiliates.decide(tx, request_id=request.id, actor=actor, decision=decision, note=note, now=at)


async def _link(tx: Tx, at: datetime, *, who: str, rank: int, by: str) -> None:
    user, uid = await identity.get(tx, name_or_id=who), await _uid(tx, rank)
    if uid and not await affiliates.links_many(tx, user_ids=[user.id]):
        programme_id, reason = await _programme(tx), f"{by} knows {who} from the forum"
        await affiliates.link(tx, programme_id=programme_id, uid=uid, user_id=user.id, reason=reason, now=at, via="job")


async def _unlink(tx: Tx, at: datetime, *, who: str) -> None:
    user = await identity.get(tx, name_or_id=who)
    for link in await affiliates.links_many(tx, user_ids=[user.id]):
        player = (await affiliates.players_many(tx, [link.player_id]))[link.player_id]
        await affiliates.unlink(
            tx, programme_id=player.programme_id, uid=player.uid, reason=f"{who} asked for it", now=at, via="job"
        )


async def _move(tx: Tx, at: datetime, *, to: str, rank: int, by: str, reason: str) -> None:
    user, uid = await identity.get(tx, name_or_id=to), await _uid(tx, rank)
    if uid and not await _proposals(tx, reason):
        await affiliates.propose_transfer(
            tx,
            programme_id=await _programme(tx),
            uid=uid,
            to_user=user.id,
            actor=await _staff(tx, by),
            reason=reason,
            now=at,
        )


async def _judge(tx: Tx, at: datetime, *, by: str, decision: Decision, why: str) -> None:
    actor = await _staff(tx, by)
    for proposal in await _proposals(tx, why):
        if proposal.state == "open":
            await approvals.decide(
                tx,
                approval_id=proposal.id,
                actor=actor,
                decision=decision,
                reason="I have asked both of them" if decision == "approve" else "A letter alone proves nothing",
                held=await _held(tx, actor, at),
                commands=COMMANDS,
                now=at,
            )


async def _proposals(tx: Tx, reason: str) -> list[approvals.Approval]:
    states: tuple[approvals.State, ...] = ("open", "approved", "rejected", "withdrawn", "expired", "executed", "failed")
    return [one for one in await approvals.listed(tx, states=states) if one.reason == reason]


async def _held(tx: Tx, actor: Actor, at: datetime) -> set[str]:
    """What somebody may do by his roles."""
    grants = await identity.grants_of(tx, user_id=actor.user_id, now=at) if actor.user_id else []
    roles = {grant.role for grant in grants if grant.of is None}
    return {name for role in await identity.list_roles(tx) if role.name in roles for name in role.permissions}


async def _adjust(tx: Tx, at: datetime, *, rank: int, units: int, by: str, note: str) -> None:
    """Adjust a total of the week that is on, for whoever is there now; much of it waits for a second person."""
    weekly = [line for line in await races.recent(tx) if line.title.startswith(WEEKLY)]
    live = next((line for line in weekly if line.status == "live"), None)
    if live is None:
        return
    board = await competitions.top(tx, competition_id=CompetitionId(live.competition_id), limit=rank)
    if len(board.rows) < rank:
        return
    await races.adjust_or_propose(
        tx,
        adjustment_id=uuid5(NAMESPACE_URL, f"palio demo {live.number} {note}"),
        number=live.number,
        player_id=PlayerId(UUID(board.rows[rank - 1].standing.ref)),
        amount_micro=units * MICRO_PER_UNIT,
        actor=await _staff(tx, by),
        reason="the provider wrote to us",
        public_note=note,
        now=at,
    )
