"""What of a competition staff may still change."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from palio.competitions.errors import EndsEarlier, NothingFollows, TermsFrozen, WindowInvalid
from palio.competitions.rules import entering, prizes
from palio.competitions.types import Competition

TEXTS = ("title", "description", "rules_text")
TERMS = (
    *("starts_at", "tz", "join_mode", "entry_fee", "min_score", "allow_nonpositive", "min_participants"),
    *("max_participants", "eligibility", "treasury_bps", "prize_rule", "tie_rule", "empty_rule", "leftover_to"),
    *("no_winner", "results_visible", "blackout_s", "grace_s", "collect_s", "review_h"),
)
MADE = ("product", "score_scale", "op", "direction", "has_subscore")  # of its board, which is made once
PROMISED = ("prize_asset", "guaranteed_pool")  # in escrow since the announcement: the pool is added to, never rewritten
END = "ends_at"
FIELDS = (*TEXTS, *TERMS, *PROMISED, END)
OVER = ("settling", "completed", "archived", "cancelled")


def changed(competition: Competition, changes: Mapping[str, object], *, is_entered: bool) -> Competition:
    """The competition with its changes. Refuses with TermsFrozen, EndsEarlier, WindowInvalid, EligibilityInvalid,
    NothingFollows, PrizeShape, PrizeSum, PrizeIncreasing.
    """
    wanted = replace(competition, **changes)  # type: ignore[arg-type]  # the edge has read each field in its type
    for field in differences(competition, wanted):
        if not _is_open(competition, field, is_entered=is_entered):
            raise TermsFrozen(status=competition.status, field=field)
    if competition.status not in ("draft", "upcoming") or is_entered:
        _check_later(competition, wanted)
    if wanted.starts_at >= wanted.ends_at:
        raise WindowInvalid(starts_at=wanted.starts_at, ends_at=wanted.ends_at)
    entering.check_terms(wanted)
    rule = prizes.read(wanted.prize_rule)
    if competition.status != "draft":
        prizes.check(rule, wanted.guaranteed_pool)
        prizes.check_scores(rule, direction=wanted.direction, allow_nonpositive=wanted.allow_nonpositive)
        for field in ("leftover_to", "no_winner"):
            if getattr(wanted, field) == "rollover" and wanted.series_id is None:
                raise NothingFollows(field=field)
    return wanted


def _is_open(competition: Competition, field: str, *, is_entered: bool) -> bool:
    if competition.status == "draft":
        return True
    if field in TEXTS:
        return competition.status in ("upcoming", "live")
    if field == END:
        return competition.status in ("upcoming", "live")
    return competition.status == "upcoming" and field not in PROMISED and not is_entered


def _check_later(competition: Competition, wanted: Competition) -> None:
    if wanted.ends_at < competition.ends_at:
        raise EndsEarlier(ends_at=competition.ends_at)


def differences(before: Competition, after: Competition) -> dict[str, tuple[object, object]]:
    """The fields that differ, each with its values before and after."""
    return {
        field: (getattr(before, field), getattr(after, field))
        for field in FIELDS
        if getattr(before, field) != getattr(after, field)
    }


def terms_hash(competition: Competition) -> bytes:
    """SHA-256 of all that decides who wins what and can no longer change once it is live: the terms by their names, as
    JSON with sorted keys and no blanks, instants in UTC.
    """
    terms = {field: _said(getattr(competition, field)) for field in (*MADE, *TERMS, *PROMISED)}
    return hashlib.sha256(json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()).digest()


def _said(term: object) -> object:
    return term.astimezone(UTC).isoformat() if isinstance(term, datetime) else term


def begun(competition: Competition, now: datetime) -> Competition:
    """The competition with its start at an instant."""
    return replace(competition, starts_at=now)
