"""`palio affiliates …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import json
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from palio.entry.commands import feeds, links
from palio.entry.options import AsJson, DryRun, Limit, Misuse, Reason, Since, content, instant
from palio.entry.printing import columns, decimal, moment, plain, tell

if TYPE_CHECKING:
    from palio.affiliates.types import Anomaly, Discrepancy, Player, Programme, ProgrammeStatus, Snapshot
    from palio.entry.terminal import Place
    from palio.infra.db import Tx

app = typer.Typer(no_args_is_help=True, help="What outside programmes report of their players.")
feeds.register(app)
links.register(app)

MICRO_PLACES = 6
AHEAD_MAX = timedelta(minutes=5)  # clocks differ
DEFAULT = "default"

SnapshotArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As palio affiliates snapshots lists it.")]
Begin = Annotated[
    datetime | None, typer.Option("--from", parser=instant, metavar="TIME", help="Fetched at this instant or later.")
]
End = Annotated[datetime | None, typer.Option("--to", parser=instant, metavar="TIME", help="Fetched before this one.")]

Code = Annotated[str, typer.Option("--programme", metavar="CODE", help="The code of the programme.")]
Capture = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The body, as the feed sent it."),
]
FetchedAt = Annotated[
    datetime, typer.Option(parser=instant, metavar="TIME", help="When it was fetched, like 2026-03-20T12:00:00Z.")
]
Feed = Annotated[
    str, typer.Option(metavar="CODE", help="The programme whose upload feed takes it; `default` is made when missing.")
]


@app.command()
def ingest(
    file: Capture,
    *,
    at: FetchedAt,
    feed: Feed = DEFAULT,
    content_type: Annotated[str, typer.Option(help="What the feed called it.")] = "application/json",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Archive a capture, judge it row by row, and apply what can be believed.

    TIME must be later than the programme's last snapshot. A row that cannot be believed is set aside, and the others
    count; a capture that is wrong as a whole is refused; one that looks wrong is kept for staff to decide. Exit status
    0: applied; 1: refused, or kept for staff.
    """
    from palio.entry import terminal
    from palio.kernel import clock

    body = content(file)

    async def work(place: "Place") -> "tuple[Snapshot, datetime]":
        return await (_try_out if dry_run else _take_in)(place, body, content_type, feed, at), clock.now()

    snapshot, now = terminal.run(work, json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    tell(snapshot, as_json=as_json, lines=[*head, *_verdict(snapshot), *_ahead(snapshot, now)])
    raise typer.Exit(0 if snapshot.status == "applied" else 1)


async def _take_in(place: "Place", body: bytes, content_type: str, code: str, at: datetime) -> "Snapshot":
    from palio import affiliates
    from palio.entry import operators
    from palio.infra import partitions
    from palio.kernel import clock

    async with operators.acting(place.database) as tx:
        programme = await _programme(tx, code)
    async with operators.acting(place.database) as tx:
        await partitions.ensure(tx, "affiliates.stats", at)
    return await affiliates.take_in(
        place.database,
        place.storage,
        actor=operators.actor(),
        feed_id=programme.upload_feed_id,
        body=body,
        content_type=content_type,
        fetched_at=at,
        trigger="upload",
        now=clock.now(),
    )


async def _try_out(place: "Place", body: bytes, content_type: str, code: str, at: datetime) -> "Snapshot":
    from palio import affiliates
    from palio.entry import operators
    from palio.infra.storage import Storage
    from palio.kernel import clock

    with TemporaryDirectory(prefix="palio-trial-") as folder:  # the archive has no way to forget
        payload = await affiliates.archive(
            Storage(Path(folder)), body=body, content_type=content_type, received_at=clock.now()
        )
        async with operators.acting(place.database, dry_run=True) as tx:
            programme = await _programme(tx, code)
            return await affiliates.ingest(
                tx, feed_id=programme.upload_feed_id, payload=payload, fetched_at=at, trigger="upload"
            )


async def _programme(tx: "Tx", code: str) -> "Programme":
    """The programme of the code; the default one is made when missing, a misspelt one is not."""
    from palio import affiliates

    return await (affiliates.ensure_programme if code == DEFAULT else affiliates.programme)(tx, code=code)


def _ahead(snapshot: "Snapshot", now: datetime) -> list[str]:
    """A slip of the pen in TIME shuts the programme to every capture before it, so it is pointed out."""
    if snapshot.status != "applied" or snapshot.fetched_at <= now + AHEAD_MAX:
        return []
    return [
        f"This lies ahead of the clock: no capture of before {moment(snapshot.fetched_at)} can be applied any more."
    ]


def _verdict(snapshot: "Snapshot") -> list[str]:
    became = {
        "applied": f"Applied as snapshot {snapshot.seq}",
        "suspicious": f"Kept for staff to decide ({snapshot.reason})",
    }.get(snapshot.status, f"Not applied ({snapshot.reason})")
    rows = (
        f"{snapshot.accepted} of {snapshot.rows_total} rows believed, {snapshot.quarantined} held back; "
        f"{snapshot.new_players} new players, {snapshot.changed} changed, {snapshot.vanished} vanished, "
        f"{snapshot.corrections} corrected"
    )
    total, more = decimal(snapshot.sum_all_time_micro, MICRO_PLACES), decimal(snapshot.delta_micro, MICRO_PLACES)
    decide = [
        f"Look at it, then: palio affiliates apply {snapshot.id} --reason … (believe it), or discard (put it aside)."
    ]
    return [
        f"{became}, as of {moment(snapshot.as_of)}.",
        f"{rows}.",
        f"All-time wagers: {total}, {more} more than before.",
        *(f"{code}: {count}" for code, count in sorted(snapshot.anomaly_counts.items())),
        *(decide if snapshot.status == "suspicious" else []),
    ]


@app.command()
def snapshots(*, programme: Code = DEFAULT, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List what came in and what became of it, newest first. Exit status 1: no such programme."""
    from palio import affiliates
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[Snapshot]":
        async with operators.acting(place.database) as tx:
            found = await affiliates.programme(tx, code=programme)
            return await affiliates.snapshots(tx, programme_id=found.id, limit=limit)

    found = terminal.run(work, json=as_json)
    rows = [
        [
            *(one.seq, one.fetched_at, one.status, one.reason, one.accepted, one.quarantined, one.changed),
            *(str(one.id), one.sha256.hex()),
        ]
        for one in found
    ]
    head = ["seq", "fetched at", "status", "reason", "rows", "held back", "changed", "id", "sha256 of the payload"]
    lines = columns(head, rows, to_right=(0, 4, 5, 6)) if rows else ["Nothing has come in."]
    if any(one.status == "suspicious" for one in found):
        lines.append("Decide what is suspicious: palio affiliates apply ID --reason …, or discard ID --reason …")
    tell(found, as_json=as_json, lines=lines)


@app.command()
def programmes(*, as_json: AsJson = False) -> None:
    """List the programmes and how far each has been read, the default one first."""
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "tuple[list[ProgrammeStatus], datetime]":
        async with operators.acting(place.database) as tx:
            return await affiliates.programmes(tx), clock.now()

    found, now = terminal.run(work, json=as_json)
    rows = [
        [one.code, one.name, one.currency, one.status, one.seq, one.as_of, "stale" if one.is_stale(now) else "fresh"]
        for one in found
    ]
    head = ["code", "name", "currency", "status", "snapshots", "as of", "numbers"]
    tell(found, as_json=as_json, lines=columns(head, rows, to_right=(4,)) if rows else ["There is none yet."])


@app.command()
def apply(snapshot: SnapshotArgument, *, reason: Reason, as_json: AsJson = False) -> None:
    """Apply a suspicious snapshot as it is. Exit status 1: it is decided, or a newer one is applied."""
    from palio import affiliates
    from palio.affiliates.types import SnapshotId
    from palio.entry import operators, terminal
    from palio.infra import partitions
    from palio.kernel import clock

    async def work(place: "Place") -> "Snapshot":
        snapshot_id = SnapshotId(snapshot)
        async with operators.acting(place.database) as tx:
            stored = await affiliates.stored_payload(tx, snapshot_id=snapshot_id)
            fetched_at = await affiliates.fetched_at(tx, snapshot_id=snapshot_id)
            await partitions.ensure(tx, "affiliates.stats", fetched_at)
        body = await affiliates.restore(place.storage, payload=stored)
        async with place.database.begin(actor := operators.actor(), seconds_max=60, generic_plans=True) as tx:
            return await affiliates.apply_anyway(
                tx,
                actor=actor,
                snapshot_id=snapshot_id,
                body=body,
                reason=operators.reason(reason),
                now=clock.now(),
            )

    found = terminal.run(work, json=as_json)
    tell(found, as_json=as_json, lines=_verdict(found))


@app.command()
def discard(snapshot: SnapshotArgument, *, reason: Reason, as_json: AsJson = False) -> None:
    """Put a suspicious snapshot aside for good. Exit status 1: it is decided."""
    from palio import affiliates
    from palio.affiliates.types import SnapshotId
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "Snapshot":
        async with operators.acting(place.database) as tx:
            return await affiliates.discard(
                tx,
                actor=operators.actor(),
                snapshot_id=SnapshotId(snapshot),
                reason=operators.reason(reason),
                now=clock.now(),
            )

    found = terminal.run(work, json=as_json)
    tell(found, as_json=as_json, lines=[f"Put aside: the snapshot of {moment(found.fetched_at)} ({found.reason})."])


@app.command()
def replay(
    feed: Annotated[str, typer.Argument(metavar="FEED", help="The id of a feed, or the code of its programme.")],
    *,
    begin: Begin = None,
    end: End = None,
    mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="JSON of another mapping, to see what it does."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read archived payloads anew and list how that differs from what is stored. Nothing is written.

    Exit status 1: something differs.
    """
    from palio.entry import terminal

    given = None if mapping is None else _document(content(mapping))

    async def work(place: "Place") -> "tuple[int, list[Discrepancy]]":
        return await _replay(place, feed, begin, end, given)

    payloads, found = terminal.run(work, json=as_json)
    rows = [[one.seq, one.uid, one.what, _shown(one.stored), _shown(one.now)] for one in found]
    lines = columns(["seq", "uid", "what", "stored", "read now"], rows, to_right=(0, 3, 4)) if rows else []
    lines.append(f"{payloads} payloads read, {len(found)} differences.")
    tell({"payloads": payloads, "differences": found}, as_json=as_json, lines=lines)
    raise typer.Exit(1 if found else 0)


def _document(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Misuse("malformed_json", "the mapping is an object of JSON")
    return found


def _shown(value: "int | str | None") -> str | None:
    return decimal(value, MICRO_PLACES) if isinstance(value, int) else value


async def _replay(
    place: "Place", feed: str, begin: datetime | None, end: datetime | None, mapping: dict[str, object] | None
) -> "tuple[int, list[Discrepancy]]":
    from palio import affiliates
    from palio.entry import operators

    async with operators.acting(place.database, dry_run=True) as tx:
        feed_id = await affiliates.feed_named(tx, text=feed)
        snapshot_ids = await affiliates.replayable(tx, feed_id=feed_id, begin=begin, end=end)
    found: list[Discrepancy] = []
    for snapshot_id in snapshot_ids:
        async with operators.acting(place.database, dry_run=True) as tx:
            stored = await affiliates.stored_payload(tx, snapshot_id=snapshot_id)
            body = await affiliates.restore(place.storage, payload=stored)
            found += await affiliates.replay(tx, snapshot_id=snapshot_id, body=body, mapping=mapping)
    return len(snapshot_ids), found


@app.command()
def anomalies(*, programme: Code = DEFAULT, since: Since = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List what was believed but is odd, newest first. Exit status 1: no such programme."""
    from palio import affiliates
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[Anomaly]":
        async with operators.acting(place.database) as tx:
            found = await affiliates.programme(tx, code=programme)
            return await affiliates.anomalies(tx, programme_id=found.id, since=since, limit=limit)

    found = terminal.run(work, json=as_json)
    rows = [[one.at, one.code, one.uid, json.dumps(plain(one.facts))] for one in found]
    lines = columns(["at", "what", "uid", "facts"], rows) if rows else ["Nothing is odd."]
    tell(found, as_json=as_json, lines=lines)


@app.command()
def players(*, programme: Code = DEFAULT, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List players as the last snapshot left them, the highest first. Exit status 1: no such programme."""
    from palio import affiliates
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[Player]":
        async with operators.acting(place.database) as tx:
            found = await affiliates.programme(tx, code=programme)
            return await _top(tx, found, limit)

    found = terminal.run(work, json=as_json)
    rows = [
        [
            one.uid,
            one.name,
            *(decimal(micro, MICRO_PLACES) for micro in (one.today_micro, one.week_micro, one.month_micro)),
            decimal(one.all_time_micro, MICRO_PLACES),
            one.stale_since,
        ]
        for one in found
    ]
    head = ["uid", "name", "today", "this week", "this month", "all time", "not listed since"]
    lines = columns(head, rows, to_right=(2, 3, 4, 5)) if rows else ["Nobody is known."]
    tell(found, as_json=as_json, lines=lines)


async def _top(tx: "Tx", programme: "Programme", limit: int) -> "list[Player]":
    from palio import affiliates

    if programme.last_snapshot_id is None:
        return []
    readings = await affiliates.readings_at(tx, programme_id=programme.id, snapshot_id=programme.last_snapshot_id)
    ordered = sorted(readings.values(), key=lambda reading: (-(reading.all_time_micro or 0), reading.uid))
    first = [reading.player_id for reading in ordered[:limit]]
    known = await affiliates.players_many(tx, first)
    return [known[player_id] for player_id in first]
