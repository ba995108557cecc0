"""How a copy of somebody's data is put together: where its parts lie, and the page that explains them."""

from collections.abc import Sequence
from datetime import datetime

from palio.identity.types import PrivacyRequest, PrivacyStep

README = """This is all that {site} knows of you, as of {at:%Y-%m-%d %H:%M} UTC.

Each file holds what one part of the house knows, one thing a line, as JSON: "of" says what. Times are UTC.
Amounts are integers of the smallest unit of their asset. Secrets, such as your password, are kept as hashes that nobody
reads, and are not in here. What the house keeps for ever, like the entries of its ledger, it keeps under your id.

{lines}
"""


def part_key(request: PrivacyRequest, section: str) -> str:
    """Where a part of a copy lies until all are there."""
    return f"privacy/{request.id.hex}/{section}.part"


def explained(steps: Sequence[PrivacyStep], *, site: str, at: datetime) -> str:
    """The page that goes with the parts."""
    lines = "\n".join(f"{step.section}.jsonl: {step.rows or 0}" for step in steps)
    return README.format(site=site, at=at, lines=lines)
