"""`palio settings …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palio.entry.options import AsJson, DryRun, Reason
from palio.entry.printing import Cell, columns, record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.db import Tx
    from palio.infra.settings import Line, Version
    from palio.kernel.settings import Catalogue, Setting

app = typer.Typer(no_args_is_help=True, help="What may be changed while Palio runs: typed, ranged, with a history.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="A setting, like identity.username_max.")]


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as it stands; a version of 0 means that nobody ever changed it."""

    key: str
    kind: str
    value: object
    default: object
    unit: str
    low: int | None
    high: int | None
    choices: Sequence[str]
    version: int
    updated_at: datetime | None
    description: str


@app.command("list")
def show_all(
    *,
    module: Annotated[str | None, typer.Option(help="Only those of one module, like affiliates.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every setting with its value, its range and what it does."""
    from palio.entry import operators, terminal
    from palio.infra import settings

    async def work(place: "Place") -> list[Shown]:
        async with operators.acting(place.database) as tx:
            lines = {line.key: line for line in await settings.list_all(tx)}
            return [_shown(each, lines[each.key]) for each in sorted(place.settings, key=lambda each: each.key)]

    found = [each for each in terminal.run(work, json=as_json) if module in {None, each.key.partition(".")[0]}]
    rows = [[each.key, _text(each.value), _text(each.default), _range(each), each.description] for each in found]
    table = columns(["setting", "value", "default", "range", "what it does"], rows)
    tell(found, as_json=as_json, lines=table if rows else ["There are none."])


@app.command("get")
def show(key: Key, *, as_json: AsJson = False) -> None:
    """Print one setting. Exit status 1: there is none of this name; the nearest is named."""
    from palio.entry import operators, terminal

    async def work(place: "Place") -> Shown:
        async with operators.acting(place.database) as tx:
            return await _look_up(tx, _named(place.settings, key))

    _tell(terminal.run(work, json=as_json), as_json=as_json)


@app.command("set")
def change(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="true, 24, masked, a,b,c - or default.")],
    *,
    reason: Reason = "",
    if_version: Annotated[int | None, typer.Option(min=0, help="Only if the setting still has this version.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change one setting, in every process within two seconds; kept in its history and audited.

    A negative VALUE follows `--`. Exit status 1: no such setting, not of its kind, out of its range, or changed
    meanwhile.
    """
    from palio.entry import operators, terminal
    from palio.infra import settings
    from palio.kernel.settings import from_words

    async def work(place: "Place") -> Shown:
        setting = _named(place.settings, key)
        wanted = settings.Change(setting, from_words(setting, value), if_version)
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await settings.change(tx, tx.actor, [wanted], operators.reason(reason), kind="cli")
            return await _look_up(tx, setting)

    _tell(terminal.run(work, json=as_json), as_json=as_json, is_trial=dry_run)


@app.command()
def history(key: Key, *, as_json: AsJson = False) -> None:
    """List what a setting was, newest first, who changed it and why. Exit status 1: there is none of this name."""
    from palio.entry import operators, terminal
    from palio.infra import settings

    async def work(place: "Place") -> "list[Version]":
        async with operators.acting(place.database) as tx:
            return await settings.history(tx, _named(place.settings, key).key)

    versions = terminal.run(work, json=as_json)
    rows: list[list[Cell]] = [
        [each.version, _text(each.value), each.changed_at, each.kind, each.reason] for each in versions
    ]
    lines = columns(["version", "value", "changed at", "how", "why"], rows, to_right=(0,))
    tell(versions, as_json=as_json, lines=lines if rows else ["Nobody ever changed it."])


@app.command()
def revert(
    key: Key,
    *,
    to: Annotated[int, typer.Option(min=0, help="The version whose value comes back; 0 is the default.")],
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give a setting the value of an earlier version, as a new version within today's range.

    Exit status 1: no such setting or version, or its value is out of range by now.
    """
    from palio.entry import operators, terminal
    from palio.infra import settings

    async def work(place: "Place") -> Shown:
        setting = _named(place.settings, key)
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await settings.revert(tx, tx.actor, setting, to_version=to, reason=operators.reason(reason))
            return await _look_up(tx, setting)

    _tell(terminal.run(work, json=as_json), as_json=as_json, is_trial=dry_run)


def _named(catalogue: "Catalogue", key: str) -> "Setting[Any]":
    """The setting of this name. Refuses with UnknownSetting, which tells the nearest name."""
    from palio.kernel.settings import UnknownSetting

    known = {setting.key: setting for setting in catalogue}
    if key not in known:
        raise UnknownSetting(key=key, nearest=get_close_matches(key, known, n=3, cutoff=0.5))
    return known[key]


async def _look_up(tx: "Tx", setting: "Setting[Any]") -> Shown:
    from palio.infra import settings

    (line,) = [line for line in await settings.list_all(tx) if line.key == setting.key]
    return _shown(setting, line)


def _shown(setting: "Setting[Any]", line: "Line") -> Shown:
    from palio.kernel.settings import write

    default = write(setting.default)
    return Shown(
        setting.key,
        setting.kind,
        default if line.value is None else line.value,
        default,
        setting.unit,
        setting.low,
        setting.high,
        setting.choices,
        line.version,
        line.updated_at,
        setting.description,
    )


def _tell(shown: Shown, *, as_json: bool, is_trial: bool = False) -> None:
    parts: dict[str, Cell] = {
        "setting": shown.key,
        "value": _text(shown.value),
        "default": _text(shown.default),
        "range": _range(shown),
        "version": shown.version,
        "changed at": shown.updated_at,
        "what it does": shown.description,
    }
    head = ["This was a dry run; nothing was changed."] if is_trial else []
    tell(shown, as_json=as_json, lines=[*head, *record(parts)])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _range(shown: Shown) -> str:
    if shown.choices:
        return ", ".join(shown.choices)
    if shown.low is None and shown.high is None:
        return shown.kind
    bounds = f"{'' if shown.low is None else shown.low}..{'' if shown.high is None else shown.high}"
    return f"{bounds} {shown.unit}".strip()
