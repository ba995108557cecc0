"""A world of simulators under one port: its clock, what goes wrong in it, and what was said."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from palio.sim.clock import Clock
from palio.sim.exchanges import ANSWER_BYTES_MAX, BODY_BYTES_MAX, EXCHANGES_MAX, Exchange, beginning, masked
from palio.sim.faults import Effect, Faults, fault_of, skew, spoiled
from palio.sim.feed import PATH, Feed, Order
from palio.sim.growth import Pulse
from palio.sim.hooks import PATH as HOOKS
from palio.sim.hooks import Hooks
from palio.sim.keeping import Keeping
from palio.sim.mailbox import Mailbox, require_mail_effect
from palio.sim.oidc import APPLE_KEY_ID, APPLE_TEAM, CLIENT, SECRET, Oidc, new_apple_key
from palio.sim.oidc import PATH as OIDC
from palio.sim.otp import PATH as OTP
from palio.sim.otp import SECRET as OTP_SECRET
from palio.sim.otp import Otp
from palio.sim.refusals import SimRefusal
from palio.sim.scenarios import Rehearsal, resumed, scenario
from palio.sim.telegram import BOT, Telegram
from palio.sim.wire import Delivery, Reply, Request, as_json, serving

HOST = "127.0.0.1"
HTTP = {"feed", "hooks", "oidc", "otp"}
CONTROL = "/__sim__/"
SIMS = ("feed", "smtp", "hooks", "oidc", "otp", "telegram")
CALLS = (
    "reset, journal, clock, faults, scenario, state/<sim>, feed/<act>, hooks/<act>, oidc/<act>, telegram/mini_app,"
    " telegram/widget"
)


class World:
    """The outside on one machine; the same seed, start and orders give the same bytes."""

    def __init__(
        self,
        seed: int = 1,
        *,
        start: datetime | None = None,
        token: str | None = None,
        clock: Clock | None = None,
        pace: float = 1,
        players: int = 0,
        pulse: Pulse | None = None,
        folder: Path | None = None,
        plants: Sequence[Order] = (),
    ) -> None:
        """`start` is when the feed begins with its first capture; the clock may be ahead of it.

        `plants` are acts of the feed that are ordered beforehand, in order of time, each for its own instant.

        With a `folder` the world writes down there what is said and ordered, and goes on from what it finds. Refuses a
        folder in which the world of another seed lives.
        """
        self.clock = clock or Clock(start)
        self._start, self.token, self._pace, self._players = start or self.clock.now(), token, pace, players
        self._pulse, self._plants = pulse, tuple(plants)
        self._keeping = Keeping(folder, "feed") if folder else None
        self.port = self.smtp_port = 0
        self.mailbox, self._apple_key = Mailbox(self), new_apple_key()
        kept = self._keeping.state() if self._keeping else None
        if kept and kept["seed"] != seed:
            raise SimRefusal(f"the world of seed {kept['seed']} lives in {folder}: use that seed, or another folder")
        self._begin(seed, datetime.fromisoformat(kept["start"]) if kept else self._start)
        if self._keeping and kept:
            self._resume(kept)
            self.journal.extend(self._keeping.exchanges())
            self._exchanges = self.journal[-1].number if self.journal else 0
        self._keep()

    def reset(self, seed: int = 1) -> None:
        """Everything as at the start, but the clock."""
        if self._keeping:
            self._keeping.begin_again()
        self._begin(seed, self._start)
        self._keep()

    def _begin(self, seed: int, start: datetime) -> None:
        self._seed, self._start = seed, start
        self.faults = Faults(seed, SIMS)
        self.feed = Feed(
            seed=seed,
            start=start,
            now=self.clock.now,
            token=self.token,
            pace=self._pace,
            players=self._players,
            pulse=self._pulse,
        )
        self.mailbox.clear()
        self.hooks, self.otp, self.telegram = Hooks(), Otp(), Telegram()
        self.oidc = Oidc(self._apple_key)
        self.signed: object = None
        self._planted = 0
        self.rehearsal: Rehearsal | None = None
        self.journal: deque[Exchange] = deque(maxlen=EXCHANGES_MAX)
        self._exchanges = self._taken = 0

    # what outlives the process

    def _keep(self) -> None:
        if self._keeping:
            self._keeping.keep(
                {
                    "seed": self._seed,
                    "start": self._start.isoformat(),
                    "clock": self.clock.kept(),
                    "orders": [asdict(order) for order in self.feed.orders],
                    "faults": [asdict(rule) for rule in self.faults.rules()],
                    "rehearsal": self.rehearsal.kept() if self.rehearsal else None,
                }
            )

    def _resume(self, kept: Mapping[str, Any]) -> None:
        self.clock.catch_up(kept["clock"])
        self.feed.repeat(
            [Order(datetime.fromisoformat(one["at"]), one["act"], one["members"]) for one in kept["orders"]]
        )
        self._planted = sum(plant in self.feed.orders for plant in self._plants)
        for rule in kept["faults"]:
            fault = fault_of({name: rule[name] for name in ("sim", "effect", "match", "times")})
            fault.seen, fault.met = rule["seen"], rule["met"]
            self.faults.add(fault)
        self.rehearsal = resumed(kept["rehearsal"]) if kept["rehearsal"] else None

    # what is asked of it

    @property
    def feed_url(self) -> str:
        """Where the feed is, once the world is served."""
        return f"http://{HOST}:{self.port}{PATH}DEMO"

    def hook_url(self, receiver: str) -> str:
        """Where a receiver of webhooks is, once the world is served."""
        return f"http://{HOST}:{self.port}{HOOKS}{receiver}"

    def issuer_url(self, name: str) -> str:
        """Where a provider is that vouches for people, once the world is served."""
        return f"http://{HOST}:{self.port}{OIDC}{name}"

    @property
    def otp_url(self) -> str:
        """Where short codes are handed in, once the world is served."""
        return f"http://{HOST}:{self.port}{OTP}"

    @property
    def smtp_url(self) -> str:
        """Where letters are handed in, once they can be."""
        return f"smtp://{HOST}:{self.smtp_port}"

    def ways_in(self) -> dict[str, list[str]]:
        """What a shell sets so that people come in by this world, by simulator, once it is served."""
        other = {"club": {"title": "Club", "issuer": self.issuer_url("club"), "client_id": CLIENT}}
        other["club"]["client_secret"] = SECRET
        pem = self.oidc.apple_key.as_pem(private=True).decode().strip().replace("\n", "\\n")
        return {
            "oidc": [
                f"PALIO_GOOGLE_ISSUER={self.issuer_url('google')}",
                f"PALIO_GOOGLE_CLIENT_ID={CLIENT}",
                f"PALIO_GOOGLE_CLIENT_SECRET='{SECRET}'",
                f"PALIO_APPLE_ISSUER={self.issuer_url('apple')}",
                f"PALIO_APPLE_CLIENT_ID={CLIENT}",
                f"PALIO_APPLE_TEAM_ID={APPLE_TEAM}",
                f"PALIO_APPLE_KEY_ID={APPLE_KEY_ID}",
                f"PALIO_APPLE_KEY='{pem}'",
                f"PALIO_OIDC_PROVIDERS='{json.dumps(other)}'",
            ],
            "otp": [f"PALIO_OTP_WEBHOOK_URL={self.otp_url}", f"PALIO_OTP_WEBHOOK_SECRET={OTP_SECRET}"],
            "telegram": [f"PALIO_TELEGRAM_BOT_NAME={BOT}", f"PALIO_TELEGRAM_BOT_TOKEN={self.telegram.token}"],
        }

    @asynccontextmanager
    async def serving(self, port: int = 0, *, smtp_port: int | None = None) -> AsyncIterator["World"]:
        """Listen on loopback for the length of the block; 0 is any free port. Raises OSError for one that is taken.

        Letters are taken with an `smtp_port` only.
        """
        async with AsyncExitStack() as listening:
            server = await asyncio.start_server(serving(self.answer), HOST, port)
            await listening.enter_async_context(server)
            self.port = server.sockets[0].getsockname()[1]
            if smtp_port is not None:
                self.smtp_port = await listening.enter_async_context(self.mailbox.serving(HOST, smtp_port))
            yield self

    # what the mailbox asks of its world

    def now(self) -> datetime:
        """The instant of the world."""
        return self.clock.now()

    def met(self, request: Request) -> Effect | None:
        """What goes wrong with a letter on purpose."""
        self.catch_up()
        return self.faults.meet("smtp", request)

    def noted(self, request: Request, *, status: int, fault: str | None) -> None:
        """Write down that a letter came."""
        self._note("smtp", request, Reply(body=b""), status=status, fault=fault)
        if fault:
            self._keep()

    def answer(self, request: Request) -> Delivery:
        """What a request is answered, and how it arrives."""
        self.catch_up()
        if request.path.startswith(CONTROL):
            return Delivery(self._controlled(request))
        if request.path == "/mail" or request.path.startswith("/mail/"):
            return Delivery(self.mailbox.page(request.path))
        sim = request.path.split("/")[1]
        if sim not in HTTP:
            reply = as_json({"message": f"no simulator lives here: {', '.join(SIMS)}"}, 404)
            self._note("", request, reply, status=404, fault=None)
            return Delivery(reply)
        effect = self.faults.meet(sim, request)
        takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
        reply = Reply(0) if effect and effect.name == "reset" else self._answered(sim, request, effect)
        delivery = spoiled(reply, effect, takes_gzip=takes_gzip, now=self.clock.now())
        self._note(sim, request, reply, status=delivery.reply.status, fault=effect.name if effect else None)
        if effect:
            self._keep()
        return delivery

    def _answered(self, sim: str, request: Request, effect: Effect | None) -> Reply:
        if sim == "hooks":
            return self.hooks.answer(request, self.clock.now() + skew(effect))
        if sim == "oidc":
            return self.oidc.answer(request, self.clock.now() + skew(effect))
        if sim == "otp":
            return self.otp.answer(request, self.clock.now() + skew(effect))
        return self.feed.answer(request, skew=skew(effect))

    def _note(self, sim: str, request: Request, reply: Reply, *, status: int, fault: str | None) -> None:
        self._exchanges += 1
        exchange = Exchange(
            number=self._exchanges,
            at=self.clock.now(),
            sim=sim,
            method=request.method,
            path=request.path,
            headers=masked(request.headers),
            is_known=sim in {"smtp", "oidc", "otp"}
            or (sim == "hooks" and bool(self.hooks.heard) and self.hooks.heard[-1].is_genuine)
            or (sim == "feed" and fault != "expired_credentials" and self.feed.is_known(request)),
            status=status,
            body=beginning(request.body, BODY_BYTES_MAX),
            answer=beginning(reply.body, ANSWER_BYTES_MAX),
            fault=fault,
        )
        self.journal.append(exchange)
        if self._keeping:
            self._keeping.note(exchange)

    # what tests and rehearsals say about it

    def expected(self, exchanges: int) -> list[Exchange]:
        """So many exchanges since the last call, which the test wanted. Raises AssertionError for another number."""
        found = self._unexpected()
        if len(found) != exchanges:
            raise AssertionError(f"wanted {exchanges} exchanges, not {_told(found)}")
        self._taken = self._exchanges
        return found

    def assert_quiet(self) -> None:
        """See that nothing was said that no test wanted. Raises AssertionError."""
        if found := self._unexpected():
            raise AssertionError(f"nobody expected {_told(found)}")

    def _unexpected(self) -> list[Exchange]:
        return [one for one in self.journal if one.number > self._taken]

    def rehearse(self, name: str) -> Rehearsal:
        """Begin a scenario; what it brings comes by the clock of this world. Refuses one that does not exist."""
        self.rehearsal = Rehearsal(scenario(name), self.clock.now())
        self._keep()
        self.catch_up()
        return self.rehearsal

    def catch_up(self) -> None:
        """Do what was planted or what a rehearsal has brought meanwhile."""
        while self._planted < len(self._plants) and self._plants[self._planted].at <= self.clock.now():
            self._planted += 1
            self.feed.repeat([self._plants[self._planted - 1]])
            self._keep()
        if self.rehearsal:
            self.rehearsal.catch_up(self.clock.now(), self._call)

    # the control calls

    def _controlled(self, request: Request) -> Reply:
        try:
            path = request.path.removeprefix(CONTROL)
            if request.method == "GET":
                return as_json(self._told(path, request.query))
            self._call(request.method, path, request.members())
        except SimRefusal as refusal:
            return as_json({"message": str(refusal)}, 422)
        return as_json({"now": self.clock.now()})

    def _told(self, path: str, asked: Mapping[str, str]) -> object:
        match path.split("/"):
            case ["journal"]:
                return [asdict(one) for one in self._said(asked)]
            case ["faults"]:
                return [asdict(rule) for rule in self.faults.rules()]
            case ["state", "feed"]:
                return self.feed.state()
            case ["state", "smtp"]:
                return self.mailbox.state()
            case ["state", "hooks"]:
                return self.hooks.state()
            case ["state", "oidc"]:
                return self.oidc.state()
            case ["state", "otp"]:
                return self.otp.state()
            case ["state", "telegram"]:
                return {"signed": self.signed}
            case ["state", other]:
                raise SimRefusal(f"there is no simulator {other}: {', '.join(SIMS)}")
            case ["scenario"]:
                return self.rehearsal.kept() if self.rehearsal else None
            case _:
                raise SimRefusal(f"known: {CALLS}")

    def _call(self, method: str, path: str, members: Mapping[str, object]) -> None:
        """Carry out a control call that changes something, and write down what it made of this world."""
        match method, path.split("/"):
            case "POST", ["reset"]:
                self.reset(_whole(members, "seed", 1))
            case "POST", ["clock"]:
                self._turn(members)
            case "POST", ["faults"]:
                fault = fault_of(members)
                if fault.sim == "smtp":
                    require_mail_effect(fault.effect)
                self.faults.add(fault)
            case "DELETE", ["faults"]:
                self.faults.clear()
            case "POST", ["scenario"]:
                self.rehearse(_word(members, "name"))
            case "POST", ["feed", act]:
                self.feed.control(act, members)
            case "POST", ["hooks", act]:
                self.hooks.control(act, members)
            case "POST", ["oidc", act]:
                self.oidc.control(act, members)
            case "POST", ["telegram", act]:
                self._sign(act, members)
            case _:
                raise SimRefusal(f"known: {CALLS}")
        self._keep()

    def _sign(self, act: str, members: Mapping[str, object]) -> None:
        """Have Telegram sign for somebody; `state/telegram` shows what."""
        user, flaw = members.get("user"), members.get("flaw", "")
        if not isinstance(user, dict) or not isinstance(flaw, str) or set(members) - {"user", "flaw"}:
            raise SimRefusal("known: user, an object with id, and flaw")
        if act == "mini_app":
            self.signed = self.telegram.init_data(user, at=self.clock.now(), flaw=flaw)
        elif act == "widget":
            self.signed = self.telegram.widget(user, at=self.clock.now())
        else:
            raise SimRefusal(f"known: {CALLS}")

    def _said(self, asked: Mapping[str, str]) -> list[Exchange]:
        since, sim = asked.get("since", "0"), asked.get("sim")
        if not (since.isascii() and since.isdecimal()):
            raise SimRefusal("since is the number of an exchange")
        if sim is not None and sim not in SIMS:
            raise SimRefusal(f"there is no simulator {sim}: {', '.join(SIMS)}")
        return [one for one in self.journal if one.number > int(since) and sim in {None, one.sim}]

    def _turn(self, members: Mapping[str, object]) -> None:
        """`set` an instant, `advance` seconds, `speed` times, or `freeze`."""
        match members:
            case {"set": str(written)}:
                try:
                    self.clock.set(datetime.fromisoformat(written))
                except (ValueError, TypeError):
                    raise SimRefusal("`set` takes an instant like 2026-03-20T12:00:00Z") from None
            case {"advance": int() | float() as seconds}:
                self.clock.advance(timedelta(seconds=seconds))
            case {"speed": int() | float() as times}:
                self.clock.speed(times)
            case {"freeze": True}:
                self.clock.speed(0)
            case _:
                raise SimRefusal("the clock takes one of set, advance, speed, freeze")


def _told(exchanges: list[Exchange]) -> str:
    return "; ".join(f"{one.number}: {one.method} {one.path} -> {one.status}" for one in exchanges) or "none"


def _whole(members: Mapping[str, object], name: str, otherwise: int) -> int:
    value = members.get(name, otherwise)
    if not isinstance(value, int) or set(members) - {name}:
        raise SimRefusal(f"known: {name}, a whole number")
    return value


def _word(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or set(members) - {name}:
        raise SimRefusal(f"known: {name}, a text")
    return value
