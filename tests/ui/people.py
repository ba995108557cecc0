"""Callers without a sign-in: a header names who asks, and with what."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import Request

from palio.infra.tickets import Holder
from palio.kernel.ids import Actor, ActorKind, UserId
from palio.ui.actor import Asking, nobody
from palio.ui.edge import request_id_of

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ALICE, BOB, STELLA = (UserId(UUID(int=number)) for number in (0xA11CE, 0xB0B, 0x57E11A))
SESSIONS = {ALICE: UUID(int=1), BOB: UUID(int=2), STELLA: UUID(int=3)}
OURS = {"sec-fetch-site": "same-origin"}


def caller(
    kind: ActorKind,
    user_id: UserId,
    *,
    permissions: str = "",
    scopes: str | None = None,
    mfa: bool = True,
    step_up: bool = False,
    is_service: bool = False,
    lent: str = "",
) -> dict[str, str]:
    """The headers of somebody; permissions and scopes are words between spaces. With scopes it is a token's.

    `lent` is what he may do of one thing alone, between commas: `competition:<id> competitions.score.adjust`.
    """
    facts = {"kind": kind, "user": str(user_id), "permissions": permissions}
    facts |= {"mfa": "yes"} if mfa else {}
    facts |= {"step-up": "yes"} if step_up else {}
    facts |= {"service": "yes"} if is_service else {}
    facts |= {"lent": lent} if lent else {}
    facts |= {"scopes": scopes} if scopes is not None else {}
    return {f"test-{name}": value for name, value in facts.items()}


async def identify(request: Request) -> Asking:
    """Believe the headers of `caller`."""
    headers = request.headers
    if "test-user" not in headers:
        return await nobody(request)
    user_id = UserId(UUID(headers["test-user"]))
    kind: ActorKind = headers["test-kind"]  # type: ignore[assignment]  # as `caller` wrote it
    scopes = headers.get("test-scopes")
    return Asking(
        Actor(kind, user_id, request_id_of(request.scope)),
        NOW,
        permissions=frozenset(headers["test-permissions"].split()),
        scopes=None if scopes is None else frozenset(scopes.split()),
        session_id=None if scopes is not None else SESSIONS.get(user_id, user_id),
        token_id=None if scopes is None else user_id,
        mfa_at=NOW if "test-mfa" in headers else None,
        step_up_at=NOW if "test-step-up" in headers else None,
        is_service="test-service" in headers,
        lent=frozenset(tuple(one.split()) for one in headers.get("test-lent", "").split(",") if one),
    )


async def recall(request: Request, holder: Holder) -> Asking:
    """Believe a ticket: its holder is a player, with his session."""
    actor = Actor("player", UserId(holder.user_id), request_id_of(request.scope))
    return Asking(actor, NOW, session_id=holder.session_id, token_id=holder.token_id)
