"""`palio openapi` and `palio asyncapi`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from palio.entry.options import AsJson, Misuse


def openapi(
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of printing it.")] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Name what breaks callers who know this older document.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option("--new", help="With --check: a newer document, instead of that of this Palio.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe the API: the OpenAPI 3.1 document, the same as at /api/v1/openapi.json. Needs no database.

    With --check exit status 1 says that callers of the older document break; each break is a line.
    """
    from palio.entry import web
    from palio.ui import description

    if check is None:
        if new is not None or as_json:
            raise Misuse("check_missing", "--new and --json go with --check.")
        _write(description.describe(web.MODULES), out)
        return
    newer = _read(new) if new else json.loads(description.describe(web.MODULES))
    _tell_breaks(_read(check), newer, as_json=as_json)


def _tell_breaks(old: dict[str, Any], new: dict[str, Any], *, as_json: bool) -> None:
    from palio.kernel import clock
    from palio.ui import compatibility

    found = compatibility.breaks(old, new, today=clock.now().date().isoformat())
    if as_json:
        typer.echo(json.dumps({"breaks": [asdict(one) for one in found]}))
    else:
        for one in found:
            typer.echo(str(one))
        typer.echo(f"{len(found)} breaks." if found else "Nothing breaks.")
    raise typer.Exit(1 if found else 0)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as failure:
        raise Misuse("file_unreadable", f"{path} cannot be read: {failure.strerror}") from None
    except ValueError:
        raise Misuse("not_a_description", f"{path} is no JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise Misuse("not_a_description", f"{path} is no OpenAPI document.")
    return document


def asyncapi(
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of printing it.")] = None,
) -> None:
    """Describe live topics: the AsyncAPI 3 document, the same as at /api/v1/asyncapi.json. Needs no database."""
    from palio.entry.topics import TOPICS
    from palio.ui import asyncapi as description

    _write(description.describe(TOPICS), out)


def _write(document: bytes, out: Path | None) -> None:
    if out is None:
        typer.echo(document.decode())
        return
    try:
        out.write_bytes(document + b"\n")
    except OSError as failure:
        raise Misuse("file_unwritable", f"{out} cannot be written: {failure.strerror}") from None
    typer.echo(f"Written to {out}.")
