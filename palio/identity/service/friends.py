"""Friends: who may be found, asked, accepted and kept away; and who somebody's friends are."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from palio.identity import rules, sql
from palio.identity.errors import NoSuchUser
from palio.identity.service import accounts
from palio.identity.types import Acquaintance, Card, Friend, FriendAct, FriendState, Pair
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Dated, Part

FOUND_MAX = 20
FRIENDS_MAX = rules.friends.ROOM["accepted"]
TO_BE_ASKED = frozenset({"active", "suspended"})


async def friends(tx: Tx, *, user_id: UserId) -> list[UserId]:
    """The ids of somebody's friends, at most 1,000, the newest first. Asked for by himself, staff or the system."""
    return await sql.friends.list_accepted(tx, user_id, limit=FRIENDS_MAX)


async def act(tx: Tx, *, user_id: UserId, friend_id: UserId, what: FriendAct, now: datetime) -> FriendState | None:
    """Ask somebody, accept him, end what there is with him, or block him; answers what he is to the user then.

    Two who ask each other are friends. Whoever is blocked is not told, and asks as if nobody answered. A repeat changes
    nothing. For the system, on behalf of the user whom the edge has checked; what two people do is done one by one.
    Refuses with NoSuchUser, NotYourself, FriendBlocked, NotAsked, FriendsFull.
    """
    rules.friends.require_other(user_id, friend_id)
    if what in {"ask", "block"}:
        await _require_somebody(tx, friend_id)
    await sql.friends.lock_people(tx, [user_id, friend_id])
    known = {row.user_id: row.state for row in await sql.friends.list_pair(tx, user_id, friend_id)}
    before = Pair(known.get(user_id), known.get(friend_id))
    after = rules.friends.act(before, what)
    if after != before:
        sides = ((user_id, friend_id, before.mine, after.mine), (friend_id, user_id, before.theirs, after.theirs))
        changes = [Change(*side) for side in sides if side[2] != side[3]]
        await _require_room(tx, changes)
        await _write(tx, changes, now)
    return after.mine


class Change(NamedTuple):
    """What becomes of the row of one of two people."""

    user_id: UserId
    friend_id: UserId
    was: FriendState | None
    becomes: FriendState | None


async def _require_somebody(tx: Tx, friend_id: UserId) -> None:
    found = (await accounts.cards(tx, ids={friend_id})).get(friend_id)
    if found is None or found.status not in TO_BE_ASKED:
        raise NoSuchUser(user=str(friend_id))


async def _require_room(tx: Tx, changes: Sequence[Change]) -> None:
    counted = await sql.friends.count_states(tx, [change.user_id for change in changes])
    counts = {(row.user_id, row.state): row.count for row in counted}
    for change in changes:
        if change.becomes is not None:
            rules.friends.require_room(change.becomes, counts.get((change.user_id, change.becomes), 0))


async def _write(tx: Tx, changes: Sequence[Change], now: datetime) -> None:
    if gone := [(change.user_id, change.friend_id) for change in changes if change.becomes is None]:
        await sql.friends.delete_friends(tx, gone)
    if kept := [Friend(one.user_id, one.friend_id, one.becomes, now) for one in changes if one.becomes is not None]:
        await sql.friends.upsert_friends(tx, kept)


async def card(tx: Tx, *, user_id: UUID) -> Acquaintance:
    """What everybody may know of somebody. Refuses with NoSuchUser, also for whoever was erased or is not there yet."""
    found = (await accounts.cards(tx, ids={UserId(user_id)})).get(UserId(user_id))
    if found is None or found.status == "erased":
        raise NoSuchUser(user=str(user_id))
    return _met(found, None)


async def met(tx: Tx, *, user_id: UserId, friend_id: UserId) -> Acquaintance:
    """Somebody as a player reads him, with what he is to the player. Refuses with NoSuchUser."""
    cards = await accounts.cards(tx, ids={friend_id})
    if friend_id not in cards:
        raise NoSuchUser(user=str(friend_id))
    rows = await sql.friends.list_states(tx, user_id, [friend_id])
    return _met(cards[friend_id], rows[0] if rows else None)


async def search(tx: Tx, *, user_id: UserId, beginning: str) -> list[Acquaintance]:
    """Whom a player finds by the beginning of a user name, at most 20, and what they are to him; never himself.

    Who shows only a part of his name, or none of it, is found by the whole user name only.
    """
    key = rules.names.key_of(beginning)
    found = await sql.friends.list_found(tx, key, limit=FOUND_MAX + 1) if key else []
    others = [one for one in found if one.id != user_id][:FOUND_MAX]
    states = {row.friend_id: row for row in await sql.friends.list_states(tx, user_id, [one.id for one in others])}
    return [_met(one, states.get(one.id)) for one in others]


async def list_friends(tx: Tx, *, user_id: UserId, state: FriendState, part: Part[Dated]) -> list[Acquaintance]:
    """A part of those who are this to a player, the newest first."""
    rows = await sql.friends.list_friends(tx, user_id, state, part)
    cards = await accounts.cards(tx, ids={row.friend_id for row in rows})
    return [_met(cards[row.friend_id], row) for row in rows]


async def counts(tx: Tx, *, user_id: UserId) -> dict[FriendState, int]:
    """How many of each there are."""
    return {row.state: row.count for row in await sql.friends.count_states(tx, [user_id])}


async def friend_requests(tx: Tx, *, user_id: UserId) -> int:
    """How many wait for an answer of somebody."""
    return (await counts(tx, user_id=user_id)).get("asked", 0)


def _met(card: Card, row: Friend | None) -> Acquaintance:
    return Acquaintance(
        card.id,
        rules.names.public_name(card),
        card.created_at,
        row.state if row else None,
        row.changed_at if row else None,
        rules.names.shown_avatar(card),
    )
