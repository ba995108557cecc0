"""Who may use a route: declared beside it, judged before its handler, the same for calls, pages and forms."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from palio.infra import settings
from palio.kernel.errors import Forbidden, Unauthenticated
from palio.ui.actor import Asking
from palio.ui.edge import SAFE_METHODS
from palio.ui.refusals import ImpersonationReadOnly, MfaRequired, ScopeMissing, SessionRequired, StepUpRequired
from palio.ui.types import STEP_UP_MINUTES

Access: TypeAlias = str  # "public", "player", "owner", or the permission it takes: "races.race.edit"

OF_PLAYERS = {"player", "owner"}  # an owner is a player whose rows the use case finds, and nobody else's
NO_SCOPE, NO_TOKEN = "none", "session"  # every token may do it; no token may


@dataclass(frozen=True, slots=True)
class Terms:
    """What a route demands. `scope` is that of a token, `session` where only a person may; staff also need `access`.

    `for_viewers` is for the few acts of whoever may only look, like leaving; `for_services` for what programs do that
    hold the permission, by their tokens; `for_restricted` for what somebody whose account is suspended may do too.
    """

    access: Access
    scope: str = NO_SCOPE
    step_up: bool = False
    for_viewers: bool = False
    for_services: bool = False
    for_restricted: bool = False


def scope_of(module: str, access: Access, method: str) -> str:
    """The scope that a token needs unless the route says otherwise: `<module>:read` or `<module>:write`."""
    if access == "public" and method in SAFE_METHODS:
        return NO_SCOPE
    return f"{module}:{'read' if method in SAFE_METHODS else 'write'}"


def is_fresh(ask: Asking) -> bool:
    """Was a second factor shown within the last minutes?"""
    return ask.step_up_at is not None and ask.now - ask.step_up_at <= timedelta(minutes=settings.value(STEP_UP_MINUTES))


def step_up_needed() -> StepUpRequired:
    """What somebody is refused with whose proof is too old."""
    return StepUpRequired(minutes_max=settings.value(STEP_UP_MINUTES))


def require(terms: Terms, ask: Asking, method: str) -> None:
    """Accept whoever may do this.

    Refuses with Unauthenticated, Forbidden, MfaRequired, StepUpRequired, ImpersonationReadOnly, ScopeMissing,
    SessionRequired, and with what a restricted caller is refused with.
    """
    if method not in SAFE_METHODS and not terms.for_viewers:
        _require_more_than_reading(terms, ask)
    if terms.access in OF_PLAYERS:
        _require_player(ask)
    elif terms.access != "public":
        _require_permission(terms, ask)
    if ask.scopes is not None and terms.scope != NO_SCOPE:
        if terms.scope == NO_TOKEN:
            raise SessionRequired
        if terms.scope not in ask.scopes:
            raise ScopeMissing(scope=terms.scope)
    if terms.step_up and not is_fresh(ask):
        raise step_up_needed()


def _require_more_than_reading(terms: Terms, ask: Asking) -> None:
    """Staff who look as a player change nothing; who is suspended does what is open to everybody, and little else."""
    if ask.restricted is None and ask.actor.kind == "viewer":
        raise ImpersonationReadOnly
    if ask.restricted is not None and terms.access != "public" and not terms.for_restricted:
        raise ask.restricted


def _require_player(ask: Asking) -> None:
    """The console's session is no player's, and does not become one."""
    if ask.actor.kind not in {"player", "viewer"}:
        raise Unauthenticated


def _require_permission(terms: Terms, ask: Asking) -> None:
    if ask.actor.kind == "none":
        raise Unauthenticated
    if ask.actor.kind != "staff" and not (terms.for_services and ask.is_service):
        raise Forbidden(permission=terms.access)
    if ask.scopes is None and ask.mfa_at is None:
        raise MfaRequired
    if terms.access not in ask.permissions:
        raise Forbidden(permission=terms.access)
