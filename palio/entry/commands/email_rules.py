"""`palio identity email-rule …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from palio.entry.options import AsJson, DryRun, Misuse
from palio.entry.printing import Cell, columns, record, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palio.entry.terminal import Place
    from palio.identity import EmailRule, Sample
    from palio.identity.types import Allowance, DomainList, RuleKind

app = typer.Typer(no_args_is_help=True, help="Which e-mail addresses may register: the first rule that fits decides.")

LOADING_S_MAX = 300
Position = Annotated[int, typer.Argument(metavar="POSITION", min=1, help="Its place in the order.")]


@app.command()
def add(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="allow or deny.")],
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="regex, domain (.x.org: sub-domains too), address or domain_file.")
    ],
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN", help="A regex fits the whole address in lower case; a file is named as `load` named it."
        ),
    ],
    *,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    position: Annotated[int | None, typer.Option(min=1, help="Its place in the order. Default: the last.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a rule. Exit status 1: the pattern cannot be read, or could take for ever."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    allowance, rule_kind = _allowance(action), _kind(kind)

    async def work(place: "Place") -> "list[EmailRule]":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await identity.add_rule(
                tx,
                action=allowance,
                kind=rule_kind,
                pattern=pattern,
                note=note,
                position=position,
                now=clock.now(),
                reason=operators.reason(),
                via="cli",
            )
            return await identity.list_rules(tx)

    rules = terminal.run(work, json=as_json)
    tell(rules, as_json=as_json, lines=_told(rules, dry_run=dry_run))


@app.command()
def remove(position: Position, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove the rule at a position. Exit status 1: there is none."""
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[EmailRule]":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await identity.remove_rule(tx, position=position, reason=operators.reason(), via="cli")
            return await identity.list_rules(tx)

    rules = terminal.run(work, json=as_json)
    tell(rules, as_json=as_json, lines=_told(rules, dry_run=dry_run))


@app.command("list")
def show_all(*, as_json: AsJson = False) -> None:
    """List the rules in the order in which they are read."""
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[EmailRule]":
        async with operators.acting(place.database) as tx:
            return await identity.list_rules(tx)

    rules = terminal.run(work, json=as_json)
    tell(rules, as_json=as_json, lines=_told(rules, dry_run=False))


@app.command()
def load(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What rules of kind domain_file call it.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="One domain a line (.x.org: sub-domains too); # begins a remark.")
    ],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Load a list of domains, in the place of the one of this name. Exit status 1: a line is no domain.

    Such a list refuses throwaway addresses: `email-rule load throwaway FILE`, then `add deny domain_file throwaway`.
    """
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise Misuse("usage", f"{file} cannot be read: {failure}") from None

    async def work(place: "Place") -> "tuple[DomainList | None, DomainList]":
        async with operators.acting(place.database, dry_run=dry_run, seconds_max=LOADING_S_MAX) as tx:
            return await identity.load_domains(
                tx, name=name, lines=lines, now=clock.now(), reason=operators.reason(), via="cli"
            )

    before, after = terminal.run(work, json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    told: dict[str, Cell] = {"list": after.name, "domains": after.domains, "before": before.domains if before else None}
    tell(told, as_json=as_json, lines=[*head, *record(told)])


@app.command("lists")
def show_lists(*, as_json: AsJson = False) -> None:
    """List the lists of domains that are loaded."""
    from palio import identity
    from palio.entry import operators

    found = operators.act(identity.domain_lists, as_json=as_json)
    rows: list[list[Cell]] = [[one.name, one.domains, one.loaded_at] for one in found]
    table = columns(["list", "domains", "loaded"], rows, to_right=(1,)) if rows else ["There is no list."]
    tell(found, as_json=as_json, lines=table)


@app.command("test")
def try_them(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="Samples.")], *, as_json: AsJson = False
) -> None:
    """Say what the rules make of sample addresses, and change nothing."""
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[Sample]":
        async with operators.acting(place.database) as tx:
            return await identity.try_addresses(tx, addresses=addresses)

    found = terminal.run(work, json=as_json)
    rows = [[each.given, each.address, each.verdict] for each in found]
    tell(found, as_json=as_json, lines=columns(["address", "stored as", "verdict"], rows))


@app.command()
def preset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="iitm: students of the institute, nobody else.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put ready-made rules in the place of all others, and refuse what none of them knows."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    if name != "iitm":
        raise Misuse("preset_unknown", f"there is no preset {name}: iitm")

    async def work(place: "Place") -> "list[EmailRule]":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await identity.use_preset(
                tx, preset=identity.IITM, now=clock.now(), reason=operators.reason(), via="cli"
            )

    rules = terminal.run(work, json=as_json)
    tell(rules, as_json=as_json, lines=_told(rules, dry_run=dry_run))


def _allowance(text: str) -> "Allowance":
    from palio.identity.types import Allowance

    found: Allowance | None = next((each for each in get_args(Allowance) if each == text), None)
    if found is None:
        raise Misuse("action_unknown", f"{text!r} is neither allow nor deny")
    return found


def _kind(text: str) -> "RuleKind":
    from palio.identity.types import RuleKind

    found: RuleKind | None = next((each for each in get_args(RuleKind) if each == text), None)
    if found is None:
        raise Misuse("kind_unknown", f"{text!r} is none of regex, domain, address, domain_file")
    return found


def _told(rules: "Sequence[EmailRule]", *, dry_run: bool) -> list[str]:
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    rows = [[each.position, each.action, each.kind, each.pattern, each.note] for each in rules]
    table = columns(["", "action", "kind", "pattern", "note"], rows, to_right=(0,)) if rows else ["There is no rule."]
    return [*head, *table]
