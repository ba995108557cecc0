"""How competitions look from outside: the answers of the API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from palio.competitions.rules import prizes
from palio.competitions.types import (
    Archived,
    Board,
    BoardRow,
    Competition,
    CompetitionId,
    EntrantId,
    Line,
    ListId,
    Participation,
    PoolSums,
    Prizes,
    Shown,
    SourceSum,
    Standing,
)
from palio.kernel.parts import Cut, Part
from palio.ui import paging
from palio.ui.paging import Listed, Paging
from palio.ui.values import Asset, Instant, Money, decimal


@dataclass(frozen=True, slots=True)
class ListedAnswer:
    """A competition in a list; `pool` is what it pays in all."""

    id: UUID
    product: str
    subject_ref: str | None
    title: str
    cadence: str
    period_key: str | None
    status: str
    starts_at: Instant
    ends_at: Instant
    pool: Money
    participants: int

    @classmethod
    def of(cls, line: Line) -> "ListedAnswer":
        competition = line.competition
        return cls(
            id=competition.id,
            product=competition.product,
            subject_ref=competition.subject_ref,
            title=competition.title,
            cadence=competition.cadence,
            period_key=competition.period_key,
            status=competition.status,
            starts_at=competition.starts_at,
            ends_at=competition.ends_at,
            pool=Money.of(line.pool, _asset(competition, line.asset_scale)),
            participants=line.entrants,
        )


@dataclass(frozen=True, slots=True)
class PlacePrizeAnswer:
    """What each of the places `first` to `last` pays when every place is taken.

    Where it is `open`, everybody from `first` on shares it.
    """

    first: int
    last: int
    prize: Money
    open: bool = False


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """Something that is won besides money: a code, a badge or goods."""

    kind: str
    ref: str
    title: str

    @classmethod
    def many(cls, items: Iterable[Mapping[str, object]]) -> "tuple[ItemAnswer, ...]":
        return tuple(cls(str(item["kind"]), str(item["ref"]), str(item["title"])) for item in items)


@dataclass(frozen=True, slots=True)
class PlaceItemAnswer:
    """What each of the places `first` to `last` wins besides money."""

    first: int
    last: int
    kind: str
    ref: str
    title: str


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What came into a pool from one source, and where it lies; `contributions` is how many."""

    source: str
    contributions: int
    to_pool: Money
    to_treasury: Money


@dataclass(frozen=True, slots=True)
class MineAnswer:
    """Where the player who asks stands: `state` is active, left (or invited), or disqualified, with the reason."""

    entrant_id: int
    state: str
    joined_at: Instant
    via: str
    reason: str | None

    @classmethod
    def of(cls, found: Participation) -> "MineAnswer":
        return cls(found.entrant_id, found.state, found.joined_at, found.via, found.reason)


