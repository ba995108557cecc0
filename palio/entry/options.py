"""Options that mean the same in every command."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?")
SPAN = re.compile(r"(\d{1,9})(s|m|h|d)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
YEAR_LAST = 9998  # the month and the review that begin then must end at times that exist

FILE_BYTES_MAX = (512 << 20) + 1  # a byte more than any feed may send: a device may have no end


class Misuse(typer.BadParameter):
    """An option or argument that cannot be taken as it is written; `code` says why to a program."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code


def instant(text: str) -> datetime:
    """An instant as RFC 3339 writes it, in UTC: nobody has to guess whose noon is meant."""
    written = INSTANT.fullmatch(text.strip())
    if written and not written["offset"]:
        raise Misuse("time_zone_required", f"{text} needs its offset: {text}Z, or {text}+01:00")
    try:
        found = datetime.fromisoformat(text.strip().upper()).astimezone(UTC) if written else _refuse(text)
    except (ValueError, OverflowError):
        return _refuse(text)
    return found if found.year <= YEAR_LAST else _refuse(text)


def _refuse(text: str) -> datetime:
    raise Misuse("time_invalid", f"{text!r} is no time: write it like 2026-03-20T12:00:00Z")


def span(text: str) -> timedelta:
    """A length of time as people write it: 30s, 15m, 6h, 7d."""
    found = SPAN.fullmatch(text.strip())
    if not found:
        raise Misuse("span_invalid", f"{text!r} is no length of time: write it like 30s, 15m, 6h or 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def content(path: Path) -> bytes:
    """The bytes of a file that an operator named, or as many as anybody could use."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as failure:
        raise Misuse("file_unreadable", f"{path} cannot be read: {failure.strerror or failure}") from None


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, refusals too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")]

At = Annotated[
    datetime | None, typer.Option(parser=instant, metavar="TIME", help="The instant, like 2026-03-20T12:00:00Z.")
]
Since = Annotated[datetime | None, typer.Option(parser=instant, metavar="TIME", help="From this instant on.")]
Until = Annotated[datetime | None, typer.Option(parser=instant, metavar="TIME", help="Before this instant.")]
