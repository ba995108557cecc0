"""`palio jobs …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from palio.entry.options import AsJson, DryRun, Limit, Reason
from palio.entry.printing import columns, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.job_control import Queued, Scheduled

app = typer.Typer(no_args_is_help=True, help="What is done in the background.")

State = Annotated[Literal["waiting", "running", "failed"] | None, typer.Option(help="Only those; failed gave up.")]


@app.command("list")
def show(*, state: State = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the jobs in the queue and the schedules. What is done leaves the queue."""
    from palio.entry import operators, terminal
    from palio.infra import job_control

    async def work(place: "Place") -> "tuple[list[Queued], list[Scheduled]]":
        async with operators.acting(place.database) as tx:
            states = [state] if state else []
            return await job_control.list_queued(tx, states=states, limit=limit), await job_control.list_schedules(tx)

    queued, schedules = terminal.run(work, json=as_json)
    jobs = columns(
        ["job", "queue", "state", "attempts", "due at", "last error"],
        [[one.job, one.queue, one.state, one.attempts, one.due_at, one.error] for one in queued],
        to_right=(3,),
    )
    clock = columns(
        ["schedule", "next at", "last finished at", "how it went", "paused until"],
        [[one.name, one.next_at, one.last_finished_at, one.last_status, one.paused_until] for one in schedules],
    )
    lines = [*(jobs if queued else ["The queue is empty."]), "", *(clock if schedules else ["There are no schedules."])]
    tell({"queue": queued, "schedules": schedules}, as_json=as_json, lines=lines)


@app.command()
def retry(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its name, as palio jobs list gives it.")],
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put every row of a job that gave up back into the queue; audited. Exit status 1: none of this name gave up."""
    from palio.entry import operators, terminal
    from palio.infra import job_control

    async def work(place: "Place") -> int:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await job_control.retry(tx, job=job, reason=operators.reason(reason))

    number = terminal.run(work, json=as_json)
    verb = "Would put" if dry_run else "Put"
    tell({"job": job, "rows": number}, as_json=as_json, lines=[f"{verb} {number} back into the queue."])


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A schedule, as palio jobs list gives it.")],
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a schedule due now; audited. A worker (palio up, palio worker) carries it out within seconds.

    Exit status 1: no such schedule, or a run of it waits or works already.
    """
    from palio.entry import operators, terminal
    from palio.infra import job_control
    from palio.kernel import clock

    async def work(place: "Place") -> None:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            await job_control.run_now(tx, schedule=name, now=clock.now(), reason=operators.reason(reason))

    terminal.run(work, json=as_json)
    tell({"schedule": name}, as_json=as_json, lines=[f"{name} {'would be' if dry_run else 'is'} due now."])
