"""`palio races …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, At, DryRun, Limit, Misuse, content
from palio.entry.printing import Cell, columns, decimal, record, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palio.infra.db import Tx
    from palio.races import Line, NewRace, Progress, RaceLine, RaceView, Recomputed, SeriesLine

app = typer.Typer(no_args_is_help=True, help="Wager races over the snapshots of a feed.")
series = typer.Typer(no_args_is_help=True, help="Races that follow each other by the calendar.")
app.add_typer(series, name="series")

MICRO, CENTS = 6, 2
DOLLARS = re.compile(r"(?P<whole>[0-9]{1,13})(\.(?P<cents>[0-9]{1,2}))?")
BASIS_POINTS = re.compile(r"[1-9][0-9]{0,4}")
FILE = {"exists": True, "dir_okay": False, "readable": True}

Number = Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="The number of the race.")]
SpecFile = Annotated[Path, typer.Option("--spec", metavar="FILE", help="The race as a JSON object.", **FILE)]
Baseline = Annotated[Path, typer.Option(metavar="FILE", help="The capture that opens the race.", **FILE)]
Final = Annotated[Path, typer.Option(metavar="FILE", help="The capture that closes it.", **FILE)]


def dollars(text: str) -> int:
    """An amount of dollars in cents."""
    written = DOLLARS.fullmatch(text.strip())
    if written is None:
        raise Misuse("amount_invalid", f"{text!r} is no amount of dollars: write it like 500.00")
    return int(written["whole"] + (written["cents"] or "").ljust(CENTS, "0"))


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the pool by place, in basis points."""

    bps: tuple[int, ...]


def shares(text: str) -> Shares:
    """Shares as they are written: 5000,3000,2000."""
    parts = [part.strip() for part in text.split(",")]
    if not all(BASIS_POINTS.fullmatch(part) for part in parts):
        raise Misuse("prizes_invalid", f"{text!r}: write basis points by place, like 5000,3000,2000")
    return Shares(tuple(map(int, parts)))


