"""`palio ledger …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import csv
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO
from uuid import UUID

import typer

from palio.entry.options import AsJson, At, DryRun, Limit, Misuse, Since, Until, content
from palio.entry.printing import Cell, columns, decimal, moment, plain, tell

if TYPE_CHECKING:
    from datetime import datetime

    from palio.entry.bulk import Imported
    from palio.identity import User
    from palio.infra.db import Tx
    from palio.infra.seals import Seal
    from palio.ledger import Filter, KeptFinding, Line, Posted, Report
    from palio.ui.strict import Json

app = typer.Typer(
    no_args_is_help=True,
    help="Wallets and books. post, import and reverse move value, and are audited; seal signs what is final; "
    "findings tells what did not add up, and resolve closes it.",
)

ADDRESS = re.compile(r"[a-z0-9._-]{1,64}(:[a-z0-9._-]{1,64}){1,3}")
LEG_PARTS = 3
UNITS = re.compile(r"[+-]?[0-9]{1,16}")
RUN = re.compile(r"[A-Za-z0-9._-]{1,64}")
STATEMENT_SECONDS_MAX = 3_600
ROWS_BETWEEN_WORDS = 50_000
ROWS_WITHOUT_REASON_MAX = 1_000

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]
Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE", help="A user name or id, or the address of an account, like pool:cup or house:games."
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit log.")]
AssetCode = Annotated[str, typer.Argument(metavar="ASSET", help="The code of an asset, like USD.")]
AnyAsset = Annotated[str | None, typer.Argument(metavar="ASSET", help="The code of an asset. Default: all of them.")]


@dataclass(frozen=True, slots=True)
class Purse:
    """What somebody has of one asset; of the past only the balance is known."""

    asset: str
    scale: int
    balance: int
    held: int | None = None
    available: int | None = None


@app.command()
def balance(user: Place, asset: AnyAsset = None, *, at: At = None, as_json: AsJson = False) -> None:
    """Print what a player or an account has, or with --at had after everything posted until TIME.

    An account that nobody used has nothing. JSON gives amounts in the smallest unit of the asset: 1250 with scale 2 is
    12.50. Exit status 1: no such user or asset, or TIME lies in the archive.
    """
    from palio import identity
    from palio.entry import operators, terminal

    if ":" in user:
        _tell_address(_address(user), asset, at, as_json=as_json)
        return

    async def work(place: terminal.Place) -> "tuple[User, list[Purse]]":
        async with operators.acting(place.database) as tx:
            owner = await identity.get(tx, name_or_id=user)
            return owner, await _purses(tx, owner, asset, at)

    owner, purses = terminal.run(work, json=as_json)
    answer = {"user_id": owner.id, "username": owner.username, "at": at, "wallets": purses}
    tell(answer, as_json=as_json, lines=_table(purses))


def _tell_address(address: str, asset: str | None, at: "datetime | None", *, as_json: bool) -> None:
    """What lies at an address: of each asset that it has an account of, or of the one that was asked for."""
    from palio import ledger
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> list[Purse]:
        async with operators.acting(place.database) as tx:
            known = [one for one in await ledger.assets(tx) if asset in {None, one.code}]
            if not known:
                raise ledger.UnknownAsset(asset=asset)
            held = [await ledger.balance(tx, address=address, asset=one.code, at=at) for one in known]
            return [Purse(one.code, one.scale, units) for one, units in zip(known, held, strict=True)]

    purses = terminal.run(work, json=as_json)
    rows = [[one.asset, decimal(one.balance, one.scale)] for one in purses]
    tell(
        {"address": address, "at": at, "balances": [_sum(one) for one in purses]},
        as_json=as_json,
        lines=columns(["asset", "balance"], rows, to_right=(1,)),
    )


def _sum(purse: Purse) -> dict[str, object]:
    return {"asset": purse.asset, "scale": purse.scale, "balance": purse.balance}


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise Misuse("address_invalid", f"{text!r} is no address: write it like pool:cup or house:games")
    return text


async def _purses(tx: "Tx", owner: "User", asset: str | None, at: "datetime | None") -> list[Purse]:
    from palio import ledger

    found = [wallet for wallet in await ledger.wallets(tx, owner_id=owner.id) if asset in {None, wallet.asset}]
    if not found:
        raise ledger.UnknownAsset(asset=asset)
    if at is None:
        return [Purse(one.asset, one.scale, one.balance, one.held, one.available) for one in found]
    address = f"user:{owner.id}:main"
    past = [await ledger.balance(tx, address=address, asset=one.asset, at=at) for one in found]
    return [Purse(one.asset, one.scale, units) for one, units in zip(found, past, strict=True)]


def _table(purses: Sequence[Purse]) -> list[str]:
    rows = [
        [one.asset, *(decimal(units, one.scale) for units in (one.balance, one.held, one.available))] for one in purses
    ]
    return columns(["asset", "balance", "held", "available"], rows, to_right=(1, 2, 3))


@app.command()
def statement(
    user: NameOrId,
    asset: AssetCode,
    *,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Print what moved in a wallet, newest first, with the balance each movement left.

    Exit status 1: no such user or asset.
    """
    from palio import identity, ledger
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "tuple[User, int, list[Line]]":
        async with operators.acting(place.database) as tx:
            owner = await identity.get(tx, name_or_id=user)
            lines = await _lines(tx, owner, asset, ledger.Filter(since=since, until=until), limit)
            (scale,) = [wallet.scale for wallet in await ledger.wallets(tx, owner_id=owner.id) if wallet.asset == asset]
            return owner, scale, lines

    owner, scale, lines = terminal.run(work, json=as_json)
    answer = {"user_id": owner.id, "username": owner.username, "asset": asset, "scale": scale, "lines": lines}
    rows = [
        [line.posted_at, line.kind, decimal(line.amount, scale), decimal(line.balance_after, scale), line.description]
        for line in lines
    ]
    table = columns(["posted at", "kind", "amount", "balance after", "what for"], rows, to_right=(2, 3))
    tell(answer, as_json=as_json, lines=table if rows else ["Nothing moved."])


