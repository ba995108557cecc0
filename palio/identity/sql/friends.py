"""Statements of friends. Each of two people has a row of his own: what he knows of the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from palio.identity.types import Card, Friend, FriendState
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part

FRIEND = "select user_id, friend_id, state::text, changed_at from identity.friends"
LISTED = (
    FRIEND
    + """ where user_id = %s and state = %s::identity.friend_state
      and (changed_at, friend_id) > (%s, %s) and (changed_at, friend_id) < (%s, %s)"""
)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows of a state somebody has."""

    user_id: UserId
    state: FriendState
    count: int


async def lock_people(tx: Tx, user_ids: Sequence[UserId]) -> list[UserId]:
    """Let what two people do with each other wait for whatever else one of them does; answers who there is."""
    found: list[UserId] = await db.column(
        tx,
        "select id from identity.users where id = any (%s::uuid[]) order by id for no key update",
        list(user_ids),
    )
    return found


async def list_pair(tx: Tx, one: UserId, other: UserId) -> list[Friend]:
    """What two people are to each other, from both sides."""
    return await db.rows(
        tx,
        Friend,
        FRIEND + " where (user_id = %s and friend_id = %s) or (user_id = %s and friend_id = %s)",
        *(one, other, other, one),
    )


async def count_states(tx: Tx, user_ids: Sequence[UserId]) -> list[Counted]:
    """How many rows of each state these people have."""
    return await db.rows(
        tx,
        Counted,
        """select user_id, state::text, count(*) as count from identity.friends
        where user_id = any (%s::uuid[]) group by user_id, state""",
        list(user_ids),
    )


async def upsert_friends(tx: Tx, rows: Sequence[Friend]) -> None:
    """Store what people are to others, in one statement."""
    await db.run(
        tx,
        """
        insert into identity.friends (user_id, friend_id, state, changed_at)
        select user_id, friend_id, state::identity.friend_state, changed_at
        from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[]) as x (user_id, friend_id, state, changed_at)
        on conflict (user_id, friend_id) do update set state = excluded.state, changed_at = excluded.changed_at""",
        [row.user_id for row in rows],
        [row.friend_id for row in rows],
        [row.state for row in rows],
        [row.changed_at for row in rows],
    )


async def delete_friends(tx: Tx, pairs: Sequence[tuple[UserId, UserId]]) -> int:
    """Forget what people are to others."""
    return await db.run(
        tx,
        """
        delete from identity.friends f using unnest(%s::uuid[], %s::uuid[]) as x (user_id, friend_id)
        where f.user_id = x.user_id and f.friend_id = x.friend_id""",
        [one for one, _ in pairs],
        [other for _, other in pairs],
    )


async def list_accepted(tx: Tx, user_id: UserId, *, limit: int) -> list[UserId]:
    """The ids of somebody's friends."""
    found: list[UserId] = await db.column(
        tx,
        """select friend_id from identity.friends where user_id = %s and state = 'accepted'
        order by changed_at desc, friend_id desc limit %s""",
        *(user_id, limit),
    )
    return found


async def list_friends(tx: Tx, user_id: UserId, state: FriendState, part: Part[Dated]) -> list[Friend]:
    """A part of those who are this to somebody, the newest first."""
    low, high = part.between(*EVER)
    values = user_id, state, *low, *high, part.limit
    if part.is_back:
        return (await db.rows(tx, Friend, LISTED + " order by changed_at, friend_id limit %s", *values))[::-1]
    return await db.rows(tx, Friend, LISTED + " order by changed_at desc, friend_id desc limit %s", *values)


async def list_states(tx: Tx, user_id: UserId, friend_ids: Sequence[UserId]) -> list[Friend]:
    """What these people are to somebody; strangers are left out."""
    return await db.rows(
        tx, Friend, FRIEND + " where user_id = %s and friend_id = any (%s::uuid[])", user_id, list(friend_ids)
    )


async def list_found(tx: Tx, beginning: str, *, limit: int) -> list[Card]:
    """Whom anybody may find by the beginning of a user name in lower case, by name."""
    return await db.rows(
        tx,
        Card,
        """
        select id, username, display_name, board_name::text, status::text, created_at, avatar_key
        from identity.cards_found(%s::text, %s::int)""",
        *(beginning, limit),
    )
