"""Lists of races: what is on, what comes, and what is over, with how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from palio import affiliates, competitions, ledger
from palio.affiliates.types import ProgrammeId, ProgrammeStatus
from palio.competitions.types import CompetitionId, EntrantId
from palio.infra.db import Tx
from palio.kernel.parts import Cut
from palio.kernel.providers import OwnPage, ProductPages
from palio.races import sql
from palio.races.service import naming
from palio.races.types import Listed, Outcome, Part, RaceLine, Wanted

LINES_MAX = 200
WINNERS_MAX = 5  # of each race that so many are named who share its first rank


async def recent(tx: Tx, *, limit: int = 50) -> list[RaceLine]:
    """The newest races, at most 200, those that are not over first."""
    return await _lines(tx, await sql.list_current_first(tx, min(limit, LINES_MAX)))


async def listed(tx: Tx, *, wanted: Wanted, part: Part) -> Cut[RaceLine]:
    """A part of the races that are wanted, those that end last first; at most 10,000.

    Refuses with affiliates.NoSuchProgramme.
    """
    programme = await affiliates.programme(tx, code=wanted.programme) if wanted.programme else None
    listed = await sql.list_newest(tx, wanted, programme.id if programme else None, part.and_one)
    found, has_newer, has_older = part.cut(listed)
    return Cut(tuple(await _lines(tx, found)), has_newer, has_older)


async def pages_many(tx: Tx, competition_ids: Sequence[UUID]) -> Mapping[UUID, OwnPage]:
    """Where the races behind these competitions have their pages; of others it knows nothing."""
    found = await sql.list_races(tx, [CompetitionId(each) for each in competition_ids])
    return {race.competition_id: OwnPage(f"/races/{race.number}", race.number % 10) for race in found}


PAGES: ProductPages[Tx] = ProductPages("race", pages_many)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the lines of a list have in common: looked up once for all of them."""

    programmes: Mapping[ProgrammeId, ProgrammeStatus]
    scales: Mapping[str, int]
    counts: Mapping[CompetitionId, int]
    names: Mapping[EntrantId, str]


async def _lines(tx: Tx, found: Sequence[Listed]) -> list[RaceLine]:
    winners = list(chain.from_iterable(race.winners[:WINNERS_MAX] for race in found))
    known = _Known(
        programmes={
            programme_id: await affiliates.programme_status(tx, programme_id=programme_id)
            for programme_id in sorted({race.programme_id for race in found})
        },
        scales={asset.code: asset.scale for asset in await ledger.assets(tx)},
        counts=await competitions.counts_many(tx, [race.competition_id for race in found]),
        names=await naming.names_of(tx, people=list((await competitions.entrants_many(tx, winners)).values())),
    )
    return [_line(race, known) for race in found]


def _line(race: Listed, known: _Known) -> RaceLine:
    return RaceLine(
        competition_id=race.competition_id,
        number=race.number,
        title=race.title,
        programme=known.programmes[race.programme_id].name,
        status=race.status,
        starts_at=race.starts_at,
        ends_at=race.ends_at,
        asset=race.asset,
        asset_scale=known.scales[race.asset],
        pool=race.pool,
        entrants=known.counts.get(race.competition_id, 0),
        currency=known.programmes[race.programme_id].currency,
        outcome=_outcome(race, known),
    )


def _outcome(race: Listed, known: _Known) -> Outcome | None:
    if race.year is None or race.month is None:
        return None
    return Outcome(
        year=race.year,
        month=race.month,
        participants=race.participant_count or 0,
        total_micro=race.total_micro or 0,
        currency=known.programmes[race.programme_id].currency,
        winners=tuple(known.names[entrant_id] for entrant_id in race.winners[:WINNERS_MAX]),
        standings_sha256=race.standings_sha256 or "",
        start_sha256=race.start_sha256 or "",
        final_sha256=race.final_sha256 or "",
    )
