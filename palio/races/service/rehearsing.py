"""A race that never was: what stored snapshots and a prize rule would have led to. Nothing is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, ProgrammeId, ReadingAt, SnapshotView
from palio.competitions.types import PrizeRule
from palio.infra import settings
from palio.infra.db import Tx
from palio.races.errors import NoPicture, SpecInvalid
from palio.races.rules import pictures, showing, terms, totals
from palio.races.service import counting
from palio.races.types import (
    DEFAULT_MIN_WAGER,
    FINAL_LATE_S,
    PICTURE_TOLERANCE_S,
    Baseline,
    Line,
    NewRace,
    PeriodTried,
    Rehearsal,
    RuleTried,
    Start,
)


async def rehearse(tx: Tx, *, new: NewRace, chained: bool = False) -> Rehearsal:
    """Work out standings and prizes of a race between stored snapshots; `chained` opens it as its neighbour closes.

    Refuses with WindowInvalid, SpecInvalid, NoPicture, affiliates.NoSuchProgramme, competitions.PrizeSum,
    competitions.PrizeIncreasing.
    """
    terms.check(new)
    start, final = await _pictures(tx, new, chained=chained)
    run = await _run(tx, new, start.snapshot, final)
    lines, qualified, undistributed = await _ranked(tx, new, run)
    due_at = pictures.final_due_at(new.ends_at, new.grace_s)
    return Rehearsal(
        start_state=start.state,
        start=showing.picture(start.snapshot),
        final_state=pictures.final_state(final.fetched_at, due_at=due_at, late_s=settings.value(FINAL_LATE_S)),
        final=showing.picture(final),
        lines=lines,
        qualified=qualified,
        undistributed=undistributed,
    )


async def rehearse_past(
    tx: Tx, *, new: NewRace, rules: Sequence[tuple[str, PrizeRule]], tz: str, chained: bool, count: int, now: datetime
) -> list[PeriodTried]:
    """The last periods of a cadence under several prize rules side by side, the newest first. Nothing is written.

    A period without pictures says so. Refuses with SpecInvalid for a cadence without periods, and as `rehearse` does.
    """
    if new.cadence == "special":
        raise SpecInvalid(field="cadence", expected="daily, weekly, weekend or monthly")
    tried = [replace(new, prize_rule=rule) for _, rule in rules]
    for one in tried:
        competitions.preview_prizes(one.prize_rule, pool=one.pool, entrants=0)
    spans = {"daily": 1, "weekly": 7, "weekend": 7, "monthly": 31}
    since = now - timedelta(days=spans[new.cadence] * (count + 1))
    over = takewhile(lambda period: period.ends_at <= now, competitions.periods(new.cadence, tz, since))
    names = [name for name, _ in rules]
    return [
        await _period(
            tx, [replace(one, starts_at=span.starts_at, ends_at=span.ends_at) for one in tried], names, chained
        )
        for span in list(over)[-count:][::-1]
    ]


async def _period(tx: Tx, tried: Sequence[NewRace], names: Sequence[str], chained: bool) -> PeriodTried:
    first = tried[0]
    try:
        start, final = await _pictures(tx, first, chained=chained)
    except NoPicture as refusal:
        return PeriodTried(first.starts_at, first.ends_at, 0, 0, 0, (), missing=refusal.detail)
    run = await _run(tx, first, start.snapshot, final)
    outcomes = []
    qualified = 0
    for name, new in zip(names, tried, strict=True):
        lines, qualified, undistributed = await _ranked(tx, new, run)
        prizes = [line.prize for line in lines if line.prize]
        paid = sum(prizes)
        outcomes.append(
            RuleTried(name, paid, undistributed, len(prizes), max(prizes, default=0), min(prizes, default=0))
        )
    total = sum(run.totals.values())
    return PeriodTried(first.starts_at, first.ends_at, qualified, len(run.totals), total, tuple(outcomes))


async def _pictures(tx: Tx, new: NewRace, *, chained: bool) -> tuple[Start, SnapshotView]:
    """The snapshots that would open and close it. Refuses with NoPicture, affiliates.NoSuchProgramme."""
    programme = await affiliates.programme(tx, code=new.programme)
    due_at = pictures.final_due_at(new.ends_at, new.grace_s)
    start = await _start(tx, new, programme.id, chained=chained)
    final = await affiliates.snapshot_from(tx, programme_id=programme.id, at=due_at)
    if start is None or final is None:
        raise NoPicture(programme=programme.code, starts_at=(new.starts_at if start is None else due_at).isoformat())
    return start, final


async def _start(tx: Tx, new: NewRace, programme_id: ProgrammeId, *, chained: bool) -> Start | None:
    if chained:
        due_at = pictures.final_due_at(new.starts_at, new.grace_s)
        closing = await affiliates.snapshot_from(tx, programme_id=programme_id, at=due_at)
        return Start("chained", closing) if closing else None
    return pictures.choose_start(
        new.starts_at,
        before=await affiliates.snapshot_before(tx, programme_id=programme_id, at=new.starts_at),
        after=await affiliates.snapshot_from(tx, programme_id=programme_id, at=new.starts_at),
        tolerance_s=settings.value(PICTURE_TOLERANCE_S),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Totals of those who would have entered, in the order in which they would have, and when they were reached."""

    totals: Mapping[PlayerId, int]
    reached_at: Mapping[PlayerId, datetime]


