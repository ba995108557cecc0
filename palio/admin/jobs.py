"""Jobs of the console: who is responsible for something hears by mail that it needs him."""

from palio import identity
from palio.infra import outbox, webhooks
from palio.infra.db import Tx
from palio.infra.messages import TellWebhookOwner
from palio.infra.webhooks import Endpoint, NoSuchEndpoint
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.messages import handles

MANAGE = "admin.webhook.manage"
OWNERS_MAX = 20


@handles(TellWebhookOwner)
async def tell_webhook_owner(tx: Tx, job: TellWebhookOwner) -> None:
    """Write to whoever made an endpoint that it fails or is switched off; if he is gone, to those who manage them."""
    try:
        endpoint = await webhooks.get_endpoint(tx, job.endpoint)
    except NoSuchEndpoint:  # it was removed meanwhile: there is nothing to look after
        return
    subject, *paragraphs = _words(endpoint, job.days)
    for owner in await _owners(tx, endpoint):  # at most twenty, each a letter that is tried again by itself
        note = identity.SendNote(owner, subject, tuple(paragraphs), f"/console/webhooks/{endpoint.id}")
        await outbox.send(tx, note)


async def _owners(tx: Tx, endpoint: Endpoint) -> list[UserId]:
    staff = await identity.staff_with(tx, permission=MANAGE, now=clock.now())
    return [one for one in staff if one == endpoint.created_by] or staff[:OWNERS_MAX]


def _words(endpoint: Endpoint, days: int) -> tuple[str, ...]:
    """The line and the paragraphs of a letter about an endpoint as it is now."""
    if endpoint.state == "disabled":
        why = "it said that it is gone (410)" if endpoint.disabled_reason == "gone" else "it has failed for five days"
        return (
            f"Webhooks to {endpoint.host} are switched off",
            f"The endpoint at {endpoint.host} hears nothing any more, because {why}.",
            "Once it is mended, resume it on its page, and send again what it has missed.",
        )
    return (
        f"Webhooks to {endpoint.host} fail",
        f"The endpoint at {endpoint.host} has taken nothing for {days} {'day' if days == 1 else 'days'}.",
        "It is tried on; after five days it is switched off.",
    )
