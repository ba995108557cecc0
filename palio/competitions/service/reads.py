"""What others may know: headers, boards, standings, prize lists."""

import asyncio
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from palio.competitions import sql
from palio.competitions.errors import NoSuchCompetition, Warming
from palio.competitions.ranks import Place, Ranking
from palio.competitions.rules import lifecycle, prizes, trends
from palio.competitions.service import countries, pools, rankings, spots
from palio.competitions.types import (
    EPOCH,
    MICROSECOND,
    Ahead,
    Board,
    BoardRow,
    Competition,
    CompetitionId,
    Counts,
    Entrant,
    EntrantId,
    EntrantKind,
    Nearby,
    PoolSums,
    Reward,
    Score,
    Some,
    Standing,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.providers import After

ROWS_MAX = 100_000
REWARDS_MAX = 100_000
COUNTS_MAX = 10_000
TREND_AGE = timedelta(minutes=55)


async def get_many(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, Competition]:
    """The headers of at most 1,000 competitions; those that do not exist are missing."""
    return {found.id: found for found in await sql.list_competitions(tx, competition_ids)}


async def get(tx: Tx, *, competition_id: CompetitionId) -> Competition:
    """The header of one. Refuses with NoSuchCompetition."""
    found = await get_many(tx, [competition_id])
    if not found:
        raise NoSuchCompetition(competition_id=str(competition_id))
    return found[competition_id]


async def public(tx: Tx, *, competition_id: CompetitionId) -> Competition:
    """The same of what everybody may see. Refuses with NoSuchCompetition, of a draft too."""
    found = await get(tx, competition_id=competition_id)
    if found.status == "draft":
        raise NoSuchCompetition(competition_id=str(competition_id))
    return found


async def next_bound(tx: Tx, *, after: datetime) -> datetime | None:
    """The first instant after another at which a competition that is not over begins or ends; None if there is none."""
    return await sql.find_next_bound(tx, after)


async def top(
    tx: Tx, *, competition_id: CompetitionId, limit: int, after: After = 0, now: datetime | None = None
) -> Board:
    """The rows of the ranking behind a place or a row, or in front of a row, at most 100,000, each with its prize:
    provisional until the freeze.

    Ranks are those of the whole ranking, wherever it is cut. Of the first hundred of a live ranking it says how they
    moved in the hour before `now` (this instant, if not given). Refuses with NoSuchCompetition.
    """
    competition = await get(tx, competition_id=competition_id)
    return await board_of(tx, competition=competition, limit=limit, after=after, now=now)


async def board_of(
    tx: Tx, *, competition: Competition, limit: int, after: After = 0, now: datetime | None = None
) -> Board:
    """The same for whoever has read the header."""
    limit = min(limit, ROWS_MAX)
    if competition.standings_hash:
        return await _frozen(tx, competition, limit, after)
    return await _with_trends(tx, competition, await _live(tx, competition, limit, after), now or clock.now())


async def _with_trends(tx: Tx, competition: Competition, board: Board, now: datetime) -> Board:
    entrants = [row.standing.entrant_id for row in board.rows if row.standing.rank]
    if not entrants:
        return board
    found = await sql.list_earlier(tx, competition.list_id, now - TREND_AGE, entrants)
    earlier = {ranked.entrant_id: ranked.rank for ranked in found}
    rows = (
        replace(row, trend=trends.rose_by(row.standing.rank, earlier.get(row.standing.entrant_id)))
        for row in board.rows
    )
    return replace(board, rows=tuple(rows)) if earlier else board


async def entrants_many(tx: Tx, entrant_ids: Sequence[EntrantId]) -> dict[EntrantId, Entrant]:
    """Who these entrants are; those that do not exist are missing."""
    return {found.entrant_id: found for found in await sql.list_entrants(tx, entrant_ids)}


async def leader(tx: Tx, *, competition_id: CompetitionId) -> EntrantId | None:
    """Who leads the live ranking, if anybody qualifies."""
    return await sql.find_leader(tx, competition_id)


async def _live(tx: Tx, competition: Competition, limit: int, after: After) -> Board:
    sums = await _sums(tx, competition)
    live = await rankings.live(tx, terms=competition.terms)
    passed, limit = live.ranking.span(after, limit)
    above = live.ranking.page(passed - 1, 1) if passed and limit else []
    board = await _board(tx, competition, sums, live, live.ranking.page(passed, limit))
    return replace(board, after=passed, above=above[0].score if above else None)


async def remembered(tx: Tx, *, competition: Competition, limit: int) -> Board:
    """What the newest picture of a ranking says, while the ranking is loaded: nobody's rank is known by now.

    Where more may be paid than the picture shows, it has no rows: what they are worth is not known either.
    """
    counts, sums = await sql.count_scores(tx, competition.id), await _sums(tx, competition)
    snapshot, rule = await sql.find_snapshot(tx, competition.list_id), prizes.read(competition.prize_rule)
    top = snapshot.top if snapshot else ()
    if len(top) >= trends.FIRST and (prizes.places_of(rule) or trends.FIRST + 1) > trends.FIRST:
        top = ()
    shares = prizes.allocate(
        rule,
        pool=lifecycle.pool_of(competition, sums.pool),
        groups=prizes.groups_of([each["rank"] for each in top]),
        empty_rule=competition.empty_rule,
        scores=[each["score"] for each in top],
    )
    amounts, ties = {share.place: share.amount for share in shares}, Counter(each["rank"] for each in top)
    known = await entrants_many(tx, [EntrantId(each["entrant"]) for each in top[:limit]])
    rows = tuple(
        BoardRow(
            _standing(
                Place(place, each["rank"], each["entrant"], each["score"], ties[each["rank"]]),
                known[EntrantId(each["entrant"])],
                len(top),
            ),
            amounts.get(place, 0),
            None,
            ties=ties[each["rank"]],
        )
        for place, each in enumerate(top[:limit], 1)
    )
    left = lifecycle.pool_of(competition, sums.pool) - sum(amounts.values())
    board = Board(rows, counts.entrants, counts.qualified, left, is_provisional=True, sums=sums)
    return replace(board, is_warming=True, as_of=snapshot.taken_at if snapshot else None)


async def _sums(tx: Tx, competition: Competition) -> PoolSums:
    """What is in the pool."""
    return (await pools.pool_sums(tx, competition_ids=[competition.id]))[competition.id]


async def rows_of(tx: Tx, *, competition: Competition, some: Some, limit: int, after: After = 0) -> Board:
    """The rows of some entrants by place, as `top` has them; `entrants` is how many of them stand there.

    While the ranking is loaded they have their scores and their order among each other, but no rank and no prize.
    """
    if competition.standings_hash:
        entrant_ids = await countries.listed(tx, list_id=competition.list_id, some=some)
        rows = await sql.list_standings_of(tx, competition.list_id, entrant_ids)
        won = {reward.entrant_id: reward for reward in await sql.list_rewards_of(tx, competition.id, entrant_ids)}
        counts = await db.memory(tx, _Counts).of(tx, competition)
        first, limit = await spots.frozen_among(
            tx, terms=competition.terms, places=[row.place for row in rows], after=after, limit=limit
        )
        part = rows[first : first + limit]
        ties = await _ties(tx, competition, part)
        found = _numbered(
            [_row(standing, won.get(standing.entrant_id), ties) for standing in part],
            [row.rank for row in rows if row.rank],
        )
        return Board(found, len(rows), counts.qualified, 0, is_provisional=False, after=first)
    sums = await _sums(tx, competition)
    try:
        live = await rankings.live(tx, terms=competition.terms)
    except Warming:
        entrant_ids = await countries.listed(tx, list_id=competition.list_id, some=some)
        return await _unranked(tx, competition, sums, entrant_ids, limit, after)
    those = await countries.part_of(tx, live=live, some=some)
    first, limit = those.span(after, limit)
    places = those.page(first, limit)
    board = await _board(tx, competition, sums, live, [each.place for each in places])
    told = tuple(
        replace(row, among=each.among) if row.standing.rank else row
        for row, each in zip(board.rows, places, strict=True)
    )
    return replace(board, rows=told, entrants=len(those), after=first)


async def _unranked(
    tx: Tx, competition: Competition, sums: PoolSums, entrant_ids: Sequence[EntrantId], limit: int, after: After
) -> Board:
    terms = competition.terms
    entrants, scores, reached, subscores = await sql.get_scores_of(tx, terms.list_id, entrant_ids)
    ranking = await asyncio.to_thread(
        Ranking.load,
        *(entrants, scores, reached, subscores if terms.has_subscore else None),
        least=terms.least_score,
        direction=terms.direction,
        ties=terms.tie_rule,
    )
    first, limit = ranking.span(after, limit)
    places = ranking.page(first, limit)
    known = await entrants_many(tx, [EntrantId(place.entrant) for place in places])
    rows = tuple(
        BoardRow(
            replace(_standing(place, known[EntrantId(place.entrant)], qualified=0), place=0),
            *(0, None),
            among=place.rank if place.place <= ranking.qualified else None,
        )
        for place in places
    )
    board = Board(rows, len(ranking), ranking.qualified, 0, is_provisional=True, sums=sums)
    return replace(board, after=first, is_warming=True)


def _numbered(rows: Sequence[BoardRow], ranks: Sequence[int]) -> tuple[BoardRow, ...]:
    """Rows with the ranks that they have among all who have these; below the line nobody has one."""
    return tuple(
        replace(row, among=bisect_left(ranks, row.standing.rank) + 1) if row.standing.rank else row for row in rows
    )


async def _board(
    tx: Tx, competition: Competition, sums: PoolSums, live: rankings.Live, places: Sequence[Place]
) -> Board:
    # no waiting from the caller's look to here: the ranking belongs to this moment
    prizes_now = live.prizes(replace(competition, guaranteed_pool=lifecycle.pool_of(competition, sums.pool)))
    entrants, qualified, version = len(live.ranking), live.ranking.qualified, live.version
    known = await entrants_many(tx, [EntrantId(place.entrant) for place in places])
    return Board(
        rows=tuple(
            BoardRow(
                _standing(place, known[EntrantId(place.entrant)], qualified),
                prizes_now.amounts.get(place.place, 0),
                None,
                ties=place.ties,
            )
            for place in places
        ),
        entrants=entrants,
        qualified=qualified,
        undistributed=prizes_now.undistributed,
        is_provisional=True,
        version=version,
        sums=sums,
    )


def _standing(place: Place, entrant: Entrant, qualified: int) -> Standing:
    return Standing(
        place=place.place,
        rank=place.rank if place.place <= qualified else None,
        entrant_id=entrant.entrant_id,
        kind=entrant.kind,
        ref=entrant.ref,
        label=entrant.label,
        user_id=entrant.user_id,
        score=place.score,
        subscore=place.subscore,
        reached_at=EPOCH + place.reached_at_us * MICROSECOND,
    )


async def rows_at(tx: Tx, *, places: Sequence[Place], qualified: int) -> list[Standing]:
    """Who stands at places of a live ranking of which so many qualify."""
    known = await entrants_many(tx, [EntrantId(place.entrant) for place in places])
    return [_standing(place, known[EntrantId(place.entrant)], qualified) for place in places]


class _Counts:
    """How many stand in frozen rankings, by the digest of the ranking: it cannot change without it."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Counts] = OrderedDict()

    async def of(self, tx: Tx, competition: Competition) -> Counts:
        """The counts of a frozen competition."""
        digest = competition.standings_hash or b""
        if digest not in self._known:
            self._known[digest] = await sql.count_standings(tx, competition.list_id)
            if len(self._known) > COUNTS_MAX:
                self._known.popitem(last=False)
        return self._known[digest]


async def _frozen(tx: Tx, competition: Competition, limit: int, after: After) -> Board:
    rankings.forget(tx, list_id=competition.list_id)
    passed, limit = await spots.frozen(tx, terms=competition.terms, after=after, limit=limit)
    lead = 1 if passed and limit else 0
    found = await sql.list_standings(tx, competition.list_id, limit + lead, after=passed - lead)
    board = await _frozen_rows(tx, competition, found[lead:])
    return replace(board, after=passed, above=found[0].score if found and lead else None)


async def _frozen_rows(tx: Tx, competition: Competition, rows: Sequence[Standing]) -> Board:
    """Rows of a frozen ranking, one after another, with what they have won."""
    counts = await db.memory(tx, _Counts).of(tx, competition)
    rewards = await sql.list_rewards_of(tx, competition.id, [standing.entrant_id for standing in rows])
    won = {reward.entrant_id: reward for reward in rewards}
    left = await sql.find_undistributed(tx, competition.id)
    ties = Counter(standing.rank for standing in rows) | await _ties(tx, competition, [*rows[:1], *rows[-1:]])
    return Board(
        rows=tuple(_row(standing, won.get(standing.entrant_id), ties) for standing in rows),
        entrants=counts.entrants,
        qualified=counts.qualified,
        undistributed=left.amount if left else 0,
        is_provisional=False,
    )


async def nearby(
    tx: Tx, *, competition: Competition, entrant_id: EntrantId, radius: int, now: datetime
) -> Nearby | None:
    """Where an entrant stands, who stands around him, and who has the next better rank, all as of one moment.

    None for whoever does not stand there.
    """
    if competition.standings_hash:
        return await _nearby_frozen(tx, competition, entrant_id, radius)
    sums = await _sums(tx, competition)
    live = await rankings.live(tx, terms=competition.terms)
    mine = live.ranking.place_of(entrant_id)
    if mine is None:
        return None
    first = max(0, mine.place - 1 - radius)
    better = live.ranking.page(mine.rank - 2, 1) if mine.rank > 1 else []
    ahead = Ahead(better[0].rank, better[0].score) if better and better[0].place <= live.ranking.qualified else None
    board = await _board(tx, competition, sums, live, live.ranking.page(first, mine.place + radius - first))
    board = await _with_trends(tx, competition, replace(board, after=first), now)
    row = await _since_told(tx, competition, board.rows[mine.place - 1 - first])
    rows = tuple(row if each.standing.entrant_id == entrant_id else each for each in board.rows)
    return Nearby(replace(board, rows=rows), row, ahead)


async def _since_told(tx: Tx, competition: Competition, row: BoardRow) -> BoardRow:
    """Beyond the first, of whom there are pictures, somebody has moved since the rank that he knows of."""
    rank = row.standing.rank
    if rank is None or rank <= trends.FIRST or row.trend is not None:
        return row
    mark = await sql.find_mark(tx, competition.list_id, row.standing.entrant_id)
    return replace(row, trend=trends.rose_by(rank, mark.rank)) if mark else row


async def _nearby_frozen(tx: Tx, competition: Competition, entrant_id: EntrantId, radius: int) -> Nearby | None:
    """In one statement, because a decision of staff may write the ranking anew."""
    found = await sql.list_standings_around(tx, competition.list_id, entrant_id, radius)
    if not found:
        return None
    board = replace(await _frozen_rows(tx, competition, found), after=found[0].place - 1)
    row = next(row for row in board.rows if row.standing.entrant_id == entrant_id)
    rank = row.standing.rank or row.standing.place
    better = await sql.list_standings(tx, competition.list_id, 1, after=rank - 2) if rank > 1 else []
    ahead = Ahead(better[0].rank, better[0].score) if better and better[0].rank else None
    return Nearby(board, row, ahead)


async def _ties(tx: Tx, competition: Competition, rows: Sequence[Standing]) -> Counter[int | None]:
    """How many share the ranks of frozen rows, whether their rows are here or not."""
    ranks = [standing.rank for standing in rows if standing.rank]
    return Counter(await sql.count_ties(tx, competition.list_id, ranks) if ranks else {})


def _row(standing: Standing, reward: Reward | None, ties: Mapping[int | None, int]) -> BoardRow:
    row = BoardRow(standing, 0, None, ties=ties[standing.rank] if standing.rank else 1)
    return replace(row, prize=reward.amount, reward_status=reward.status, items=reward.items) if reward else row


async def standings(tx: Tx, *, competition_id: CompetitionId, limit: int) -> list[Standing]:
    """The frozen ranking in place order; empty before the freeze. Refuses with NoSuchCompetition."""
    competition = await get(tx, competition_id=competition_id)
    return await sql.list_standings(tx, competition.list_id, limit)


async def rewards(tx: Tx, *, competition_id: CompetitionId) -> list[Reward]:
    """The prize list in place order, at most 100,000 rows; empty before the freeze."""
    return await sql.list_rewards(tx, competition_id, REWARDS_MAX)


async def scores(tx: Tx, *, competition_id: CompetitionId) -> list[Score]:
    """Every score of a competition, for the product that recomputes them. Refuses with NoSuchCompetition."""
    competition = await get(tx, competition_id=competition_id)
    return await sql.list_scores(tx, competition.list_id)


async def counts_many(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, int]:
    """How many entrants are on the lists of at most 1,000 competitions."""
    counts = await sql.list_frozen_counts(tx, competition_ids)
    for competition in await sql.list_competitions(tx, [each for each in competition_ids if each not in counts]):
        has_scores = competition.status not in ("draft", "upcoming")
        counts[competition.id] = await _count(tx, competition) if has_scores else 0
    return counts


async def _count(tx: Tx, competition: Competition) -> int:
    """How many are ranked; while the ranking is loaded the table says it."""
    try:
        return len((await rankings.live(tx, terms=competition.terms)).ranking)
    except Warming:
        return (await sql.count_scores(tx, competition.id)).entrants


async def entered(
    tx: Tx, *, competition_id: CompetitionId, kind: EntrantKind, refs: Sequence[str]
) -> Mapping[str, EntrantId]:
    """Those of the refs that have a score already, whether they are ranked or out."""
    return {score.ref: score.entrant_id for score in await sql.list_entered(tx, competition_id, kind, refs)}


async def entered_by(
    tx: Tx, *, user_id: UserId, competition_ids: Sequence[CompetitionId]
) -> Mapping[CompetitionId, EntrantId]:
    """In which of at most 1,000 competitions a user has a score, and as which entrant."""
    found = await sql.list_entered_by(tx, user_id, competition_ids)
    return {each.competition_id: each.entrant_id for each in found}


async def corrections(
    tx: Tx, *, competition_id: CompetitionId, entrant_ids: Sequence[EntrantId]
) -> Mapping[EntrantId, int]:
    """By how much scores of at most 1,000 entrants were lowered by corrections. Refuses with NoSuchCompetition."""
    competition = await get(tx, competition_id=competition_id)
    lowered = await sql.sum_corrections(tx, competition.list_id, entrant_ids)
    return {score.entrant_id: score.score for score in lowered}


async def adjustments(tx: Tx, *, competition_id: CompetitionId) -> Mapping[EntrantId, int]:
    """By how much staff changed scores, for whom they did. Refuses with NoSuchCompetition."""
    competition = await get(tx, competition_id=competition_id)
    return {found.entrant_id: found.score for found in await sql.sum_adjustments(tx, competition.list_id)}


async def adjusted_by(tx: Tx, *, competition_id: CompetitionId, user_id: UserId | None, since: datetime) -> int:
    """How much one person adjusted since an instant, upwards and downwards together. Refuses with NoSuchCompetition."""
    competition = await get(tx, competition_id=competition_id)
    return await sql.sum_adjusted_by(tx, competition.list_id, user_id, since)


async def disqualified(tx: Tx, *, competition_id: CompetitionId) -> set[EntrantId]:
    """Those whom staff took out."""
    return set(await sql.list_disqualified(tx, competition_id))
