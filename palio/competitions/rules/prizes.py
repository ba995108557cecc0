"""Exact allocation of a pool over places, to the unit."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise, repeat

from palio.competitions.errors import PoolShort, PrizeIncreasing, PrizeShape, PrizeSum
from palio.competitions.types import (
    BANDS_MAX,
    WHOLE_BPS,
    Band,
    Direction,
    EmptyRule,
    Item,
    ItemKind,
    Preview,
    PrizeReceipt,
    PrizeRule,
    Prizes,
    Reward,
    RuleKind,
    Share,
    Split,
    TieRule,
    Why,
)

KINDS: Mapping[str, RuleKind] = {"bps": "bps", "fixed": "fixed", "proportional": "proportional"}
SPLITS: Mapping[str, Split] = {"occupants": "occupants", "places": "places"}
ITEM_KINDS: Mapping[str, ItemKind] = {"code": "code", "badge": "badge", "goods": "goods"}
ANNOUNCED_MAX = 1_000
ITEMS_MAX, ITEM_PLACE_MAX, ITEM_CHARS_MAX = 50, 1_000, 100
ITEM_EXAMPLE = '{"from": 1, "to": 3, "kind": "badge", "ref": "champion", "title": "Champion"}'


def read(raw: object) -> PrizeRule:
    """The rule in a JSON object `{"kind", "split", "bands": [{"from", "to", "value"}], "items"}`, the last of them left
    out or a list of `{"from", "to", "kind", "ref", "title"}`. Refuses with PrizeShape.
    """
    if not isinstance(raw, Mapping):
        raise PrizeShape(where="rule", expected="an object with kind, split and bands")
    kind, split, bands = KINDS.get(str(raw.get("kind"))), SPLITS.get(str(raw.get("split"))), raw.get("bands")
    if kind is None or split is None:
        raise PrizeShape(where="rule", expected=f"kind {' or '.join(KINDS)}, split {' or '.join(SPLITS)}")
    if not isinstance(bands, list) or not 0 < len(bands) <= BANDS_MAX:
        raise PrizeShape(where="bands", expected=f"1 to {BANDS_MAX} bands")
    return PrizeRule(kind, split, tuple(_contiguous(map(_band, bands))), read_items(raw.get("items", [])))


def read_items(raw: object) -> tuple[Item, ...]:
    """What places win besides money. Refuses with PrizeShape."""
    if not isinstance(raw, list) or len(raw) > ITEMS_MAX:
        raise PrizeShape(where="items", expected=f"at most {ITEMS_MAX}, like {ITEM_EXAMPLE}")
    return tuple(map(_item, raw))


def _item(raw: object) -> Item:
    if not isinstance(raw, Mapping) or raw.keys() != {"from", "to", "kind", "ref", "title"}:
        raise PrizeShape(where=f"item {raw}", expected=ITEM_EXAMPLE)
    first, last, kind = raw["from"], raw["to"], ITEM_KINDS.get(str(raw["kind"]))
    if type(first) is not int or type(last) is not int or not 1 <= first <= last <= ITEM_PLACE_MAX:
        raise PrizeShape(where=f"item {raw}", expected=f"places from 1 to {ITEM_PLACE_MAX}")
    if kind is None:
        raise PrizeShape(where=f"item {raw}", expected=f"kind {' or '.join(ITEM_KINDS)}")
    for text in (raw["ref"], raw["title"]):
        if not isinstance(text, str) or not 0 < len(text) <= ITEM_CHARS_MAX or "\0" in text:
            raise PrizeShape(where=f"item {raw}", expected=f"ref and title of 1 to {ITEM_CHARS_MAX} characters")
    return Item(first, last, kind, raw["ref"], raw["title"])


def _band(raw: object) -> Band:
    if not isinstance(raw, Mapping) or not raw.keys() >= {"from", "to", "value"}:
        raise PrizeShape(where=f"band {raw}", expected='{"from", "to", "value"}')
    first, last, value = raw["from"], raw["to"], raw["value"]
    if type(first) is not int or type(value) is not int or (last is not None and type(last) is not int):
        raise PrizeShape(where=f"band {raw}", expected="whole numbers")
    if value <= 0 or (last is not None and last < first):
        raise PrizeShape(where=f"band {raw}", expected="from ≤ to and value > 0")
    return Band(first, last, value)


def _contiguous(bands: Iterable[Band]) -> Iterator[Band]:
    """The same bands, if each begins where the one above ends."""
    due: int | None = 1
    for band in bands:
        if band.first != due:
            raise PrizeShape(where=f"place {band.first}", expected=f"a band that begins at place {due}")
        yield band
        due = band.last + 1 if band.last else None


def written(rule: PrizeRule) -> dict[str, object]:
    """The rule as `read` takes it."""
    bands = [{"from": band.first, "to": band.last, "value": band.value} for band in rule.bands]
    items = [
        {"from": item.first, "to": item.last, "kind": item.kind, "ref": item.ref, "title": item.title}
        for item in rule.items
    ]
    return {"kind": rule.kind, "split": rule.split, "bands": bands} | ({"items": items} if items else {})


def items_at(rule: PrizeRule, place: int) -> list[Mapping[str, object]]:
    """What a place wins besides money. Places are strict, so that there are as many items as were promised."""
    return [
        {"kind": item.kind, "ref": item.ref, "title": item.title}
        for item in rule.items
        if item.first <= place <= item.last
    ]


def items_text(rule: PrizeRule, place: int) -> str:
    """The same as JSON, as rewards keep it."""
    return json.dumps(items_at(rule, place))


def check(rule: PrizeRule, pool: int) -> None:
    """Accept a rule that can be published for this pool. Refuses with PrizeShape, PrizeSum and PrizeIncreasing."""
    if rule.kind == "proportional" and (len(rule.bands) > 1 or rule.split != "occupants"):
        raise PrizeShape(where="bands", expected=f"one of {WHOLE_BPS}, whose occupants share it by their scores")
    if rule.bands[-1].last is None and (rule.kind == "fixed" or rule.split != "occupants"):
        raise PrizeShape(where="the last band", expected="an end, since only occupants can share an open band")
    total = sum(band.value * _size(band) if rule.kind == "fixed" else band.value for band in rule.bands)
    whole = pool if rule.kind == "fixed" else WHOLE_BPS
    rises = list(_rises(rule))
    if total != whole:
        more = {"increasing": rises} if rises else {}
        raise PrizeSum(sum=total, expected=whole, bands=[band.value for band in rule.bands], **more)
    if rises:
        raise PrizeIncreasing(place=rises[0])


def check_scores(rule: PrizeRule, *, direction: Direction, allow_nonpositive: bool) -> None:
    """Accept a rule that fits the scores it is for: shares of scores want such as are above 0, the more the better.

    Refuses with PrizeShape.
    """
    if rule.kind == "proportional" and (direction == "asc" or allow_nonpositive):
        raise PrizeShape(where="kind", expected="another one than proportional, where fewer points or none can win")


def _size(band: Band) -> int:
    return band.last - band.first + 1 if band.last else 1


def _rises(rule: PrizeRule) -> Iterator[int]:
    """First places of the bands that pay more per head at full occupancy than the band above."""
    heads = [
        (band.first, Fraction(band.value, _size(band) if rule.kind == "bps" else 1)) for band in rule.bands if band.last
    ]
    return (first for (_, above), (first, head) in pairwise(heads) if head > above)


def announced(rule: PrizeRule, *, pool: int, empty_rule: EmptyRule) -> tuple[Prizes, ...]:
    """What places pay when everybody who can win is there, neighbours of the same amount together: at most the first
    1,000. Of an open band it says what those share who stand in it; nothing where scores decide.
    """
    if rule.kind == "proportional":
        return ()
    *closed, last = rule.bands
    if rule.kind == "fixed":
        return tuple(Prizes(band.first, band.last or band.first, band.value) for band in rule.bands if band.value)
    if last.last is None:
        heads = [
            Prizes(band.first, end, pool * band.value // (WHOLE_BPS * (end - band.first + 1)))
            for band in closed
            if (end := band.last)
        ]
        return (*heads, Prizes(last.first, last.first, pool * last.value // WHOLE_BPS, is_open=True))
    shares = allocate(rule, pool=pool, groups=[1] * min(last.last, ANNOUNCED_MAX), empty_rule=empty_rule)
    return tuple(_neighbours((share.place, share.amount) for share in shares if share.amount))


def _neighbours(amounts: Iterable[tuple[int, int]]) -> Iterator[Prizes]:
    for amount, group in groupby(amounts, key=lambda each: each[1]):
        places = [place for place, _ in group]
        yield Prizes(places[0], places[-1], amount)


def paid_places(rule: PrizeRule) -> int | None:
    """The last place that wins money; None when everybody who qualifies does."""
    return rule.bands[-1].last


def places_of(rule: PrizeRule) -> int | None:
    """The last place that can win something; None when everybody can."""
    last = rule.bands[-1].last
    return last and max([last, *(item.last for item in rule.items)])


@dataclass(frozen=True, slots=True)
class _Level:
    """Neighbouring bands that pay the same per head, with those who stand in them."""

    first: int
    last: int
    weight: Fraction

    @property
    def occupants(self) -> int:
        return self.last - self.first + 1

    @property
    def head(self) -> Fraction:
        return self.weight / self.occupants

    def joined(self, below: "_Level") -> "_Level":
        return _Level(self.first, below.last, self.weight + below.weight)


def _levels(rule: PrizeRule, entrants: int) -> list[_Level]:
    """The occupied bands, levelled so that a lower place never earns more than a higher one."""
    levels: list[_Level] = []
    for band in rule.bands:
        last = min(band.last or entrants, entrants)
        if last < band.first:
            break
        levels.append(_Level(band.first, last, _weight(rule, band, last - band.first + 1)))
        while rule.split == "occupants" and len(levels) > 1 and levels[-1].head > levels[-2].head:
            below = levels.pop()
            levels[-1] = levels[-1].joined(below)
    return levels


def _weight(rule: PrizeRule, band: Band, occupants: int) -> Fraction:
    if rule.split == "occupants" or band.last is None:
        return Fraction(band.value)
    return Fraction(band.value * occupants, band.last - band.first + 1)


def _shares_of_bps(rule: PrizeRule, pool: int, entrants: int, empty_rule: EmptyRule) -> Iterator[tuple[int, Why]]:
    levels = _levels(rule, entrants)
    whole = sum((level.weight for level in levels), Fraction()) if empty_rule == "redistribute" else Fraction(WHOLE_BPS)
    exact = [(level, pool * level.head / whole) for level in levels]
    due = int(sum((share * level.occupants for level, share in exact), Fraction()))
    left = due - sum(int(share) * level.occupants for level, share in exact)
    for level, share in exact:
        plain = Why(level.first, level.last, str(level.head), str(share), 0)
        units, luckiest = int(share), min(max(left - level.first + 1, 0), level.occupants)
        yield from repeat((units + 1, plain._replace(unit=1)), luckiest)
        yield from repeat((units, plain), level.occupants - luckiest)


def _shares_of_fixed(rule: PrizeRule, pool: int, entrants: int) -> Iterator[tuple[int, Why]]:
    for band in rule.bands:
        last = min(band.last or entrants, entrants)
        why = Why(band.first, last, str(band.value), str(band.value), 0)
        for _ in range(band.first, last + 1):
            yield band.value, why


def _shares_of_scores(rule: PrizeRule, pool: int, scores: Sequence[int]) -> Iterator[tuple[int, Why]]:
    """Each has the part of the pool that his score is of the scores of all who share it; units left go to the first."""
    paid = scores[: rule.bands[-1].last]
    total = sum(paid)
    left = pool - sum(pool * score // total for score in paid)
    for number, score in enumerate(paid):
        unit = int(number < left)
        why = Why(1, len(paid), str(score), str(Fraction(pool * score, total)), unit)
        yield pool * score // total + unit, why


def allocate(
    rule: PrizeRule, *, pool: int, groups: Sequence[int], empty_rule: EmptyRule, scores: Sequence[int] = ()
) -> list[Share]:
    """What each paid place earns; `groups` are the sizes of the groups of tied entrants in ranking order.

    Amounts add up to at most the pool and never rise from place to place; members of a group differ by at most one
    unit. Places that win nothing are left out. `scores` are those of the places that can win something, where prizes
    depend on them. Refuses with PoolShort when fixed prizes exceed the pool, with PrizeShape when scores are missing.
    """
    entrants = sum(groups)
    if rule.kind == "proportional":
        if len(scores) < min(rule.bands[-1].last or entrants, entrants) or any(score <= 0 for score in scores):
            raise PrizeShape(where="scores", expected="a score above 0 for each place, since the prizes depend on them")
        places = list(_shares_of_scores(rule, pool, scores[:entrants]))
    elif rule.kind == "fixed":
        places = list(_shares_of_fixed(rule, pool, entrants))
        if sum(amount for amount, _ in places) > pool:
            raise PoolShort(pool=pool, promised=sum(amount for amount, _ in places))
    else:
        places = list(_shares_of_bps(rule, pool, entrants, empty_rule))
    won = max([len(places), *(min(item.last, entrants) for item in rule.items)])
    shares: list[Share] = []
    for size in groups:
        first = len(shares)
        if first >= won:
            break
        if first >= len(places):
            shares += [Share(first + number + 1, first + 1, 0, _nothing(first + 1)) for number in range(size)]
        elif size == 1:
            amount, why = places[first]
            shares.append(Share(first + 1, first + 1, amount, why))
        else:
            shares += _shares_of_group(first + 1, places[first : first + size], size)
    return [share for share in shares if share.amount or (rule.items and items_at(rule, share.place))]


def _nothing(place: int) -> Why:
    """The arithmetic of a place that wins no money."""
    return Why(place, place, "0", "0", 0)


def _shares_of_group(rank: int, places: Sequence[tuple[int, Why]], people: int) -> Iterator[Share]:
    """Tied entrants pool what their places earn; units that do not divide go to the first of them."""
    shared = sum(amount for amount, _ in places)
    each, left = divmod(shared, people)
    why = places[0][1]._replace(tied=people, shared=shared)
    for number in range(people):
        unit = int(number < left)
        yield Share(rank + number, rank, each + unit, why._replace(unit=unit))


@lru_cache(maxsize=4096)
def explained(why: Why) -> str:
    """The arithmetic of a prize as JSON, as rewards keep it; neighbours in a band share one."""
    band = {"from": why.first, "to": why.last}
    facts = {"band": band, "head": why.head, "exact": why.exact, "unit": why.unit}
    return json.dumps(facts if why.tied == 1 else {**facts, "tied": why.tied, "shared": why.shared})


def groups_of(ranks: Iterable[int]) -> list[int]:
    """Sizes of the groups of equal rank, in order."""
    return [len(list(tied)) for _, tied in groupby(ranks)]


def provisional(
    rule: PrizeRule,
    *,
    pool: int,
    groups: Sequence[int],
    qualified: int,
    empty_rule: EmptyRule,
    scores: Sequence[int] = (),
) -> list[Share]:
    """What the first places of a live board would earn if it ended now; `groups` are those that begin at a paid place.

    Whoever follows may be tied or not: that changes nobody's prize above.
    """
    everybody = [*groups, *[1] * (qualified - sum(groups))]
    return allocate(rule, pool=pool, groups=everybody, empty_rule=empty_rule, scores=scores)


def preview_prizes(
    rule: PrizeRule,
    *,
    pool: int,
    entrants: int,
    ties: Mapping[int, int] | None = None,
    tie_rule: TieRule = "share",
    empty_rule: EmptyRule = "keep",
    scores: Sequence[int] = (),
) -> Preview:
    """What a rule would pay `entrants` qualified entrants; `ties` maps a rank to the number who share it.

    `scores` are theirs by place, where prizes depend on them.
    Refuses with PrizeShape, PrizeSum, PrizeIncreasing.
    """
    check(rule, pool)
    groups: list[int] = []
    place = 1
    while place <= entrants:
        size = (ties or {}).get(place, 1) if tie_rule == "share" else 1
        groups.append(min(size, entrants - place + 1))
        place += groups[-1]
    shares = allocate(rule, pool=pool, groups=groups, empty_rule=empty_rule, scores=scores)
    return Preview(tuple(shares), pool - sum(share.amount for share in shares))


def won(reward: Reward, *, wallet_seq: int | None) -> PrizeReceipt:
    """A prize with its arithmetic as the allocation wrote it down."""
    facts = reward.why
    band = facts.get("band")
    bounds = band if isinstance(band, dict) else {}
    return PrizeReceipt(
        rank=reward.rank,
        amount=reward.amount,
        status=reward.status,
        claim_by=reward.claim_by,
        paid_at=reward.paid_at,
        first=int(bounds.get("from", reward.rank)),
        last=int(bounds.get("to", reward.rank)),
        head=str(facts.get("head", "")),
        exact=str(facts.get("exact", "")),
        unit=int(str(facts.get("unit", 0))),
        tied=int(str(facts.get("tied", 1))),
        shared=int(str(facts["shared"])) if "shared" in facts else None,
        transfer_id=reward.transfer_id if wallet_seq else None,
        wallet_seq=wallet_seq,
        items=reward.items,
        forfeited=str(facts["forfeited"]) if "forfeited" in facts else None,
    )
