"""What programs may post through the API: everything that `post_many` takes, to the families an operator names."""

from collections.abc import Sequence
from datetime import datetime

from palio.infra import settings
from palio.infra.db import Tx
from palio.ledger import errors
from palio.ledger.rules import decisions
from palio.ledger.rules.ground import refuse
from palio.ledger.service import posting
from palio.ledger.sql import reading as sql
from palio.ledger.types import (
    API_FAMILIES,
    FAMILIES,
    AnyOutcome,
    Hold,
    Item,
    Mode,
    Outcome,
    Post,
    Refused,
    Reverse,
    TransferId,
)


async def post_many(
    tx: Tx, items: Sequence[Item | Refused], *, now: datetime, mode: Mode = "each", dry_run: bool = False
) -> list[AnyOutcome]:
    """As `posting.post_many`. An item that was refused before keeps its refusal; one that touches an account of a
    family that programs may not post to is refused with ForeignFamily.

    Refuses with BatchTooLarge; with mode `all`, with BatchRefused.
    """
    judged = await _judged(tx, items)
    sound = [item for item in judged if not isinstance(item, Refused)]
    is_lost = mode == "all" and len(sound) < len(judged)
    try:
        done = iter(
            await posting.post_many(tx, sound, now=now, mode="each" if is_lost else mode, dry_run=dry_run or is_lost)
        )
    except errors.BatchRefused as refused:
        outcomes: list[AnyOutcome] = refused.facts["outcomes"]  # type: ignore[assignment]  # as `post_many` made them
        done = iter(outcomes)
        is_lost = True
    merged = [item if isinstance(item, Refused) else next(done) for item in judged]
    if is_lost:
        raise errors.BatchRefused(outcomes=decisions.aborted(merged))
    return merged


async def post_alone_many(tx: Tx, items: Sequence[Item | Refused], *, now: datetime) -> Sequence[Outcome] | None:
    """As `posting.post_alone_many`: None, and nothing is done, where `post_many` has to look closer."""
    allowed = settings.value(API_FAMILIES)
    closed = FAMILIES.difference(allowed)
    posts = [item for item in items if isinstance(item, Post)]
    if len(posts) < len(items) or (closed and any(isinstance(_judge(post, closed, {}), Refused) for post in posts)):
        return None
    return await posting.post_alone_many(tx, posts, now=now)


async def _judged(tx: Tx, items: Sequence[Item | Refused]) -> Sequence[Item | Refused]:
    """The items, with a refusal in the place of each that touches what is not for programs."""
    allowed = settings.value(API_FAMILIES)
    closed = FAMILIES.difference(allowed)
    originals = [item.original_id for item in items if isinstance(item, Reverse)]
    reversed_of = await sql.families_of(tx, originals) if originals else {}
    return [_judge(item, closed, reversed_of) for item in items] if closed else items


def _judge(item: Item | Refused, closed: frozenset[str], reversed_of: dict[TransferId, list[str]]) -> Item | Refused:
    """An unknown family is not judged here: the address is wrong, and that is said by whoever reads it."""
    if isinstance(item, Post):
        for address, _, _ in item.legs:
            if (family := address.partition(":")[0]) in closed:
                return refuse(errors.ForeignFamily, family=family)
        return item
    if isinstance(item, Hold):
        touched = [item.address.partition(":")[0]]
    else:
        touched = reversed_of.get(item.original_id, []) if isinstance(item, Reverse) else []
    foreign = next((family for family in touched if family in closed), None)
    return refuse(errors.ForeignFamily, family=foreign) if foreign else item