@dataclass(frozen=True, slots=True)
class CompetitionAnswer:
    """The terms of a competition and how far it has come. Scores have `score_scale` decimals.

    `prizes` are empty where they depend on scores (`prize_kind` proportional); `prize_items` are won besides
    money. The board is `hidden` for the last `blackout_s` before the end and until it is completed. Its
    live topic is `list:` and its `list_id`, or `competition:` and the id for every step as well.
    """

    id: UUID
    product: str
    subject_ref: str | None
    title: str
    description: str
    rules_text: str
    cadence: str
    period_key: str | None
    status: str
    phase: str | None
    starts_at: Instant
    ends_at: Instant
    tz: str
    score_scale: int
    op: str
    direction: str
    has_subscore: bool
    min_score: int
    tie_rule: str
    empty_rule: str
    leftover_to: str
    no_winner: str
    results_visible: str
    blackout_s: int
    treasury_bps: int
    join_mode: str
    entry_fee: Money
    min_participants: int | None
    max_participants: int | None
    eligibility: Mapping[str, object]
    pool: Money
    treasury: Money
    split: tuple[SourceAnswer, ...]
    prize_kind: str
    prizes: tuple[PlacePrizeAnswer, ...]
    prize_items: tuple[PlaceItemAnswer, ...]
    undistributed: Money
    entrants: int
    qualified: int
    provisional: bool
    hidden: bool
    list_id: int
    paused_at: Instant | None
    backdated_reason: str | None
    cancel_reason: str | None
    terms_sha256: str
    standings_sha256: str | None
    version: int
    created_at: Instant
    updated_at: Instant
    me: MineAnswer | None = None

    @classmethod
    def of(cls, shown: Shown, mine: Participation | None = None) -> "CompetitionAnswer":
        competition, asset = shown.competition, _asset(shown.competition, shown.asset_scale)
        is_frozen = competition.standings_hash is not None
        return cls(
            id=competition.id,
            product=competition.product,
            subject_ref=competition.subject_ref,
            title=competition.title,
            description=competition.description,
            rules_text=competition.rules_text,
            cadence=competition.cadence,
            period_key=competition.period_key,
            status=competition.status,
            phase=competition.phase,
            starts_at=competition.starts_at,
            ends_at=competition.ends_at,
            tz=competition.tz,
            score_scale=competition.score_scale,
            op=competition.op,
            direction=competition.direction,
            has_subscore=competition.has_subscore,
            min_score=competition.min_score,
            tie_rule=competition.tie_rule,
            empty_rule=competition.empty_rule,
            leftover_to=competition.leftover_to,
            no_winner=competition.no_winner,
            results_visible=competition.results_visible,
            blackout_s=competition.blackout_s,
            treasury_bps=competition.treasury_bps,
            join_mode=competition.join_mode,
            entry_fee=Money.of(competition.entry_fee, asset),
            min_participants=competition.min_participants,
            max_participants=competition.max_participants,
            eligibility=competition.eligibility,
            pool=Money.of(shown.pool, asset),
            treasury=Money.of(shown.sums.treasury, asset),
            split=tuple(
                SourceAnswer(
                    each.source,
                    each.contributions,
                    Money.of(each.to_pool, asset),
                    Money.of(each.to_treasury, asset),
                )
                for each in shown.sums.sources
            ),
            prize_kind=shown.rule.kind,
            prizes=tuple(
                PlacePrizeAnswer(each.first, each.last, Money.of(each.amount, asset), each.is_open)
                for each in shown.prizes
            ),
            prize_items=tuple(
                PlaceItemAnswer(each.first, each.last, each.kind, each.ref, each.title) for each in shown.rule.items
            ),
            undistributed=Money.of(shown.board.undistributed if is_frozen else 0, asset),
            entrants=shown.board.entrants,
            qualified=shown.board.qualified,
            provisional=shown.board.is_provisional,
            hidden=shown.is_dark,
            list_id=competition.list_id,
            paused_at=competition.paused_at,
            backdated_reason=competition.backdated_reason,
            cancel_reason=competition.cancel_reason,
            terms_sha256=(competition.terms_hash or b"").hex(),
            standings_sha256=competition.standings_hash.hex() if competition.standings_hash else None,
            version=competition.version,
            created_at=competition.created_at,
            updated_at=competition.updated_at,
            me=MineAnswer.of(mine) if mine else None,
        )


@dataclass(frozen=True, slots=True)
class RankedAnswer:
    """One line; without a rank it is below the line. `prize` is what it would be paid now, or what it won.

    `among` is its rank in the part of the board that was asked for, as of friends. While the board is `warming`, lines
    of a part and one's own have neither rank nor place nor prize: they are not known.
    """

    rank: int | None
    place: int | None
    entrant_id: int
    name: str
    score: int
    display: str
    prize: Money
    ties: int
    trend: int | None
    among: int | None = None


@dataclass(frozen=True, slots=True)
class RankingAnswer:
    """Lines of the board by place; `of` is how many there are. None while it is `hidden` at the end.

    While it is `warming` they are those of the newest picture of it, or some of it without ranks, and it is `stale`.
    """

    items: tuple[RankedAnswer, ...]
    next: str | None
    prev: str | None
    of: int
    as_of: Instant
    version: int
    stale: bool
    warming: bool
    provisional: bool
    hidden: bool

    @classmethod
    def of_shown(cls, shown: Shown, page: Paging | None) -> "RankingAnswer":
        scale, asset = shown.competition.score_scale, _asset(shown.competition, shown.asset_scale)
        return cls(
            items=tuple(
                RankedAnswer(
                    rank=row.standing.rank,
                    place=row.standing.place or None,
                    entrant_id=row.standing.entrant_id,
                    name=shown.names[row.standing.entrant_id],
                    score=row.standing.score,
                    display=format(decimal(row.standing.score, scale), "f"),
                    prize=Money.of(row.prize, asset),
                    ties=row.ties,
                    trend=row.trend,
                    among=row.among,
                )
                for row in shown.board.rows
            ),
            **_beside(shown, page),
            of=shown.board.entrants,
            as_of=shown.as_of,
            version=shown.board.version or shown.competition.version,
            stale=shown.board.is_warming,
            warming=shown.board.is_warming,
            provisional=shown.board.is_provisional,
            hidden=shown.is_dark,
        )


