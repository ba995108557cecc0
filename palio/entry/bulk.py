"""Payments to many people from a file: read and judged whole, then paid in parts, each of which can be repeated."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from palio import identity, ledger
from palio.entry import operators
from palio.infra import audit, db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Invalid
from palio.kernel.ids import UserId
from palio.ui import strict
from palio.ui.refusals import MalformedJson

ROWS_MAX = 100_000
ROWS_AT_ONCE = 250
NAMES_AT_ONCE = 10_000
PROBLEMS_MAX = 100
UNITS_MAX = 2**53 - 1
WHY_CHARS_MAX = 255
MUST, MAY = ("player", "asset", "amount"), ("kind", "why")
UNITS = re.compile(r"-?[1-9][0-9]{0,15}")


class ImportInvalid(Invalid):
    """The file cannot be paid as it is, and nothing of it was: `problems` says where."""

    code: ClassVar[str] = "entry.import_invalid"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, by its line and its number among rows: who gets how much of what."""

    line: int
    number: int
    player: str
    asset: str
    amount: int
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not paid, and why."""

    line: int
    player: str
    code: str
    facts: Mapping[str, object]


@dataclass(slots=True)
class Imported:
    """What became of the rows of a run. A row that was paid before is not paid again."""

    run: str
    rows: int = 0
    paid: int = 0
    paid_before: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """Under which name a file is paid, out of which account, and what the audit log says about it."""

    name: str
    source: str
    reason: str
    is_trial: bool = False


def read_csv(text: str, *, kind: str) -> list[Row]:
    """Rows under a line of their columns: player, asset, amount, and maybe kind and why. Refuses with ImportInvalid."""
    return _rows(_members_of_csv(text), kind)


def read_jsonl(text: str, *, kind: str) -> list[Row]:
    """An object a line with the same members; the amount is a JSON integer. Refuses with ImportInvalid."""
    return _rows(_members_of_jsonl(text), kind)


def _members_of_csv(text: str) -> Iterator[tuple[int, Mapping[str, object] | str]]:
    reader = csv.reader((f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), strict=True)
    head: list[str] = []
    try:
        for fields in reader:
            cells = [cell.strip() for cell in fields]
            if not any(cells):
                continue
            if not head:
                head = [cell.lower() for cell in cells]
                if not {*MUST} <= {*head} <= {*MUST, *MAY} or len({*head}) < len(head):
                    raise ImportInvalid(problems=[f"line {reader.line_num}: {_of_columns(head)}"])
            elif len(cells) != len(head):
                yield reader.line_num, f"{len(cells)} fields instead of {len(head)}"
            else:
                named = dict(zip(head, cells, strict=True))
                units = named["amount"]
                yield reader.line_num, {**named, "amount": int(units) if UNITS.fullmatch(units) else units}
    except csv.Error as error:
        yield reader.line_num, str(error)


def _of_columns(head: Sequence[str]) -> str:
    return f"columns are {', '.join(MUST)}, and maybe {' and '.join(MAY)}, each once; not {', '.join(head)}"


def _members_of_jsonl(text: str) -> Iterator[tuple[int, Mapping[str, object] | str]]:
    for line, words in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if words.strip():
            try:
                said = strict.parse(words.encode(errors="surrogatepass"))
            except MalformedJson as refusal:
                yield line, str(refusal.facts["reason"])
                continue
            yield line, said if isinstance(said, dict) else "it is no object"


def _rows(lines: Iterator[tuple[int, Mapping[str, object] | str]], kind: str) -> list[Row]:
    rows, problems = list[Row](), list[str]()
    for number, (line, members) in enumerate(lines, start=1):
        if number > ROWS_MAX:
            raise ImportInvalid(
                problems=[f"line {line}: more than {ROWS_MAX:,} rows; split the file, a run for each part"]
            )
        row = members if isinstance(members, str) else _row(line, number, members, kind)
        if isinstance(row, Row):
            rows.append(row)
        elif len(problems) < PROBLEMS_MAX:
            problems.append(f"line {line}: {row}")
    if problems:
        raise ImportInvalid(problems=problems)
    if not rows:
        raise ImportInvalid(problems=["line 1: it is empty"])
    return rows


def _row(line: int, number: int, members: Mapping[str, object], kind: str) -> Row | str:
    """The row, or what is wrong with it."""
    if unknown := members.keys() - {*MUST, *MAY}:
        return f"nobody knows {', '.join(sorted(unknown))}"
    texts = {name: members.get(name) or "" for name in ("player", "asset", "kind", "why")}
    if strange := [name for name, text in texts.items() if not isinstance(text, str) or "\0" in text]:
        return f"{strange[0]} is no text"
    player, asset, own_kind, why = (str(text).strip() for text in texts.values())
    amount = members.get("amount")
    if not player or not asset:
        return f"{'asset' if player else 'player'} is empty"
    if type(amount) is not int or amount == 0 or abs(amount) > UNITS_MAX:
        return f"amount {amount!r} is no integer of units other than 0"
    if len(why) > WHY_CHARS_MAX:
        return f"why has more than {WHY_CHARS_MAX} characters"
    return Row(line, number, player, asset, amount, own_kind or kind, why)


async def pay(database: Database, rows: Sequence[Row], *, run: Run, tell: Callable[[int], None]) -> Imported:
    """Pay rows, a part a transaction, under keys of the run and their number: whatever happens, once each.

    Whoever stops halfway, or is killed, does the same again, and the rest is paid. `tell` hears after each part how
    many rows are done. Refuses with ImportInvalid before anything is paid, and with what the database says.
    """
    async with operators.acting(database) as tx:
        owners = await _owners(tx, rows)
    done = Imported(run.name, rows=len(rows))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        outcomes = await db.retrying(
            partial(database.begin, operators.actor()), partial(_pay_part, part=part, owners=owners, run=run)
        )
        for row, outcome in zip(part, outcomes, strict=True):
            _count(done, row, outcome)
        tell(start + len(part))
    return done


async def _owners(tx: Tx, rows: Sequence[Row]) -> dict[str, UserId]:
    """Whose wallet each name of a player means. Refuses with ImportInvalid."""
    assets = {asset.code for asset in await ledger.assets(tx)}
    first = {row.player: row.line for row in reversed(rows)}
    names, owners = list(first), dict[str, UserId]()
    for start in range(0, len(names), NAMES_AT_ONCE):
        owners |= await identity.ids_many(tx, names[start : start + NAMES_AT_ONCE])
    problems = [(line, f"nobody is called {player}") for player, line in first.items() if player not in owners]
    problems += [(row.line, f"there is no asset {row.asset}") for row in rows if row.asset not in assets]
    if problems:
        raise ImportInvalid(problems=[f"line {line}: {what}" for line, what in sorted(problems)[:PROBLEMS_MAX]])
    return owners


async def _pay_part(tx: Tx, *, part: Sequence[Row], owners: Mapping[str, UserId], run: Run) -> Sequence[ledger.Outcome]:
    posts = [
        ledger.Post(
            key=f"bulk:{run.name}:{row.number}",
            kind=row.kind,
            legs=((run.source, row.asset, -row.amount), (f"user:{owners[row.player]}:main", row.asset, row.amount)),
            description=row.why,
            metadata={"run": run.name},
        )
        for row in part
    ]
    outcomes = await ledger.post_many(tx, posts, now=clock.now(), dry_run=run.is_trial)
    paid = [row for row, outcome in zip(part, outcomes, strict=True) if _is_fresh(outcome)]
    if paid and not run.is_trial:
        await audit.record(
            tx,
            actor=tx.actor,
            action="ledger.import",
            entity_type="ledger.run",
            entity_id=run.name,
            changes={"rows": (None, [paid[0].number, paid[-1].number]), "paid": (None, len(paid))},
            reason=run.reason,
            via="cli",
        )
    return outcomes


def _is_fresh(outcome: ledger.Outcome) -> bool:
    return isinstance(outcome, ledger.Posted) and not outcome.replayed


def _count(done: Imported, row: Row, outcome: ledger.Outcome) -> None:
    if isinstance(outcome, ledger.Refused):
        done.refused.append(RefusedRow(row.line, row.player, outcome.code, outcome.facts))
    elif outcome.replayed:
        done.paid_before += 1
    else:
        done.paid += 1
