"""`palio webhooks …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from palio.entry.options import AsJson, DryRun, Misuse, Reason, Since, Until
from palio.entry.printing import columns, moment, record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.webhooks import Endpoint, Health, Replayed

app = typer.Typer(no_args_is_help=True, help="Machines outside that are told what happens here.")

LISTEN_SECONDS = 1.0
Which = Annotated[UUID, typer.Argument(metavar="ENDPOINT", help="Its id, as palio webhooks list gives it.")]
Types = Annotated[str, typer.Option("--types", metavar="TYPES", help="Between commas, like race.*,reward.paid.")]


@app.command("list")
def show(*, as_json: AsJson = False) -> None:
    """List the endpoints with how the last 24 hours went; their addresses are sealed, so that only hosts are told."""
    from palio.entry import operators, terminal
    from palio.infra import webhooks
    from palio.kernel import clock

    async def work(place: "Place") -> "list[tuple[Endpoint, Health]]":
        async with operators.acting(place.database) as tx:
            health = await webhooks.health(tx, now=clock.now())
            return [(one, health[one.id]) for one in await webhooks.list_endpoints(tx)]

    found = terminal.run(work, json=as_json)
    told = [{"endpoint": one, "health": health} for one, health in found]
    table = columns(
        ["endpoint", "host", "state", "hears", "taken", "not taken", "wait"],
        [
            [str(one.id), one.host, one.state, " ".join(one.types), how.delivered, how.failing, how.waiting]
            for one, how in found
        ],
        to_right=(4, 5, 6),
    )
    tell(told, as_json=as_json, lines=table if found else ["There are no endpoints."])


@app.command("test")
def send_test(endpoint: Which, *, reason: Reason = "", dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Queue a message of type webhook.test; audited. Exit status 1: no such endpoint, or it is switched off."""
    from palio.entry import operators, terminal
    from palio.infra import webhooks
    from palio.kernel import clock

    async def work(place: "Place") -> UUID:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            why = operators.reason(reason)
            return await webhooks.queue_test(tx, endpoint_id=endpoint, reason=why, now=clock.now(), via="cli")

    delivery = terminal.run(work, json=as_json)
    tell({"delivery": delivery}, as_json=as_json, lines=[*_head(dry_run=dry_run), *record({"delivery": str(delivery)})])


@app.command()
def replay(
    endpoint: Which,
    *,
    delivery: Annotated[UUID | None, typer.Option(metavar="ID", help="This one alone.")] = None,
    since: Since = None,
    until: Until = None,
    types: Types = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only what was given up.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Under new ids.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send again one delivery, or what happened since an instant, also what was never sent; audited.

    At most 10,000 messages at once, the oldest first. Exit status 1: no such endpoint or delivery, or it is off.
    """
    from palio.entry import operators, terminal
    from palio.infra import webhooks
    from palio.kernel import clock

    if (delivery is None) == (since is None):
        raise Misuse("one_of_both", "name either --delivery or --since")
    again = webhooks.Again(
        delivery, since, until, _listed(types), ("failed", "cancelled") if failed else (), is_fresh=fresh
    )

    async def work(place: "Place") -> "Replayed":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            why = operators.reason(reason)
            return await webhooks.replay(tx, endpoint_id=endpoint, again=again, reason=why, now=clock.now(), via="cli")

    done = terminal.run(work, json=as_json)
    tell(done, as_json=as_json, lines=[*_head(dry_run=dry_run), f"{done.queued} messages are sent again."])


@app.command()
def listen(
    *,
    forward: Annotated[str, typer.Option(metavar="URL", help="Where each message is sent, also on this machine.")],
    types: Types = "race.*,competition.*,reward.*",
    reason: Reason = "",
) -> None:
    """For development: pass on what happens to an address of this machine, signed, until Ctrl-C.

    An endpoint of its own is made for it, which no worker serves, and removed at the end. Prints its secret first.
    """
    from palio.entry import terminal

    async def work(place: "Place") -> None:
        equipment = place.database.equipment
        place.database.equipment = replace(equipment, is_simulated=True)  # of this process: it may call inside
        await _listen(place, forward, _listed(types), reason)

    terminal.run(work)


async def _listen(place: "Place", forward: str, types: list[str], reason: str) -> None:
    from palio.entry import operators
    from palio.entry.published import PUBLIC
    from palio.infra import webhooks
    from palio.kernel import clock

    wish = webhooks.Wish(forward, types, f"palio webhooks listen {operators.by()}"[:200], per_second=100)
    known, why = [one.name for one in PUBLIC], operators.reason(reason)
    async with operators.acting(place.database) as tx:
        endpoint, secret = await webhooks.create(tx, wish=wish, known=known, reason=why, now=clock.now(), via="cli")
        await webhooks.pause(tx, endpoint_id=endpoint, reason=why, now=clock.now())
    typer.echo(f"secret {secret}")
    try:
        while True:
            for one in await webhooks.deliver_some(place.database, endpoint, of="paused"):
                typer.echo(f"{moment(one.sent_at)}  {one.claimed.type}  {one.verdict.failure or one.verdict.status}")
            await asyncio.sleep(LISTEN_SECONDS)
    finally:
        async with operators.acting(place.database) as tx:
            version = (await webhooks.get_endpoint(tx, endpoint)).version
            await webhooks.remove(tx, endpoint_id=endpoint, version=version, reason=why)


def _head(*, dry_run: bool) -> list[str]:
    return ["This was a dry run; nothing was changed."] if dry_run else []


def _listed(types: str) -> list[str]:
    return [one.strip() for one in types.split(",") if one.strip()]
