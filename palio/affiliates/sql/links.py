"""Who is behind an external player."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.affiliates.types import (
    Link,
    LinkId,
    LinkRequestId,
    LinkRow,
    LinksFilter,
    LinkState,
    Micro,
    Player,
    PlayerId,
    ProgrammeId,
    Proof,
)
from palio.infra import db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import IDS, Part


async def list_links(tx: Tx, player_ids: Sequence[PlayerId], user_ids: Sequence[UserId]) -> list[Link]:
    """The active links of these players and of these users, whoever asks."""
    statement = "select player_id, user_id from affiliates.active_links(%s::uuid[], %s::uuid[])"
    return await db.rows(tx, Link, statement, list(player_ids), list(user_ids))


async def list_linked_totals(
    tx: Tx, programme_id: ProgrammeId, numbers: Sequence[int], month: datetime
) -> list[tuple[UserId, int | None, int]]:
    """Of the linked players among these: the user, the all-time total, and what of it came since the month began."""
    cursor = await tx.execute(
        """
        select l.user_id, p.all_time_micro, coalesce((select sum(s.delta_micro) from affiliates.stats s
          where s.player_id = p.id and s.at >= %s), 0)::bigint
        from affiliates.players p join affiliates.links l on l.player_id = p.id and l.state = 'active'
        where p.programme_id = %s and p.no = any (%s::bigint[]) order by p.no""",
        (month, programme_id, Int8s.of(list(numbers))),
    )
    return await cursor.fetchall()


LINK = "select id, programme_id, player_id, user_id, state, linked_at from affiliates.links where state = 'active' "


async def lock_player(tx: Tx, programme_id: ProgrammeId, uid: str) -> PlayerId | None:
    """The player of a uid; nobody else links him until the transaction ends.

    `no key update`: rows that name him can still be written meanwhile, so that whoever holds one never waits for us.
    """
    found: PlayerId | None = await db.value(
        tx,
        "select id from affiliates.players where programme_id = %s and uid = %s for no key update",
        *(programme_id, uid),
    )
    return found


async def find_any_link(tx: Tx, link_id: LinkId) -> LinkRow | None:
    """A link by its id, whatever became of it."""
    return await db.find(
        tx,
        LinkRow,
        "select id, programme_id, player_id, user_id, state, linked_at from affiliates.links where id = %s",
        link_id,
    )


async def find_link(tx: Tx, player_id: PlayerId) -> LinkRow | None:
    """The active link of a player."""
    return await db.find(tx, LinkRow, LINK + "and player_id = %s", player_id)


async def find_link_of(tx: Tx, programme_id: ProgrammeId, user_id: UserId) -> LinkRow | None:
    """The active link of a user in a programme."""
    return await db.find(tx, LinkRow, LINK + "and programme_id = %s and user_id = %s", programme_id, user_id)


async def insert_link(
    tx: Tx, link: LinkRow, *, proof: Proof, request_id: LinkRequestId | None, by: UserId | None, reason: str
) -> bool:
    """An active link; False when somebody was quicker, for the player or for the user."""
    done = await db.run(
        tx,
        """
        insert into affiliates.links
          (id, programme_id, player_id, user_id, state, proof, request_id, linked_at, linked_by, reason)
        values (%s, %s, %s, %s, 'active', %s, %s, %s, %s, %s) on conflict do nothing""",
        *(link.id, link.programme_id, link.player_id, link.user_id, proof, request_id, link.linked_at, by, reason),
    )
    return bool(done)


async def update_ended(tx: Tx, link: LinkRow, *, at: datetime, by: UserId | None, reason: str) -> bool:
    """The link has ended, in the state that it has now; False when it had ended before."""
    done = await db.run(
        tx,
        """
        update affiliates.links set state = %s, unlinked_at = %s, unlinked_by = %s, reason = %s
        where id = %s and state = 'active'""",
        *(link.state, at, by, reason, link.id),
    )
    return bool(done)


async def insert_link_event(
    tx: Tx,
    link: LinkRow,
    player: Player,
    *,
    from_state: str | None,
    by: UserId | None,
    note: str,
    at: datetime,
    request_id: LinkRequestId | None = None,
) -> None:
    """A step of the history of a link."""
    await db.run(
        tx,
        """
        insert into affiliates.link_events
          (id, request_id, link_id, user_id, player_id, uid, name, from_state, to_state, actor_id, note, at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(new_id(), request_id, link.id, link.user_id, player.id, player.uid, player.name),
        *(from_state, link.state, by, note, at),
    )


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link with its player, as lists of staff show it."""

    id: LinkId
    programme: str
    currency: str
    player_id: PlayerId
    uid: str
    player_name: str | None
    all_time_micro: Micro | None
    user_id: UserId
    state: LinkState
    proof: Proof
    linked_at: datetime
    unlinked_at: datetime | None
    reason: str


LISTED = """
    select l.id, g.code as programme, g.currency, l.player_id, p.uid, p.name as player_name, p.all_time_micro,
      l.user_id, l.state, l.proof, l.linked_at, l.unlinked_at, l.reason
    from affiliates.links l join affiliates.players p on p.id = l.player_id
    join affiliates.programmes g on g.id = l.programme_id """


WANTED = """
    where (l.state <> 'active') = %s and (%s::text is null or g.code = %s)
      and (%s = '' or p.uid = %s or (%s <> '' and starts_with(p.name_key, %s)) or l.user_id = any (%s::uuid[]))
      and l.id > %s and l.id < %s"""


async def list_links_of(
    tx: Tx, wanted: LinksFilter, name_key: str, user_ids: Sequence[UserId], part: Part[UUID]
) -> list[ListedLink]:
    """A part of the links, newest first; `name_key` and `user_ids` are what the text of the filter names."""
    values = (
        *(wanted.has_ended, wanted.programme, wanted.programme),
        *(wanted.text, wanted.text, name_key, name_key, list(user_ids)),
        *(*part.between(*IDS), part.limit),
    )
    if part.is_back:
        return (await db.rows(tx, ListedLink, LISTED + WANTED + " order by l.id limit %s", *values))[::-1]
    return await db.rows(tx, ListedLink, LISTED + WANTED + " order by l.id desc limit %s", *values)


async def find_listed_link(tx: Tx, link_id: LinkId) -> ListedLink | None:
    """A link with its player."""
    return await db.find(tx, ListedLink, LISTED + "where l.id = %s", link_id)
