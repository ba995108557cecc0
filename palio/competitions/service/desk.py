"""What staff look at before they decide: calendars, prizes with their arithmetic, money in and out, and the pulse."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID

from palio import ledger
from palio.competitions import sql
from palio.competitions.ranks import Place
from palio.competitions.rules import calendar, lifecycle, prizes, watching
from palio.competitions.rules import series as series_rules
from palio.competitions.service import pools, rankings, reads, showing
from palio.competitions.types import (
    PAY_APPROVAL_ABOVE,
    Competition,
    CompetitionId,
    EmptyRule,
    EntrantId,
    Gone,
    Joined,
    Liability,
    Listed,
    Owed,
    PrizeList,
    PrizeRule,
    Product,
    Progress,
    Put,
    Series,
    Share,
    Standing,
    Upcoming,
    WantedJoined,
    Watched,
    Week,
)
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.parts import Part

CALENDAR_MAX = 300  # competitions in a month
ARRIVALS_MAX = 5_000
SERIES_MAX = 1_000
AHEAD = timedelta(days=30)
PERIODS_AHEAD = 5
FUNDING = "house:prizes"
OPEN = ("upcoming", "live", "settling", "unclaimed")


@dataclass(frozen=True, slots=True)
class Trial:
    """Other prizes for a ranking as it is; None: those of the competition."""

    rule: PrizeRule | None = None
    pool: int | None = None
    empty_rule: EmptyRule | None = None

    @property
    def is_other(self) -> bool:
        """Is anything tried at all?"""
        return not (self.rule is None and self.pool is None and self.empty_rule is None)


async def month(tx: Tx, *, first: date, product: Product | None) -> tuple[list[Week], bool]:
    """The weeks of a month with what runs in them, and whether there is more than the 300 that begin first."""
    since, until = calendar.bounds(first)
    found = await sql.list_running(tx, since, until, product, CALENDAR_MAX + 1)
    return calendar.weeks_of(first, found[:CALENDAR_MAX]), len(found) > CALENDAR_MAX


async def running(tx: Tx, *, since: datetime, until: datetime, product: Product | None) -> list[Competition]:
    """What runs within a span, without what was cancelled, the first to begin first; at most 300."""
    return await sql.list_running(tx, since, until, product, CALENDAR_MAX)


async def contributions(tx: Tx, *, competition_id: CompetitionId, part: Part[UUID]) -> list[Put]:
    """A part of what came into a pool, the newest first."""
    return await sql.list_put(tx, competition_id, part)


async def take_backs(tx: Tx, *, competition_id: CompetitionId, part: Part[UUID]) -> list[Gone]:
    """A part of what left a pool again before prizes did, by contribution, the newest first."""
    return await sql.list_gone(tx, competition_id, part)


async def joined(tx: Tx, *, competition_id: CompetitionId, wanted: WantedJoined, part: Part[EntrantId]) -> list[Joined]:
    """A part of those who joined a competition, with a score or without, the last who was met here first."""
    return await sql.list_joined(tx, competition_id, wanted, part)


async def watched(tx: Tx, *, competition: Competition, now: datetime) -> Watched:
    """How scores come in: the newest 5,000 changes, or those there are."""
    found = await sql.list_arrivals(tx, competition.list_id, ARRIVALS_MAX)
    return watching.watch(found, now, is_whole=len(found) < ARRIVALS_MAX)


async def progress(tx: Tx, *, competition: Competition) -> Progress:
    """How far its settlement has come. Before the freeze nothing is won."""
    board = await reads.top(tx, competition_id=competition.id, limit=0)
    doubts = await sql.count_open_appeals(tx, competition.id)
    above = await settings.exact(tx, PAY_APPROVAL_ABOVE)
    needs_second = lifecycle.needs_approval(competition, above)
    is_held = competition.frozen_at is None or competition.review_reasons or doubts or needs_second
    is_waiting = competition.phase == "review" and not is_held
    return Progress(
        entrants=board.entrants,
        qualified=board.qualified,
        rewards=tuple(await sql.sum_rewards(tx, competition.id)),
        left=await sql.find_undistributed(tx, competition.id),
        appeals_open=doubts,
        needs_second=needs_second,
        pays_at=lifecycle.pays_at(competition) if is_waiting else None,
    )


async def liabilities(tx: Tx, *, now: datetime) -> list[Liability]:
    """What the house owes by competitions, and will owe within a month by its series, of each asset that has any."""
    owed = await sql.sum_owed(tx)
    ahead = _ahead(await sql.list_all_series(tx, SERIES_MAX), now)
    known = {(each.asset, each.status): each for each in owed}
    return [
        Liability(
            asset=asset,
            owed=tuple(known.get((asset, status), Owed(asset, status, 0, 0)) for status in OPEN),
            drafts=known.get((asset, "draft"), Owed(asset, "draft", 0, 0)),
            series=ahead.get(asset, Owed(asset, "series", 0, 0)),
            house=await ledger.balance(tx, address=FUNDING, asset=asset),
        )
        for asset in sorted({each.asset for each in owed} | set(ahead))
    ]


def _ahead(found: Sequence[Series], now: datetime) -> Mapping[str, Owed]:
    """What series will promise in periods that begin within a month, by asset."""
    sums: dict[str, Owed] = {}
    for series in found:
        if not series.active:
            continue
        begun = takewhile(lambda each: each.starts_at < now + AHEAD, series_rules.periods_of(series, now))
        count = sum(1 for period in begun if period.starts_at > now)
        before = sums.get(series.prize_asset, Owed(series.prize_asset, "series", 0, 0))
        amount = before.amount + count * series.guaranteed_pool
        sums[series.prize_asset] = Owed(series.prize_asset, "series", before.competitions + count, amount)
    return sums


async def upcoming(tx: Tx, *, series: Series, now: datetime) -> list[Upcoming]:
    """The period of a series that is on and the next ones, five in all, with what has been made of them."""
    found = list(islice(series_rules.periods_of(series, now), PERIODS_AHEAD))
    made = {one.period_key: one.competition_id for one in await sql.list_made(tx, series.id, [p.key for p in found])}
    return [Upcoming(period, made.get(period.key)) for period in found]


async def prize_list(tx: Tx, *, competition_id: CompetitionId, trial: Trial, limit: int, after: int = 0) -> PrizeList:
    """The prizes of the ranking behind so many, each with its arithmetic: those that were won, or that would be won now
    or with other prizes. Nothing is written.

    Refuses with NoSuchCompetition, PrizeShape, PrizeSum, PrizeIncreasing, PoolShort, Warming.
    """
    competition = await reads.get(tx, competition_id=competition_id)
    if competition.standings_hash and not trial.is_other:
        return await _won(tx, competition, limit, after)
    sums = (await pools.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    pool = lifecycle.pool_of(competition, sums.pool) if trial.pool is None else trial.pool
    rule = trial.rule or prizes.read(competition.prize_rule)
    if trial.is_other:
        prizes.check(rule, pool)
    ranked = await _ranked(tx, competition, rule)
    shares: Sequence[Share] = await asyncio.to_thread(
        prizes.provisional,
        rule,
        pool=pool,
        groups=ranked.groups,
        qualified=ranked.qualified,
        empty_rule=trial.empty_rule or competition.empty_rule,
        scores=ranked.scores,
    )
    shown = shares[after : after + limit]
    standings = await _standings_at(tx, competition, ranked, [share.place for share in shown])
    part = [
        Listed(
            *(standings[share.place], share.amount, json.loads(prizes.explained(share.why)), None),
            prizes.items_at(rule, share.place),
        )
        for share in shown
    ]
    left = pool - sum(share.amount for share in shares)
    return await _listed(tx, competition, part, pool, ranked.qualified, len(shares), left, is_provisional=True)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The groups of equal rank that can win with their scores, how many qualify, and who stands at their places."""

    groups: Sequence[int]
    scores: Sequence[int]
    qualified: int
    first: Sequence[Place | EntrantId]


