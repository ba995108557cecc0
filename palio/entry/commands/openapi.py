"""`palio openapi` and `palio asyncapi`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from pathlib import Path
from typing import Annotated

import typer

from palio.entry.options import Misuse


def openapi(
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of printing it.")] = None,
) -> None:
    """Describe the API: the OpenAPI 3.1 document, the same as at /api/v1/openapi.json. Needs no database."""
    from palio.entry import web
    from palio.ui import description

    _write(description.describe(web.MODULES), out)


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
