"""How far the partitions of each listed table reach, and whether rows fell beside them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding, Severity, Symptom

HORIZON_MIN = {"hour": timedelta(hours=24), "day": timedelta(days=2), "month": timedelta(days=30)}
BOUND_END = re.compile(r"\bTO \('([^']+)'\)")

NONE = Symptom(
    "partitions.none",
    "warning",
    "Nobody has prepared a partition of {parents} yet.",
    "Everything falls into the default partition until a worker has started once.",
    "Start one: palio up, or palio worker.",
)
MISPLACED = Symptom(
    "partitions.default_rows",
    "warning",
    "Rows lie in default partitions: {counts}.",
    "They are found by every query of their table, whatever period it asks for.",
    "palio jobs run infra.partitions makes the missing partitions and moves them.",
)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a listed parent; the default one has no end."""

    parent: str
    period: str
    bound: str
    child: str
    is_default: bool
    expression: str
    live: int


async def partitions_reach_ahead(tx: Tx, now: datetime) -> list[Finding]:
    """The tables whose partitions end soon or never began, and the rows that fell into default ones."""
    parts = await db.rows(
        tx,
        Partition,
        """
        select p.parent, p.period, p.bound, i.inhrelid::regclass::text as child,
               pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' as is_default,
               pg_get_expr(c.relpartbound, c.oid) as expression, pg_stat_get_live_tuples(c.oid) as live
        from infra.partition_parents p join pg_inherits i on i.inhparent = to_regclass(p.parent)
        join pg_class c on c.oid = i.inhrelid order by 1, 4""",
    )
    parents = {part.parent: part for part in parts}
    ends = {part.parent: end_of(part) for part in sorted(parts, key=end_of) if not part.is_default}  # the last stays
    bare = sorted(parents.keys() - ends.keys())
    misplaced = [f"{part.child} (about {part.live})" for part in parts if part.is_default and part.live > 0]
    return [
        *(
            _short(parent, end, "error" if end <= now else "warning")
            for parent, end in sorted(ends.items())
            if end < now + HORIZON_MIN[parents[parent].period]
        ),
        *([NONE.found(parents=", ".join(bare))] if bare else []),
        *([MISPLACED.found(counts=", ".join(misplaced))] if misplaced else []),
    ]


def end_of(part: Partition) -> datetime:
    """Where a range partition ends; ids carry their milliseconds in the first 48 bits."""
    written = BOUND_END.search(part.expression)
    if written is None:
        return datetime.max.replace(tzinfo=UTC)
    if part.bound == "uuid7":
        return datetime.fromtimestamp((UUID(written[1]).int >> 80) / 1000, UTC)
    end = datetime.fromisoformat(written[1])
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _short(parent: str, end: datetime, severity: Severity) -> Finding:
    return Finding(
        "partitions.missing",
        severity,
        f"The partitions of {parent} reach to {end:%Y-%m-%d %H:%M} UTC.",
        "Rows beyond fall into the default partition, which slows every query of the table.",
        "Have a worker running: its job infra.partitions prepares them; or palio jobs run infra.partitions.",
    )
