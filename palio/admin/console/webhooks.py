"""Pages about webhooks: all endpoints, one with what was sent to it, one delivery with request and answer."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from palio.admin import schemas
from palio.admin.console import webhook_schemas as say
from palio.admin.console.receivers import RECEIVERS
from palio.admin.console.webhook_calls import MANAGE, READ, known_of, look_ahead, require_looked, some_deliveries
from palio.admin.schemas import desk_of
from palio.infra import approvals, webhooks
from palio.infra.db import Tx
from palio.infra.webhooks import Delivery, DeliveryState, Hour, Wanted
from palio.kernel import signatures
from palio.kernel.parts import Part
from palio.kernel.signatures import SignedMessage
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.charts import Chart, Series
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

HERE = "/console/webhooks"
ONE = f"{HERE}/{{endpoint_id:uuid}}"
OF_STATE: dict[str, tuple[DeliveryState, ...]] = {
    "": (),
    "waiting": ("queued", "sending", "retrying"),
    "delivered": ("delivered",),
    "failed": ("failed", "cancelled"),
}
routes = Routes("admin")


async def _show(
    request: Request,
    ask: Asking,
    tx: Tx,
    name: str,
    values: Mapping[str, object],
    problem: Problem | None = None,
    block: str | None = None,
) -> HTMLResponse:
    around = {"may_manage": MANAGE in ask.permissions}
    template = f"admin/{name}.html"
    return await console.render(
        request, ask, tx, template, {**around, **values}, present=HERE, block=block, problem=problem
    )


@routes.page(HERE, access=READ)
async def webhooks_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Every endpoint with how it is, and what there is to hear."""
    values = {
        "endpoints": await webhooks.list_endpoints(tx),
        "health": await webhooks.health(tx, now=ask.now),
        "types": webhooks.describe(desk_of(request).published),
        "last_sent": await webhooks.last_sent(tx),
    }
    return await _show(request, ask, tx, "webhooks", values)


# a new one


@routes.page(f"{HERE}/new", access=MANAGE)
async def new_webhook_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """An endpoint to be made."""
    return await _edit(request, ask, tx, {})


async def _edit(
    request: Request,
    ask: Asking,
    tx: Tx,
    typed: Mapping[str, str],
    problem: Problem | None = None,
    endpoint: webhooks.Endpoint | None = None,
) -> HTMLResponse:
    values = {"typed": typed, "endpoint": endpoint, "types": known_of(request)}
    return await _show(request, ask, tx, "webhook_edit", values, problem)


async def _new_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    return await _edit(request, ask, tx, filled.values, filled.problem)


Wished: TypeAlias = Annotated[say.WebhookForm, Form()]


@routes.form(f"{HERE}/new", access=MANAGE, again=_new_again, step_up=True, idempotency="none", ahead=look_ahead)
async def add_webhook(request: Request, form: Wished, ask: Ask, tx: InTx) -> HTMLResponse:
    """Make an endpoint; the page that answers is the only one to show its secret."""
    require_looked(request)
    reason = approvals.checked_reason(form.reason)
    endpoint_id, secret = await webhooks.create(
        tx, wish=form.wish(), known=known_of(request), reason=reason, now=ask.now
    )
    return await _one(request, ask, tx, endpoint_id, secret=secret)


# one