async def _run(tx: Tx, new: NewRace, start: SnapshotView, final: SnapshotView) -> _Run:
    before, after = [
        await affiliates.readings_at(tx, programme_id=start.programme_id, snapshot_id=snapshot.id)
        for snapshot in (start, final)
    ]
    exceptions = {found.player_id: found for found in totals.exceptions_of(before.values(), start.id)}
    reached_at: dict[PlayerId, datetime] = {}
    seq = start.seq
    while seq < final.seq and (
        changes := await affiliates.changes_since(
            tx, programme_id=start.programme_id, seq=seq, through_seq=final.seq, limit=counting.CHANGES_MAX
        )
    ):
        plan = totals.plan(
            changes,
            scored=reached_at,
            start=before,
            exceptions=exceptions,
            joined=await _joined(tx, start, changes, before, exceptions),
        )
        exceptions |= {found.player_id: found for found in plan.baselines}
        reached_at |= {
            wager.player_id: pictures.counted_at(wager.at, new.starts_at, new.ends_at)
            for wager in plan.wagers
            if wager.delta > 0
        }
        seq = changes[-1].seq
    found = totals.recompute(before, after, exceptions)
    entered = list(reached_at)
    if new.linked_only:
        linked = {link.player_id for link in await affiliates.links_many(tx, player_ids=entered)}
        entered = [player_id for player_id in entered if player_id in linked]
    return _Run({player_id: found[player_id] for player_id in entered}, reached_at)


async def _joined(
    tx: Tx,
    start: SnapshotView,
    changes: list[affiliates.WagerChange],
    before: Mapping[PlayerId, ReadingAt],
    exceptions: Mapping[PlayerId, Baseline],
) -> set[PlayerId]:
    absent = {
        change.player_id: change.uid
        for change in changes
        if change.player_id not in before and change.player_id not in exceptions
    }
    return await counting.joined_since(tx, start=start, absent=absent)


async def _ranked(tx: Tx, new: NewRace, run: _Run) -> tuple[tuple[Line, ...], int, int]:
    """The lines in ranking order with their prizes, how many qualify, and what nobody would win."""
    minimum = terms.minimum(new, settings.value(DEFAULT_MIN_WAGER))
    order = sorted(
        run.totals,
        key=lambda player_id: (
            not 0 < run.totals[player_id] >= minimum,
            -run.totals[player_id],
            run.reached_at[player_id],
        ),
    )
    ranks = totals.ranks_of([run.totals[player_id] for player_id in order], minimum)
    tied = Counter(rank for rank in ranks if rank)
    preview = competitions.preview_prizes(
        new.prize_rule, pool=new.pool, entrants=tied.total(), ties=tied, empty_rule="keep"
    )
    prizes = {share.place: share.amount for share in preview.shares}
    players = await affiliates.players_many(tx, order)
    lines = tuple(
        Line(
            place=place,
            rank=rank,
            uid=players[player_id].uid,
            name=showing.full_name(players[player_id]),
            total_micro=run.totals[player_id],
            prize=prizes.get(place, 0),
            reward_status=None,
        )
        for place, (player_id, rank) in enumerate(zip(order, ranks, strict=True), 1)
    )
    return lines, tied.total(), preview.undistributed
