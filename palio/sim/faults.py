"""What goes wrong on purpose: rules that say which exchange is met, how, and how often."""

import gzip
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Literal, TypeVar, get_args

from palio.sim.chance import Stream
from palio.sim.refusals import SimRefusal
from palio.sim.shaping import shaped
from palio.sim.wire import Delivery, Reply, Request, as_json

Shape = TypeVar("Shape")
EffectName = Literal[
    "status",
    "delay",
    "slow",
    "reset",
    "reset_after",
    "truncate",
    "garbage",
    "wrong_type",
    "huge",
    "redirect",
    "bad_tls",
    "clock_skew",
    "expired_credentials",
]
EFFECTS: tuple[EffectName, ...] = get_args(EffectName)
MEGABYTE = 1_000_000
HUGE_MEGABYTES_MAX = 1_000
SKEW_SECONDS_MAX = 31_536_000
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # TLS: the handshake failed
PAGE = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"


@dataclass(frozen=True, slots=True)
class Effect:
    """How an exchange goes wrong; each member belongs to the effect of that name or says more about it.

    `reset` closes before anything was done, `reset_after` when all was done and only the answer is lost. `clock_skew`
    is a provider whose clock is wrong by `s` seconds, `bad_tls` one whose TLS breaks off.
    """

    name: EffectName
    code: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    ms: int = 1_000
    bytes_per_s: float = 1_000
    at: int = 100
    mb: int = 100
    url: str = "http://127.0.0.1:1/"
    s: float = 3_600

    def __post_init__(self) -> None:
        if (
            not 0 <= self.mb <= HUGE_MEGABYTES_MAX
            or self.bytes_per_s <= 0
            or self.ms < 0
            or self.at < 0
            or abs(self.s) > SKEW_SECONDS_MAX
        ):
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

    def __init__(self, seed: int, sims: Collection[str]) -> None:
        self._seed, self._sims = seed, sims
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Have it go wrong from now on. Refuses a simulator that does not exist."""
        if fault.sim not in self._sims:
            raise SimRefusal(f"there is no simulator {fault.sim}: {', '.join(self._sims)}")
        self._rules.append(fault)

    def clear(self) -> None:
        """Let everything go well again."""
        self._rules.clear()

    def rules(self) -> list[Fault]:
        """All rules, also those that are used up."""
        return list(self._rules)

    def meet(self, sim: str, request: Request) -> Effect | None:
        """What happens to this exchange."""
        for place, fault in enumerate(self._rules):
            if self._meets(place, fault, sim, request):
                fault.met += 1
                return fault.effect
        return None

    def _meets(self, place: int, fault: Fault, sim: str, request: Request) -> bool:
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
        return match.share is None or Stream(self._seed, f"fault|{place}|{fault.seen}").fraction() < match.share


def packed(reply: Reply) -> Reply:
    """The answer for somebody who takes gzip."""
    if not reply.body or "Content-Encoding" in reply.headers:
        return reply
    headers = {**reply.headers, "Content-Encoding": "gzip"}
    return replace(reply, body=gzip.compress(reply.body, 1, mtime=0), headers=headers)


def skew(effect: Effect | None) -> timedelta:
    """By how much the provider's clock is wrong."""
    return timedelta(seconds=effect.s) if effect and effect.name == "clock_skew" else timedelta()


def spoiled(reply: Reply, effect: Effect | None, *, takes_gzip: bool, now: datetime) -> Delivery:
    """The answer as it arrives under an effect."""
    plain = packed(reply) if takes_gzip else reply
    if effect is None:
        return Delivery(plain)
    match effect.name:
        case "delay":
            return Delivery(plain, delay_s=effect.ms / 1_000)
        case "slow":
            return Delivery(plain, bytes_per_s=effect.bytes_per_s)
        case "truncate":
            return Delivery(plain, cut_at=effect.at)
        case "reset" | "reset_after":
            return Delivery(plain, is_lost=True)
        case "bad_tls":
            return Delivery(plain, instead=ALERT)
        case "clock_skew":
            date = {"Date": format_datetime(now + skew(effect), usegmt=True)}
            return Delivery(replace(plain, headers={**plain.headers, **date}))
        case _:
            return Delivery(_instead(reply, effect, takes_gzip=takes_gzip))


def _instead(reply: Reply, effect: Effect, *, takes_gzip: bool) -> Reply:
    match effect.name:
        case "status":
            return Reply(effect.code, b'{"success":false}', {"Content-Type": "application/json", **effect.headers})
        case "expired_credentials":
            return as_json({"success": False, "message": "Token expired"}, 401)
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


def _part(kind: type[Shape], members: Mapping[str, object]) -> Shape:
    """An effect or a match from the members of a control call. Refuses others, naming those it has."""
    known = ", ".join(sorted(one.name for one in fields(kind)))  # type: ignore[arg-type]  # a dataclass
    if unknown := set(members) - set(known.split(", ")):
        raise SimRefusal(f"unknown: {', '.join(sorted(unknown))}; known: {known}")
    return shaped(kind, members)


def fault_of(members: Mapping[str, object]) -> Fault:
    """A rule from a control call: `{sim, effect: {name, …}, match: {…}, times}`. Refuses what it does not know."""
    known = {"sim", "effect", "match", "times"}
    effect, match = members.get("effect"), members.get("match", {})
    if set(members) - known or not isinstance(effect, Mapping) or not isinstance(match, Mapping):
        raise SimRefusal(f"a fault has {', '.join(sorted(known))}; effect and match are objects")
    if effect.get("name") not in EFFECTS:
        raise SimRefusal(f"there is no effect {effect.get('name')}: {', '.join(EFFECTS)}")
    times = members.get("times")
    if times is not None and not isinstance(times, int):
        raise SimRefusal("times is a whole number")
    return Fault(str(members.get("sim", "feed")), _part(Effect, effect), _part(Match, match), times)
