"""The one statement of plain submissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.competitions.rules import submitting
from palio.competitions.rules.plain import Plain
from palio.competitions.sql.scores import changed_of
from palio.competitions.types import Changed, EntrantId, ListId
from palio.infra import arrays
from palio.infra.arrays import Int8s, Jsons, Moments, Texts
from palio.infra.db import Tx


@dataclass(frozen=True, slots=True)
class Added:
    """The entrants of submissions in their order, what they have then, by list and entrant, and what a look at lists
    has found after the commit.
    """

    entrants: Sequence[EntrantId]
    scores: Mapping[tuple[int, int], int]
    changed: Mapping[ListId, Changed]


async def submit_and_look(
    tx: Tx, plain: Plain, now: datetime, *, since: Mapping[ListId, int], limit: int
) -> Added | None:
    """Count all of them in one statement, commit, and look what has changed on lists, each since a horizon: for a
    connection without a transaction.

    None, and nothing is done, where a list is final, somebody has not been met, or a key was used before.
    """
    looked = Int8s.of(list(since)), Int8s.of(list(since.values())), limit
    [found] = await arrays.wholes(tx, SUBMIT_AND_LOOK, *_columns(plain), now, *looked)
    numbers, lists, entrants, scores, *changed = found
    if numbers is None:
        return None
    places = zip(lists.tolist(), entrants.tolist(), strict=True)
    counted = dict(zip(places, scores.tolist(), strict=True))
    return Added(numbers.tolist(), counted, changed_of(since, *changed) if since else {})


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


SUBMIT_AND_LOOK = """
    call competitions.submit_and_look(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
      null, null, null, null, null, null, null, null, null, null, null, null, null, null)"""
