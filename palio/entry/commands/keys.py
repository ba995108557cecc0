"""`palio keys …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, DryRun, Reason
from palio.entry.printing import Cell, columns, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.db import Tx
    from palio.infra.misplaced import Misplaced
    from palio.infra.rotation import Wrapped

app = typer.Typer(no_args_is_help=True, help="The keys that never lie in the database.")


@app.callback()
def root() -> None:
    """The keys that never lie in the database."""


@app.command()
def seal(*, reason: Reason, as_json: AsJson = False) -> None:
    """Add a key that seals are signed with from the next start on; older seals keep theirs, so the file keeps it too.

    Exit status 78: there is no keyring.
    """
    from palio.entry import operators, terminal, wiring
    from palio.infra import keyring, seals

    async def work(place: "Place") -> tuple[int, str]:
        path = _keyring_of(place)
        async with operators.acting(place.database) as tx:
            used = [await seals.newest_key(tx, chain=chain) for chain in wiring.CHAINS]
            number = keyring.add_sealing_key(path, above=max(used))
            await _write_down(tx, "key.add", f"sealing:{number}", reason)
        return number, str(path)

    number, path = terminal.run(work, json=as_json)
    told = f"Key {number} signs seals from the next start on. Give every machine this file: {path}"
    tell({"key": number, "file": path}, as_json=as_json, lines=[told])


@app.command()
def rotate(
    *,
    reason: Reason,
    stage: Annotated[
        bool, typer.Option("--stage", help="Only keep the new key; the next call without this takes it up.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a wrapping key. What is sealed is sealed anew under it by and by, while everybody works on.

    With several machines: stage it first, give each the file, then call again. Exit status 78: there is no keyring.
    """
    from palio.entry import operators, terminal
    from palio.infra import keyring, outbox, rotation
    from palio.infra.messages import Reencrypt

    async def work(place: "Place") -> tuple[int, str]:
        path = _keyring_of(place)
        async with operators.acting(place.database) as tx:
            used = await rotation.needed_keys(tx)
            number = keyring.add_wrapping_key(path, above=max(used, default=0), is_staged=stage)
            await _write_down(tx, "key.stage" if stage else "key.rotate", f"wrapping:{number}", reason)
            if not stage:
                await outbox.send(tx, Reencrypt(), key="rotate")
        return number, str(path)

    number, path = terminal.run(work, json=as_json)
    told = f"Key {number} is kept and not used yet. Give every machine this file, then rotate: {path}"
    if not stage:
        told = f"Key {number} wraps what is sealed from now on; palio keys status tells how far the rest is. {path}"
    tell({"key": number, "file": path, "is_staged": stage}, as_json=as_json, lines=[told])


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Count what each wrapping key holds: data keys in use, retired, empty ones that rest, or with misplaced values."""
    from palio.entry import operators, terminal
    from palio.infra import rotation

    async def work(place: "Place") -> "list[Wrapped]":
        async with operators.acting(place.database) as tx:
            return await rotation.status(tx)

    found = terminal.run(work, json=as_json)
    tell(found, as_json=as_json, lines=_table_of(found))


def _table_of(found: "Sequence[Wrapped]") -> list[str]:
    rows = [[one.wrapping_key, one.in_use, one.retired, one.empty, one.misplaced] for one in found]
    return columns(["wrapping key", "in use", "retired", "empty", "misplaced"], rows)


@app.command()
def reencrypt(*, as_json: AsJson = False) -> None:
    """Bring a rotation to its end now, instead of by the jobs; stopped half-way, it goes on where it was.

    Empty data keys rest ten minutes before they are destroyed, and what others hold meanwhile is left to the jobs.
    Exit status 1: there are values that do not open where they lie, and their keys stay.
    """
    from palio.entry import operators, terminal
    from palio.infra import misplaced, rotation

    async def work(place: "Place") -> "tuple[int, list[Wrapped], list[Misplaced]]":
        done, tells = 0, terminal.Progress("values and keys", 5_000)
        while more := await rotation.turn(place.database):
            done += more
            tells(done)
        async with operators.acting(place.database) as tx:
            return done, await rotation.status(tx), await misplaced.list_found(tx)

    done, left, wrong = terminal.run(work, json=as_json)
    lines = [f"{done:,} values and keys", *_table_of(left), *_places_of(wrong)]
    tell({"done": done, "keys": left, "misplaced": wrong}, as_json=as_json, lines=lines)
    raise typer.Exit(1 if wrong else 0)


@app.command("misplaced")
def list_misplaced(*, as_json: AsJson = False) -> None:
    """List sealed values that do not open where they lie, at most 1,000: somebody put them there, or altered them.

    Put each back, have its owner write it anew, or remove the row; the next turn of a rotation then forgets it, or
    palio keys reencrypt. Exit status 1: there are some.
    """
    from palio.entry import operators, terminal
    from palio.infra import misplaced

    async def work(place: "Place") -> "list[Misplaced]":
        async with operators.acting(place.database) as tx:
            return await misplaced.list_found(tx)

    found = terminal.run(work, json=as_json)
    tell(found, as_json=as_json, lines=_places_of(found) or ["None is known."])
    raise typer.Exit(1 if found else 0)


def _places_of(found: "Sequence[Misplaced]") -> list[str]:
    rows: list[list[Cell]] = [
        [one.table_name, one.column_name, str(one.row_id), one.data_key_id, one.found_at] for one in found
    ]
    return columns(["misplaced in", "column", "row", "data key", "found"], rows) if found else []


@app.command()
def drop(
    number: Annotated[int, typer.Argument(metavar="KEY", help="A wrapping key: palio keys status.")],
    *,
    reason: Reason,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Forget a wrapping key that nothing is under any more; backups that are older than the rotation need it still.

    Exit status 1: something is under it. 78: it is the one in use, or there is none of this number.
    """
    from palio.infra import keyring, rotation

    async def require_unneeded(tx: "Tx") -> None:
        await rotation.require_unneeded(tx, number=number)

    dropping = _Dropping("wrapping", "key", number, require_unneeded, keyring.drop_wrapping_key)
    _drop(dropping, reason=reason, dry_run=dry_run, as_json=as_json)


