"""How a player sees himself in a competition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from palio.competitions.schemas.boards import NextAnswer, percentile
from palio.competitions.types import MyRank, RankPoint, Receipt
from palio.ui.charts import Chart, Series
from palio.ui.paging import Listed, Paging
from palio.ui.values import Instant, decimal


@dataclass(frozen=True, slots=True)
class MyRankAnswer:
    """Where whoever asks stands; without a rank he is below the line, by `gap_to_qualify`.

    `percentile` is the part of those above the line, in per cent, who are not better. While the board is `warming`
    nobody's rank is known.
    """

    rank: int | None
    place: int | None
    of: int
    score: int | None
    ties: int | None
    percentile: int | None
    next: NextAnswer | None
    qualified: bool | None
    gap_to_qualify: int | None
    as_of: Instant | None
    version: int
    warming: bool = False

    @classmethod
    def of_warming(cls) -> "MyRankAnswer":
        return cls(*(None, None, 0, None, None, None, None, None, None, None), 0, warming=True)

    @classmethod
    def of_rank(cls, found: MyRank) -> "MyRankAnswer":
        standing = found.row.standing
        has_next = found.next_rank is not None and found.gap is not None
        return cls(
            rank=standing.rank,
            place=standing.place,
            of=found.of,
            score=standing.score,
            ties=found.row.ties,
            percentile=percentile(standing.rank, found.qualified),
            next=NextAnswer(found.next_rank or 0, found.gap or 0) if has_next else None,
            qualified=standing.rank is not None,
            gap_to_qualify=found.gap_to_qualify,
            as_of=found.as_of,
            version=found.version,
        )


@dataclass(frozen=True, slots=True)
class ReceiptAnswer:
    """A change of one's own score with what it had come to by then; `display` is that total as text."""

    number: int
    happened_at: Instant
    kind: str
    delta: int
    sub_delta: int
    value: int | None
    total: int
    display: str
    facts: Mapping[str, object]

    @classmethod
    def of(cls, receipt: Receipt, scale: int) -> "ReceiptAnswer":
        return cls(
            number=receipt.number,
            happened_at=receipt.happened_at,
            kind=receipt.kind,
            delta=receipt.delta,
            sub_delta=receipt.sub_delta,
            value=receipt.value,
            total=receipt.total,
            display=format(decimal(receipt.total, scale), "f"),
            facts=receipt.facts or {},
        )


def receipts_of(found: Sequence[Receipt], scale: int, page: Paging) -> Listed[ReceiptAnswer]:
    """A page of one's own changes, the newest first, out of one more than it takes."""
    return page.part(found, lambda one: (one.number,)).told(lambda one: ReceiptAnswer.of(one, scale))


def chart_of(points: Sequence[RankPoint]) -> Chart:
    """Ranks over time, from left to right."""
    told = list(reversed(points))
    values = tuple(float(point.rank) for point in told)
    return Chart(tuple(f"{point.at:%d.%m. %H:%M}" for point in told), (Series("", "rank", values),))


_AT = datetime(2026, 3, 18, 14, 5, 9, tzinfo=UTC)
MY_RANK_EXAMPLE = MyRankAnswer(
    rank=4,
    place=4,
    of=127,
    score=1_240,
    ties=1,
    percentile=97,
    next=NextAnswer(3, 60),
    qualified=True,
    gap_to_qualify=0,
    as_of=_AT,
    version=41_822,
)
RECEIPTS_EXAMPLE = Listed(
    (ReceiptAnswer(17, _AT, "score", 40, 0, None, 1_240, "1240", {"cause": "walk"}),), "AAECAwQFBgc", None
)
