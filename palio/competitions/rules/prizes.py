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
    EmptyRule,
    Preview,
    PrizeRule,
    RuleKind,
    Share,
    Split,
    TieRule,
    Why,
)

KINDS: Mapping[str, RuleKind] = {"bps": "bps", "fixed": "fixed"}
SPLITS: Mapping[str, Split] = {"occupants": "occupants", "places": "places"}


def read(raw: object) -> PrizeRule:
    """The rule in a JSON object `{"kind", "split", "bands": [{"from", "to", "value"}]}`. Refuses with PrizeShape."""
    if not isinstance(raw, Mapping):
        raise PrizeShape(where="rule", expected="an object with kind, split and bands")
    kind, split, bands = KINDS.get(str(raw.get("kind"))), SPLITS.get(str(raw.get("split"))), raw.get("bands")
    if kind is None or split is None:
        raise PrizeShape(where="rule", expected=f"kind {' or '.join(KINDS)}, split {' or '.join(SPLITS)}")
    if not isinstance(bands, list) or not 0 < len(bands) <= BANDS_MAX:
        raise PrizeShape(where="bands", expected=f"1 to {BANDS_MAX} bands")
    return PrizeRule(kind, split, tuple(_contiguous(map(_band, bands))))


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
    return {"kind": rule.kind, "split": rule.split, "bands": bands}


def check(rule: PrizeRule, pool: int) -> None:
    """Accept a rule that can be published for this pool. Refuses with PrizeShape, PrizeSum and PrizeIncreasing."""
    if places_of(rule) is None and (rule.kind, rule.split) != ("bps", "occupants"):
        raise PrizeShape(where="the last band", expected="an end, since only occupants can share an open band of bps")
    total = sum(band.value if rule.kind == "bps" else band.value * _size(band) for band in rule.bands)
    whole = WHOLE_BPS if rule.kind == "bps" else pool
    rises = list(_rises(rule))
    if total != whole:
        more = {"increasing": rises} if rises else {}
        raise PrizeSum(sum=total, expected=whole, bands=[band.value for band in rule.bands], **more)
    if rises:
        raise PrizeIncreasing(place=rises[0])


def _size(band: Band) -> int:
    return band.last - band.first + 1 if band.last else 1


def _rises(rule: PrizeRule) -> Iterator[int]:
    """First places of the bands that pay more per head at full occupancy than the band above."""
    heads = [
        (band.first, Fraction(band.value, _size(band) if rule.kind == "bps" else 1)) for band in rule.bands if band.last
    ]
    return (first for (_, above), (first, head) in pairwise(heads) if head > above)


def places_of(rule: PrizeRule) -> int | None:
    """The last place that can win something; None when everybody can."""
    return rule.bands[-1].last


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


def allocate(rule: PrizeRule, *, pool: int, groups: Sequence[int], empty_rule: EmptyRule) -> list[Share]:
    """What each paid place earns; `groups` are the sizes of the groups of tied entrants in ranking order.

    Amounts add up to at most the pool and never rise from place to place; members of a group differ by at most one
    unit. Places that earn nothing are left out. Refuses with PoolShort when fixed prizes exceed the pool.
    """
    entrants = sum(groups)
    if rule.kind == "fixed":
        places = list(_shares_of_fixed(rule, pool, entrants))
        if sum(amount for amount, _ in places) > pool:
            raise PoolShort(pool=pool, promised=sum(amount for amount, _ in places))
    else:
        places = list(_shares_of_bps(rule, pool, entrants, empty_rule))
    shares: list[Share] = []
    for size in groups:
        first = len(shares)
        if first >= len(places):
            break
        if size == 1:
            amount, why = places[first]
            shares.append(Share(first + 1, first + 1, amount, why))
        else:
            shares += _shares_of_group(first + 1, places[first : first + size], size)
    return [share for share in shares if share.amount]


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
    rule: PrizeRule, *, pool: int, groups: Sequence[int], qualified: int, empty_rule: EmptyRule
) -> list[Share]:
    """What the first places of a live board would earn if it ended now; `groups` are those that begin at a paid place.

    Whoever follows may be tied or not: that changes nobody's prize above.
    """
    return allocate(rule, pool=pool, groups=[*groups, *[1] * (qualified - sum(groups))], empty_rule=empty_rule)


def preview_prizes(
    rule: PrizeRule,
    *,
    pool: int,
    entrants: int,
    ties: Mapping[int, int] | None = None,
    tie_rule: TieRule = "share",
    empty_rule: EmptyRule = "keep",
) -> Preview:
    """What a rule would pay `entrants` qualified entrants; `ties` maps a rank to the number who share it.

    Refuses with PrizeShape, PrizeSum, PrizeIncreasing.
    """
    check(rule, pool)
    groups: list[int] = []
    place = 1
    while place <= entrants:
        size = (ties or {}).get(place, 1) if tie_rule == "share" else 1
        groups.append(min(size, entrants - place + 1))
        place += groups[-1]
    shares = allocate(rule, pool=pool, groups=groups, empty_rule=empty_rule)
    return Preview(tuple(shares), pool - sum(share.amount for share in shares))