@app.command("rotate-index")
def rotate_index(
    *,
    reason: Reason,
    stage: Annotated[
        bool,
        typer.Option("--stage", help="Have both keys be known, and move nothing before the next call without this."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a key that addresses and numbers are found by. The present one goes on until every row has the new index too.

    With several machines: stage it first, give each the file, then call again. Exit status 78: there is no keyring, or
    two keys are at it already.
    """
    from palio import identity
    from palio.entry import operators, terminal
    from palio.infra import keyring, outbox

    async def work(place: "Place") -> tuple[int, str]:
        path = _keyring_of(place)
        async with operators.acting(place.database) as tx:
            number = keyring.add_index_key(path, is_staged=stage)
            await _write_down(tx, "key.stage" if stage else "key.rotate", f"index:{number}", reason)
            await outbox.send(tx, identity.Reindex(), key="rotate")
        return number, str(path)

    number, path = terminal.run(work, json=as_json)
    told = (
        f"Index key {number} is written beside the present one. Give every machine this file, then call again: {path}"
    )
    if not stage:
        told = f"Index key {number} takes over; palio keys index tells how far it is. {path}"
    tell({"key": number, "file": path, "is_staged": stage}, as_json=as_json, lines=[told])


@app.command("index")
def index_status(*, as_json: AsJson = False) -> None:
    """Count what is found by each index key: addresses, numbers, accounts at providers, and marks of breaks."""
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[identity.HeldByIndexKey]":
        async with operators.acting(place.database) as tx:
            return await identity.index_status(tx)

    found = terminal.run(work, json=as_json)
    rows: list[list[str | int]] = [[one.version, one.part, one.rows] for one in found]
    tell(found, as_json=as_json, lines=columns(["index key", "of", "rows"], rows))


@app.command("drop-index")
def drop_index(
    number: Annotated[int, typer.Argument(metavar="KEY", help="An index key: palio keys index.")],
    *,
    reason: Reason,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Forget the index key that another has taken the place of. What was signed with it is asked for anew.

    Exit status 1: something is found by it. 78: it is the one in use, or there is none of this number.
    """
    from palio import identity
    from palio.infra import keyring

    async def require_unneeded(tx: "Tx") -> None:
        await identity.require_index_key_unneeded(tx, version=number)

    dropping = _Dropping("index", "index key", number, require_unneeded, keyring.drop_index_key)
    _drop(dropping, reason=reason, dry_run=dry_run, as_json=as_json)


@app.command()
def pepper(
    *,
    reason: Reason,
    stage: Annotated[
        bool, typer.Option("--stage", help="Only keep the new pepper; the next call without this takes it up.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a pepper: passwords are mixed with it before they are hashed, each when its owner signs in or chooses it.

    Without the file a stolen hash then tells nothing; if the file is lost, so are the passwords. With several machines:
    stage it first, give each the file, then call again. Exit status 78: there is no keyring.
    """
    from palio import identity
    from palio.entry import operators, terminal
    from palio.infra import keyring

    async def work(place: "Place") -> tuple[int, str]:
        path = _keyring_of(place)
        async with operators.acting(place.database) as tx:
            used = await identity.peppers_in_use(tx)
            number = keyring.add_pepper(path, above=max(used, default=0), is_staged=stage)
            await _write_down(tx, "key.stage" if stage else "key.rotate", f"pepper:{number}", reason)
        return number, str(path)

    number, path = terminal.run(work, json=as_json)
    told = f"Pepper {number} is kept and not used yet. Give every machine this file, then call again: {path}"
    if not stage:
        told = f"Passwords are mixed with pepper {number} from now on, as their owners sign in. {path}"
    tell({"key": number, "file": path, "is_staged": stage}, as_json=as_json, lines=[told])


@app.command("drop-pepper")
def drop_pepper(
    number: Annotated[int, typer.Argument(metavar="KEY", help="A pepper that a later one has taken the place of.")],
    *,
    reason: Reason,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Forget a pepper that no password was mixed with any more; backups that are older need it still.

    Exit status 1: some password was. 78: it is the one in use, or there is none of this number.
    """
    from palio import identity
    from palio.infra import keyring

    async def require_unneeded(tx: "Tx") -> None:
        await identity.require_pepper_unneeded(tx, number=number)

    dropping = _Dropping("pepper", "pepper", number, require_unneeded, keyring.drop_pepper)
    _drop(dropping, reason=reason, dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Dropping:
    """A key that is to be forgotten: of which kind, and what it is called; whether nobody needs it, and how it goes."""

    kind: str
    name: str
    number: int
    require_unneeded: Callable[["Tx"], Awaitable[None]]
    forget: Callable[[Path, int], None]


def _drop(key: _Dropping, *, reason: str, dry_run: bool, as_json: bool) -> None:
    """Forget a key out of the keyring, once it is written down, or say that it would be."""
    from palio.entry import operators, terminal

    async def work(place: "Place") -> str:
        path = _keyring_of(place)
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await key.require_unneeded(tx)
            await _write_down(tx, "key.drop", f"{key.kind}:{key.number}", reason)
            if not dry_run:
                key.forget(path, key.number)
        return str(path)

    path = terminal.run(work, json=as_json)
    told = f"{key.name.capitalize()} {key.number} is gone from {path}"
    if dry_run:
        told = f"Would drop {key.name} {key.number}; nothing was changed."
    tell({"key": key.number, "file": path, "is_dry_run": dry_run}, as_json=as_json, lines=[told])


def _keyring_of(place: "Place") -> Path:
    """The file of the keyring. Raises KeyringError where there is none."""
    from palio.entry import wiring
    from palio.infra.keyring import KeyringError

    path = wiring.keyring_file(place.environment)
    if path is None:
        raise KeyringError("there is no keyring: set PALIO_KEYRING_FILE")
    return path


async def _write_down(tx: "Tx", action: str, key: str, reason: str) -> None:
    from palio.entry import operators
    from palio.infra import audit

    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="keyring",
        entity_id=key,
        changes={},
        reason=operators.reason(reason),
        via="cli",
    )
