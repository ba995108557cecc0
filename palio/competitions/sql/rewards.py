"""Prizes, from the allocation to the wallet, and what nobody won."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from uuid import UUID

from palio.competitions.sql.columns import uuids
from palio.competitions.types import (
    Claimed,
    Competition,
    CompetitionId,
    EntrantId,
    Leftover,
    Reward,
    RewardStatus,
    Settled,
    Waiting,
    Withheld,
    WithheldKey,
    Won,
)
from palio.infra import arrays, db
from palio.infra.arrays import Int8s, Jsons, Texts, Uuids
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import IDS, Part

WAITING = """
    select r.competition_id, r.entrant_id, r.rank, r.asset, r.amount, c.leftover_to, c.title
    from competitions.rewards r join competitions.competitions c on c.id = r.competition_id """

WITHHELD = """
    select r.competition_id, c.title, r.entrant_id, r.user_id, r.rank, r.asset, r.amount,
      coalesce(r.why ->> 'refused', '') as refusal, l.final_at as since
    from competitions.rewards r join competitions.competitions c on c.id = r.competition_id
    join competitions.lists l on l.id = c.list_id
    where r.status = 'withheld' and (%s::uuid is null or r.competition_id = %s)
      and (r.competition_id, r.entrant_id) > (%s, %s) and (r.competition_id, r.entrant_id) < (%s, %s) """
WITHHELD_ENDS = WithheldKey(IDS[0], 0), WithheldKey(IDS[1], 2**63 - 1)


async def insert_pending(tx: Tx, competition: Competition, won: Won) -> None:
    """The prizes of a frozen competition, of which none has been paid."""
    await _insert(tx, competition, won, Settled([None] * len(won.places), {}), "pending", None, None)


async def insert_settled(
    tx: Tx, competition: Competition, won: Won, settled: Settled, *, claim_by: datetime, now: datetime
) -> None:
    """The prizes of a frozen competition after they were paid; unclaimed ones wait until `claim_by`."""
    await _insert(tx, competition, won, settled, None, claim_by, now)


async def _insert(
    tx: Tx,
    competition: Competition,
    won: Won,
    settled: Settled,
    status: RewardStatus | None,
    claim_by: datetime | None,
    now: datetime | None,
) -> None:
    """Many are explained by the same arithmetic, which is sent and read once."""
    numbers = {why: number for number, why in enumerate(dict.fromkeys(won.whys), 1)}
    refused = settled.refused
    await db.run(
        tx,
        """
        insert into competitions.rewards (competition_id, entrant_id, place, rank, asset, amount, status, user_id,
          transfer_id, claim_by, why, paid_at, items)
        select %s, u.entrant_id, u.place, u.rank, %s, u.amount, u.status, u.user_id, u.transfer_id,
          case when u.status = 'unclaimed' then %s::timestamptz end,
          case when u.refusal is null then w.why else w.why || jsonb_build_object('refused', u.refusal) end,
          case when u.status = 'paid' then %s::timestamptz end, coalesce(u.items::jsonb, '[]')
        from (select v.*, coalesce(%s, case when v.user_id is null then 'unclaimed'
              when v.transfer_id is not null or v.amount = 0 then 'paid' else 'withheld' end) as status
            from (select unnest(%s::bigint[]) as entrant_id, unnest(%s::bigint[]) as place,
              unnest(%s::bigint[]) as rank, unnest(%s::bigint[]) as amount, unnest(%s::uuid[]) as user_id,
              unnest(%s::uuid[]) as transfer_id, unnest(%s::bigint[]) as why, unnest(%s::text[]) as refusal,
              unnest(%s::text[]) as items) v) u
          join unnest(%s::jsonb[]) with ordinality w(why, number) on w.number = u.why order by u.entrant_id""",
        *(competition.id, competition.prize_asset, claim_by, now, status),
        *(Int8s.of(won.entrant_ids), Int8s.of(won.places), Int8s.of(won.ranks), Int8s.of(won.amounts)),
        *(uuids(won.user_ids), Uuids.of(settled.transfer_ids), Int8s.of([numbers[why] for why in won.whys])),
        *(Texts.of([refused.get(number) for number in range(len(won.places))] if refused else []), Texts.of(won.items)),
        Jsons.of(list(numbers)),
    )


async def update_approved(tx: Tx, competition_id: CompetitionId) -> int:
    """Release what waited for the review."""
    return await db.run(
        tx,
        "update competitions.rewards set status = 'approved' where competition_id = %s and status = 'pending'",
        competition_id,
    )


async def lock_approved(tx: Tx, competition_id: CompetitionId, limit: int) -> Won:
    """The next prizes to pay, in place order."""
    [found] = await arrays.columns(
        tx,
        """
        select array_agg(r.entrant_id), array_agg(r.user_id), array_agg(r.place), array_agg(r.rank),
          array_agg(r.amount), array_agg(r.why)
        from (
          select entrant_id, user_id, place::bigint, rank::bigint, amount, why::text
          from competitions.rewards where competition_id = %s and status = 'approved'
          order by place limit %s for update skip locked) r""",
        *(competition_id, limit),
    )
    return Won(*(column or () for column in found))


async def update_rewards(
    tx: Tx, competition_id: CompetitionId, won: Won, settled: Settled, *, claim_by: datetime, now: datetime
) -> None:
    """What became of prizes that were approved; unclaimed ones wait until `claim_by`."""
    await db.run(
        tx,
        """
        update competitions.rewards r set transfer_id = u.transfer_id,
          status = case when r.user_id is null then 'unclaimed'
            when u.transfer_id is not null or r.amount = 0 then 'paid' else 'withheld' end,
          claim_by = case when u.transfer_id is null and r.user_id is null then %s::timestamptz end,
          why = case when u.refusal is null then r.why else r.why || jsonb_build_object('refused', u.refusal) end,
          paid_at = case when u.transfer_id is not null or r.user_id is not null and r.amount = 0
            then %s::timestamptz end
        from unnest(%s::bigint[], %s::uuid[], %s::text[]) u(entrant_id, transfer_id, refusal)
        where r.competition_id = %s and r.entrant_id = u.entrant_id""",
        *(claim_by, now, Int8s.of(won.entrant_ids), Uuids.of(settled.transfer_ids)),
        *(Texts.of([settled.refused.get(number) for number in range(len(won.places))]), competition_id),
    )


async def list_rewards(tx: Tx, competition_id: CompetitionId, limit: int, *, after: int = 0) -> list[Reward]:
    """The prizes in the order of places, behind so many of them: not every place has one."""
    return await db.rows(
        tx,
        Reward,
        """
        select r.entrant_id, r.place, r.rank, r.asset, r.amount, r.status, r.user_id, r.transfer_id, r.claim_by, r.why,
          r.paid_at, r.items
        from competitions.competitions c join competitions.standings s on s.list_id = c.list_id
        join competitions.rewards r on r.competition_id = c.id and r.entrant_id = s.entrant_id
        where c.id = %s order by s.place offset %s limit %s""",
        *(competition_id, after, limit),
    )


async def list_rewards_of(tx: Tx, competition_id: CompetitionId, entrant_ids: Sequence[EntrantId]) -> list[Reward]:
    """The prizes of these entrants."""
    return await db.rows(
        tx,
        Reward,
        """
        select entrant_id, place, rank, asset, amount, status, user_id, transfer_id, claim_by, why, paid_at, items
        from competitions.rewards where competition_id = %s and entrant_id = any(%s)""",
        *(competition_id, list(entrant_ids)),
    )


async def find_reward(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> Reward | None:
    """The prize of an entrant."""
    return await db.find(
        tx,
        Reward,
        """
        select entrant_id, place, rank, asset, amount, status, user_id, transfer_id, claim_by, why, paid_at, items
        from competitions.rewards where competition_id = %s and entrant_id = %s""",
        *(competition_id, entrant_id),
    )


async def is_won_by(tx: Tx, competition_id: CompetitionId, user_ids: Sequence[UserId]) -> bool:
    """Whether one of these users is behind an entrant who holds a prize."""
    return bool(
        await db.value(
            tx,
            """
            select exists (select from competitions.entrants e
              join competitions.rewards r on r.competition_id = %s and r.entrant_id = e.id
              where e.user_id = any(%s))""",
            *(competition_id, list(user_ids)),
        )
    )


async def has_reward(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> bool:
    """Whether an entrant holds a prize."""
    return bool(
        await db.value(
            tx,
            "select exists (select from competitions.rewards where competition_id = %s and entrant_id = %s)",
            *(competition_id, entrant_id),
        )
    )


async def sum_kept(tx: Tx, competition_id: CompetitionId) -> int:
    """What the pool still owes: prizes that wait for their winner or were refused by his wallet."""
    return int(
        await db.value(
            tx,
            """
            select coalesce(sum(amount), 0)::bigint from competitions.rewards
            where competition_id = %s and status in ('unclaimed', 'withheld')""",
            competition_id,
        )
    )


async def delete_allocation(tx: Tx, competition: Competition) -> None:
    """Take back standings and prizes of which nothing has been paid, so that they can be written anew."""
    await db.run(tx, "delete from competitions.rewards where competition_id = %s", competition.id)
    await db.run(tx, "delete from competitions.undistributed where competition_id = %s", competition.id)
    await db.run(tx, "delete from competitions.standings where list_id = %s", competition.list_id)


async def insert_undistributed(tx: Tx, competition_id: CompetitionId, left: Leftover) -> None:
    """What nobody won, and where it will go."""
    await db.run(
        tx,
        """
        insert into competitions.undistributed (competition_id, amount, to_address, reason)
        values (%s, %s, %s, %s)""",
        *(competition_id, left.amount, left.to_address, left.reason),
    )


async def find_undistributed(tx: Tx, competition_id: CompetitionId) -> Leftover | None:
    """What nobody won; None when everything was won."""
    return await db.find(
        tx,
        Leftover,
        "select amount, to_address, reason from competitions.undistributed where competition_id = %s",
        competition_id,
    )


async def update_undistributed(tx: Tx, competition_id: CompetitionId, to_address: str, transfer_id: UUID) -> None:
    """The account to which it went, and the transfer."""
    await db.run(
        tx,
        "update competitions.undistributed set to_address = %s, transfer_id = %s where competition_id = %s",
        *(to_address, transfer_id, competition_id),
    )


async def lock_claimable(tx: Tx, entrant_ids: Sequence[EntrantId], now: datetime) -> list[Waiting]:
    """Prizes that wait for these entrants and can still be claimed, ours until the transaction ends."""
    return await db.rows(
        tx,
        Waiting,
        WAITING
        + """where r.entrant_id = any(%s) and r.status = 'unclaimed' and r.claim_by > %s
        order by r.competition_id, r.entrant_id for update of r""",
        *(list(entrant_ids), now),
    )


async def lock_unclaimed(tx: Tx, now: datetime, limit: int) -> list[Waiting]:
    """Prizes that nobody claimed in time, ours until the transaction ends."""
    return await db.rows(
        tx,
        Waiting,
        WAITING
        + """where r.status = 'unclaimed' and r.claim_by <= %s
        order by r.competition_id, r.entrant_id limit %s for update of r""",
        *(now, limit),
    )


async def update_claimed(tx: Tx, claimed: Sequence[Claimed], now: datetime) -> None:
    """Prizes that found their winner: paid, or withheld where his wallet refused."""
    await db.run(
        tx,
        """
        update competitions.rewards r set user_id = u.user_id, transfer_id = u.transfer_id,
          status = case when u.transfer_id is null and r.amount > 0 then 'withheld' else 'paid' end,
          paid_at = case when u.transfer_id is not null or r.amount = 0 then %s::timestamptz end, claim_by = null,
          why = case when u.refusal is null then r.why else r.why || jsonb_build_object('refused', u.refusal) end
        from unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::uuid[], %s::text[])
          u(competition_id, entrant_id, user_id, transfer_id, refusal)
        where r.competition_id = u.competition_id and r.entrant_id = u.entrant_id""",
        *(now, [found.waiting.competition_id for found in claimed], [found.waiting.entrant_id for found in claimed]),
        *([found.user_id for found in claimed], [found.transfer_id for found in claimed]),
        [found.refusal for found in claimed],
    )


async def list_withheld(tx: Tx, competition_id: CompetitionId | None, part: Part[WithheldKey]) -> list[Withheld]:
    """A part of the prizes that wallets did not take, of one competition or of all, the newest competition first."""
    values = (competition_id, competition_id, *chain(*part.between(*WITHHELD_ENDS)), part.limit)
    if part.is_back:
        ascending = WITHHELD + "order by r.competition_id, r.entrant_id limit %s"
        return (await db.rows(tx, Withheld, ascending, *values))[::-1]
    descending = WITHHELD + "order by r.competition_id desc, r.entrant_id desc limit %s"
    return await db.rows(tx, Withheld, descending, *values)


async def count_withheld(tx: Tx) -> tuple[int, datetime | None]:
    """How many prizes wallets did not take in all competitions, and since when the oldest is won."""
    cursor = await tx.execute("""
        select count(*), min(l.final_at) from competitions.rewards r
        join competitions.competitions c on c.id = r.competition_id
        join competitions.lists l on l.id = c.list_id where r.status = 'withheld'""")
    (found,) = await cursor.fetchall()
    return found


async def update_withheld_paid(
    tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, transfer_id: UUID, now: datetime
) -> None:
    """A wallet has taken its prize after all."""
    await db.run(
        tx,
        """
        update competitions.rewards set status = 'paid', transfer_id = %s, paid_at = %s
        where competition_id = %s and entrant_id = %s""",
        *(transfer_id, now, competition_id, entrant_id),
    )


async def update_withheld_void(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, reason: str) -> None:
    """A prize has gone back, for a reason that its winner reads."""
    await db.run(
        tx,
        """
        update competitions.rewards set status = 'void', why = why || jsonb_build_object('forfeited', %s::text)
        where competition_id = %s and entrant_id = %s""",
        *(reason, competition_id, entrant_id),
    )


async def update_expired(tx: Tx, expired: Sequence[Waiting]) -> None:
    """Prizes that went back."""
    await db.run(
        tx,
        """
        update competitions.rewards r set status = 'expired'
        from unnest(%s::uuid[], %s::bigint[]) u(competition_id, entrant_id)
        where r.competition_id = u.competition_id and r.entrant_id = u.entrant_id""",
        *([found.competition_id for found in expired], [found.entrant_id for found in expired]),
    )
