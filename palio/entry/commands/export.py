"""`palio export` and `palio export-ref`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, Misuse, Reason
from palio.entry.printing import Cell, record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.operations import Mark, Written

Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="Like since=2026-03-01T00:00:00Z; again for more."),
]


def export(
    resource: Annotated[str, typer.Argument(help="What: audit.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where; a file that is there is replaced.")],
    filters: Filters = None,
    fields: Annotated[
        str, typer.Option(metavar="NAMES", help="Between commas; all that name nobody if not given.")
    ] = "",
    as_json_lines: Annotated[bool, typer.Option("--jsonl", help="JSON lines instead of CSV.")] = False,
    gzip: Annotated[bool, typer.Option("--gzip", help="Compressed.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write what may be exported to a file, as it is at this moment; audited. Exit status 1: no such thing."""
    from palio.entry import operators, terminal
    from palio.infra import operations
    from palio.infra.operations import Wish

    narrowed = dict(_pair(one) for one in filters or ())
    names = [one.strip() for one in fields.split(",") if one.strip()]
    wish = Wish(resource, narrowed, names, "jsonl" if as_json_lines else "csv", gzip)

    async def work(place: "Place") -> "Written":
        part = out.with_name(f"{out.name}.part")  # what is there stays until the new one is whole
        try:
            with part.open("wb") as file:
                done = await operations.write_out(place.database, wish, file, reason=operators.reason(reason))
            part.replace(out)
        except OSError as failure:
            raise Misuse("file_unwritable", f"{out} cannot be written: {failure.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        return done

    done = terminal.run(work, json=as_json)
    facts = {"rows": done.rows, "bytes": done.size_bytes, "sha256": done.sha256, "file": str(out)}
    tell(facts, as_json=as_json, lines=record({name: str(value) for name, value in facts.items()}))


def export_maker(
    mark: Annotated[str, typer.Argument(metavar="EXPORT_REF", help="The last cell of a row that was found outside.")],
    *,
    row: Annotated[str, typer.Option(metavar="KEY", help="What the row is known by, like AT,ID of the audit.")],
    as_json: AsJson = False,
) -> None:
    """Say in which export a marked row left the house, and who made it. Exit status 1: it is none of ours."""
    from palio.entry import operators, terminal
    from palio.infra import operations
    from palio.kernel.errors import NotFound

    key = tuple(int(part) if part.isdecimal() else part for part in row.split(","))

    async def work(place: "Place") -> "Mark":
        async with operators.acting(place.database) as tx:
            found = await operations.whose(tx, mark=mark, row=key)
            if found is None:
                raise NotFound
            return found

    found = terminal.run(work, json=as_json)
    told: dict[str, Cell] = {
        "export": str(found.export),
        "made": found.at,
        "by": str(found.maker or "-"),
        "reason": found.reason,
    }
    tell(found, as_json=as_json, lines=record(told))


def _pair(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given:
        raise Misuse("filter_invalid", f"{text!r} is no filter: write it like action=setting.change")
    return name.strip(), value
