"""Jobs: what waits, works and has given up, and the schedules."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias, get_args

from fastapi import Depends, Form, Path, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.admin import schemas
from palio.infra import approvals, job_control
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.infra.job_control import (
    AlreadyQueued,
    NoSuchSchedule,
    NotCancellable,
    NotDead,
    NotQueued,
    Queued,
    StillRunning,
)
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged, Paging, Part, sorted_by
from palio.ui.problems import Problem
from palio.ui.ranges import of_words
from palio.ui.routes import Filled, Routes

HERE = "/console/jobs"
State = Annotated[Literal["waiting", "running", "failed"] | None, Query()]
States: TypeAlias = Annotated[list[job_control.State], Depends(of_words("state", get_args(job_control.State)))]
ById: TypeAlias = Annotated[Paging, Depends(sorted_by("id", end=(2**63 - 1,)))]
QueueName = Annotated[str | None, Query(max_length=40)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
routes = Routes("admin")


@routes.page(HERE, access="admin.job.read")
async def jobs_page(request: Request, ask: Ask, tx: InTx, page: Paged, state: State = None) -> HTMLResponse:
    """The queue and the schedules."""
    return await _list(request, ask, tx, page, state)


async def _list(
    request: Request, ask: Asking, tx: Tx, page: Paged, state: State, problem: Problem | None = None
) -> HTMLResponse:
    shown = await _part(tx, page, [state] if state else [], None)
    values = {
        "rows": shown.rows,
        "later": shown.next,
        "earlier": shown.prev,
        "figures": await job_control.figures(tx),
        "schedules": await job_control.list_schedules(tx),
        "state": state,
    }
    return await console.render(request, ask, tx, "admin/jobs.html", values, present=HERE, problem=problem)


@routes.page(HERE + "/{row_id:int}", access="admin.job.read")
async def job_page(request: Request, ask: Ask, tx: InTx, row_id: RowId) -> HTMLResponse:
    """One row of the queue with what became of its attempts. Refuses with NotQueued."""
    return await _row(request, ask, tx, row_id)


async def _row(
    request: Request, ask: Asking, tx: Tx, row_id: int, problem: Problem | None = None, reason: str = ""
) -> HTMLResponse:
    values = {
        "row": await job_control.get_queued(tx, row_id=row_id),
        "attempts": await job_control.attempts_of(tx, row_id=row_id),
        "reason": reason,
    }
    return await console.render(request, ask, tx, "admin/job.html", values, present=HERE, problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The row with the reason that was typed, and what is wrong."""
    reason = filled.values.get("reason", "")
    return await _row(request, ask, tx, int(request.path_params["row_id"]), filled.problem, reason)


@routes.form(HERE + "/{row_id:int}/act", access="admin.job.control", again=_again)
async def act_on_job(ask: Ask, tx: InTx, row_id: RowId, form: Annotated[schemas.JobForm, Form()]) -> RedirectResponse:
    """Try a job again, or take it out of the queue."""
    reason = approvals.checked_reason(form.reason)
    if form.act == "retry":
        await job_control.retry_one(tx, row_id=row_id, reason=reason)
    else:
        await job_control.cancel(tx, row_id=row_id, reason=reason, now=ask.now)
    return RedirectResponse(HERE, 303)


@routes.page(HERE + "/schedules/{name}", access="admin.job.read")
async def schedule_page(request: Request, ask: Ask, tx: InTx, name: str) -> HTMLResponse:
    """One schedule. Refuses with NoSuchSchedule."""
    return await _schedule(request, ask, tx, name)


async def _schedule(
    request: Request, ask: Asking, tx: Tx, name: str, problem: Problem | None = None, reason: str = ""
) -> HTMLResponse:
    every = {one.name: one for one in await job_control.list_schedules(tx)}
    if name not in every:
        raise NoSuchSchedule(schedule=name, known=list(every))
    values = {"schedule": every[name], "reason": reason}
    return await console.render(request, ask, tx, "admin/schedule.html", values, present=HERE, problem=problem)


