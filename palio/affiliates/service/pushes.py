"""Lists that a provider sends by itself: who may, and what is done with them once they are known to be genuine."""

from datetime import datetime, timedelta

from palio.affiliates import rules, sql
from palio.affiliates.errors import PushRefused
from palio.affiliates.messages import TakePushed
from palio.affiliates.service.ingest import ensure_programme
from palio.affiliates.types import MAX_BYTES, FeedId, Payload, Push, StoredPayload
from palio.infra import audit, crypto, outbox, settings
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.kernel.ids import new_id

REMEMBERED = timedelta(days=7)  # longer than anybody goes on sending the same again


def _secrets_of(feed_id: FeedId) -> Place:
    return Place("affiliates.feeds", "secret", feed_id, purpose="feeds")


async def let_push(tx: Tx, *, code: str, secret: str, reason: str, via: audit.Via = "cli") -> FeedId:
    """Let a provider send the lists of a programme, made if it is missing, signed with this secret. Audited.

    Where that was so already, the secret before stays live until the next one comes.
    """
    programme = await ensure_programme(tx, code=code)
    await sql.lock_codes(tx)
    feed = await sql.find_push_feed(tx, programme.id)
    feed_id = feed.id if feed else FeedId(new_id())
    if not feed:
        await sql.insert_push_feed(tx, feed_id, programme.id, settings.value(MAX_BYTES))
    before = await crypto.open_sealed(tx, feed.secret, _secrets_of(feed_id)) if feed and feed.secret else None
    sealed = await crypto.seal(tx, rules.with_newest(before, secret), _secrets_of(feed_id))
    await sql.update_secret(tx, feed_id, sealed, rules.hint(secret))
    await audit.record(
        tx,
        actor=tx.actor,
        action="feed.push_secret",
        entity_type="feed",
        entity_id=str(feed_id),
        changes={"secrets": (len(rules.live_secrets(before)), len(rules.live_secrets(before)[:1]) + 1)},
        reason=reason,
        via=via,
    )
    return feed_id


async def require_genuine(tx: Tx, *, feed_id: FeedId, push: Push, now: datetime) -> None:
    """See that a push was signed by the provider of this feed, just now. Refuses with PushRefused for all else."""
    feed = await sql.get_push_feed(tx, feed_id)
    opened = await crypto.open_sealed(tx, feed.secret, _secrets_of(feed.id)) if feed and feed.secret else None
    if not rules.is_genuine(push, rules.live_secrets(opened), now):
        raise PushRefused


async def accept(tx: Tx, *, feed_id: FeedId, event_id: str, payload: Payload, now: datetime) -> bool:
    """Have a genuine push judged by a job; one that was sent before has no second effect, and is answered False."""
    await sql.delete_pushes(tx, feed_id, now - REMEMBERED)
    if not await sql.insert_push(tx, feed_id, event_id, now):
        return False
    payload_id = await sql.upsert_payload(tx, feed_id, payload)
    await outbox.send(tx, TakePushed(feed_id, payload_id, now), key=f"push:{feed_id}:{event_id}")
    return True


async def pushed(tx: Tx, *, job: TakePushed) -> StoredPayload:
    """Where the bytes of a push lie."""
    return await sql.get_stored(tx, job.payload_id)
