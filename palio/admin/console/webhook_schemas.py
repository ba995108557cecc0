"""Shapes of the calls and forms about webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, field_validator

from palio.admin.schemas import AN_ID, ANOTHER_ID, NOON, Reason, ReasonText
from palio.infra import webhooks
from palio.infra.webhooks import Again, Delivery, DeliveryState, Described, Endpoint, Health, Replayed, Wish
from palio.ui.bodies import Body
from palio.ui.paging import Listed
from palio.ui.values import Blank, Instant, Moment

URL_CHARACTERS_MAX, TYPES_MAX = 2_000, 50
OVERLAP_HOURS_MAX, OVERLAP_HOURS = 168, 24
MEANT: dict[str, tuple[DeliveryState, ...]] = {  # by what a page asks for; of no state are those never sent, too
    "failed": ("failed", "cancelled"),
    "all": (),
}

Url = Annotated[str, Field(min_length=1, max_length=URL_CHARACTERS_MAX)]
TypeText = Annotated[str, Field(min_length=3, max_length=80)]
Types = Annotated[list[TypeText], Field(min_length=1, max_length=TYPES_MAX)]
Description = Annotated[str, Field(max_length=200)]
PerSecond = Annotated[StrictInt, Field(ge=1, le=100)]


# what is sent


class NewWebhook(Reason):
    """An endpoint: where it is, what it wants to hear (`race.completed`, `race.*`), and how fast at most."""

    url: Url
    types: Types
    description: Description = ""
    per_second: PerSecond = 10

    def wish(self) -> Wish:
        return Wish(self.url, self.types, self.description, self.per_second)


class ChangedWebhook(Reason):
    """What of an endpoint is changed; what is left out stays."""

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    per_second: PerSecond | None = None

    def wish(self, old: Endpoint) -> Wish:
        return Wish(
            self.url,
            old.types if self.types is None else self.types,
            old.description if self.description is None else self.description,
            old.per_second if self.per_second is None else self.per_second,
        )


class Rotation(Reason):
    """How long the secret that is replaced signs beside the new one."""

    overlap_h: Annotated[StrictInt, Field(ge=0, le=OVERLAP_HOURS_MAX)] = OVERLAP_HOURS

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.overlap_h)


class Replay(Reason):
    """What is sent again: one delivery, or what happened since an instant.

    With `states` only what ended so, else also what was never sent. `fresh` gives it new ids.
    """

    delivery_id: UUID | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    types: Annotated[tuple[TypeText, ...], Field(max_length=TYPES_MAX)] = ()
    states: Annotated[tuple[Literal["delivered", "failed", "cancelled"], ...], Field(max_length=3)] = ()
    fresh: StrictBool = False

    @field_validator("since")
    @classmethod
    def _one_of_both(cls, since: datetime | None, info: Any) -> datetime | None:
        if (since is None) == (info.data.get("delivery_id") is None):
            raise ValueError("Name either one delivery or an instant since which things are sent again.")
        return since

    def again(self) -> Again:
        return Again(self.delivery_id, self.since, self.until, self.types, self.states, self.fresh)


class WebhookForm(Body):
    """An endpoint from its page; types stand in lines or between commas."""

    url: Annotated[str, Field(max_length=URL_CHARACTERS_MAX)] = ""
    types: Annotated[str, Field(max_length=4_000)] = ""
    description: Description = ""
    per_second: Annotated[int, Field(ge=1, le=100)] = 10
    version: Annotated[int, Field(ge=0)] = 0
    reason: ReasonText = ""

    def wish(self) -> Wish:
        names = [word for line in self.types.split("\n") for word in line.replace(",", " ").split()]
        return Wish(self.url.strip() or None, names[:TYPES_MAX], self.description.strip(), self.per_second)


class RemovalForm(Body):
    """Which version is removed, and why."""

    version: Annotated[int, Field(ge=0)]
    reason: ReasonText = ""


class RotationForm(Body):
    """How long both secrets sign, from a page."""

    overlap_h: Annotated[int, Field(ge=0, le=OVERLAP_HOURS_MAX)] = OVERLAP_HOURS
    reason: ReasonText = ""


class ReplayForm(Body):
    """What is sent again, from a page; times are UTC."""

    delivery_id: Annotated[UUID | None, Blank] = None
    since: Annotated[Moment | None, Blank] = None
    until: Annotated[Moment | None, Blank] = None
    type: Annotated[str, Field(max_length=80)] = ""
    what: Literal["failed", "all"] = "failed"
    fresh: Literal["", "on"] = ""
    reason: ReasonText = ""

    def again(self) -> Again:
        types = [self.type.strip()] if self.type.strip() else []
        return Again(self.delivery_id, self.since, self.until, types, MEANT[self.what], is_fresh=bool(self.fresh))


class VerifyForm(Body):
    """A message as a receiver got it."""

    webhook_id: Annotated[str, Field(max_length=300)] = ""
    timestamp: Annotated[str, Field(max_length=20)] = ""
    signature: Annotated[str, Field(max_length=400)] = ""
    body: Annotated[str, Field(max_length=40_000)] = ""


# what is answered


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """The last 24 hours: how many were taken and not (yet), how many wait, and how long it takes to answer."""

    delivered: int
    failing: int
    waiting: int
    share_bps: int | None
    p95_ms: int | None
    next_at: Instant | None


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """An endpoint; its address and secrets are sealed, so that only its host is told."""

    id: UUID
    host: str
    description: str
    types: list[str]
    state: str
    disabled_reason: str | None
    per_second: int
    failing_since: Instant | None
    last_success_at: Instant | None
    rests_until: Instant | None
    both_sign_until: Instant | None
    health: HealthAnswer | None
    created_at: Instant
    updated_at: Instant
    version: int

    @classmethod
    def of(cls, one: Endpoint, health: Health | None = None) -> "WebhookAnswer":
        """The answer for an endpoint."""
        told = None
        if health:
            told = HealthAnswer(
                health.delivered, health.failing, health.waiting, health.share_bps, health.p95_ms, health.next_at
            )
        return cls(
            one.id,
            one.host,
            one.description,
            one.types,
            one.state,
            one.disabled_reason,
            one.per_second,
            one.failing_since,
            one.last_success_at,
            one.rests_until,
            one.previous_until,
            told,
            one.created_at,
            one.updated_at,
            one.version,
        )


@dataclass(frozen=True, slots=True)
class NewWebhookAnswer:
    """A new endpoint; `secret` is told this once."""

    webhook: WebhookAnswer
    secret: str | None


@dataclass(frozen=True, slots=True)
class NewSecretAnswer:
    """The secret that signs from now on, told this once; the one before signs too until `both_sign_until`."""

    secret: str | None
    both_sign_until: Instant | None


@dataclass(frozen=True, slots=True)
class DeliveryAnswer:
    """What was, or is to be, sent to an endpoint, and how its last attempt went."""

    id: UUID
    event_id: UUID
    type: str
    webhook_id: UUID
    replay_of: UUID | None
    state: str
    attempts: int
    created_at: Instant
    next_at: Instant | None
    sent_at: Instant | None
    status: int | None
    failure: str | None
    duration_ms: int | None

    @classmethod
    def of(cls, one: Delivery) -> "DeliveryAnswer":
        """The answer for a delivery."""
        return cls(
            one.id,
            one.event_id,
            one.type,
            one.webhook_id,
            one.replay_of,
            one.state,
            one.attempts,
            one.created_at,
            one.next_at if one.state in {"queued", "retrying"} else None,
            one.sent_at,
            one.status,
            one.failure,
            one.duration_ms,
        )


@dataclass(frozen=True, slots=True)
class DeliveryWithExchange:
    """A delivery with what was sent and what came back, of its last attempt; the answer is cut at a kibibyte."""

    delivery: DeliveryAnswer
    request_headers: dict[str, str]
    request_body: str
    response_excerpt: str | None


@dataclass(frozen=True, slots=True)
class Queued:
    """What will be sent in a moment."""

    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class ReplayedAnswer:
    """How many messages were queued; with `has_more` ask again from where these end: the oldest come first."""

    queued: int
    has_more: bool

    @classmethod
    def of(cls, one: Replayed) -> "ReplayedAnswer":
        """The answer for a replay."""
        return cls(one.queued, one.has_more)


@dataclass(frozen=True, slots=True)
class EventTypeAnswer:
    """A type of event: what it means, the JSON Schema of a message, and an example of one."""

    name: str
    summary: str
    schema: dict[str, Any]
    example: dict[str, Any]

    @classmethod
    def of(cls, one: Described) -> "EventTypeAnswer":
        """The answer for a type."""
        return cls(one.name, one.summary, one.schema, one.example)


def types_of(described: Sequence[Described]) -> Listed[EventTypeAnswer]:
    """The answer for the catalogue."""
    return Listed(tuple(map(EventTypeAnswer.of, described)), None, None)


# examples

A_WEBHOOK = WebhookAnswer(
    AN_ID,
    "hooks.example.com",
    "The bot of our club",
    ["race.*", "reward.paid"],
    "active",
    None,
    10,
    None,
    NOON,
    None,
    None,
    HealthAnswer(412, 3, 0, 9_927, 180, None),
    NOON,
    NOON,
    1,
)
WEBHOOKS = Listed((A_WEBHOOK,), None, None)
NEW_WEBHOOK = NewWebhookAnswer(A_WEBHOOK, "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
NEW_SECRET = NewSecretAnswer(NEW_WEBHOOK.secret, datetime.fromisoformat("2026-03-21T12:00:00Z"))
A_DELIVERY = DeliveryAnswer(
    ANOTHER_ID, AN_ID, "race.completed", AN_ID, None, "delivered", 1, NOON, None, NOON, 204, None, 87
)
DELIVERIES = Listed((A_DELIVERY,), None, None)
DELIVERY = DeliveryWithExchange(
    A_DELIVERY,
    {
        "webhook-id": str(AN_ID),
        "webhook-timestamp": "1774008000",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnk=",
    },
    json.dumps(
        {
            "type": "race.completed",
            "timestamp": "2026-03-20T12:00:00.000000Z",
            "data": {"event_id": str(AN_ID), "race": str(ANOTHER_ID), "period_key": "W:2026-W12"},
        }
    ),
    "",
)
QUEUED = Queued(ANOTHER_ID)
REPLAYED = ReplayedAnswer(97, has_more=False)
EVENT_TYPES = types_of(webhooks.describe([])[:1])
