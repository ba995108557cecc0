"""Rows as CSV (RFC 4180), for spreadsheets that must not run what players wrote."""

import csv
import io
from collections.abc import Sequence
from typing import TypeAlias

LIVELY = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to some programs

Cells: TypeAlias = dict[str, str]


def write(rows: Sequence[object], *, columns: Sequence[str], has_head: bool = True) -> str:
    """The rows, JSON values, under a line of their columns; lines end with CR LF. What goes on has no such line."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\r\n")
    if has_head:
        table.writerow(columns)
    for row in rows:
        known = cells(row)
        table.writerow([known.get(name, "") for name in columns])
    return text.getvalue()


def cells(row: object) -> Cells:
    """One row flat: a part of a part is `outer_inner`, several values of one stand side by side."""
    flat: Cells = {}
    _spread(flat, "", row)
    return flat


def _spread(flat: Cells, name: str, value: object) -> None:
    if isinstance(value, dict):
        for part, inner in value.items():
            _spread(flat, f"{name}_{part}" if name else part, inner)
    else:
        flat[name] = _text(value)


def _text(value: object) -> str:
    """A cell. Text that a program would run gets an apostrophe in front; a negative number stays a number."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(LIVELY) else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence):
        return _text(" ".join(str(part) for part in value))
    return str(value)