@app.command()
def create(spec: SpecFile, *, at: At = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make and publish a race; its pool moves into escrow.

    FILE holds title, starts_at, ends_at and pool ("500.00" dollars, or {"asset": "USD", "amount": 50000}), and may hold
    programme (default), prizes ([50, 30, 20] or {"1": 50, "2": 30, "3": 20} in percent, or {"kind": "fixed" or "bps",
    "bands": [{"from": 1, "to": 1, "value": 5000}]}), min_wager ("10.00") or min_wager_micro, cadence, description,
    rules_text, grace_s (900), review_h (24; 0 pays at once), previous (the number of the race it is chained to),
    linked_only (true: only linked players rank), and, for a start in the past, backdated_reason.

    Exit status 1: the race is refused, with the reason.
    """
    from palio import races
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> races.RaceView:
        now = at or clock.now()
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            new = await _read(tx, spec)
            made = await races.create_race(tx, new=new, actor=operators.actor(), now=now)
            return await races.view(tx, number=made.number, now=now, rows_max=0)

    made = terminal.run(work, json=as_json)
    head = ["Nothing was changed; this race would be made:"] if dry_run else []
    shown, lines = _race(made), _record(made)
    if dry_run:  # its number is given when it is made, and was not kept
        shown["number"] = lines["number"] = None
    tell(shown, as_json=as_json, lines=[*head, *record(lines)])


async def _read(tx: "Tx", path: Path) -> "NewRace":
    from palio import competitions, races

    return races.read_spec(
        _json(path), read_rule=competitions.read_prize_rule, waits=await competitions.waits(tx, product="race")
    )


def _json(path: Path) -> object:
    import json
    from decimal import Decimal

    from palio import races

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is no number of JSON")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("a key stands twice in it")
        return members

    try:
        body: object = json.loads(content(path), parse_float=Decimal, parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as problem:
        raise races.SpecInvalid(field=path.name, expected=f"one JSON object: {problem}") from None
    return body


@app.command(name="list")
def list_races(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List races, those that are not over first."""
    from palio import races
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> list[races.RaceLine]:
        async with operators.acting(place.database) as tx:
            return await races.recent(tx, limit=limit)

    found = terminal.run(work, json=as_json)
    tell({"items": found}, as_json=as_json, lines=_table(found) if found else ["There is no race."])


def _table(found: "Sequence[RaceLine]") -> list[str]:
    rows: list[list[Cell]] = [
        [
            *(race.number, race.status, race.starts_at, race.ends_at),
            *(decimal(race.pool, race.asset_scale), race.asset, race.entrants, race.title),
        ]
        for race in found
    ]
    head = ["number", "status", "starts at", "ends at", "pool", "asset", "entrants", "title"]
    return columns(head, rows, to_right=(0, 4, 6))


@app.command()
def tick(*, at: At = None, as_json: AsJson = False) -> None:
    """Do every step of every race that is due now, or was due at TIME: start, count, end, freeze, pay.

    A worker does the same once a minute. Each race has a transaction of its own; a series whose competition lacks its
    race gets it.
    """
    from palio import races
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> list[races.Progress]:
        now = at or clock.now()
        async with operators.acting(place.database) as tx:
            await races.repair(tx, now=now)
            numbers = await races.due(tx, now=now)
        done = []
        for number in numbers:
            async with operators.acting(place.database) as tx:
                done.append(await races.advance(tx, number=number, now=now))
        return done

    done = terminal.run(work, json=as_json)
    tell({"items": done}, as_json=as_json, lines=[_told(progress) for progress in done] or ["Nothing is due."])


def _told(progress: "Progress") -> str:
    steps = ", ".join(progress.steps) or "nothing to do, nothing was changed"
    state = f"{progress.status}/{progress.phase}" if progress.phase else progress.status
    waits = f", waits for {progress.waits_for.replace('_', ' ')}" if progress.waits_for else ""
    return f"race {progress.number}: {steps}; now {state}{waits}"


@app.command()
def standings(number: Number, *, limit: Limit = 200, as_json: AsJson = False) -> None:
    """Print how a race stands, with uids and whole names. Exit status 1: there is none, or it has not begun."""
    from palio import races
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> tuple[races.RaceView, list[races.Line]]:
        async with operators.acting(place.database) as tx:
            lines = await races.lines(tx, number=number, limit=limit)
            return await races.view(tx, number=number, now=clock.now(), rows_max=0), lines

    race, lines = terminal.run(work, json=as_json)
    answer = {**_race(race), "items": [_line(line, race.asset_scale) for line in lines]}
    rows = [
        [
            *(line.rank, line.uid, line.name, decimal(line.total_micro, MICRO)),
            *(decimal(line.prize, race.asset_scale), line.reward_status),
        ]
        for line in lines
    ]
    table = columns(["rank", "uid", "name", "total", "prize", "reward"], rows, to_right=(0, 3, 4))
    tell(answer, as_json=as_json, lines=table if rows else ["Nobody has wagered yet."])


@app.command()
def settle(number: Number, *, at: At = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Do the due steps of one race: what a worker does once a minute. What has been done is never done again.

    Exit status 1: there is none, or no snapshot closes it yet; then nothing is changed.
    """
    from palio import races
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> races.Progress:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await races.settle(tx, number=number, now=at or clock.now())

    done = terminal.run(work, json=as_json)
    head = ["Nothing was changed; this would be done:"] if dry_run else []
    tell(done, as_json=as_json, lines=[*head, _told(done)])


@app.command()
def recompute(number: Number, *, as_json: AsJson = False) -> None:
    """Work out every total of a race anew from its stored pictures, and name whose score differs. Nothing is written.

    Exit status 1: a score differs, or there is nothing to work out yet.
    """
    from palio import races
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> races.Recomputed:
        async with operators.acting(place.database) as tx:
            return await races.recompute(tx, number=number)

    done = terminal.run(work, json=as_json)
    tell(done, as_json=as_json, lines=_recomputed(done))
    raise typer.Exit(1 if done.differences else 0)


def _recomputed(done: "Recomputed") -> list[str]:
    pictures = f"snapshots {done.start.seq} and {done.final.seq}"
    if not done.differences:
        return [f"All scores of race {done.number} are what {pictures} say of {done.players} players."]
    rows: list[list[Cell]] = [
        [one.uid, one.name, decimal(one.submitted_micro, MICRO), decimal(one.recomputed_micro, MICRO)]
        for one in done.differences
    ]
    table = columns(["uid", "name", "submitted", "recomputed"], rows, to_right=(2, 3))
    return [*table, f"Scores of race {done.number} that are not what {pictures} say: {len(done.differences)}."]


@app.command()
def rehearse(
    spec: SpecFile,
    *,
    chained: Annotated[
        bool, typer.Option("--chained", help="Open it by the snapshot that closes its neighbour.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how the race of FILE would end between stored snapshots. Nothing is written.

    Exit status 1: there are no snapshots for its start and end, or its prizes do not add up.
    """
    from palio import races
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> races.Rehearsal:
        async with operators.acting(place.database) as tx:
            return await races.rehearse(tx, new=await _read(tx, spec), chained=chained)

    done = terminal.run(work, json=as_json)
    rows: list[list[Cell]] = [
        [line.rank, line.uid, line.name, decimal(line.total_micro, MICRO), line.prize] for line in done.lines
    ]
    table = columns(["rank", "uid", "name", "total", "prize (units)"], rows, to_right=(0, 3, 4))
    tell(done, as_json=as_json, lines=[*table, f"Undistributed: {done.undistributed} units."])


@series.command(name="create")
def create_series(spec: SpecFile, *, at: At = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make a series: its race that is on, and within a day of its start the next one, chained where they touch.

    FILE holds code, cadence (daily, weekly, weekend, monthly), title and pool, and may hold zone (UTC), chained (true)
    and what the specification of a race may hold beside its times.

    Exit status 1: the series is refused, with the reason.
    """
    from palio import competitions, races
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> list[races.SeriesLine]:
        now = at or clock.now()
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            usual = await competitions.waits(tx, product="race")
            new = races.read_series(_json(spec), read_rule=competitions.read_prize_rule, waits=usual, now=now)
            await races.create_series(tx, new=new, actor=operators.actor(), now=now)
            return [line for line in await races.list_series(tx) if line.code == new.code]

    (made,) = terminal.run(work, json=as_json)
    head = ["Nothing was changed; this series would be made:"] if dry_run else []
    tell(made, as_json=as_json, lines=[*head, *_series_table([made])])


@series.command(name="list")
def list_series(*, as_json: AsJson = False) -> None:
    """List series of races with the numbers of their races that are not over."""
    from palio import races
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> list[races.SeriesLine]:
        async with operators.acting(place.database) as tx:
            return await races.list_series(tx)

    found = terminal.run(work, json=as_json)
    tell({"items": found}, as_json=as_json, lines=_series_table(found) if found else ["There is no series of races."])


def _series_table(found: "Sequence[SeriesLine]") -> list[str]:
    rows: list[list[Cell]] = [
        [
            *(line.code, line.cadence, line.tz, line.programme, decimal(line.pool, line.asset_scale), line.asset),
            *(", ".join(map(str, line.races)), line.title),
        ]
        for line in found
    ]
    return columns(["code", "cadence", "zone", "programme", "pool", "asset", "races", "title"], rows, to_right=(4,))


@app.command()
def replay(
    *,
    baseline: Baseline,
    final: Final,
    pool: Annotated[int, typer.Option(parser=dollars, metavar="AMOUNT", help="The prize pool in dollars: 500.00.")],
    prizes: Annotated[
        Shares,
        typer.Option(parser=shares, metavar="BPS", help="Basis points by place: 5000,3000,2000."),
    ],
    as_json: AsJson = False,
) -> None:
    """Settle a race between two captures in a scratch database, of which nothing is kept.

    The captures open and close one hour; there is no grace and no review. Exit status 1: a capture cannot be believed,
    or the prizes do not add up.
    """
    from palio import races
    from palio.entry import replay as replaying
    from palio.entry import terminal
    from palio.kernel import clock

    opens, closes = content(baseline), content(final)

    async def work(place: terminal.Place) -> replaying.Replayed:
        return await replaying.replay(
            place.database,
            place.storage,
            baseline=opens,
            final=closes,
            pool=pool,
            prize_rule=races.by_place(prizes.bps),
            now=clock.now(),
        )

    done = terminal.run(work, json=as_json, scratch=True)
    ranked = [line for line in done.lines if line.rank is not None]
    answer = {
        "standings": [
            {"rank": line.rank, "uid": line.uid, "name": line.name, "delta": decimal(line.total_micro, MICRO)}
            for line in ranked
        ],
        "rewards": [{"uid": line.uid, "amount": decimal(line.prize, CENTS)} for line in ranked if line.prize],
        "ledger_sum": done.ledger_sum,
    }
    rows = [
        [line.rank, line.uid, line.name, decimal(line.total_micro, MICRO), decimal(line.prize, CENTS)]
        for line in ranked
    ]
    table = columns(["rank", "uid", "name", "delta", "prize"], rows, to_right=(0, 3, 4))
    tell(answer, as_json=as_json, lines=[*table, f"The ledger sums to {done.ledger_sum}."])


def _race(race: "RaceView") -> dict[str, object]:
    return {
        "number": race.number,
        "competition_id": race.competition_id,
        "title": race.title,
        "programme": race.programme,
        "status": race.status,
        "phase": race.phase,
        "starts_at": race.starts_at,
        "ends_at": race.ends_at,
        "pool": {"asset": race.asset, "amount": race.pool},
        "min_wager_micro": race.min_wager_micro,
        "linked_only": race.linked_only,
        "prizes": race.prizes,
        "start_state": race.start_state,
        "final_state": race.final_state,
        "entrants": race.entrants,
        "qualified": race.qualified,
        "undistributed": race.undistributed,
        "backdated_reason": race.backdated_reason,
        "terms_sha256": race.terms_sha256,
        "standings_sha256": race.standings_sha256,
        "as_of": race.as_of,
    }


def _record(race: "RaceView") -> "dict[str, str | int | None]":
    from palio.entry.printing import moment

    prizes = [
        f"{prize.first}-{prize.last}: {decimal(prize.amount, race.asset_scale)}"
        if prize.last > prize.first
        else f"{prize.first}: {decimal(prize.amount, race.asset_scale)}"
        for prize in race.prizes
    ]
    return {
        "number": race.number,
        "title": race.title,
        "programme": race.programme,
        "status": race.status,
        "from": moment(race.starts_at),
        "until": moment(race.ends_at),
        "pool": f"{decimal(race.pool, race.asset_scale)} {race.asset}",
        "prizes": ", ".join(prizes),
        "minimum": decimal(race.min_wager_micro, MICRO),
        "who": "linked players" if race.linked_only else "all players",
        "terms": race.terms_sha256,
    }


def _line(line: "Line", scale: int) -> dict[str, object]:
    return {
        "rank": line.rank,
        "place": line.place,
        "uid": line.uid,
        "name": line.name,
        "total": decimal(line.total_micro, MICRO),
        "prize": decimal(line.prize, scale),
        "reward_status": line.reward_status,
    }
