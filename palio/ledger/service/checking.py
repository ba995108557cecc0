"""Use cases that check: does every asset, wallet and key add up? Findings are data; nothing is ever repaired."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.ledger import errors
from palio.ledger.messages import LedgerMismatch
from palio.ledger.sql import checking as sql
from palio.ledger.sql import lots
from palio.ledger.sql import reconciling as sums
from palio.ledger.types import (
    FINDINGS_DEFAULT,
    FINDINGS_MAX,
    FINDINGS_OF_A_CHECK_MAX,
    RESOLUTION_CHARS_MAX,
    RESOLUTION_CHARS_MIN,
    Finding,
    FindingId,
    KeptFinding,
    Report,
    Round,
    Scope,
)

Check = Callable[[Tx, int], Awaitable[list[Finding]]]
Reconciled = Callable[[Tx, int | None, int], Awaitable[list[Finding]]]  # of what a transaction and later ones touched
RECONCILED: Sequence[Reconciled] = (
    sums.list_wrong_balances,
    sums.list_wrong_holds,
    sums.list_wrong_totals,
    sums.list_wrong_rollups,
    sums.list_wrong_days,
    sums.list_overdrawn_pools,
    sums.list_unpaired_keys,
    lots.list_wrong_lots,
)
TOUCHED, EVERYTHING = "reconcile", "reconcile_all"  # the names under which it is written down how far they came
CLEARING_IDLE_MAX = timedelta(days=7)
VERIFIED: Sequence[Check] = (
    sql.list_unbalanced,
    sql.list_misfits,
    sql.list_broken_chains,
    sql.list_odd_accounts,
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
    findings = [finding for check in VERIFIED for finding in await check(tx, FINDINGS_OF_A_CHECK_MAX)]
    findings += await _reconciled(tx, None)
    return Report(sizes.accounts, sizes.transfers, sizes.entries, findings)


async def reconcile(tx: Tx, *, now: datetime, scope: Scope = "all") -> Report:
    """Check R1 to R8 of CHECKS; keep what is found, and freeze the accounts it is about. Nothing is ever repaired.

    `touched` are the accounts, days and transfers of transactions since the last run that found nothing: what a
    change of an account left that nobody has used since, the next run over all finds. A finding that is still open is
    not reported again; LedgerMismatch is sent for each new one.
    """
    through = await sums.find_horizon(tx)
    rounds = {each.job: each for each in await sums.list_rounds(tx)}
    since = None
    if scope == "touched":
        since = rounds[TOUCHED].through_tx if TOUCHED in rounds else 0
    sizes = await sql.get_sizes(tx, since)
    findings = [
        *await _reconciled(tx, since),
        *await sums.list_stuck_clearings(tx, now - CLEARING_IDLE_MAX, FINDINGS_OF_A_CHECK_MAX),
    ]
    for job in (TOUCHED,) if scope == "touched" else (TOUCHED, EVERYTHING):
        await sums.close_round(tx, job, through, len(findings), now)
    if findings:
        await _keep(tx, findings, now)
    return Report(sizes.accounts, sizes.transfers, sizes.entries, findings)


async def reconciliation(tx: Tx) -> list[Round]:
    """How far sums and reconciliations have come, and when these last found nothing, by the name of the job."""
    return await sums.list_rounds(tx)


async def findings(
    tx: Tx,
    *,
    open_only: bool = True,
    before: FindingId | None = None,
    after: FindingId | None = None,
    limit: int = FINDINGS_DEFAULT,
) -> list[KeptFinding]:
    """What reconciliations have found, the newest first: those older than `before`, or the nearest newer than `after`.

    At most 10,001.
    """
    size = min(max(limit, 1), FINDINGS_MAX)
    return await sums.list_findings(tx, open_only=open_only, before=before, after=after, limit=size)


async def open_findings(tx: Tx) -> int:
    """How many findings nobody has resolved."""
    return await sums.count_open(tx)


async def resolve_finding(
    tx: Tx, *, finding_id: FindingId, resolution: str, now: datetime, by: str = "", via: audit.Via | None = None
) -> KeptFinding:
    """Close a finding: what it was, and what was done. The account that it froze stays frozen until staff release it.

    It is found again, as a new one, if nothing was done. The audit row holds the resolution, `by` whom where the actor
    does not say so, and `via` what. Refuses with NoSuchFinding, FindingResolved, ResolutionInvalid.
    """
    said = resolution.strip()
    if not RESOLUTION_CHARS_MIN <= len(said) <= RESOLUTION_CHARS_MAX:
        raise errors.ResolutionInvalid(low=RESOLUTION_CHARS_MIN, high=RESOLUTION_CHARS_MAX)
    is_closed = await sums.resolve(tx, finding_id, said, now)
    found = await sums.find_finding(tx, finding_id)
    if found is None:
        raise errors.NoSuchFinding(finding=str(finding_id))
    if not is_closed:
        raise errors.FindingResolved(resolved_at=found.resolved_at)
    await audit.record(
        tx,
        actor=tx.actor,
        action="finding.resolve",
        entity_type="ledger.finding",
        entity_id=str(finding_id),
        changes={"resolved_at": (None, now), "resolution": (None, said)},
        reason=f"{said} ({by})" if by else said,
        via=via,
    )
    return found


async def _reconciled(tx: Tx, since: int | None) -> list[Finding]:
    return [finding for check in RECONCILED for finding in await check(tx, since, FINDINGS_OF_A_CHECK_MAX)]


async def _keep(tx: Tx, findings: Sequence[Finding], now: datetime) -> None:
    for fresh in await sums.report(tx, [new_id() for _ in findings], findings, now):
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
