"""The one statement of plain submissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.competitions.rules import submitting
from palio.competitions.rules.plain import Plain
from palio.competitions.types import EntrantId
from palio.infra import arrays
from palio.infra.arrays import Int8s, Jsons, Moments, Texts
from palio.infra.db import Tx


@dataclass(frozen=True, slots=True)
class Added:
    """The entrants of submissions in their order, and what they have then, by list and entrant."""

    entrants: Sequence[EntrantId]
    scores: Mapping[tuple[int, int], int]


async def submit_plain(tx: Tx, plain: Plain, now: datetime, *, is_alone: bool = False) -> Added | None:
    """Count all of them in one statement. `is_alone` is for a connection without a transaction.

    None, and nothing is done, where a list is final, somebody has not been met, or a key was used before.
    """
    found = await arrays.columns(tx, SUBMIT_PLAIN, *_columns(plain), now, is_alone)
    for numbers, lists, entrants, scores in found:
        return Added(numbers, dict(zip(zip(lists, entrants, strict=True), scores, strict=True)))
    return None


def _columns(plain: Plain) -> Sequence[object]:
    items = [each.score for each in plain.scores]
    facts = [item.facts for item in items]
    receipts = [(number, list_id) for number, lists in enumerate(plain.lists, 1) for list_id in lists]
    numbers, lists = arrays.transposed(2, receipts)
    return (
        Texts.of([each.kind for each in plain.scores]),
        Texts.of([each.ref for each in plain.scores]),
        Texts.of([item.key for item in items]),
        Moments.of([aim.at for aim in plain.aims]),
        Texts.of([item.kind for item in items]),
        Int8s.of([submitting.amount_of(item) for item in items]),
        Int8s.of([item.sub for item in items]),
        Jsons.of([submitting.written(each) for each in facts] if any(each is not None for each in facts) else []),
        Int8s.of(sorted(set(lists))),
        Int8s.of(numbers),
        Int8s.of(lists),
    )


SUBMIT_PLAIN = """select numbers, lists, entrants, scores
    from competitions.submit_plain(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
