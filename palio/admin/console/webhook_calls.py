"""Calls about webhooks: endpoints, what was sent to them, and the catalogue of what they can hear."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio.admin.console import webhook_schemas as say
from palio.admin.schemas import Reason, desk_of
from palio.infra import approvals, webhooks
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Database, Tx
from palio.infra.targets import UrlRefused
from palio.infra.webhooks import (
    DeliveryState,
    EndpointDisabled,
    NoPreviousSecret,
    NoSuchDelivery,
    NoSuchEndpoint,
    RotationInProgress,
    TooManyEndpoints,
    UnknownType,
    Wanted,
)
from palio.kernel.errors import Stale
from palio.kernel.events import TypeName
from palio.ui import versions
from palio.ui.actor import Ask, InTx
from palio.ui.paging import BEFORE_ALL, Listed, Paging, Part, dated, sorted_by
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes
from palio.ui.versions import Seen

READ, MANAGE = "admin.webhook.read", "admin.webhook.manage"
LOOKED = "palio.looked"  # in the scope of a request: what is wrong with its address
BASE = "/console/webhooks"
ONE = f"{BASE}/{{endpoint_id:uuid}}"
States: TypeAlias = Annotated[list[DeliveryState], Depends(of_words("state", get_args(DeliveryState)))]
Created: TypeAlias = Annotated[Span, Depends(of_times("created_at"))]
ByCreation: TypeAlias = Annotated[Paging, Depends(sorted_by("-created_at", end=BEFORE_ALL))]
routes = Routes("admin")


def known_of(request: Request) -> list[TypeName]:
    """The types that somebody can want to hear of."""
    return [one.name for one in desk_of(request).published]


async def look_ahead(request: Request, said: Mapping[str, object]) -> None:
    """See whether an address may be called, while no transaction waits for it; `require_looked` says what was seen."""
    database: Database = request.app.state.database
    url = said.get("url")
    if not isinstance(url, str) or not url.strip() or len(url) > say.URL_CHARACTERS_MAX:
        return
    try:
        await database.equipment.http.require(url.strip(), profile=webhooks.profile(database.equipment))
    except UrlRefused as refusal:
        request.scope[LOOKED] = refusal


def require_looked(request: Request) -> None:
    """Refuses with UrlRefused where `look_ahead` saw that the address may not be called."""
    if refusal := request.scope.get(LOOKED):
        raise refusal


@routes.get("/event-types", access="public", example=say.EVENT_TYPES, tier="expected")
async def list_event_types(request: Request) -> Listed[say.EventTypeAnswer]:
    """List the types of events that webhooks carry, each with the JSON Schema of its message and an example."""
    return say.types_of(webhooks.describe(desk_of(request).published))


@routes.get(BASE, access=READ, example=say.WEBHOOKS, tier="expected")
async def list_webhooks(ask: Ask, tx: InTx) -> Listed[say.WebhookAnswer]:
    """List the endpoints, the oldest first, with how the last 24 hours went."""
    health = await webhooks.health(tx, now=ask.now)
    found = await webhooks.list_endpoints(tx)
    return Listed(tuple(say.WebhookAnswer.of(one, health.get(one.id)) for one in found), None, None)


@routes.post(
    BASE,
    access=MANAGE,
    example=say.NEW_WEBHOOK,
    refuses=[UrlRefused, UnknownType, TooManyEndpoints, ReasonMissing],
    secrets=["secret"],
    step_up=True,
    ahead=look_ahead,
    status=201,
    tier="expected",
)
async def create_webhook(
    request: Request,
    body: say.NewWebhook,
    ask: Ask,
    tx: InTx,
    response: Response,
) -> say.NewWebhookAnswer:
    """Have an address hear of some types. Its secret is told this once."""
    require_looked(request)
    endpoint_id, secret = await webhooks.create(
        tx, wish=body.wish(), known=known_of(request), reason=approvals.checked_reason(body.reason), now=ask.now
    )
    made = await webhooks.get_endpoint(tx, endpoint_id)
    versions.tell(response, made.version)
    response.headers["Location"] = f"/api/v1{BASE}/{endpoint_id}"
    return say.NewWebhookAnswer(say.WebhookAnswer.of(made), secret)


@routes.get(ONE, access=READ, example=say.A_WEBHOOK, refuses=[NoSuchEndpoint], tier="expected")
async def get_webhook(endpoint_id: UUID, ask: Ask, tx: InTx, response: Response) -> say.WebhookAnswer:
    """Read an endpoint, with how the last 24 hours went."""
    return await _told(tx, endpoint_id, ask.now, response)


async def _told(tx: Tx, endpoint_id: UUID, now: datetime, response: Response) -> say.WebhookAnswer:
    found = await webhooks.get_endpoint(tx, endpoint_id)
    versions.tell(response, found.version)
    return say.WebhookAnswer.of(found, (await webhooks.health(tx, now=now)).get(endpoint_id))


@routes.patch(
    ONE,
    access=MANAGE,
    example=say.A_WEBHOOK,
    refuses=[NoSuchEndpoint, UrlRefused, UnknownType, ReasonMissing, Stale],
    step_up=True,
    ahead=look_ahead,
    tier="expected",
)
async def change_webhook(
    request: Request,
    endpoint_id: UUID,
    body: say.ChangedWebhook,
    seen: Seen,
    ask: Ask,
    tx: InTx,
    response: Response,
) -> say.WebhookAnswer:
    """Change where, what or how fast an endpoint hears; its secret stays."""
    require_looked(request)
    old = await webhooks.get_endpoint(tx, endpoint_id)
    reason = approvals.checked_reason(body.reason)
    known = known_of(request)
    await webhooks.change(
        tx, endpoint_id=endpoint_id, wish=body.wish(old), known=known, version=seen, reason=reason, now=ask.now
    )
    return await _told(tx, endpoint_id, ask.now, response)


@routes.delete(ONE, access=MANAGE, example=None, refuses=[NoSuchEndpoint, ReasonMissing, Stale], status=204)
async def remove_webhook(endpoint_id: UUID, body: Reason, seen: Seen, tx: InTx) -> None:
    """Tell an endpoint nothing any more, and forget it."""
    reason = approvals.checked_reason(body.reason)
    await webhooks.remove(tx, endpoint_id=endpoint_id, version=seen, reason=reason)


@routes.post(
    f"{ONE}/pause", access=MANAGE, example=say.A_WEBHOOK, refuses=[NoSuchEndpoint, EndpointDisabled, ReasonMissing]
)
async def pause_webhook(endpoint_id: UUID, body: Reason, ask: Ask, tx: InTx, response: Response) -> say.WebhookAnswer:
    """Send an endpoint nothing for a while; what happens meanwhile is sent when it is resumed."""
    await webhooks.pause(tx, endpoint_id=endpoint_id, reason=approvals.checked_reason(body.reason), now=ask.now)
    return await _told(tx, endpoint_id, ask.now, response)


@routes.post(f"{ONE}/resume", access=MANAGE, example=say.A_WEBHOOK, refuses=[NoSuchEndpoint, ReasonMissing])
async def resume_webhook(endpoint_id: UUID, body: Reason, ask: Ask, tx: InTx, response: Response) -> say.WebhookAnswer:
    """Send again, whether it was paused or disabled; what a disabled one has missed is sent by a replay."""
    await webhooks.resume(tx, endpoint_id=endpoint_id, reason=approvals.checked_reason(body.reason), now=ask.now)
    return await _told(tx, endpoint_id, ask.now, response)


@routes.post(
    f"{ONE}/rotate-secret",
    access=MANAGE,
    example=say.NEW_SECRET,
    refuses=[NoSuchEndpoint, RotationInProgress, ReasonMissing],
    secrets=["secret"],
    step_up=True,
    tier="expected",
)
async def rotate_webhook_secret(endpoint_id: UUID, body: say.Rotation, ask: Ask, tx: InTx) -> say.NewSecretAnswer:
    """Replace the secret of an endpoint. Both sign until the overlap is over; the new one is told this once."""
    reason = approvals.checked_reason(body.reason)
    secret = await webhooks.rotate(tx, endpoint_id=endpoint_id, overlap=body.overlap, reason=reason, now=ask.now)
    found = await webhooks.get_endpoint(tx, endpoint_id)
    return say.NewSecretAnswer(secret, found.previous_until)


@routes.post(
    f"{ONE}/revoke-previous",
    access=MANAGE,
    example=say.A_WEBHOOK,
    refuses=[NoSuchEndpoint, NoPreviousSecret, ReasonMissing],
    tier="expected",
)
async def revoke_previous_secret(
    endpoint_id: UUID, body: Reason, ask: Ask, tx: InTx, response: Response
) -> say.WebhookAnswer:
    """Sign with the newest secret alone from now on."""
    reason = approvals.checked_reason(body.reason)
    await webhooks.revoke_previous(tx, endpoint_id=endpoint_id, reason=reason, now=ask.now)
    return await _told(tx, endpoint_id, ask.now, response)


@routes.post(
    f"{ONE}/test",
    access=MANAGE,
    example=say.QUEUED,
    refuses=[NoSuchEndpoint, EndpointDisabled, ReasonMissing],
    status=202,
    tier="expected",
)
async def send_webhook_test(endpoint_id: UUID, body: Reason, ask: Ask, tx: InTx) -> say.Queued:
    """Send an endpoint a message of type webhook.test; read its delivery to see what came of it."""
    reason = approvals.checked_reason(body.reason)
    return say.Queued(await webhooks.queue_test(tx, endpoint_id=endpoint_id, reason=reason, now=ask.now))


@routes.post(
    f"{ONE}/replay",
    access=MANAGE,
    example=say.REPLAYED,
    refuses=[NoSuchEndpoint, NoSuchDelivery, EndpointDisabled, ReasonMissing],
    status=202,
    tier="expected",
)
async def replay_webhook(endpoint_id: UUID, body: say.Replay, ask: Ask, tx: InTx) -> say.ReplayedAnswer:
    """Send an endpoint again what it was sent, or should have been: under the same ids unless `fresh`."""
    reason = approvals.checked_reason(body.reason)
    found = await webhooks.replay(tx, endpoint_id=endpoint_id, again=body.again(), reason=reason, now=ask.now)
    return say.ReplayedAnswer.of(found)


@routes.get(f"{ONE}/deliveries", access=READ, example=say.DELIVERIES, refuses=[NoSuchEndpoint], tier="expected")
async def list_webhook_deliveries(
    endpoint_id: UUID,
    tx: InTx,
    page: ByCreation,
    states: States,
    created: Created,
    beginning: Annotated[str, Query(alias="type.prefix", max_length=80, description="How the type begins")] = "",
) -> Listed[say.DeliveryAnswer]:
    """List what was sent to an endpoint, the newest first."""
    await webhooks.get_endpoint(tx, endpoint_id)
    wanted = Wanted(states, beginning, since=created.since, until=created.until)
    return (await some_deliveries(tx, endpoint_id, wanted, page)).told(say.DeliveryAnswer.of)


async def some_deliveries(tx: Tx, endpoint_id: UUID, wanted: Wanted, page: Paging) -> Part[webhooks.Delivery]:
    """The deliveries of a page."""
    part = page.wanted(dated).and_one
    found = await webhooks.list_deliveries(tx, endpoint_id=endpoint_id, wanted=wanted, part=part)
    return page.part(found, lambda one: (one.created_at.isoformat(), str(one.id)))


@routes.get(
    f"{ONE}/deliveries/{{delivery_id:uuid}}",
    access=READ,
    example=say.DELIVERY,
    refuses=[NoSuchEndpoint, NoSuchDelivery],
    tier="expected",
)
async def get_webhook_delivery(endpoint_id: UUID, delivery_id: UUID, tx: InTx) -> say.DeliveryWithExchange:
    """Read a delivery with what was sent and what came back."""
    found = await webhooks.get_delivery(tx, endpoint_id=endpoint_id, delivery_id=delivery_id)
    body = (await webhooks.body_of(tx, delivery=found)).decode()
    return say.DeliveryWithExchange(
        say.DeliveryAnswer.of(found), webhooks.headers_sent(found), body, found.response_excerpt
    )
