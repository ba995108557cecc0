"""Use cases that check: does every asset, wallet and key add up? Findings are data; nothing is ever repaired."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ledger.messages import LedgerMismatch
from palio.ledger.sql import checking as sql
from palio.ledger.sql import lots
from palio.ledger.types import FINDINGS_OF_A_CHECK_MAX, Finding, Report

Check = Callable[[Tx, int], Awaitable[list[Finding]]]
RECONCILED: Sequence[Check] = (
    sql.list_wrong_balances,
    sql.list_wrong_holds,
    sql.list_wrong_totals,
    sql.list_unpaired_keys,
    lots.list_wrong_lots,
)
CLEARING_IDLE_MAX = timedelta(days=7)
VERIFIED: Sequence[Check] = (
    sql.list_unbalanced,
    sql.list_misfits,
    sql.list_broken_chains,
    sql.list_odd_accounts,
    *RECONCILED,
)


async def total(tx: Tx) -> int:
    """The sum of all entries of all assets: 0, or something is badly wrong."""
    return await sql.find_total(tx)


async def verify(tx: Tx) -> Report:
    """Check every row against every other, and change nothing. What broke first comes first.

    Transfers balance (G1) and fit their legs (G3), accounts continue from entry to entry (G2) and are what their number
    says (A1), then what `reconcile` checks. At most 100 findings of each.
    """
    sizes = await sql.get_sizes(tx)
    return Report(sizes.accounts, sizes.transfers, sizes.entries, await _findings(tx, VERIFIED))


async def reconcile(tx: Tx, *, now: datetime) -> Report:
    """Check R1 to R3 and R5 to R7 of CHECKS; keep what is found, and freeze the accounts it is about.

    A finding that is still open is not reported again; LedgerMismatch is sent for each new one.
    """
    sizes = await sql.get_sizes(tx)
    findings = [
        *await _findings(tx, (*RECONCILED, sql.list_overdrawn_pools)),
        *await sql.list_stuck_clearings(tx, now - CLEARING_IDLE_MAX, FINDINGS_OF_A_CHECK_MAX),
    ]
    report = Report(sizes.accounts, sizes.transfers, sizes.entries, findings)
    if not report.is_sound:
        await _keep(tx, report.findings, now)
    return report


async def _findings(tx: Tx, checks: Sequence[Check]) -> list[Finding]:
    return [finding for check in checks for finding in await check(tx, FINDINGS_OF_A_CHECK_MAX)]


async def _keep(tx: Tx, findings: Sequence[Finding], now: datetime) -> None:
    for fresh in await sql.report(tx, [new_id() for _ in findings], findings, now):
        await outbox.send(tx, LedgerMismatch(fresh.finding))
        if fresh.account is not None:
            await audit.record(
                tx,
                actor=tx.actor,
                action="account.freeze",
                entity_type="ledger.account",
                entity_id=str(fresh.account),
                changes={"status": (fresh.was, "frozen")},
                reason=f"finding {fresh.finding}",
            )
