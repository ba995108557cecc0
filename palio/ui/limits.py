"""How often a route may be used: which policies count a request, whose it is, and what every answer says of it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import Request

from palio.infra import ratelimit, settings
from palio.infra.ratelimit import Left, Limiter, Policy
from palio.kernel.errors import TooMany
from palio.kernel.settings import Setting
from palio.ui.actor import Asking
from palio.ui.edge import RATE_HEADERS, SAFE_METHODS

MINUTE_S, HOUR_S = 60, 3_600
LOTS_OF_QUOTA = 20  # a process takes reads in lots of a twentieth
LOT_MAX = 50
IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Limit:
    """One more limit that a route declares for itself: so many in a time, for each user or each address."""

    name: str
    quota: int
    window_s: int
    by: Literal["user", "address"] = "user"
    is_strict: bool = False

    @property
    def policy(self) -> Policy:
        return Policy(self.name, self.quota, self.window_s, is_strict=self.is_strict)


def network_of(request: Request) -> str:
    """Whose address it is: one of IPv4, or the /64 that an IPv6 caller can choose from."""
    host = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return host if found.version == 4 else str(ipaddress.ip_network(f"{host}/{IPV6_PREFIX}", strict=False))  # noqa: PLR2004 - IPv4


async def take(request: Request, ask: Asking, own: Sequence[Limit], *, is_strict: bool = False) -> None:
    """Count this request, and remember what its answer says about it.

    Refuses with TooMany, and with Unavailable where a strict limit cannot be counted.
    """
    limiter: Limiter | None = request.app.state.limiter
    if limiter is None:
        return
    general = [replace(policy, is_strict=is_strict) for policy in _general(ask, request.method)]
    by_user, by_address = f"user:{ask.actor.user_id}", f"address:{network_of(request)}"
    is_known = ask.actor.user_id is not None
    wanted = [(policy, by_user if is_known else by_address) for policy in general]
    wanted += [(limit.policy, by_user if is_known and limit.by == "user" else by_address) for limit in own]
    left = await limiter.take(wanted)
    request.scope[RATE_HEADERS] = _told(left)
    if refused := next((each for each in left if each.is_refused), None):
        policy = refused.policy
        raise TooMany(
            policy=policy.name, limit=policy.quota, window_s=policy.window_s, retry_after_s=refused.retry_after_s
        )


def headers(request: Request) -> dict[str, str]:
    """What the answer to this request says about its limits; nothing for what is not counted."""
    known: dict[str, str] = request.scope.get(RATE_HEADERS, {})
    return known


def _general(ask: Asking, method: str) -> list[Policy]:
    if ask.actor.user_id is None:
        return [_policy("anonymous", ratelimit.ANONYMOUS_PER_MINUTE, MINUTE_S)]
    if ask.actor.kind == "staff":
        return [_policy("staff", ratelimit.STAFF_PER_HOUR, HOUR_S)]
    calls = [
        _policy("player", ratelimit.PLAYER_PER_HOUR, HOUR_S),
        _policy("player-minute", ratelimit.PLAYER_PER_MINUTE, MINUTE_S),
    ]
    if method in SAFE_METHODS:
        return calls
    return [*calls, replace(_policy("player-writes", ratelimit.WRITES_PER_MINUTE, MINUTE_S), lot=1)]


def _policy(name: str, setting: Setting[int], window_s: int) -> Policy:
    quota = settings.value(setting)
    return Policy(name, quota, window_s, lot=max(1, min(quota // LOTS_OF_QUOTA, LOT_MAX)))


def _told(left: Sequence[Left]) -> dict[str, str]:
    """Both headers, the tightest policy first."""
    tightest = sorted(left, key=lambda each: each.remaining / each.policy.quota)
    return {
        "RateLimit-Policy": ", ".join(f'"{x.policy.name}";q={x.policy.quota};w={x.policy.window_s}' for x in tightest),
        "RateLimit": ", ".join(f'"{x.policy.name}";r={x.remaining};t={x.reset_s}' for x in tightest),
    }
