"""`palio competitions …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from palio.entry.options import AsJson, At, DryRun, Limit
from palio.entry.printing import Cell, columns, decimal, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palio.competitions.types import Line, Proof
    from palio.kernel.providers import BoardView

app = typer.Typer(no_args_is_help=True, help="Everything that is ranked: competitions of every product, and boards.")

LINES_MAX = 200
Id = Annotated[UUID, typer.Argument(metavar="ID", help="The id of the competition.")]
Code = Annotated[str, typer.Argument(metavar="CODE", help="The code of the board, like wager:default.")]
PeriodName = Annotated[
    str, typer.Argument(metavar="PERIOD", help="today, week, weekend, month, all, or a key like D:2026-03-18.")
]


@app.command(name="list")
def list_competitions(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List competitions, the newest first; drafts are left out."""
    from palio import competitions
    from palio.competitions.types import Wanted
    from palio.entry import operators, terminal
    from palio.kernel.parts import Part

    async def work(place: terminal.Place) -> "Sequence[Line]":
        async with operators.acting(place.database) as tx:
            return (await competitions.listed(tx, wanted=Wanted(), part=Part(min(limit, LINES_MAX)))).rows

    found = terminal.run(work, json=as_json)
    rows: list[list[Cell]] = [
        [
            *(str(line.competition.id), line.competition.product, line.competition.status),
            *(line.competition.starts_at, line.competition.ends_at),
            *(decimal(line.competition.guaranteed_pool, line.asset_scale), line.competition.prize_asset),
            *(line.entrants, line.competition.title),
        ]
        for line in found
    ]
    head = ["id", "product", "status", "starts at", "ends at", "pool", "asset", "entrants", "title"]
    table = columns(head, rows, to_right=(5, 7)) if rows else ["There is no competition."]
    tell({"items": [_line(line) for line in found]}, as_json=as_json, lines=table)


def _line(line: "Line") -> dict[str, object]:
    competition = line.competition
    return {
        "id": competition.id,
        "product": competition.product,
        "subject_ref": competition.subject_ref,
        "title": competition.title,
        "status": competition.status,
        "phase": competition.phase,
        "starts_at": competition.starts_at,
        "ends_at": competition.ends_at,
        "pool": {"asset": competition.prize_asset, "amount": competition.guaranteed_pool},
        "entrants": line.entrants,
    }


@app.command()
def board(code: Code, period: PeriodName, *, limit: Limit = 50, at: At = None, as_json: AsJson = False) -> None:
    """Show the first lines of a board. Exit status 1: there is no such board, or it has no such period."""
    from palio import competitions
    from palio.entry import operators, terminal, wiring
    from palio.kernel import clock
    from palio.kernel.providers import BoardAsk

    async def work(place: terminal.Place) -> "BoardView":
        asked = BoardAsk(code, period, at or clock.now())
        async with operators.acting(place.database) as tx:
            for source in wiring.BOARDS:
                if code.startswith(source.prefix) and (view := await source.top(tx, asked, 0, limit)):
                    return view
        raise competitions.NoSuchBoard(code=code, period=period)

    view = terminal.run(work, json=as_json)
    rows: list[list[Cell]] = [
        [line.rank, line.name, decimal(line.score, view.head.scale), line.trend] for line in view.lines
    ]
    table = columns(["rank", "name", view.head.unit or "score", "trend"], rows, to_right=(0, 2, 3))
    tell(view, as_json=as_json, lines=[f"{view.head.title}, {view.period.key}: {view.of}", *table])


@app.command()
def settle(competition_id: Id, *, at: At = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Do every step of a settlement that is due now, or was due at TIME: close, freeze, pay, finish.

    A product that knows its last score itself (races) closes its own. Exit status 1: there is no such competition.
    """
    from palio import competitions
    from palio.competitions.types import Competition, CompetitionId
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> tuple[int, Competition]:
        steps, now = 0, at or clock.now()
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            while await competitions.settle(tx, competition_id=CompetitionId(competition_id), now=now):
                steps += 1
            return steps, await competitions.get(tx, competition_id=CompetitionId(competition_id))

    steps, found = terminal.run(work, json=as_json)
    answer = {"steps": steps, "status": found.status, "phase": found.phase}
    head = ["Nothing was changed; this would be done:"] if dry_run else []
    state = found.status if found.phase is None else f"{found.status}, {found.phase}"
    tell(answer, as_json=as_json, lines=[*head, f"{steps} steps; it is {state}."])


@app.command()
def tick(*, at: At = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Do every step of every competition that is due now, or was due at TIME: start, end, freeze, pay, complete.

    A worker does the same twice a minute. Races are moved along by `palio races tick`.
    """
    from palio import competitions
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "list[tuple[UUID, int, str]]":
        now = at or clock.now()
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await competitions.tell_ending(tx, now=now)
            due = await competitions.due(tx, now=now)
            steps = [await competitions.advance(tx, competition_id=each, now=now) for each in due]
            found = await competitions.get_many(tx, due)
            return [(each, count, found[each].status) for each, count in zip(due, steps, strict=True)]

    done = terminal.run(work, json=as_json)
    head = ["Nothing was changed; this would be done:"] if dry_run else []
    rows: list[list[Cell]] = [[str(each), count, status] for each, count, status in done]
    table = columns(["id", "steps", "status"], rows, to_right=(1,)) if rows else ["Nothing is due."]
    items = [{"id": each, "steps": count, "status": status} for each, count, status in done]
    tell({"items": items}, as_json=as_json, lines=[*head, *table])


@app.command()
def series(*, as_json: AsJson = False) -> None:
    """List the series of every product by code, those that rest too."""
    from palio import competitions
    from palio.competitions.types import Series
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> list[Series]:
        async with operators.acting(place.database) as tx:
            return await competitions.all_series(tx)

    found = terminal.run(work, json=as_json)
    rows: list[list[Cell]] = [
        [each.code, each.product, each.cadence, each.tz, "yes" if each.active else "no", each.title] for each in found
    ]
    head = ["code", "product", "cadence", "zone", "active", "title"]
    tell({"items": found}, as_json=as_json, lines=columns(head, rows) if rows else ["There is no series."])


@app.command()
def verify(competition_id: Id, *, as_json: AsJson = False) -> None:
    """Work out scores, standings and prizes once more from receipts, and compare; nothing is changed.

    Exit status 1: something differs, and each line names the entrant and both figures; or there is no such competition.
    """
    from palio import competitions
    from palio.competitions.types import CompetitionId
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "Proof":
        async with operators.acting(place.database) as tx:
            return await competitions.verify(tx, competition_id=CompetitionId(competition_id))

    proof = terminal.run(work, json=as_json)
    broken = [
        f"{each.check}  {competition_id}  entrant {each.entrant_id or 'of all'}:"
        f" expected {each.expected}, found {each.actual}"
        for each in proof.differences
    ]
    answer = {
        "sound": not proof.differences,
        "competition": competition_id,
        "status": proof.competition.status,
        "entrants": proof.entrants,
        "differences": proof.differences,
    }
    verdict = "Broken" if broken else "Sound"
    tell(answer, as_json=as_json, lines=[*broken, f"{verdict}: {proof.entrants} entrants, {proof.competition.status}."])
    raise typer.Exit(1 if broken else 0)
