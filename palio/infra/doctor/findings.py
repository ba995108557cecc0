"""A finding: what is wrong, why it matters, and what to do about it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from palio.infra.db import Tx

Severity: TypeAlias = Literal["error", "warning", "note"]
Fix: TypeAlias = Callable[[Tx], Awaitable[None]]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # worst first
EXIT_STATUS: dict[Severity, int] = {"error": 2, "warning": 1, "note": 0}


@dataclass(frozen=True, slots=True)
class Finding:
    """`id` names the check for ever; `fix`, where there is one, cannot do harm and may run twice."""

    id: str
    severity: Severity
    what: str
    why: str
    remedy: str
    fix: Fix | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Symptom:
    """A finding that may be made: `what` and `remedy` name in braces the facts that a check fills in."""

    id: str
    severity: Severity
    what: str
    why: str
    remedy: str
    fix: Fix | None = None

    def found(self, **facts: object) -> Finding:
        """The finding with these facts."""
        return Finding(
            self.id, self.severity, self.what.format(**facts), self.why, self.remedy.format(**facts), self.fix
        )


def exit_status(findings: Sequence[Finding]) -> int:
    """0 healthy, 1 with warnings, 2 with errors."""
    return max((EXIT_STATUS[finding.severity] for finding in findings), default=0)