@dataclass(frozen=True, slots=True)
class RewardAnswer:
    """What a place has won, and whether it is paid."""

    place: int
    rank: int
    entrant_id: int
    name: str
    prize: Money
    status: str
    items: tuple[ItemAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class RewardsAnswer:
    """The prizes in the order of places; none before the standings are frozen."""

    items: tuple[RewardAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, shown: Shown, page: Paging) -> "RewardsAnswer":
        asset = _asset(shown.competition, shown.asset_scale)
        won = tuple(
            RewardAnswer(
                place=row.standing.place,
                rank=row.standing.rank or row.standing.place,
                entrant_id=row.standing.entrant_id,
                name=shown.names[row.standing.entrant_id],
                prize=Money.of(row.prize, asset),
                status=row.reward_status,
                items=ItemAnswer.many(row.items),
            )
            for row in shown.board.rows
            if row.reward_status
        )
        beside = _beside(shown, page)
        return cls(won, beside["next"] if _has_more_prizes(shown) else None, beside["prev"])


@dataclass(frozen=True, slots=True)
class ParticipantAnswer:
    """One of the first in a competition that is over; `prize` is in units of the asset of its pool."""

    place: int
    rank: int | None
    entrant_id: int
    name: str
    score: int
    prize: int


@dataclass(frozen=True, slots=True)
class EndedAnswer:
    """A competition that is over. `total_wagered` is the sum of its scores; of its participants the first ten."""

    id: UUID
    product: str
    title: str
    month: int
    year: int
    prize_pool: Money
    start_date: Instant
    end_date: Instant
    participants: tuple[ParticipantAnswer, ...]
    total_wagered: int
    participant_count: int
    status: str

    @classmethod
    def of(cls, line: Line, archived: Archived) -> "EndedAnswer":
        competition = line.competition
        return cls(
            id=competition.id,
            product=competition.product,
            title=competition.title,
            month=archived.month,
            year=archived.year,
            prize_pool=_pool(competition, line.asset_scale),
            start_date=competition.starts_at,
            end_date=competition.ends_at,
            participants=tuple(_participant(row, line.names) for row in archived.participants),
            total_wagered=archived.total_score,
            participant_count=archived.participant_count,
            status=competition.status,
        )


@dataclass(frozen=True, slots=True)
class EndedListAnswer:
    """Competitions that are over, the newest first."""

    items: tuple[EndedAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, found: Cut[Line], page: Paging) -> "EndedListAnswer":
        part = shown_of(found, page)
        lines = tuple(EndedAnswer.of(line, line.archived) for line in part.rows if line.archived)
        return cls(lines, part.next, part.prev)


def part_of(page: Paging) -> Part[UUID]:
    """Which part of a list of competitions a page is."""
    return page.wanted(paging.numbered)


def shown_of(found: Cut[Line], page: Paging) -> paging.Part[Line]:
    """The page of such a part."""
    return page.shown(found, lambda line: (str(line.competition.id),))


def _beside(shown: Shown, page: Paging | None) -> dict[str, str | None]:
    if page is None or shown.is_dark or shown.board.as_of:  # a picture does not say what orders its rows
        return {"next": None, "prev": None}
    board = shown.board
    following, preceding = page.beside(board.keys, after=board.after, of=board.entrants)
    return {"next": following, "prev": preceding}


def _has_more_prizes(shown: Shown) -> bool:
    """Whether somebody behind these rows can have won something."""
    last, passed = prizes.places_of(shown.rule), shown.board.after + len(shown.board.rows)
    is_before_last = shown.rule.items and (last is None or passed < last)  # some may win nothing
    return bool(is_before_last) or all(row.reward_status for row in shown.board.rows)


def _participant(row: Mapping[str, object], names: Mapping[EntrantId, str]) -> ParticipantAnswer:
    place, rank, entrant, score, prize = (row[name] for name in ("place", "rank", "entrant", "score", "prize"))
    return ParticipantAnswer(
        place=int(str(place)),
        rank=None if rank is None else int(str(rank)),
        entrant_id=int(str(entrant)),
        name=names[EntrantId(int(str(entrant)))],
        score=int(str(score)),
        prize=int(str(prize)),
    )


def _asset(competition: Competition, scale: int) -> Asset:
    return Asset(competition.prize_asset, scale)


def _pool(competition: Competition, scale: int) -> Money:
    amount = competition.guaranteed_pool if competition.pool_final is None else competition.pool_final
    return Money.of(amount, _asset(competition, scale))


def _march(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


COMPETITION = Competition(
    id=CompetitionId(UUID("019cffd0-4c00-7000-8000-0000000000c1")),
    series_id=None,
    product="race",
    subject_ref="race:38",
    period_key="W:2026-W12",
    cadence="weekly",
    title="Weekly race 2026-W12",
    description="",
    rules_text="",
    status="live",
    phase=None,
    list_id=ListId(38),
    starts_at=_march(16),
    ends_at=_march(23),
    tz="UTC",
    score_scale=6,
    op="add",
    direction="desc",
    has_subscore=False,
    min_score=10_000_000,
    allow_nonpositive=False,
    prize_asset="USD",
    guaranteed_pool=50_000,
    treasury_bps=1_000,
    prize_rule={"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 10_000}]},
    tie_rule="share",
    empty_rule="keep",
    leftover_to="house",
    no_winner="treasury",
    results_visible="live",
    grace_s=900,
    review_h=24,
    terms_hash=bytes(32),
    pool_final=None,
    standings_hash=None,
    paused_at=None,
    frozen_at=None,
    review_reasons=(),
    backdated_reason=None,
    evidence={},
    cancel_reason=None,
    created_at=_march(15),
    updated_at=_march(18, 14),
    version=3,
)
FIRST = EntrantId(112)
LEADER = BoardRow(
    Standing(1, 1, FIRST, "player", "7a", "cob***", None, 9_203_670_000, 0, _march(18, 14)), 25_000, None, trend=2
)
BOARD = Board((LEADER,), entrants=127, qualified=88, undistributed=0, is_provisional=True, version=41_822)
SUMS = PoolSums(50_000, 0, (SourceSum("admin_fund", 1, 50_000, 0),))
SHOWN = Shown(
    *(COMPETITION, 2, BOARD, {FIRST: "cob***"}, (Prizes(1, 1, 25_000), Prizes(2, 2, 7_500)), _march(18, 14)),
    *(50_000, SUMS),
)
ARCHIVED = Archived(
    COMPETITION.id,
    *(3, 2026, 9_203_670_000, 1),
    [{"place": 1, "rank": 1, "entrant": 112, "score": 9_203_670_000, "prize": 25_000}],
)
OVER = Line(replace(COMPETITION, status="completed", pool_final=50_000), 2, 1, ARCHIVED, {FIRST: "cob***"})
COMPETITION_EXAMPLE = CompetitionAnswer.of(SHOWN)
COMPETITIONS_EXAMPLE = Listed((ListedAnswer.of(replace(OVER, entrants=127, pool=50_000)),), "AAECAwQFBgc", None)
STANDINGS_EXAMPLE = RankingAnswer(
    items=(RankedAnswer(1, 1, FIRST, "cob***", 9_203_670_000, "9203.670000", Money("USD", 25_000, "250.00"), 1, 2),),
    next="AAECAwQFBgc",
    prev=None,
    of=127,
    as_of=_march(18, 14),
    version=41_822,
    stale=False,
    warming=False,
    provisional=True,
    hidden=False,
)
REWARDS_EXAMPLE = RewardsAnswer(
    (RewardAnswer(1, 1, FIRST, "cob***", Money("USD", 25_000, "250.00"), "paid"),), "AAECAwQFBgc", None
)
COMPETITION_ARCHIVE_EXAMPLE = EndedListAnswer((EndedAnswer.of(OVER, ARCHIVED),), "AAECAwQFBgc", None)