async def _lines(tx: "Tx", owner: "User", asset: str, wanted: "Filter", limit: int) -> "list[Line]":
    from palio import ledger

    lines: list[Line] = []
    after = None
    while len(lines) < limit:
        rest = limit - len(lines)
        page = await ledger.statement(tx, owner_id=owner.id, asset=asset, wanted=wanted, after=after, limit=rest)
        lines += page.lines
        after = page.next
        if after is None:
            break
    return lines


# moving value


@app.command()
def post(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Names the cause: the same key is posted once, for ever.")],
    legs: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE,ASSET,UNITS ...",
            help="An account and what it gets, or gives (negative), in the smallest unit: house:prizes,USD,-1250.",
        ),
    ],
    *,
    reason: Why,
    kind: Annotated[str, typer.Option(help="The kind of the transfer.")] = "ledger.transfer",
    description: Annotated[str, typer.Option(help="What the player reads in his statement.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Post one transfer: two accounts or more, whose units sum to zero in each asset.

    PLACE is a user name or id, for the main wallet, or an address. The key is kept as cli:KEY; with the same legs it
    answers as the first time, with others it is refused. Exit status 1: refused, and nothing was posted.
    """
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.kernel import clock

    written = [_leg(text) for text in legs]
    _require_balance(written)

    async def work(place: terminal.Place) -> "Posted":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            places = await _addresses(tx, [where for where, _, _ in written])
            told = [(places[where], asset, units) for where, asset, units in written]
            item = ledger.Post(f"cli:{key}", kind, told, description)
            done = await ledger.post(tx, item, now=clock.now())
            await _write_down(tx, "transfer.post", done, reason, legs=[" ".join(map(str, leg)) for leg in told])
            return done

    _tell_posted(terminal.run(work, json=as_json), dry_run=dry_run, as_json=as_json)


@app.command()
def reverse(
    transfer: Annotated[UUID, typer.Argument(metavar="TRANSFER", help="The id of the transfer.")],
    *,
    reason: Why,
    amount: Annotated[
        int | None, typer.Option(min=1, help="Units of its two legs. Default: all that is left of it.")
    ] = None,
    to_debt: Annotated[bool, typer.Option("--to-debt", help="What a wallet no longer has is owed.")] = False,
    key: Annotated[
        str | None, typer.Option(help="Names the cause. Default: the transfer and the amount, so once for each.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a transfer back, whole or in part, and never more of it than there was.

    The same again answers as the first time; to take the same part once more, name another key. Exit status 1: refused,
    and nothing was posted: there is no such transfer, nothing is left of it, it lies in the archive, or what was given
    is gone.
    """
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.kernel import clock

    named = key or f"{transfer}:{'all' if amount is None else amount}"

    async def work(place: terminal.Place) -> "Posted":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            item = ledger.Reverse(f"cli:reverse:{named}", ledger.TransferId(transfer), reason, amount, to_debt)
            done = await ledger.reverse(tx, item, now=clock.now())
            await _write_down(tx, "transfer.reverse", done, reason, original=transfer, amount=amount)
            return done

    _tell_posted(terminal.run(work, json=as_json), dry_run=dry_run, as_json=as_json)


def _leg(text: str) -> tuple[str, str, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != LEG_PARTS or not all(parts) or not UNITS.fullmatch(parts[-1]):
        raise Misuse(
            "leg_invalid",
            f"{text!r} is no leg: write PLACE,ASSET,UNITS, where UNITS is an integer of the smallest unit",
        )
    where, asset, units = parts
    return where, asset, int(units)


def _require_balance(legs: Sequence[tuple[str, str, int]]) -> None:
    sums: dict[str, int] = {}
    for _, asset, units in legs:
        sums[asset] = sums.get(asset, 0) + units
    if wrong := [f"{asset}: {units:+}" for asset, units in sums.items() if units]:
        raise Misuse("legs_unbalanced", f"the legs of an asset add up to 0, and these do not: {', '.join(wrong)}")


async def _addresses(tx: "Tx", places: Sequence[str]) -> dict[str, str]:
    """The address that each place means. Refuses with NoSuchUser, naming the first that is nobody's."""
    from palio import identity

    names = [place for place in places if ":" not in place]
    owners = await identity.ids_many(tx, names)
    if lost := next((name for name in names if name not in owners), None):
        raise identity.NoSuchUser(user=lost)
    return {place: place if ":" in place else f"user:{owners[place]}:main" for place in places}


async def _write_down(tx: "Tx", action: str, done: "Posted", reason: str, **facts: object) -> None:
    """Leave an audit row, unless it was done before."""
    from palio.entry import operators
    from palio.infra import audit

    if not done.replayed:
        await audit.record(
            tx,
            actor=tx.actor,
            action=action,
            entity_type="ledger.transfer",
            entity_id=str(done.transfer_id),
            changes={name: (None, fact) for name, fact in facts.items()},
            reason=operators.reason(reason),
            via="cli",
        )


def _tell_posted(done: "Posted", *, dry_run: bool, as_json: bool) -> None:
    answer = {
        "transfer_id": None if dry_run and not done.replayed else done.transfer_id,
        "replayed": done.replayed,
        "dry_run": dry_run,
        "balances": {address: {"balance": units, "seq": seq} for address, (units, seq) in done.balances.items()},
    }
    state = "posted before" if done.replayed else "would be posted" if dry_run else "posted"
    rows: list[list[Cell]] = [[address, units, seq] for address, (units, seq) in done.balances.items()]
    table = columns(["wallet", "units after", "seq"], rows, to_right=(1, 2)) if rows else []
    head = "Nothing was changed; it would be posted." if state == "would be posted" else f"{done.transfer_id}: {state}."
    tell(answer, as_json=as_json, lines=[head, *table])


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV with the columns player, asset, amount, and maybe kind and why; or .jsonl, an object a line.",
        ),
    ],
    *,
    run: Annotated[str, typer.Option(metavar="ID", help="The name of this run: a row of it is paid once, for ever.")],
    source: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="The account that pays.")
    ] = "house:adjustments",
    kind: Annotated[str, typer.Option(help="The kind of rows that name none.")] = "ledger.adjustment",
    reason: Annotated[str, typer.Option(help="Why, for the audit log. Default: the name of the run.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pay many players from a file; amounts are integers of the smallest unit, negative ones take.

    A file that cannot be read as a whole, or names a player or an asset that does not exist, pays nobody. Otherwise
    rows are paid 250 at a time under the keys bulk:ID:1, bulk:ID:2 …: after a kill or a refusal the same command pays
    what is left, and nobody twice. A row that was changed since it was paid is refused. Exit status 0: every row is
    paid; 1: the file is refused, or some rows are, which are listed; 75: others were in the way, do it again.
    """
    from palio.entry import bulk, operators, terminal

    if not RUN.fullmatch(run):
        raise Misuse("run_invalid", f"{run!r} is no name of a run: 1 to 64 of A-Z a-z 0-9 . _ -")
    try:
        text = content(file).decode()
    except UnicodeDecodeError:
        raise Misuse("bad_encoding", f"{file} is not UTF-8") from None
    named = bulk.Run(run, _address(source), operators.reason(reason or f"run {run}"), is_trial=dry_run)

    async def work(place: terminal.Place) -> "Imported":
        read = bulk.read_jsonl if file.suffix.lower() in {".jsonl", ".ndjson"} else bulk.read_csv
        rows = read(text, kind=kind)
        return await bulk.pay(place.database, rows, run=named, tell=terminal.Progress("rows", 2_500, of=len(rows)))

    done = terminal.run(work, json=as_json)
    _tell_imported(done, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(1 if done.refused else 0)


def _tell_imported(done: "Imported", *, dry_run: bool, as_json: bool) -> None:
    rows: list[list[Cell]] = [
        [one.line, one.player, one.code, ", ".join(f"{name} {plain(fact)}" for name, fact in one.facts.items())]
        for one in done.refused
    ]
    table = columns(["line", "player", "refused", "why"], rows, to_right=(0,)) if rows else []
    verb = "would be paid" if dry_run else "paid"
    told = f"{done.paid} {verb}, {done.paid_before} were paid before, {len(done.refused)} refused, of {done.rows} rows."
    head = ["Nothing was changed."] if dry_run else []
    tell({**asdict(done), "dry_run": dry_run}, as_json=as_json, lines=[*table, *head, told])


# checking and handing out


@app.command()
def reconcile(
    *,
    touched: Annotated[
        bool, typer.Option("--touched", help="Only what was touched since a run last found nothing, as every hour.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Check that balances, holds, sums and keys are what they are made of, and keep what is found.

    The account of a new finding is frozen; nothing is repaired. With --dry-run it is only told. Exit status 0: nothing
    was found; 1: each line names a check, what it is about, and both figures.
    """
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "Report":
        scope: ledger.Scope = "touched" if touched else "all"
        async with operators.acting(place.database, dry_run=dry_run, seconds_max=STATEMENT_SECONDS_MAX) as tx:
            return await ledger.reconcile(tx, now=clock.now(), scope=scope)

    report = terminal.run(work, json=as_json)
    found = [f"{one.check}  {one.subject}: expected {one.expected}, found {one.actual}" for one in report.findings]
    sizes = f"transfers {report.transfers}, entries {report.entries}, accounts {report.accounts}"
    verdict = "All adds up" if report.is_sound else f"{len(found)} findings"
    answer = {
        "sound": report.is_sound,
        "scope": "touched" if touched else "all",
        "accounts": report.accounts,
        "transfers": report.transfers,
        "entries": report.entries,
        "findings": report.findings,
    }
    tell(answer, as_json=as_json, lines=[*found, f"{verdict}: {sizes}."])
    raise typer.Exit(0 if report.is_sound else 1)


@app.command("findings")
def list_findings(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were resolved.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Print what reconciliations have found and nobody has resolved, the newest first, and change nothing.

    Each line begins with the id that `palio ledger resolve` takes. Exit status 0, also where something is open:
    `palio ledger reconcile` is what tells sound books by it.
    """
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "list[KeptFinding]":
        async with operators.acting(place.database) as tx:
            return await _findings(tx, open_only=not everything, limit=limit)

    found = terminal.run(work, json=as_json)
    none = "Nothing was ever found." if everything else "Nothing is open."
    tell({"findings": found}, as_json=as_json, lines=[line for one in found for line in _told_finding(one)] or [none])


@app.command()
def resolve(
    finding: Annotated[UUID, typer.Argument(metavar="FINDING", help="The id, as `palio ledger findings` tells it.")],
    *,
    resolution: Annotated[
        str, typer.Option(metavar="TEXT", help="What was found out, and what was done: 10 to 400 characters.")
    ],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Close a finding, with an audit row, as the console does.

    Nothing is repaired, and the account it froze stays frozen until staff release it: what is still wrong is found
    again, as a new finding. Exit status 1: no such finding, it was resolved before, or too little is said.
    """
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "KeptFinding":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await ledger.resolve_finding(
                tx,
                finding_id=ledger.FindingId(finding),
                resolution=resolution,
                now=clock.now(),
                by=operators.by(),
                via="cli",
            )

    done = terminal.run(work, json=as_json)
    head = ["Nothing was changed; this would be resolved:"] if dry_run else []
    answer = {"finding": done, "dry_run": dry_run}
    tell(answer, as_json=as_json, lines=[*head, *_told_finding(done)])


async def _findings(tx: "Tx", *, open_only: bool, limit: int) -> "list[KeptFinding]":
    from palio import ledger

    found: list[KeptFinding] = []
    while len(found) < limit:
        before = found[-1].id if found else None
        part = await ledger.findings(tx, open_only=open_only, before=before, limit=limit - len(found))
        if not part:
            break
        found += part
    return found


def _told_finding(one: "KeptFinding") -> list[str]:
    line = f"{one.id}  {moment(one.found_at)}  {one.check}  {one.subject}: expected {one.expected}, found {one.actual}"
    return [line, f"  resolved {moment(one.resolved_at)}: {one.resolution}"] if one.resolved_at else [line]


class Exported(StrEnum):
    """What can be exported."""

    ENTRIES = "entries"
    WALLETS = "wallets"


@app.command()
def export(
    what: Annotated[Exported, typer.Argument(help="Every movement, or what every account of players holds now.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to, whole or not at all. Default: stdout.")
    ] = None,
    place: Annotated[
        str | None, typer.Option("--of", metavar="PLACE", help="Only of this user name or id, or address.")
    ] = None,
    asset: Annotated[str | None, typer.Option(help="Only of this asset.")] = None,
    since: Since = None,
    until: Until = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log: more than 1,000 rows leave a line there.")] = "",
) -> None:
    """Write a CSV of the books, of one moment, in the smallest units; --since and --until are for entries.

    A cell that a spreadsheet would run as a formula begins with an apostrophe. Exit status 1: no such user or asset.
    """
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(home: terminal.Place) -> int:
        async with operators.acting(home.database, seconds_max=STATEMENT_SECONDS_MAX) as tx:
            if asset is not None and asset not in {one.code for one in await ledger.assets(tx)}:
                raise ledger.UnknownAsset(asset=asset)
            of = None if place is None else (await _addresses(tx, [place]))[place]
            if what == Exported.WALLETS:
                kind: type[Any] = ledger.ExportedWallet
                rows: AsyncIterator[Any] = ledger.export_wallets(tx, now=clock.now(), address=of, asset=asset)
            else:
                kind = ledger.ExportedEntry
                rows = ledger.export_entries(tx, since=since, until=until, address=of, asset=asset)
            with _written(output) as file:
                count = await _write(file, list(kind.__slots__), rows)
            await _write_down_export(tx, what, count, reason)
            return count

    count = terminal.run(work)
    if output is not None:
        tell(None, as_json=False, lines=[f"{count} rows in {output}."])


@contextmanager
def _written(output: Path | None) -> Iterator[TextIO]:
    """The file that is written, which takes its place when it is whole."""
    if output is None:
        yield sys.stdout
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(output)
    except OSError as failure:
        raise Misuse("file_unwritable", f"{output} cannot be written: {failure.strerror or failure}") from None
    finally:
        part.unlink(missing_ok=True)


def _flat(row: Any) -> "dict[str, Json]":
    return {name: value if isinstance(value, int) else str(plain(value) or "") for name, value in asdict(row).items()}


async def _write(file: TextIO, head: Sequence[str], rows: AsyncIterator[Any]) -> int:
    from palio.entry import terminal
    from palio.ui import tables

    table = csv.DictWriter(file, head, lineterminator="\r\n")
    table.writeheader()
    count, tell_so = 0, terminal.Progress("rows", ROWS_BETWEEN_WORDS)
    async for row in rows:
        table.writerow(tables.cells(_flat(row)))
        count += 1
        tell_so(count)
    return count


async def _write_down_export(tx: "Tx", what: str, count: int, reason: str) -> None:
    from palio.entry import operators
    from palio.infra import audit

    if count > ROWS_WITHOUT_REASON_MAX:
        await audit.record(
            tx,
            actor=tx.actor,
            action="ledger.export",
            entity_type="ledger.export",
            entity_id=what,
            changes={"rows": (None, count)},
            reason=operators.reason(reason),
            via="cli",
        )


@app.command()
def seal(*, as_json: AsJson = False) -> None:
    """Seal the transfers that are final now, and anchor the heads: what the job ledger.seal does by the clock."""
    from palio import ledger
    from palio.entry import operators, terminal
    from palio.infra import seals
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "list[Seal]":
        made: list[Seal] = []
        tell_so = terminal.Progress("transfers", ROWS_BETWEEN_WORDS)
        while not made or made[-1].rows:
            async with operators.acting(place.database) as tx:
                sealed = await ledger.seal(tx, now=clock.now())
            if sealed is None:
                break
            made.append(sealed)
            tell_so(sum(one.rows for one in made))
        async with operators.acting(place.database) as tx:
            await seals.anchor(tx, chain=ledger.CHAIN, now=clock.now())
        return made

    made = terminal.run(work, json=as_json)
    lines = [f"Seal {one.n}: {one.rows} transfers, head {one.head.hex()}" for one in made]
    tell({"seals": made}, as_json=as_json, lines=lines or ["Nothing was to be sealed."])
