"""What was put into pools, and what left them again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.sql.columns import uuids
from palio.competitions.types import CompetitionId, Fees, Kept, SumOfSource, TakenBack
from palio.infra import db
from palio.infra.arrays import Int8s, Texts
from palio.infra.db import Tx
from palio.kernel.ids import UserId

KEPT = """
    select id, competition_id, source, asset, amount, treasury_bps, taken_back, payer_id, from_address, ref, key,
      transfer_id
    from competitions.contributions """


async def insert_contributions(tx: Tx, kept: Sequence[Kept], now: datetime) -> None:
    """Contributions whose transfers have just been made, in one statement."""
    await db.run(
        tx,
        """
        insert into competitions.contributions (id, competition_id, source, asset, amount, to_pool, to_treasury,
          treasury_bps, payer_id, from_address, ref, key, transfer_id, at)
        select u.id, u.competition_id, u.source, u.asset, u.amount, u.amount - u.to_treasury, u.to_treasury,
          u.treasury_bps, u.payer_id, u.from_address, u.ref, u.key, u.transfer_id, %s
        from (select v.*, div(v.amount::numeric * v.treasury_bps, 10000)::bigint as to_treasury
          from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::uuid[],
            %s::text[], %s::text[], %s::text[], %s::uuid[])
            v(id, competition_id, source, asset, amount, treasury_bps, payer_id, from_address, ref, key,
              transfer_id)) u""",
        *(now, uuids([each.id for each in kept]), uuids([each.competition_id for each in kept])),
        *(Texts.of([each.source for each in kept]), Texts.of([each.asset for each in kept])),
        *(Int8s.of([each.amount for each in kept]), Int8s.of([each.treasury_bps for each in kept])),
        *(uuids([each.payer_id for each in kept]), Texts.of([each.from_address for each in kept])),
        *(Texts.of([each.ref for each in kept]), Texts.of([each.key for each in kept])),
        uuids([each.transfer_id for each in kept]),
    )


async def list_contributions(tx: Tx, keys: Sequence[str]) -> list[Kept]:
    """The contributions of these keys, as many as there are."""
    return await db.rows(tx, Kept, KEPT + "where key = any(%s)", list(keys))


async def lock_contributions(tx: Tx, keys: Sequence[str]) -> list[Kept]:
    """The same, ours until the transaction ends, in key order."""
    return await db.rows(tx, Kept, KEPT + "where key = any(%s) order by id for update", list(keys))


async def lock_left(tx: Tx, competition_id: CompetitionId, limit: int) -> list[Kept]:
    """Contributions of which something is still in the pool, in the order of their ids."""
    return await db.rows(
        tx,
        Kept,
        KEPT + "where competition_id = %s and taken_back < amount order by id limit %s for update",
        *(competition_id, limit),
    )


async def list_owing(tx: Tx, limit: int) -> list[CompetitionId]:
    """Cancelled competitions whose pools still hold what somebody put in."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select c.id from competitions.competitions c
        where c.status = 'cancelled' and exists (
          select from competitions.contributions k where k.competition_id = c.id and k.taken_back < k.amount)
        order by c.id limit %s""",
        limit,
    )
    return found


async def update_taken_back(tx: Tx, taken: Sequence[tuple[UUID, int]]) -> None:
    """So much more of these contributions has left."""
    ids, amounts = zip(*taken, strict=True)
    await db.run(
        tx,
        """
        update competitions.contributions c set taken_back = c.taken_back + u.amount
        from unnest(%s::uuid[], %s::bigint[]) u(id, amount) where c.id = u.id""",
        *(list(ids), list(amounts)),
    )


async def list_take_backs(tx: Tx, keys: Sequence[str]) -> list[TakenBack]:
    """What has left by these keys."""
    return await db.rows(
        tx,
        TakenBack,
        """
        select contribution_id, amount, from_pool, from_treasury, to_address, transfer_id, key
        from competitions.take_backs where key = any(%s)""",
        list(keys),
    )


async def insert_take_backs(tx: Tx, taken: Sequence[tuple[TakenBack, UserId | None]], now: datetime) -> None:
    """What has just left, each with the payer of its contribution, in one statement."""
    parts = [part for part, _ in taken]
    await db.run(
        tx,
        """
        insert into competitions.take_backs (key, contribution_id, amount, from_pool, from_treasury, to_address,
          payer_id, transfer_id, at)
        select u.key, u.contribution_id, u.from_pool + u.from_treasury, u.from_pool, u.from_treasury, u.to_address,
          u.payer_id, u.transfer_id, %s
        from unnest(%s::text[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::uuid[], %s::uuid[])
          u(key, contribution_id, from_pool, from_treasury, to_address, payer_id, transfer_id)""",
        *(now, [part.key for part in parts], [part.contribution_id for part in parts]),
        *([part.from_pool for part in parts], [part.from_treasury for part in parts]),
        *([part.to_address for part in parts], [payer for _, payer in taken], [part.transfer_id for part in parts]),
    )


async def list_pool_sums(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[SumOfSource]:
    """What pools have from each source, whoever asks."""
    return await db.rows(
        tx,
        SumOfSource,
        """
        select competition_id, source, contributions::int as contributions, to_pool, to_treasury
        from competitions.pool_sums(%s::uuid[])""",
        list(competition_ids),
    )


async def count_fees_many(
    tx: Tx, competition_ids: Sequence[CompetitionId], payer_id: UserId
) -> dict[CompetitionId, int]:
    """How often a user has paid to take part in each of these."""
    found = await db.rows(
        tx,
        Fees,
        """
        select u.id as competition_id, count(c.id)::int as paid
        from unnest(%s::uuid[]) u(id) left join competitions.contributions c
          on c.competition_id = u.id and c.payer_id = %s and c.source = 'entry_fee'
        group by u.id""",
        *(list(competition_ids), payer_id),
    )
    return {each.competition_id: each.paid for each in found}
