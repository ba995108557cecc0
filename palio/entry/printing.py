"""What a command prints: columns for people, JSON for programs."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import typer

from palio.kernel import clock

Cell: TypeAlias = "str | int | bool | datetime | None"


def tell(answer: object, *, as_json: bool, lines: Sequence[str]) -> None:
    """The answer of a command: one JSON value, or the lines that say the same to a person."""
    typer.echo(json_of(answer, indent=1) if as_json else "\n".join(lines))


def json_of(value: object, *, indent: int | None = None) -> str:
    """The value as JSON for readers; half a character, which a word of the command line may hold, is escaped."""
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def columns(head: Sequence[str], rows: Sequence[Sequence[Cell]], *, to_right: Collection[int] = ()) -> list[str]:
    """A table; the numbered columns stand to the right, a wide letter counts as two."""
    from rich.cells import cell_len  # noqa: PLC0415 - only tables need it

    texts = [list(head), *([text(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]

    def padded(place: int, cell: str) -> str:
        space = " " * (widths[place] - cell_len(cell))
        return space + cell if place in to_right else cell + space

    return ["  ".join(padded(place, cell) for place, cell in enumerate(line)).rstrip() for line in texts]


def record(values: Mapping[str, Cell]) -> list[str]:
    """The parts of one thing, a line each."""
    width = max(map(len, values))
    return [f"{name:<{width}}  {text(cell)}" for name, cell in values.items()]


def text(cell: Cell) -> str:
    """One value as a person reads it."""
    if isinstance(cell, datetime):
        return moment(cell)
    return "-" if cell is None else str(cell)


def decimal(units: int | None, scale: int) -> str | None:
    """Integer units as the decimal they are: 1250 of scale 2 is 12.50."""
    return None if units is None else f"{Decimal(units).scaleb(-scale):.{scale}f}"


def moment(at: datetime) -> str:
    """An instant in UTC, to the microsecond, as the API writes it."""
    return clock.text(at)


def plain(value: object) -> object:
    """The value as JSON has it: dataclasses become objects, instants RFC 3339, everything unknown its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(part) for part in value]
    return str(value)
