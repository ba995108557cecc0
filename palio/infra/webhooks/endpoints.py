"""Endpoints: where somebody hears us, of what, and with which secrets. Every act of staff leaves an audit row."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID

from palio.infra import audit, crypto, db, outbox, settings
from palio.infra.audit import SEALED, Via
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.infra.messages import DeliverWebhooks, TellWebhookOwner, WebhookDisabled
from palio.infra.targets import target_of
from palio.infra.webhooks import verdicts
from palio.infra.webhooks.settings import ENDPOINTS_MAX
from palio.kernel import signatures
from palio.kernel.errors import Conflict, Invalid, NotFound, Stale
from palio.kernel.events import TypeName
from palio.kernel.ids import new_id
from palio.kernel.providers import SealedColumn

EndpointState: TypeAlias = Literal["active", "paused", "disabled"]
DisabledReason: TypeAlias = Literal["gone", "failing"]

TABLE, PURPOSE = "infra.webhook_endpoints", "webhooks"
SECRET_BYTES = 32
LISTED_MAX = 200  # as many as there may ever be
LOCK = 0x3EB400C5


class NoSuchEndpoint(NotFound):
    """There is no endpoint of webhooks `endpoint`."""

    code: ClassVar[str] = "webhook.no_such_endpoint"


class TooManyEndpoints(Invalid):
    """There may be `limit` endpoints of webhooks, and so many there are. Remove one, or raise the limit."""

    code: ClassVar[str] = "webhook.too_many"


class UnknownType(Invalid):
    """No event has the type `types`; the catalogue of event types lists those there are, and race.* are all of race."""

    code: ClassVar[str] = "webhook.unknown_type"
    blames = "types"


class RotationInProgress(Conflict):
    """The secret was replaced a short time ago, and both are live until `until`: end the previous one first."""

    code: ClassVar[str] = "webhook.rotation_in_progress"


class NoPreviousSecret(Conflict):
    """Only one secret of this endpoint is live."""

    code: ClassVar[str] = "webhook.no_previous_secret"


class EndpointDisabled(Conflict):
    """The endpoint hears nothing, because it is `reason`: resume it first."""

    code: ClassVar[str] = "webhook.disabled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where somebody hears us, without its address and secrets, which are sealed."""

    id: UUID
    host: str
    description: str
    types: list[TypeName]
    state: EndpointState
    disabled_reason: DisabledReason | None
    per_second: int
    failing_since: datetime | None
    last_success_at: datetime | None
    rests_until: datetime | None
    previous_until: datetime | None
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """What of an endpoint is sealed."""

    id: UUID
    url: bytes
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """Where an endpoint is, and the secrets that are live, the newest first."""

    url: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to hear, and where. The address was looked at by whoever asks (`http.Client.require`).

    Of an endpoint that is changed, no address is the one it has.
    """

    url: str | None
    types: Sequence[TypeName]
    description: str = ""
    per_second: int = 10


SEALED_COLUMNS = tuple(
    SealedColumn(TABLE, column, user_id=None, purpose=PURPOSE) for column in ("url", "secret", "previous_secret")
)

COLUMNS = """
    select id, host, description, types, state, disabled_reason, per_second, failing_since, last_success_at,
      rests_until, previous_until, created_by, created_at, updated_at, version
    from infra.webhook_endpoints"""


def _place(column: str, endpoint_id: UUID) -> Place:
    return Place(TABLE, column, endpoint_id, purpose=PURPOSE)


async def list_endpoints(tx: Tx) -> list[Endpoint]:
    """Every endpoint, the oldest first."""
    return await db.rows(tx, Endpoint, COLUMNS + " order by created_at, id limit %s", LISTED_MAX)


async def get_endpoint(tx: Tx, endpoint_id: UUID) -> Endpoint:
    """One endpoint. Refuses with NoSuchEndpoint."""
    return _found(await db.find(tx, Endpoint, COLUMNS + " where id = %s", endpoint_id), endpoint_id)


async def lock_endpoint(tx: Tx, endpoint_id: UUID, *, version: int | None = None) -> Endpoint:
    """One endpoint, ours until the transaction ends. Refuses with NoSuchEndpoint, Stale."""
    found = _found(await db.find(tx, Endpoint, COLUMNS + " where id = %s for update", endpoint_id), endpoint_id)
    if version is not None and found.version != version:
        raise Stale(version=found.version)
    return found


def _found(endpoint: Endpoint | None, endpoint_id: UUID) -> Endpoint:
    if endpoint is None:
        raise NoSuchEndpoint(endpoint=endpoint_id)
    return endpoint


async def opened(tx: Tx, endpoint_id: UUID, *, now: datetime) -> Opened:
    """Where an endpoint is and what it knows us by. Refuses with NoSuchEndpoint, crypto.Shredded."""
    row = await db.find(
        tx,
        Sealed,
        "select id, url, secret, previous_secret, previous_until from infra.webhook_endpoints where id = %s",
        endpoint_id,
    )
    if row is None:
        raise NoSuchEndpoint(endpoint=endpoint_id)
    sealed = [(row.url, _place("url", row.id)), (row.secret, _place("secret", row.id))]
    if row.previous_secret and row.previous_until and row.previous_until > now:
        sealed.append((row.previous_secret, _place("previous_secret", row.id)))
    url, *live = await crypto.open_many(tx, sealed)
    return Opened(url, tuple(live))


async def create(
    tx: Tx, *, wish: Wish, known: Sequence[TypeName], reason: str, now: datetime, via: Via | None = None
) -> tuple[UUID, str]:
    """Have an address hear of these types from now on; answers its id, and its secret this once.

    Refuses with TooManyEndpoints, UnknownType, UrlRefused.
    """
    _require_known(wish.types, known)
    await db.run(tx, "select pg_advisory_xact_lock(%s)", LOCK)
    limit = settings.value(ENDPOINTS_MAX)
    if await db.value(tx, "select count(*) from infra.webhook_endpoints") >= limit:
        raise TooManyEndpoints(limit=limit)
    endpoint_id, secret, url = new_id(), new_secret(), wish.url or ""
    sealed = [(url, _place("url", endpoint_id)), (secret, _place("secret", endpoint_id))]
    host = _host_of(tx, url)
    await db.run(
        tx,
        """insert into infra.webhook_endpoints (id, url, secret, host, description, types, state, per_second,
          created_by, created_at, updated_at) values (%s, %s, %s, %s, %s, %s, 'active', %s, %s, %s, %s)""",
        *(endpoint_id, *await crypto.seal_many(tx, sealed), host, wish.description, list(wish.types)),
        *(wish.per_second, tx.actor.user_id, now, now),
    )
    changes = {"url": (None, SEALED), "host": (None, host), "types": (None, list(wish.types))}
    await _record(tx, "webhook.create", endpoint_id, {**changes, "per_second": (None, wish.per_second)}, reason, via)
    return endpoint_id, secret


def _host_of(tx: Tx, url: str) -> str:
    return target_of(url, may_be_inside=tx.equipment.is_simulated).host


def new_secret() -> str:
    """A secret that nobody has."""
    return signatures.secret_of(secrets.token_bytes(SECRET_BYTES))


def _require_known(wanted: Sequence[TypeName], known: Sequence[TypeName]) -> None:
    if unknown := verdicts.unknown_of(wanted, known):
        raise UnknownType(types=", ".join(unknown))


async def change(
    tx: Tx, *, endpoint_id: UUID, wish: Wish, known: Sequence[TypeName], version: int, reason: str, now: datetime
) -> Endpoint:
    """Change where, what and how fast an endpoint hears.

    Refuses with NoSuchEndpoint, Stale, UnknownType, UrlRefused.
    """
    _require_known(wish.types, known)
    old = await lock_endpoint(tx, endpoint_id, version=version)
    before = (await opened(tx, endpoint_id, now=now)).url
    url = wish.url or before
    await db.run(
        tx,
        """update infra.webhook_endpoints set url = %s, host = %s, description = %s, types = %s, per_second = %s,
          updated_at = %s, version = version + 1 where id = %s""",
        *(await crypto.seal(tx, url, _place("url", endpoint_id)), _host_of(tx, url), wish.description),
        list(wish.types),
        *(wish.per_second, now, endpoint_id),
    )
    found = await get_endpoint(tx, endpoint_id)
    names = ("host", "description", "types", "per_second")
    changes = {
        name: (getattr(old, name), getattr(found, name)) for name in names if getattr(old, name) != getattr(found, name)
    }
    if url != before:
        changes["url"] = (SEALED, SEALED)
    await _record(tx, "webhook.change", endpoint_id, changes, reason)
    return found


async def remove(tx: Tx, *, endpoint_id: UUID, version: int, reason: str) -> None:
    """Tell an endpoint nothing any more, and forget it; what it was sent is kept as long as usual.

    Refuses with NoSuchEndpoint, Stale.
    """
    old = await lock_endpoint(tx, endpoint_id, version=version)
    await _cancel_waiting(tx, endpoint_id)
    await db.run(tx, "delete from infra.webhook_endpoints where id = %s", endpoint_id)
    await _record(tx, "webhook.remove", endpoint_id, {"host": (old.host, None), "state": (old.state, None)}, reason)


async def pause(tx: Tx, *, endpoint_id: UUID, reason: str, now: datetime) -> Endpoint:
    """Send nothing until it is resumed; what happens meanwhile is kept for it. Again, it changes nothing.

    Refuses with NoSuchEndpoint, EndpointDisabled.
    """
    old = await lock_endpoint(tx, endpoint_id)
    if old.state == "disabled":
        raise EndpointDisabled(reason=old.disabled_reason)
    return await _move(tx, old, "paused", "webhook.pause", reason, now)


async def resume(tx: Tx, *, endpoint_id: UUID, reason: str, now: datetime) -> Endpoint:
    """Send again, and first of all what was kept while it was paused. Again, it changes nothing.

    How long it fails is counted anew. What happened while it was disabled is sent by a replay.
    Refuses with NoSuchEndpoint.
    """
    old = await lock_endpoint(tx, endpoint_id)
    found = await _move(tx, old, "active", "webhook.resume", reason, now)
    await outbox.send(tx, DeliverWebhooks(endpoint_id), key=str(endpoint_id))
    return found


async def _move(tx: Tx, old: Endpoint, state: EndpointState, action: str, reason: str, now: datetime) -> Endpoint:
    await db.run(
        tx,
        """update infra.webhook_endpoints set state = %s, disabled_reason = null, updated_at = %s,
          version = version + 1, failing_since = case when %s then null else failing_since end,
          told_days = case when %s then 0 else told_days end, rests_until = null
        where id = %s and state <> %s""",
        *(state, now, state == "active", state == "active", old.id, state),
    )
    await _record(tx, action, old.id, {"state": (old.state, state)}, reason)
    return await get_endpoint(tx, old.id)


async def rotate(tx: Tx, *, endpoint_id: UUID, overlap: timedelta, reason: str, now: datetime) -> str:
    """Replace the secret; the new one is answered this once. Both sign until the overlap is over.

    Refuses with NoSuchEndpoint, RotationInProgress while two are live.
    """
    old = await lock_endpoint(tx, endpoint_id)
    if old.previous_until and old.previous_until > now:
        raise RotationInProgress(until=old.previous_until)
    before = (await opened(tx, endpoint_id, now=now)).secrets[0]
    secret, until = new_secret(), now + overlap if overlap else None
    sealed = await crypto.seal_many(
        tx, [(secret, _place("secret", endpoint_id)), (before, _place("previous_secret", endpoint_id))]
    )
    await db.run(
        tx,
        """update infra.webhook_endpoints set secret = %s, previous_secret = %s, previous_until = %s,
          updated_at = %s, version = version + 1 where id = %s""",
        *(sealed[0], sealed[1] if until else None, until, now, endpoint_id),
    )
    changes = {"secret": (SEALED, SEALED), "previous_until": (None, until)}
    await _record(tx, "webhook.rotate_secret", endpoint_id, changes, reason)
    return secret


async def revoke_previous(tx: Tx, *, endpoint_id: UUID, reason: str, now: datetime) -> Endpoint:
    """Sign with the newest secret alone from now on. Refuses with NoSuchEndpoint, NoPreviousSecret."""
    old = await lock_endpoint(tx, endpoint_id)
    if old.previous_until is None or old.previous_until <= now:
        raise NoPreviousSecret
    await db.run(
        tx,
        """update infra.webhook_endpoints set previous_secret = null, previous_until = null, updated_at = %s,
          version = version + 1 where id = %s""",
        *(now, endpoint_id),
    )
    changes = {"previous_until": (old.previous_until, None)}
    await _record(tx, "webhook.revoke_previous", endpoint_id, changes, reason)
    return await get_endpoint(tx, endpoint_id)


async def end_replaced_secrets(tx: Tx, *, now: datetime) -> int:
    """Forget secrets whose overlap is over; they sign nothing any more as it is. Answers how many."""
    return await db.run(
        tx,
        "update infra.webhook_endpoints set previous_secret = null, previous_until = null where previous_until <= %s",
        now,
    )


async def disable(tx: Tx, *, endpoint_id: UUID, why: DisabledReason, now: datetime) -> None:
    """Tell an endpoint nothing any more until staff resume it, and give up what waits for it. Again, nothing."""
    is_new = await db.run(
        tx,
        """update infra.webhook_endpoints set state = 'disabled', disabled_reason = %s, updated_at = %s,
          version = version + 1 where id = %s and state <> 'disabled'""",
        *(why, now, endpoint_id),
    )
    if not is_new:
        return
    await _cancel_waiting(tx, endpoint_id)
    await _record(tx, "webhook.disable", endpoint_id, {"state": ("active", "disabled"), "why": (None, why)}, "")
    await outbox.send(tx, WebhookDisabled(endpoint_id))
    await outbox.send(tx, TellWebhookOwner(endpoint_id, days=0))


async def _cancel_waiting(tx: Tx, endpoint_id: UUID) -> None:
    await db.run(
        tx,
        """update infra.webhook_deliveries set state = 'cancelled'
        where endpoint_id = %s and state in ('queued', 'retrying')""",
        endpoint_id,
    )


async def _record(
    tx: Tx,
    action: str,
    endpoint_id: UUID,
    changes: Mapping[str, tuple[object, object]],
    reason: str,
    via: Via | None = None,
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="webhook",
        entity_id=str(endpoint_id),
        changes=changes,
        reason=reason,
        via=via,
    )
