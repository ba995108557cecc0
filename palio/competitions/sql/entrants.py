"""Who can stand on lists, who takes part, and the users behind them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.types import (
    Admission,
    Claim,
    CompetitionId,
    Entrant,
    EntrantId,
    Entry,
    Latest,
    Linked,
    Participant,
    Participation,
)
from palio.infra import arrays, db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def insert_entrants(tx: Tx, items: Sequence[Admission]) -> list[UserId]:
    """Entrants nobody has met before, numbered in the order given; answers the users behind them."""
    found: list[UserId | None] = await db.column(
        tx,
        """
        insert into competitions.entrants (kind, ref, user_id, label, country)
        select u.kind, u.ref, u.user_id, u.label, u.country
        from unnest(%s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[]) with ordinality
          u(kind, ref, user_id, label, country, n)
        where not exists (select from competitions.entrants e where e.kind = u.kind and e.ref = u.ref)
        order by u.n on conflict (kind, ref) do nothing returning user_id""",
        *([item.kind for item in items], [item.ref for item in items]),
        *([item.user_id for item in items], [item.label for item in items], [item.country for item in items]),
    )
    return [user_id for user_id in found if user_id]


async def update_countries(tx: Tx, countries: Mapping[UserId, str]) -> None:
    """Where the entrants of these users live."""
    await db.run(
        tx,
        """
        update competitions.entrants e set country = u.country
        from unnest(%s::uuid[], %s::text[]) u(user_id, country)
        where e.user_id = u.user_id and e.country is distinct from u.country""",
        *(list(countries), list(countries.values())),
    )


async def list_entered_running(tx: Tx, user_id: UserId, steered: Sequence[str]) -> list[CompetitionId]:
    """What has not ended in which a user takes part, in key order; products that steer their own are left out."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select distinct c.id from competitions.entrants e
        join competitions.participants p on p.entrant_id = e.id and p.state = 'active'
        join competitions.competitions c on c.id = p.competition_id
        where e.user_id = %s and c.product <> all(%s::text[])
          and (c.status in ('upcoming', 'live') or c.phase = 'collecting')
        order by c.id limit 10000""",
        *(user_id, list(steered)),
    )
    return found


async def list_entries_in(tx: Tx, competition_ids: Sequence[CompetitionId], user_id: UserId) -> list[Entry]:
    """As whom a user takes part in those of these that take scores, and is not out of the ranking."""
    return await db.rows(
        tx,
        Entry,
        """
        select c.id as competition_id, p.entrant_id from competitions.entrants e
        join competitions.participants p on p.entrant_id = e.id and p.state = 'active'
        join competitions.competitions c on c.id = p.competition_id
        left join competitions.scores s on s.list_id = c.list_id and s.entrant_id = e.id
        where e.user_id = %s and c.id = any(%s) and s.state is distinct from 'out'
          and (c.status = 'live' or c.phase = 'collecting')
        order by c.id, p.entrant_id""",
        *(user_id, list(competition_ids)),
    )


async def is_out(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> bool:
    """Whether an entrant is out of the ranking, whoever decided it."""
    return bool(
        await db.value(
            tx,
            """
            select exists (
              select from competitions.competitions c
              join competitions.scores s on s.list_id = c.list_id and s.entrant_id = %s and s.state = 'out'
              where c.id = %s)""",
            *(entrant_id, competition_id),
        )
    )


async def insert_participants(tx: Tx, items: Sequence[Admission], now: datetime) -> list[Participant]:
    """Enter them where they are not yet; answers every one of them in the order given."""
    await db.run(
        tx,
        """
        insert into competitions.participants (competition_id, entrant_id, joined_at, via)
        select u.competition_id, e.id, %s, u.via
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) u(competition_id, kind, ref, via)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref
        order by u.competition_id, e.id on conflict do nothing""",
        *(now, [item.competition_id for item in items], [item.kind for item in items]),
        *([item.ref for item in items], [item.via for item in items]),
    )
    return await db.rows(
        tx,
        Participant,
        """
        select p.competition_id, p.entrant_id, p.state, e.kind, e.user_id, e.label
        from unnest(%s::uuid[], %s::text[], %s::text[]) with ordinality u(competition_id, kind, ref, n)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref
        join competitions.participants p on p.competition_id = u.competition_id and p.entrant_id = e.id
        order by u.n""",
        *([item.competition_id for item in items], [item.kind for item in items], [item.ref for item in items]),
    )


async def update_entrants(tx: Tx, entrants: Sequence[tuple[EntrantId, UUID | None, str | None]]) -> None:
    """Their user and public spelling, where these have changed."""
    ids, users, labels = zip(*entrants, strict=True)
    await db.run(
        tx,
        """
        update competitions.entrants e set user_id = u.user_id, label = u.label
        from unnest(%s::bigint[], %s::uuid[], %s::text[]) u(id, user_id, label) where e.id = u.id""",
        *(list(ids), list(users), list(labels)),
    )


async def list_participants(tx: Tx, pairs: Sequence[tuple[CompetitionId, EntrantId]]) -> list[Participant]:
    """The participations of at most 10,000 pairs that exist."""
    return await db.rows(
        tx,
        Participant,
        """
        select p.competition_id, p.entrant_id, p.state, e.kind, e.user_id, e.label
        from unnest(%s::uuid[], %s::bigint[]) u(competition_id, entrant_id)
        join competitions.participants p on p.competition_id = u.competition_id and p.entrant_id = u.entrant_id
        join competitions.entrants e on e.id = p.entrant_id""",
        *([competition_id for competition_id, _ in pairs], [entrant_id for _, entrant_id in pairs]),
    )


async def list_entrants(tx: Tx, entrant_ids: Sequence[EntrantId]) -> list[Entrant]:
    """Who these are, without order."""
    return await db.rows(
        tx,
        Entrant,
        "select id as entrant_id, kind, ref, label, user_id from competitions.entrants where id = any(%s)",
        list(entrant_ids),
    )


async def list_spellings(
    tx: Tx, entrant_ids: Sequence[EntrantId]
) -> tuple[Sequence[EntrantId], Sequence[str | None], Sequence[UserId | None]]:
    """As whom these stand on boards, as columns: their numbers, what their product calls them, which user it is."""
    [(numbers, labels, users)] = await arrays.columns(
        tx,
        """
        select coalesce(array_agg(id), '{}'), coalesce(array_agg(label), '{}'), coalesce(array_agg(user_id), '{}')
        from competitions.entrants where id = any(%s)""",
        Int8s.of(entrant_ids),
    )
    return numbers, labels, users


async def list_entrants_of(tx: Tx, named: Sequence[tuple[str, str]]) -> dict[tuple[str, str], EntrantId]:
    """The numbers of those of these kinds and refs whom we have met."""
    found = await db.rows(
        tx,
        Entrant,
        """
        select e.id as entrant_id, e.kind, e.ref, e.label, e.user_id
        from unnest(%s::text[], %s::text[]) u(kind, ref)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref""",
        *([kind for kind, _ in named], [ref for _, ref in named]),
    )
    return {(each.kind, each.ref): each.entrant_id for each in found}


async def update_participant(
    tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, *, state: str, reason: str, by: UUID | None
) -> None:
    """Whether an entrant takes part, and who decided so."""
    await db.run(
        tx,
        """
        update competitions.participants set state = %s, reason = %s, decided_by = %s
        where competition_id = %s and entrant_id = %s""",
        *(state, reason, by, competition_id, entrant_id),
    )


async def list_disqualified(tx: Tx, competition_id: CompetitionId) -> list[EntrantId]:
    """Those who were taken out by staff."""
    found: list[EntrantId] = await db.column(
        tx,
        "select entrant_id from competitions.participants where competition_id = %s and state = 'disqualified'",
        competition_id,
    )
    return found


async def list_linked(tx: Tx, claims: Sequence[Claim]) -> list[Linked]:
    """The entrants that claims are about, in the order of their ids; whom nobody has met is left out."""
    return await db.rows(
        tx,
        Linked,
        """
        select e.id as entrant_id, u.user_id
        from unnest(%s::text[], %s::text[], %s::uuid[]) u(kind, ref, user_id)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref order by e.id""",
        *([claim.kind for claim in claims], [claim.ref for claim in claims], [claim.user_id for claim in claims]),
    )


async def lock_running_of(tx: Tx, entrant_ids: Sequence[EntrantId]) -> list[CompetitionId]:
    """The competitions of these entrants that are not over, held against their settlement, in key order."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select c.id from competitions.competitions c
        where c.status in ('upcoming', 'live', 'settling') and exists (
          select from competitions.participants p where p.competition_id = c.id and p.entrant_id = any(%s))
        order by c.id for key share of c""",
        list(entrant_ids),
    )
    return found


async def update_users(tx: Tx, linked: Sequence[Linked], competition_ids: Sequence[CompetitionId]) -> None:
    """The users behind entrants, also on prizes of these competitions that are not paid yet."""
    entrants, users = [link.entrant_id for link in linked], [link.user_id for link in linked]
    await db.run(
        tx,
        """
        update competitions.entrants e set user_id = u.user_id
        from unnest(%s::bigint[], %s::uuid[]) u(id, user_id) where e.id = u.id""",
        *(entrants, users),
    )
    await db.run(
        tx,
        """
        update competitions.rewards r set user_id = u.user_id
        from unnest(%s::bigint[], %s::uuid[]) u(id, user_id)
        where r.competition_id = any(%s) and r.entrant_id = u.id and r.status in ('pending', 'approved')""",
        *(entrants, users, list(competition_ids)),
    )


async def find_participation(tx: Tx, competition_id: CompetitionId, user_id: UserId) -> Participation | None:
    """Where a user stands with a competition, as himself."""
    return await db.find(
        tx,
        Participation,
        """
        select p.competition_id, p.entrant_id, p.state, p.joined_at, p.via, p.reason, p.fee_transfer_id
        from competitions.entrants e join competitions.participants p on p.entrant_id = e.id
        where e.kind = 'user' and e.ref = %s::text and p.competition_id = %s""",
        *(str(user_id), competition_id),
    )


async def list_participations(tx: Tx, user_id: UserId, competition_ids: Sequence[CompetitionId]) -> list[Participation]:
    """Where a user stands with these competitions, as himself; those he has nothing to do with are missing."""
    return await db.rows(
        tx,
        Participation,
        """
        select p.competition_id, p.entrant_id, p.state, p.joined_at, p.via, p.reason, p.fee_transfer_id
        from competitions.entrants e join competitions.participants p on p.entrant_id = e.id
        where e.kind = 'user' and e.ref = %s::text and p.competition_id = any(%s)""",
        *(str(user_id), list(competition_ids)),
    )


async def list_latest_of(tx: Tx, user_id: UserId, limit: int) -> list[Latest]:
    """What a user takes part in, left, or may join of the thousand competitions that began last, the latest first."""
    return await db.rows(
        tx,
        Latest,
        """
        select c.id, c.title, c.status, c.starts_at, c.prize_asset as asset,
          case when p.state = 'left' and c.join_mode = 'invite' then 'invited' else p.state end as state,
          s.rank, r.amount as prize, r.status as reward_status
        from (select id, title, status, starts_at, prize_asset, list_id, join_mode from competitions.competitions
          where status <> 'draft' order by starts_at desc limit 1000) c
        join competitions.participants p on p.competition_id = c.id
          and p.entrant_id = any(array(select id from competitions.entrants where user_id = %s))
        left join competitions.standings s on s.list_id = c.list_id and s.entrant_id = p.entrant_id
        left join competitions.rewards r on r.competition_id = c.id and r.entrant_id = p.entrant_id
        order by c.starts_at desc, c.id limit %s""",
        *(user_id, limit),
    )


async def list_invitations(tx: Tx, user_id: UserId, now: datetime, limit: int) -> list[CompetitionId]:
    """What a user may join because he is invited, and has not, those that end first first."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select c.id from competitions.entrants e
        join competitions.participants p on p.entrant_id = e.id and p.state = 'left'
        join competitions.competitions c on c.id = p.competition_id
        where e.kind = 'user' and e.ref = %s::text and c.join_mode = 'invite' and c.paused_at is null
          and c.status in ('upcoming', 'live') and c.ends_at > %s
        order by c.ends_at, c.id limit %s""",
        *(str(user_id), now, limit),
    )
    return found


async def upsert_participation(
    tx: Tx, competition_id: CompetitionId, user_id: UserId, via: str, fee_transfer_id: UUID | None, now: datetime
) -> None:
    """Enter a user, for the first time or again."""
    await db.run(
        tx,
        """
        insert into competitions.participants (competition_id, entrant_id, joined_at, via, fee_transfer_id)
        select %s, e.id, %s, %s, %s from competitions.entrants e where e.kind = 'user' and e.ref = %s::text
        on conflict (competition_id, entrant_id) do update set state = 'active', joined_at = excluded.joined_at,
          via = excluded.via, fee_transfer_id = excluded.fee_transfer_id, reason = null, decided_by = null""",
        *(competition_id, now, via, fee_transfer_id, str(user_id)),
    )


async def insert_invitations(tx: Tx, competition_id: CompetitionId, user_ids: Sequence[UserId], now: datetime) -> int:
    """Users who may join, and have not yet; answers how many were new."""
    return await db.run(
        tx,
        """
        insert into competitions.participants (competition_id, entrant_id, joined_at, via, state)
        select %s, e.id, %s, 'invite', 'left' from unnest(%s::text[]) u(ref)
        join competitions.entrants e on e.kind = 'user' and e.ref = u.ref
        order by e.id on conflict do nothing""",
        *(competition_id, now, [str(user_id) for user_id in user_ids]),
    )


async def update_left_many(tx: Tx, competition_ids: Sequence[CompetitionId], entrant_id: EntrantId) -> None:
    """Somebody has gone before the start of these, and owns no fee any more."""
    await db.run(
        tx,
        """
        update competitions.participants set state = 'left', fee_transfer_id = null
        where competition_id = any(%s) and entrant_id = %s""",
        *(list(competition_ids), entrant_id),
    )


async def count_active(tx: Tx, competition_id: CompetitionId) -> int:
    """How many take part."""
    return int(
        await db.value(
            tx,
            "select count(*) from competitions.participants where competition_id = %s and state = 'active'",
            competition_id,
        )
    )


async def find_entrant_of(tx: Tx, competition_id: CompetitionId, user_id: UserId) -> EntrantId | None:
    """As which entrant a user takes part, by the lowest number where he is behind several."""
    found: EntrantId | None = await db.value(
        tx,
        """
        select p.entrant_id from competitions.entrants e
        join competitions.participants p on p.competition_id = %s and p.entrant_id = e.id
        where e.user_id = %s order by p.entrant_id limit 1""",
        *(competition_id, user_id),
    )
    return found


async def has_entries(tx: Tx, competition_id: CompetitionId) -> bool:
    """Whether anybody relies on the terms: takes part, or has paid something in."""
    return bool(
        await db.value(
            tx,
            """
            select exists (select from competitions.participants where competition_id = %s and state = 'active')
              or exists (select from competitions.contributions
                where competition_id = %s and source <> 'admin_fund' and taken_back < amount)""",
            *(competition_id, competition_id),
        )
    )


async def lock_entrant(tx: Tx, user_id: UserId) -> EntrantId:
    """A user as an entrant, ours until the transaction ends."""
    found: EntrantId = await db.value(
        tx,
        "select id from competitions.entrants where kind = 'user' and ref = %s::text for no key update",
        str(user_id),
    )
    return found
