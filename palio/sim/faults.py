"""What goes wrong on purpose: rules that say which exchange is met, how, and how often."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

from palio.sim.chance import Stream
from palio.sim.refusals import SimRefusal
from palio.sim.wire import Delivery, Reply, Request

Shape = TypeVar("Shape")
EffectName = Literal["status", "delay", "slow", "reset", "truncate", "garbage", "wrong_type", "huge", "redirect"]
MEGABYTE = 1_000_000
HUGE_MEGABYTES_MAX = 1_000
PAGE = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"


@dataclass(frozen=True, slots=True)
class Effect:
    """How an exchange goes wrong; each member belongs to the effect of that name or says more about it."""

    name: EffectName
    code: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    ms: int = 1_000
    bytes_per_s: float = 1_000
    at: int = 100
    mb: int = 100
    url: str = "http://127.0.0.1:1/"

    def __post_init__(self) -> None:
        if self.name not in get_args(EffectName):
            raise SimRefusal(f"there is no effect {self.name}: {', '.join(get_args(EffectName))}")
        if not 0 <= self.mb <= HUGE_MEGABYTES_MAX or self.bytes_per_s <= 0 or self.ms < 0 or self.at < 0:
            raise SimRefusal("an effect goes beyond what this machine can bear")


@dataclass(frozen=True, slots=True)
class Match:
    """Which exchanges are met: the n-th that fits, every n-th, or a share of them."""

    method: str | None = None
    path: str = "/"
    nth: int | None = None
    every: int | None = None
    share: float | None = None


@dataclass(slots=True)
class Fault:
    """A rule with what has become of it; `times` None meets without end."""

    sim: str
    effect: Effect
    match: Match = field(default_factory=Match)
    times: int | None = None
    seen: int = 0
    met: int = 0


class Faults:
    """The rules of a world; the first that meets an exchange decides."""

    def __init__(self, seed: int) -> None:
        self._rules: list[Fault] = []
        self._chance = Stream(seed, "faults")

    def add(self, fault: Fault) -> None:
        """Have it go wrong from now on."""
        self._rules.append(fault)

    def clear(self) -> None:
        """Let everything go well again."""
        self._rules.clear()

    def rules(self) -> list[Fault]:
        """All rules, also those that are used up."""
        return list(self._rules)

    def meet(self, sim: str, request: Request) -> Effect | None:
        """What happens to this exchange."""
        for fault in self._rules:
            if self._meets(fault, sim, request):
                fault.met += 1
                return fault.effect
        return None

    def _meets(self, fault: Fault, sim: str, request: Request) -> bool:
        match = fault.match
        if fault.sim != sim or (match.method or request.method) != request.method:
            return False
        if not request.path.startswith(match.path) or (fault.times is not None and fault.met >= fault.times):
            return False
        fault.seen += 1
        if match.nth is not None and fault.seen != match.nth:
            return False
        if match.every is not None and fault.seen % match.every:
            return False
        return match.share is None or self._chance.fraction() < match.share


def spoiled(reply: Reply, effect: Effect | None, *, takes_gzip: bool) -> Delivery:
    """The answer as it arrives under an effect."""
    if effect is None:
        return Delivery(reply)
    match effect.name:
        case "delay":
            return Delivery(reply, delay_s=effect.ms / 1_000)
        case "slow":
            return Delivery(reply, bytes_per_s=effect.bytes_per_s)
        case "truncate":
            return Delivery(reply, cut_at=effect.at)
        case "reset":
            return Delivery(reply, is_lost=True)
        case _:
            return Delivery(_instead(reply, effect, takes_gzip=takes_gzip))


def _instead(reply: Reply, effect: Effect, *, takes_gzip: bool) -> Reply:
    match effect.name:
        case "status":
            return Reply(effect.code, b'{"success":false}', {"Content-Type": "application/json", **effect.headers})
        case "wrong_type":
            return Reply(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        case "redirect":
            return Reply(302, b"", {"Location": effect.url})
        case "huge":
            body = bytes(effect.mb * MEGABYTE)
            packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            return Reply(200, gzip.compress(body, 1), packed) if takes_gzip else replace(reply, body=body)
        case _:
            return Reply(200, b'{"success":true,"data":[{"uid":')


def shaped(kind: type[Shape], members: Mapping[str, object]) -> Shape:
    """A dataclass from the members of a control call. Refuses names it does not have, naming those it has."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if unknown := set(members) - known:
        raise SimRefusal(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    given: dict[str, Any] = dict(members)
    try:
        return kind(**given)
    except TypeError:
        raise SimRefusal(f"something is missing; known: {', '.join(sorted(known))}") from None


def fault_of(members: Mapping[str, object]) -> Fault:
    """A rule from a control call: `{sim, effect: {name, …}, match: {…}, times}`. Refuses what it does not know."""
    known = {"sim", "effect", "match", "times"}
    effect, match = members.get("effect"), members.get("match", {})
    if set(members) - known or not isinstance(effect, Mapping) or not isinstance(match, Mapping):
        raise SimRefusal(f"a fault has {', '.join(sorted(known))}; effect and match are objects")
    times = members.get("times")
    if times is not None and not isinstance(times, int):
        raise SimRefusal("times is a whole number")
    return Fault(str(members.get("sim", "feed")), shaped(Effect, effect), shaped(Match, match), times)