async def _schedule_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The schedule with the reason that was typed, and what is wrong."""
    reason = filled.values.get("reason", "")
    return await _schedule(request, ask, tx, request.path_params["name"], filled.problem, reason)


@routes.form(HERE + "/schedules/{name}/run", access="admin.job.control", again=_schedule_again)
async def run_schedule_now(
    ask: Ask, tx: InTx, name: str, form: Annotated[schemas.ReasonForm, Form()]
) -> RedirectResponse:
    """Make a schedule due now."""
    reason = approvals.checked_reason(form.reason)
    await job_control.run_now(tx, schedule=name, now=ask.now, reason=reason)
    return RedirectResponse(HERE, 303)


@routes.get("/console/jobs", access="admin.job.read", example=schemas.JOBS)
async def list_jobs(tx: InTx, page: ById, states: States, queue: QueueName = None) -> Listed[schemas.JobAnswer]:
    """List what is in the queue, the oldest first; what is done has left it."""
    return (await _part(tx, page, states, queue)).told(schemas.JobAnswer.of)


async def _part(tx: Tx, page: Paging, states: Sequence[job_control.State], queue: str | None) -> Part[Queued]:
    behind, in_front_of = (int(side[0]) if side else None for side in page.sides)
    found = await job_control.list_queued(
        tx, states=states, queue=queue, limit=page.limit + 1, behind=behind or 0, in_front_of=in_front_of
    )
    return page.part(found, lambda one: (one.id,))


@routes.get("/console/jobs/schedules", access="admin.job.read", example=schemas.SCHEDULES)
async def list_schedules(tx: InTx) -> Listed[schemas.ScheduleAnswer]:
    """List the schedules: when each is due next, and how it went last."""
    found = await job_control.list_schedules(tx)
    return Listed(tuple(map(schemas.ScheduleAnswer.of, found)), None, None)


@routes.get("/console/jobs/runs/{row_id:int}", access="admin.job.read", example=schemas.JOB, refuses=[NotQueued])
async def get_job(tx: InTx, row_id: RowId) -> schemas.JobWithAttempts:
    """Read a job of the queue and what became of its attempts."""
    row = await job_control.get_queued(tx, row_id=row_id)
    return schemas.JobWithAttempts.of(row, await job_control.attempts_of(tx, row_id=row_id))


@routes.post(
    "/console/jobs/runs/{row_id:int}/retry",
    access="admin.job.control",
    example=schemas.JOBS.items[0],
    refuses=[NotQueued, NotDead, AlreadyQueued, ReasonMissing],
)
async def retry_job(body: schemas.Reason, tx: InTx, row_id: RowId) -> schemas.JobAnswer:
    """Put a job that gave up back into the queue."""
    reason = approvals.checked_reason(body.reason)
    return schemas.JobAnswer.of(await job_control.retry_one(tx, row_id=row_id, reason=reason))


@routes.post(
    "/console/jobs/runs/{row_id:int}/cancel",
    access="admin.job.control",
    example=schemas.JOBS.items[0],
    refuses=[NotQueued, NotCancellable, ReasonMissing],
)
async def cancel_job(body: schemas.Reason, ask: Ask, tx: InTx, row_id: RowId) -> schemas.JobAnswer:
    """Take a job that waits or has given up out of the queue; answers it as it was."""
    reason = approvals.checked_reason(body.reason)
    return schemas.JobAnswer.of(await job_control.cancel(tx, row_id=row_id, reason=reason, now=ask.now))


@routes.post(
    "/console/jobs/schedules/{name}/run",
    access="admin.job.control",
    example=schemas.DONE,
    refuses=[NoSuchSchedule, StillRunning, ReasonMissing],
)
async def run_schedule(body: schemas.Reason, ask: Ask, tx: InTx, name: str) -> schemas.Done:
    """Make a schedule due now; a worker carries it out within seconds."""
    reason = approvals.checked_reason(body.reason)
    await job_control.run_now(tx, schedule=name, now=ask.now, reason=reason)
    return schemas.DONE
