"""Statements about what stands beside the lines of a wallet: what was taken back of them, and which are hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.types import CapturedHold, Counterpart, HoldId, Kind, TransferId


async def list_kinds(tx: Tx) -> list[Kind]:
    """Every kind of transfer: some dozens."""
    return await db.rows(tx, Kind, "select code, category, label from ledger.kinds order by code")


@dataclass(frozen=True, slots=True)
class TakenBack:
    transfer_id: TransferId
    amount: int


async def list_taken_back(
    tx: Tx, owner: UserId, asset: str, transfer_ids: Sequence[TransferId], since: datetime
) -> list[TakenBack]:
    """How much of transfers was taken back from what an owner has and owes; those of which nothing was are absent.

    `since` is no later than the oldest of them. A debt account counts where the original did not touch it: there it
    stands in for the wallet.
    """
    return await db.rows(
        tx,
        TakenBack,
        """select transfer_id, amount
        from ledger.taken_back(%s::uuid, %s::text, %s::uuid[], %s::timestamptz)""",
        *(owner, asset, list(transfer_ids), since),
    )


async def list_reversals(tx: Tx, owner: UserId, asset: str, transfer_id: TransferId) -> list[Counterpart]:
    """The transfers that took one back, in their order, each with what it moved of an owner; as `list_taken_back`."""
    return await db.rows(
        tx,
        Counterpart,
        """
        select t.id as transfer_id, t.posted_at, max(e.seq) filter (where a.address like '%%:main') as seq,
          abs(sum(e.amount))::bigint as amount
        from ledger.transfers t
        join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at and e.seq is not null
        join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
        where t.reverses_id = %s::uuid and a.owner_id = %s::uuid and s.code = %s
          and (a.address like '%%:main' or not exists (
            select from ledger.entries o where o.transfer_id = t.reverses_id and o.account_id = e.account_id))
        group by t.id, t.posted_at order by t.posted_at, t.id limit 100""",
        *(transfer_id, owner, asset),
    )


async def find_counterpart(tx: Tx, owner: UserId, asset: str, transfer_id: TransferId) -> Counterpart | None:
    """What a transfer moved in a main wallet."""
    return await db.find(
        tx,
        Counterpart,
        """
        select e.transfer_id, e.posted_at, e.seq, abs(e.amount) as amount
        from ledger.entries e
        join ledger.accounts a on a.id = e.account_id join ledger.assets s on s.id = a.asset_id
        where e.transfer_id = %s::uuid and e.seq is not null
          and a.address = 'user:' || %s::uuid || ':main' and s.code = %s""",
        *(transfer_id, owner, asset),
    )


async def find_capture(tx: Tx, hold_id: HoldId, seq: int) -> CapturedHold | None:
    """The hold that a line was paid from: what of it was held after that line, and came back if it was the last one."""
    return await db.find(
        tx,
        CapturedHold,
        """
        select h.id, h.subject, k.label, h.amount, h.amount + c.before as remained,
          case when h.state = 'captured' and c.later = 0 then h.released else 0 end as released
        from ledger.holds h join ledger.kinds k on k.code = h.kind
        cross join lateral (
          select coalesce(sum(e.amount) filter (where e.seq <= %s::bigint), 0)::bigint as before,
            count(*) filter (where e.seq > %s::bigint) as later
          from ledger.transfers t
          join ledger.entries e on e.transfer_id = t.id and e.posted_at = t.posted_at and e.account_id = h.account_id
          where t.hold_id = h.id) c
        where h.id = %s::uuid""",
        *(seq, seq, hold_id),
    )


async def hide(tx: Tx, owner: UserId, asset: str, seqs: Sequence[int], reason: str, now: datetime) -> int:
    """Leave lines out of the list of a wallet; how many were in it."""
    return int(
        await db.value(
            tx,
            "select ledger.hide(%s::uuid, %s::text, %s::bigint[], %s::text, %s::timestamptz)",
            *(owner, asset, list(seqs), reason, now),
        )
    )


async def unhide(tx: Tx, owner: UserId, asset: str, seqs: Sequence[int]) -> int:
    """Put lines into the list of a wallet again; how many were not in it."""
    return int(await db.value(tx, "select ledger.unhide(%s::uuid, %s::text, %s::bigint[])", owner, asset, list(seqs)))
