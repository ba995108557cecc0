"""What was said to simulators and what they answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

EXCHANGES_MAX = 100_000
BODY_BYTES_MAX = 2_000
ANSWER_BYTES_MAX = 400
MASKED = ("authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What somebody asked of a simulator and heard; credentials are masked, `is_known` says whether they were right.

    `sim` is empty when nobody lives at that address. Body and answer are cut.
    """

    number: int
    at: datetime
    sim: str
    method: str
    path: str
    headers: dict[str, str]
    is_known: bool
    status: int
    body: str
    answer: str
    fault: str | None


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without their secrets."""
    return {name: "•" if name in MASKED else value for name, value in headers.items()}


def beginning(content: bytes, bytes_max: int) -> str:
    """The first part of a body, as text."""
    return content[:bytes_max].decode(errors="replace")
