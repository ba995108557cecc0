"""What staff look at when they decide about links: the queue, one request with all that speaks for and against it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio import identity
from palio.affiliates import rules, sql
from palio.affiliates.errors import NoSuchLink, NoSuchRequest
from palio.affiliates.types import (
    LinkId,
    LinkLine,
    LinkRequest,
    LinkRequestId,
    LinksFilter,
    LinkStep,
    QueuedRequest,
    QueueFilter,
    Review,
)
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.kernel.parts import IDS, Part

RIVALS_MAX = 20
BEFORE_MAX = 50
EVERYTHING = QueueFilter()


async def queue(tx: Tx, *, limit: int = 50) -> list[QueuedRequest]:
    """Open requests as staff see them, oldest first."""
    return (await open_requests(tx, part=Part(limit, newer_than=IDS[0])))[::-1]


async def open_requests(tx: Tx, *, wanted: QueueFilter = EVERYTHING, part: Part[UUID]) -> list[QueuedRequest]:
    """A part of the open requests as staff see them, newest first."""
    return await _queued(tx, await sql.list_open(tx, wanted, await _named(tx, wanted.text), part))


async def decided(tx: Tx, *, wanted: QueueFilter = EVERYTHING, part: Part[UUID]) -> list[QueuedRequest]:
    """A part of the requests that are closed as staff see them, newest first."""
    return await _queued(tx, await sql.list_decided(tx, wanted, await _named(tx, wanted.text), part))


async def request_card(tx: Tx, *, request_id: LinkRequestId) -> tuple[QueuedRequest, list[LinkStep]]:
    """A request as staff see it, with its steps. Refuses with NoSuchRequest."""
    (card,) = await _queued(tx, [await _get(tx, request_id)])
    return card, await sql.list_history_of_request(tx, request_id)


async def review(tx: Tx, *, request_id: LinkRequestId) -> Review:
    """A request with everything that staff compare before they decide. Refuses with NoSuchRequest."""
    found = await _get(tx, request_id)
    rivals = await sql.list_rivals(tx, found.player_id, RIVALS_MAX)
    one, *others = await _queued(tx, [found, *(rival for rival in rivals if rival.user_id != found.user_id)])
    steps = await sql.list_history_of_request(tx, request_id)
    before = await sql.list_history_beside(tx, request_id, found.user_id, found.player_id, BEFORE_MAX)
    (player,) = await sql.list_players(tx, [found.player_id])
    held = await sql.find_link(tx, found.player_id)
    own = await sql.find_link_of(tx, found.programme_id, found.user_id)
    people = {user_id for step in (*steps, *before) for user_id in (step.user_id, step.actor_id)}
    people |= {found.user_id, found.taken_by, found.decided_by, held.user_id if held else None}
    return Review(
        one=one,
        player=player,
        steps=steps,
        rivals=others,
        before=before,
        holder=held.user_id if held else None,
        own=(await sql.list_players(tx, [own.player_id]))[0].uid if own else None,
        names=await _usernames(tx, {user_id for user_id in people if user_id}),
    )


async def waiting_requests(tx: Tx) -> tuple[int, datetime | None]:
    """How many requests wait for staff, and since when the oldest does."""
    return await sql.count_open(tx)


async def next_request(tx: Tx, *, actor: Actor, now: datetime) -> LinkRequestId | None:
    """The oldest open request that somebody else of the staff may decide, and nobody looks at."""
    return await sql.find_next(tx, actor.user_id, now)


async def list_links(tx: Tx, *, wanted: LinksFilter, part: Part[UUID]) -> list[LinkLine]:
    """A part of the links as staff see them, newest first."""
    key = rules.name_key(wanted.text) or ""
    return await _lines(tx, await sql.list_links_of(tx, wanted, key, await _named(tx, wanted.text), part))


async def link_line(tx: Tx, *, link_id: LinkId) -> LinkLine:
    """A link as staff see it, whatever became of it. Refuses with NoSuchLink."""
    found = await sql.find_listed_link(tx, link_id)
    if found is None:
        raise NoSuchLink
    (line,) = await _lines(tx, [found])
    return line


async def _lines(tx: Tx, found: Sequence[sql.ListedLink]) -> list[LinkLine]:
    names = await _usernames(tx, {one.user_id for one in found})
    return [
        LinkLine(
            id=one.id,
            programme=one.programme,
            currency=one.currency,
            player_id=one.player_id,
            uid=one.uid,
            player_name=one.player_name,
            all_time_micro=one.all_time_micro,
            user_id=one.user_id,
            username=names[one.user_id],
            state=one.state,
            proof=one.proof,
            linked_at=one.linked_at,
            unlinked_at=one.unlinked_at,
            reason=one.reason,
        )
        for one in found
    ]


async def _queued(tx: Tx, found: Sequence[LinkRequest]) -> list[QueuedRequest]:
    beside = {one.id: one for one in await sql.list_beside(tx, [request.id for request in found])}
    names = await _usernames(tx, {request.user_id for request in found})
    return [
        QueuedRequest(
            request,
            programme=beside[request.id].programme,
            currency=beside[request.id].currency,
            username=names[request.user_id],
            player_name=beside[request.id].player_name,
            all_time_micro=beside[request.id].all_time_micro,
            others=beside[request.id].others,
            earlier=beside[request.id].earlier,
        )
        for request in found
    ]


async def _usernames(tx: Tx, ids: set[UserId]) -> dict[UserId, str]:
    """What users are called; an id where there is nobody any more."""
    people = await identity.cards(tx, ids=ids)
    return {user_id: people[user_id].username if user_id in people else str(user_id) for user_id in ids}


async def _named(tx: Tx, text: str) -> list[UserId]:
    return [user.id for user in await identity.search(tx, text=text)] if text else []


async def _get(tx: Tx, request_id: LinkRequestId) -> LinkRequest:
    found = await sql.find_request(tx, request_id)
    if found is None:
        raise NoSuchRequest
    return found
