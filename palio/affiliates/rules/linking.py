"""Decisions about links: codes, who may decide, what a request allows, and how a list of links is read."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from palio.affiliates.errors import BadLinkList, NoteMissing, OwnRequest
from palio.affiliates.types import LinkRequest
from palio.kernel.ids import Actor, UserId

Closing: TypeAlias = Literal["approved", "rejected", "cancelled", "superseded", "expired"]
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing in it is taken for something else
REF_CHARACTERS: Final = 6
CODE_CHARACTERS: Final = 8
CODE_SEEN_WITHIN: Final = timedelta(hours=24)
PICTURES_MAX: Final = 5
LEASE: Final = timedelta(minutes=30)
NOTE_MIN, NOTE_MAX = 3, 500
REQUESTS_MAX: Final = ((3, timedelta(minutes=15)), (10, timedelta(days=1)))
IMPORT_LINES_MAX: Final = 1_000
COLUMNS: Final = ("uid", "user")


def ref_of(chance: bytes) -> str:
    """What people call a request, out of random bytes."""
    return f"V-{_spelt(chance[:REF_CHARACTERS])}"


def proof_code_of(chance: bytes) -> str:
    """What a player puts into his name at the programme, so that the next list shows that the account is his."""
    return f"PL{_spelt(chance[:CODE_CHARACTERS])}"


def _spelt(chance: bytes) -> str:
    return "".join(CROCKFORD[byte % len(CROCKFORD)] for byte in chance)


def retry_after_s(asked_at: Sequence[datetime], now: datetime) -> int | None:
    """How long somebody waits before the next request; None if he need not. `asked_at` are those of the last day."""
    waits = [
        (sorted(recent)[-count] + window - now).total_seconds()
        for count, window in REQUESTS_MAX
        if len(recent := [at for at in asked_at if at > now - window]) >= count
    ]
    return max(1, round(max(waits))) if waits else None


def checked_note(note: str) -> str:
    """A note that a user will read, without the space around it. Refuses with NoteMissing."""
    note = note.strip()
    if not NOTE_MIN <= len(note) <= NOTE_MAX:
        raise NoteMissing
    return note


def require_other(actor: Actor, *users: UserId | None) -> None:
    """Accept an actor who decides for others. Refuses with OwnRequest whoever would decide about himself."""
    if actor.user_id is not None and actor.user_id in users:
        raise OwnRequest


def closed(request: LinkRequest, state: Closing, *, by: UserId | None, note: str, now: datetime) -> LinkRequest:
    """The request as it ends."""
    return replace(
        request,
        state=state,
        player_note=note or request.player_note,
        taken_by=None,
        taken_until=None,
        decided_by=by,
        decided_at=now,
        updated_at=now,
    )


def is_taken_by_other(request: LinkRequest, actor: Actor, now: datetime) -> bool:
    """Does somebody else look at it just now?"""
    return (
        request.state == "under_review"
        and request.taken_by != actor.user_id
        and request.taken_until is not None
        and now < request.taken_until
    )


def read_links(text: str) -> list[tuple[int, str, str]]:
    """The lines of a list with the columns `uid` and `user` as `(line, uid, user)`. Refuses with BadLinkList."""
    reader = csv.reader((f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), strict=True)
    found, head = list[tuple[int, str, str]](), None
    try:
        for fields in reader:
            cells = [cell.strip() for cell in fields]
            if not any(cells):
                continue
            if head is None:
                head = _head(cells, reader.line_num)
                continue
            if len(cells) != len(head):
                raise BadLinkList(line=reader.line_num, problem=f"{len(cells)} fields instead of {len(head)}")
            uid, user = (cells[head.index(name)] for name in COLUMNS)
            if not uid or not user:
                raise BadLinkList(line=reader.line_num, problem="uid or user is empty")
            found.append((reader.line_num, uid, user))
            if len(found) > IMPORT_LINES_MAX:
                raise BadLinkList(line=reader.line_num, problem=f"more than {IMPORT_LINES_MAX} links")
    except csv.Error as error:
        raise BadLinkList(line=reader.line_num, problem=str(error)) from None
    if head is None:
        raise BadLinkList(line=1, problem="it is empty")
    return found


def _head(cells: list[str], line: int) -> list[str]:
    names = [cell.lower() for cell in cells]
    if any(names.count(name) != 1 for name in COLUMNS):
        raise BadLinkList(line=line, problem="the first line names the columns uid and user, each once")
    return names
