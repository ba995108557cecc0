"""How often a route may be used: which policies count a request, whose it is, and what every answer says of it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from starlette.requests import Request

from palio.infra import ratelimit, settings
from palio.infra.db import Tx
from palio.infra.ratelimit import Left, Limiter, Policy
from palio.kernel.errors import TooMany
from palio.kernel.ids import UserId
from palio.ui.actor import Asking
from palio.ui.edge import RATE_HEADERS, SAFE_METHODS

MINUTE_S, HOUR_S = 60, 3_600
LOTS_OF_QUOTA = 20  # a process takes reads in lots of a twentieth
LOT_MAX = 50
LOTS_OF_MANY = 600  # of a minute, where that makes larger ones: ten look-ups a second at most
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


UPLOADS = (Limit("uploads", 10, HOUR_S),)  # of files of every kind: whoever takes one declares it


def subject_of(host: str) -> str:
    """Who is counted where nobody is known: an address."""
    return f"address:{_network_of(host)}"


def network_of(request: Request) -> str:
    """Whose address it is: one of IPv4, or the /64 that an IPv6 caller can choose from."""
    return _network_of(request.client.host if request.client else "")


@lru_cache(maxsize=10_000)
def _network_of(host: str) -> str:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return host
    return str(found.ipv4_mapped or ipaddress.ip_network(f"{host}/{IPV6_PREFIX}", strict=False))


async def take(request: Request, ask: Asking, own: Sequence[Limit], *, is_strict: bool = False) -> None:
    """Count this request, and remember what its answer says about it.

    Refuses with TooMany, and with Unavailable where a strict limit cannot be counted.
    """
    limiter: Limiter | None = request.app.state.limiter
    if limiter is None:
        return
    address = subject_of(request.client.host if request.client else "")
    left = await limiter.take(wanted(ask, request.method, own, address, is_strict=is_strict))
    request.scope[RATE_HEADERS] = told(left)
    if refusal := refusal_of(left):
        raise refusal


def wanted(
    ask: Asking, method: str, own: Sequence[Limit], address: str, *, is_strict: bool = False
) -> list[tuple[Policy, str]]:
    """Which policies count a request, and whom."""
    caller = _caller(ask.actor.user_id) if ask.actor.user_id else address
    general = [(policy, caller) for policy in _general(ask, method, is_strict=is_strict)]
    return general + [(limit.policy, caller if limit.by == "user" else address) for limit in own]


@lru_cache(maxsize=10_000)
def _caller(user_id: UserId) -> str:
    return f"user:{user_id}"


def refusal_of(left: Sequence[Left]) -> TooMany | None:
    """What is to be said if one of the policies has nothing left."""
    refused = next((each for each in left if each.is_refused), None)
    if refused is None:
        return None
    policy = refused.policy
    return TooMany(
        policy=policy.name, limit=policy.quota, window_s=policy.window_s, retry_after_s=refused.retry_after_s
    )


async def take_besides(request: Request, ask: Asking, limit: Limit) -> None:
    """Count a request by one more limit, where only some answers of a route are subject to it.

    Refuses with TooMany.
    """
    limiter: Limiter | None = request.app.state.limiter
    if limiter is None:
        return
    subject = subject_of(request.client.host if request.client else "")
    caller = subject if limit.by == "address" or ask.actor.user_id is None else _caller(ask.actor.user_id)
    [left] = await limiter.take([(limit.policy, caller)])
    if left.is_refused:
        facts = {"policy": limit.name, "limit": limit.quota, "window_s": limit.window_s}
        raise TooMany(**facts, retry_after_s=left.retry_after_s)


async def left_of(request: Request, tx: Tx, people: Sequence[Asking]) -> list[list[Left]]:
    """What each of these users has left of the general limits of calls, in their order; nothing is taken of it."""
    limiter: Limiter | None = request.app.state.limiter
    policies = [
        [(policy, _caller(user_id)) for policy in _general(one, "POST", is_strict=False)]
        for one in people
        if (user_id := one.actor.user_id)
    ]
    if limiter is None:
        return [[] for _ in people]
    found = iter(await limiter.look(tx, [each for wanted in policies for each in wanted]))
    return [[next(found) for _ in wanted] for wanted in policies]


def headers(request: Request) -> dict[str, str]:
    """What the answer to this request says about its limits; nothing for what is not counted."""
    known: dict[str, str] = request.scope.get(RATE_HEADERS, {})
    return known


def _general(ask: Asking, method: str, *, is_strict: bool) -> list[Policy]:
    if ask.actor.user_id is None:
        return [_policy("anonymous", settings.value(ratelimit.ANONYMOUS_PER_MINUTE), MINUTE_S, is_strict)]
    if ask.actor.kind == "staff":
        return [_policy("staff", settings.value(ratelimit.STAFF_PER_HOUR), HOUR_S, is_strict)]
    if ask.is_service:
        return [_of_services(settings.value(ratelimit.SERVICE_PER_MINUTE), is_strict=is_strict)]
    calls = [
        _policy("player", settings.value(ratelimit.PLAYER_PER_HOUR), HOUR_S, is_strict),
        _policy("player-minute", settings.value(ratelimit.PLAYER_PER_MINUTE), MINUTE_S, is_strict),
    ]
    if method in SAFE_METHODS:
        return calls
    writes = settings.value(ratelimit.WRITES_PER_MINUTE)
    return [*calls, Policy("player-writes", writes, MINUTE_S, is_strict=is_strict)]


@lru_cache(maxsize=10)
def _of_services(quota: int, *, is_strict: bool) -> Policy:
    """A program asks so often that small lots would be asked for all the time."""
    return Policy("service", quota, MINUTE_S, lot=max(1, quota // LOTS_OF_MANY), is_strict=is_strict)


@lru_cache(maxsize=100)
def _policy(name: str, quota: int, window_s: int, is_strict: bool) -> Policy:
    lot = min(quota // LOTS_OF_QUOTA, max(LOT_MAX, quota // LOTS_OF_MANY))
    return Policy(name, quota, window_s, lot=max(1, lot), is_strict=is_strict)


def lines(left: Sequence[Left]) -> str:
    """Both headers as they stand in an answer; none where nothing is counted."""
    if len(left) == 1:
        [only] = left
        return f"ratelimit-policy: {_named(only.policy)}\r\nratelimit: {_left_of(only)}\r\n"
    return "".join([f"{name.lower()}: {value}\r\n" for name, value in told(left).items()]) if left else ""


def told(left: Sequence[Left]) -> dict[str, str]:
    """Both headers, the tightest policy first."""
    if len(left) == 1:
        [only] = left
        return {"RateLimit-Policy": _named(only.policy), "RateLimit": _left_of(only)}
    tightest = sorted(left, key=lambda each: each.remaining / each.policy.quota)
    return {
        "RateLimit-Policy": ", ".join([_named(each.policy) for each in tightest]),
        "RateLimit": ", ".join([_left_of(each) for each in tightest]),
    }


@lru_cache(maxsize=1_000)
def _named(policy: Policy) -> str:
    return f'"{policy.name}";q={policy.quota};w={policy.window_s}'


def _left_of(left: Left) -> str:
    return f'"{left.policy.name}";r={left.remaining};t={left.reset_s}'