async def _ranked(tx: Tx, competition: Competition, rule: PrizeRule) -> _Ranked:
    """A ranking, all of one moment."""
    if competition.standings_hash:
        winners = await sql.list_winners(tx, competition.list_id, prizes.places_of(rule))
        qualified = (await sql.count_standings(tx, competition.list_id)).qualified
        return _Ranked(prizes.groups_of(winners.ranks), winners.scores, qualified, winners.entrant_ids)
    ranking = (await rankings.live(tx, terms=competition.terms)).ranking
    qualified = ranking.qualified
    first = ranking.page(0, min(prizes.places_of(rule) or qualified, qualified))
    groups = [place.ties for place in first if place.place == place.rank]
    level = ranking.page(len(first), sum(groups) - len(first))  # with the last of them, who share their prize
    return _Ranked(groups, [place.score for place in first], qualified, [*first, *level])


async def _standings_at(
    tx: Tx, competition: Competition, ranked: _Ranked, places: Sequence[int]
) -> Mapping[int, Standing]:
    """Who stood at these places then."""
    first = [ranked.first[place - 1] for place in places]
    seen = [each for each in first if isinstance(each, Place)]
    if seen:
        found = await reads.rows_at(tx, places=seen, qualified=ranked.qualified)
    else:
        found = await sql.list_standings_of(tx, competition.list_id, [each for each in first if isinstance(each, int)])
    return {each.place: each for each in found}


async def _won(tx: Tx, competition: Competition, limit: int, after: int) -> PrizeList:
    rewards = await sql.list_rewards(tx, competition.id, limit, after=after)
    winners = [each.entrant_id for each in rewards]
    known = {each.entrant_id: each for each in await sql.list_standings_of(tx, competition.list_id, winners)}
    part = [Listed(known[each.entrant_id], each.amount, each.why, each, each.items) for each in rewards]
    paid = sum(each.prizes for each in await sql.sum_rewards(tx, competition.id))
    left = await sql.find_undistributed(tx, competition.id)
    counts = await sql.count_standings(tx, competition.list_id)
    pool = competition.pool_final or 0
    return await _listed(
        tx, competition, part, pool, counts.qualified, paid, left.amount if left else 0, is_provisional=False
    )


async def _listed(
    tx: Tx,
    competition: Competition,
    part: Sequence[Listed],
    pool: int,
    qualified: int,
    paid: int,
    left: int,
    *,
    is_provisional: bool,
) -> PrizeList:
    return PrizeList(
        competition=competition,
        asset_scale=next(each.scale for each in await ledger.assets(tx) if each.code == competition.prize_asset),
        rows=tuple(part),
        names=await showing.names_of(tx, people={each.standing.entrant_id: each.standing for each in part}),
        pool=pool,
        qualified=qualified,
        paid=paid,
        undistributed=left,
        is_provisional=is_provisional,
    )
