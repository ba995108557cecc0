"""May one person correct this alone? What staff adjust is summed, so that splitting does not help."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules.requests import is_amount
from palio.ledger.types import (
    ADJUSTMENT_LINES_MAX,
    ADJUSTMENT_REASON_MAX,
    ADJUSTMENT_REASON_MIN,
    DESCRIPTION_CHARS_MAX,
    TICKET_CHARS_MAX,
    Adjustment,
    AdjustmentLine,
    Leg,
    Outcome,
    Post,
    Posted,
)

KIND, HOUSE = "ledger.adjustment", "house:adjustments"
SUMMED_OVER = timedelta(hours=24)
SUMMARY_MAX = 200

Of: TypeAlias = tuple[UserId, str]  # an owner and the code of an asset


def checked_reason(reason: str) -> str:
    """A reason without the space around it. Refuses with AdjustmentReasonMissing."""
    reason = reason.strip()
    if not ADJUSTMENT_REASON_MIN <= len(reason) <= ADJUSTMENT_REASON_MAX or "\0" in reason:
        raise errors.AdjustmentReasonMissing
    return reason


def require_sound(lines: Sequence[AdjustmentLine], ticket: str, *, assets: Collection[str]) -> None:
    """Accept lines that could be posted at all. Refuses with InvalidPost, naming the first field that is wrong."""
    if not 1 <= len(lines) <= ADJUSTMENT_LINES_MAX:
        raise errors.InvalidPost(field="lines")
    for place, line in enumerate(lines):
        if line.asset not in assets:
            raise errors.InvalidPost(field=f"lines[{place}].asset")
        if not is_amount(line.amount):
            raise errors.InvalidPost(field=f"lines[{place}].amount")
    if len(ticket) > TICKET_CHARS_MAX or "\0" in ticket:
        raise errors.InvalidPost(field="ticket")


def require_not_self(lines: Sequence[AdjustmentLine], maker: UserId) -> None:
    """Accept a maker who is not among those whose wallets he corrects. Refuses with SelfAdjustment."""
    if any(line.owner_id == maker for line in lines):
        raise errors.SelfAdjustment


def totals(lines: Sequence[AdjustmentLine]) -> dict[str, int]:
    """How much the lines move, by asset, whichever way."""
    found: Counter[str] = Counter()
    for line in lines:
        found[line.asset] += abs(line.amount)
    return dict(found)


def needs_second(lines: Sequence[AdjustmentLine], *, done: Mapping[Of, int], limits: Mapping[str, int]) -> bool:
    """Whether it takes a second person: with what its maker has `done` for one of the players, it is over the limit.

    An asset without a limit always does.
    """
    moved = totals(lines)
    return any(
        line.asset not in limits or moved[line.asset] + done.get((line.owner_id, line.asset), 0) > limits[line.asset]
        for line in lines
    )


def require_room(lines: Sequence[AdjustmentLine], *, used: Mapping[str, int], limits: Mapping[str, int]) -> None:
    """Accept what its maker may still post today, whoever agrees. Refuses with MakerLimit."""
    for asset, moved in sorted(totals(lines).items()):
        limit, before = limits[asset], used.get(asset, 0)
        if before + moved > limit:
            raise errors.MakerLimit(asset=asset, limit=limit, used=before, needed=moved)


def day_of(now: datetime) -> datetime:
    """When the day (UTC) of an instant began."""
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)


def posts(
    adjustment_id: UUID,
    lines: Sequence[AdjustmentLine],
    *,
    reason: str,
    ticket: str,
    maker: UserId,
    to_debt: bool,
    people: int,
) -> list[Post]:
    """One transfer a line. Its owner reads the reason, and how many people agreed, never who they are."""
    return [
        Post(
            f"adj:{adjustment_id}:{n}",
            KIND,
            legs_of(line),
            description=reason[:DESCRIPTION_CHARS_MAX],
            metadata={
                "adjustment": str(adjustment_id),
                "maker": str(maker),
                "people": people,
                **({"ticket": ticket} if ticket else {}),
            },
            to_debt=to_debt and line.amount < 0,
        )
        for n, line in enumerate(lines, 1)
    ]


def legs_of(line: AdjustmentLine) -> tuple[Leg, Leg]:
    """From the house into the wallet, or back."""
    wallet = f"user:{line.owner_id}:main"
    return (wallet, line.asset, line.amount), (HOUSE, line.asset, -line.amount)


def status_of(outcomes: Sequence[Outcome]) -> Literal["posted", "failed"]:
    """What became of an adjustment that was carried out: it failed when not one of its lines could be posted."""
    return "posted" if any(isinstance(outcome, Posted) for outcome in outcomes) else "failed"


def amount_text(amount: int, scale: int) -> str:
    """An amount with its sign, as people write it."""
    return format(Decimal(amount).scaleb(-scale), "+f")


def summary_of(adjustment: Adjustment) -> str:
    """What deciders read first."""
    if adjustment.line_count == 1 and adjustment.lines:
        [line] = adjustment.lines
        return f"Correct a wallet by {amount_text(line.amount, line.scale)} {line.asset}: {adjustment.reason}"[
            :SUMMARY_MAX
        ]
    return f"Correct {adjustment.line_count} balances: {adjustment.reason}"[:SUMMARY_MAX]