@routes.page(ONE, access=READ)
async def webhook_page(
    request: Request,
    endpoint_id: UUID,
    ask: Ask,
    tx: InTx,
    page: Paged,
    state: Annotated[Literal["", "waiting", "delivered", "failed"], Query()] = "",
    type: Annotated[str, Query(max_length=80)] = "",  # noqa: A002 - its public name
    q: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """One endpoint: how it is, what was sent to it lately, and what can be done."""
    wanted = Wanted(OF_STATE[state], type.strip(), _id_of(q))
    found = await some_deliveries(tx, endpoint_id, wanted, page)
    narrowed = {"state": state, "type": type, "q": q}
    shown = {"rows": found.rows, "older": found.next, "newer": found.prev, "narrowed": narrowed}
    return await _one(request, ask, tx, endpoint_id, shown=shown)


def _id_of(text: str) -> UUID | None:
    """The id that somebody looks for; what is none finds nothing."""
    if not text.strip():
        return None
    try:
        return UUID(text.strip())
    except ValueError:
        return UUID(int=0)


async def _one(
    request: Request,
    ask: Asking,
    tx: Tx,
    endpoint_id: UUID,
    *,
    shown: Mapping[str, object] | None = None,
    secret: str | None = None,
) -> HTMLResponse:
    endpoint = await webhooks.get_endpoint(tx, endpoint_id)
    if shown is None:
        rows = await webhooks.list_deliveries(tx, endpoint_id=endpoint_id, wanted=Wanted(), part=Part(50))
        shown = {"rows": rows, "older": None, "newer": None, "narrowed": {"state": "", "type": "", "q": ""}}
    values = {
        "endpoint": endpoint,
        "health": (await webhooks.health(tx, now=ask.now))[endpoint_id],
        "hours": await webhooks.by_hour(tx, endpoint_id=endpoint_id, now=ask.now),
        "secret": secret,
        "receivers": RECEIVERS,
        **shown,
    }
    return await _show(request, ask, tx, "webhook", values)


@routes.page(f"{ONE}/chart", access=READ)
async def webhook_chart(endpoint_id: UUID, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of the last 24 hours."""
    await webhooks.get_endpoint(tx, endpoint_id)
    return JSONResponse(asdict(_chart(await webhooks.by_hour(tx, endpoint_id=endpoint_id, now=ask.now))))


def _chart(hours: list[Hour]) -> Chart:
    return Chart(
        tuple(f"{hour.at:%H:%M}" for hour in hours),
        (
            Series("taken", "bar", tuple(float(hour.delivered) for hour in hours)),
            Series("not taken", "bar", tuple(float(hour.failing) for hour in hours)),
        ),
    )


# one act, one page: what it does, why, and the button


def _declare_act(act: str, access: str) -> None:
    @routes.page(f"{ONE}/{act}", access=access)
    async def act_page(
        request: Request, endpoint_id: UUID, ask: Ask, tx: InTx, delivery: Annotated[UUID | None, Query()] = None
    ) -> HTMLResponse:
        """What it does, and the form for it."""
        return await _act(request, ask, tx, endpoint_id, act, {"delivery_id": str(delivery or "")})


for _name in ("pause", "resume", "revoke-previous", "remove", "rotate", "test", "replay"):
    _declare_act(_name, MANAGE)
_declare_act("verify", READ)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    endpoint_id: UUID,
    act: str,
    typed: Mapping[str, object],
    *,
    problem: Problem | None = None,
    is_genuine: bool | None = None,
) -> HTMLResponse:
    values = {
        "endpoint": await webhooks.get_endpoint(tx, endpoint_id),
        "act": act,
        "typed": typed,
        "is_genuine": is_genuine,
    }
    return await _show(request, ask, tx, "webhook_act", values, problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    endpoint_id = request.path_params["endpoint_id"]
    return await _act(request, ask, tx, endpoint_id, act, filled.values, problem=filled.problem)


Why = Annotated[schemas.ReasonForm, Form()]


@routes.form(f"{ONE}/pause", access=MANAGE, again=_again)
async def pause_by_form(endpoint_id: UUID, ask: Ask, tx: InTx, form: Why) -> RedirectResponse:
    """Send it nothing for a while."""
    await webhooks.pause(tx, endpoint_id=endpoint_id, reason=approvals.checked_reason(form.reason), now=ask.now)
    return _to(endpoint_id)


@routes.form(f"{ONE}/resume", access=MANAGE, again=_again)
async def resume_by_form(endpoint_id: UUID, ask: Ask, tx: InTx, form: Why) -> RedirectResponse:
    """Send it something again."""
    await webhooks.resume(tx, endpoint_id=endpoint_id, reason=approvals.checked_reason(form.reason), now=ask.now)
    return _to(endpoint_id)


@routes.form(f"{ONE}/revoke-previous", access=MANAGE, again=_again)
async def revoke_previous_by_form(endpoint_id: UUID, ask: Ask, tx: InTx, form: Why) -> RedirectResponse:
    """Sign with the newest secret alone."""
    reason = approvals.checked_reason(form.reason)
    await webhooks.revoke_previous(tx, endpoint_id=endpoint_id, reason=reason, now=ask.now)
    return _to(endpoint_id)


@routes.form(f"{ONE}/remove", access=MANAGE, again=_again)
async def remove_by_form(
    endpoint_id: UUID, ask: Ask, tx: InTx, form: Annotated[say.RemovalForm, Form()]
) -> RedirectResponse:
    """Forget it."""
    reason = approvals.checked_reason(form.reason)
    await webhooks.remove(tx, endpoint_id=endpoint_id, version=form.version, reason=reason)
    return RedirectResponse(HERE, 303)


def _to(endpoint_id: UUID) -> RedirectResponse:
    return RedirectResponse(f"{HERE}/{endpoint_id}", 303)


@routes.form(f"{ONE}/rotate", access=MANAGE, again=_again, step_up=True, idempotency="none")
async def rotate_by_form(
    request: Request, endpoint_id: UUID, ask: Ask, tx: InTx, form: Annotated[say.RotationForm, Form()]
) -> HTMLResponse:
    """Replace the secret; the page that answers is the only one to show the new one."""
    reason, overlap = approvals.checked_reason(form.reason), timedelta(hours=form.overlap_h)
    secret = await webhooks.rotate(tx, endpoint_id=endpoint_id, overlap=overlap, reason=reason, now=ask.now)
    return await _one(request, ask, tx, endpoint_id, secret=secret)


@routes.form(f"{ONE}/test", access=MANAGE, again=_again)
async def test_by_form(endpoint_id: UUID, ask: Ask, tx: InTx, form: Why) -> RedirectResponse:
    """Send it a message of type webhook.test."""
    reason = approvals.checked_reason(form.reason)
    delivery_id = await webhooks.queue_test(tx, endpoint_id=endpoint_id, reason=reason, now=ask.now)
    return RedirectResponse(f"{HERE}/{endpoint_id}/deliveries/{delivery_id}", 303)


@routes.form(f"{ONE}/replay", access=MANAGE, again=_again)
async def replay_by_form(
    endpoint_id: UUID, ask: Ask, tx: InTx, form: Annotated[say.ReplayForm, Form()]
) -> RedirectResponse:
    """Send it again what it was sent, or should have been."""
    reason = approvals.checked_reason(form.reason)
    await webhooks.replay(tx, endpoint_id=endpoint_id, again=form.again(), reason=reason, now=ask.now)
    return _to(endpoint_id)


@routes.form(
    f"{ONE}/verify", access=READ, again=_again, idempotency="none", unaudited="it compares, and changes nothing"
)
async def verify_by_form(
    request: Request, endpoint_id: UUID, ask: Ask, tx: InTx, form: Annotated[say.VerifyForm, Form()]
) -> HTMLResponse:
    """Say whether a message was signed by us with a secret of this endpoint that is live."""
    opened = await webhooks.opened(tx, endpoint_id, now=ask.now)
    message = SignedMessage(form.webhook_id.strip(), form.timestamp.strip(), form.body.encode())
    known = [signatures.signature(secret, message) for secret in opened.secrets]
    is_genuine = signatures.is_among(form.signature, known)
    return await _act(request, ask, tx, endpoint_id, "verify", form.model_dump(), is_genuine=is_genuine)


# changing it


@routes.page(f"{ONE}/edit", access=MANAGE)
async def edit_webhook_page(request: Request, endpoint_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """What of an endpoint can be changed."""
    endpoint = await webhooks.get_endpoint(tx, endpoint_id)
    typed = {
        "types": "\n".join(endpoint.types),
        "description": endpoint.description,
        "per_second": str(endpoint.per_second),
    }
    return await _edit(request, ask, tx, typed, endpoint=endpoint)


async def _edit_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    endpoint = await webhooks.get_endpoint(tx, request.path_params["endpoint_id"])
    return await _edit(request, ask, tx, filled.values, filled.problem, endpoint)


@routes.form(f"{ONE}/edit", access=MANAGE, again=_edit_again, step_up=True, ahead=look_ahead)
async def change_webhook_by_form(
    request: Request, endpoint_id: UUID, form: Wished, ask: Ask, tx: InTx
) -> RedirectResponse:
    """Change where, what and how fast it hears."""
    require_looked(request)
    reason, known = approvals.checked_reason(form.reason), known_of(request)
    await webhooks.change(
        tx, endpoint_id=endpoint_id, wish=form.wish(), known=known, version=form.version, reason=reason, now=ask.now
    )
    return _to(endpoint_id)


# one delivery


@routes.page(f"{ONE}/deliveries/{{delivery_id:uuid}}", access=READ)
async def delivery_page(request: Request, endpoint_id: UUID, delivery_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """One delivery: what was sent, what came back, and a button to send it again."""
    endpoint = await webhooks.get_endpoint(tx, endpoint_id)
    delivery = await webhooks.get_delivery(tx, endpoint_id=endpoint_id, delivery_id=delivery_id)
    values = {
        "endpoint": endpoint,
        "delivery": delivery,
        "headers": webhooks.headers_sent(delivery),
        "body": (await webhooks.body_of(tx, delivery=delivery)).decode(),
        "is_over": _is_over(delivery),
    }
    return await _show(request, ask, tx, "webhook_delivery", values, block="delivery")


def _is_over(delivery: Delivery) -> bool:
    """Will it be sent no more, unless somebody wants that?"""
    return delivery.state in {"delivered", "failed", "cancelled"}
