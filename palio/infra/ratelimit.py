"""How often somebody may do something: token buckets that all processes share, asked in one statement for many.

A process takes tokens of reads in small lots, so that most reads ask nobody: what lies in a lot unused is lost, and
what a lot can let through too early is the lot. Writes take one token each, exactly. Time is that of the database.
"""

import hmac
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import psycopg
import structlog

from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.batches import Gatherer
from palio.kernel.errors import Refusal, Unavailable
from palio.kernel.settings import Setting

log = structlog.get_logger()

Name: TypeAlias = tuple[str, str]  # of a policy, and of whoever is counted

LOCAL_MAX = 50_000  # subjects that one process remembers
KEY_BYTES = 16
MILLI = 1_000
LOT_SECONDS_MIN = 1  # a generous limit fills faster than a lot is used

ANONYMOUS_PER_MINUTE = Setting(
    "api.anonymous_per_minute",
    "int",
    100,
    "Calls without a session, of one address (IPv6: /64).",
    "calls",
    10,
    1_000_000,
)
PLAYER_PER_MINUTE = Setting("api.player_per_minute", "int", 120, "Calls of one player.", "calls", 10, 100_000)
PLAYER_PER_HOUR = Setting("api.player_per_hour", "int", 1_000, "Calls of one player.", "calls", 100, 1_000_000)
WRITES_PER_MINUTE = Setting("api.writes_per_minute", "int", 60, "Changes by one player.", "calls", 5, 100_000)
SERVICE_PER_MINUTE = Setting(
    "api.service_per_minute", "int", 600_000, "Calls of one program (service user).", "calls", 60, 10_000_000
)
STAFF_PER_HOUR = Setting("api.staff_per_hour", "int", 5_000, "Calls of one member of staff.", "calls", 500, 1_000_000)
SETTINGS = (
    *(ANONYMOUS_PER_MINUTE, PLAYER_PER_MINUTE, PLAYER_PER_HOUR, WRITES_PER_MINUTE),
    *(SERVICE_PER_MINUTE, STAFF_PER_HOUR),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` in `window_s` seconds, which is also the burst. `lot` tokens are taken at once.

    A strict one refuses everybody while nobody can be counted; the others go on with what the process itself knows.
    """

    name: str
    quota: int
    window_s: int
    lot: int = 1
    is_strict: bool = False

    @property
    def seconds_per_token(self) -> float:
        return self.window_s / self.quota


class Left(NamedTuple):
    """What is left of a policy for somebody: how many, and in how many seconds all of it is back."""

    policy: Policy
    remaining: int
    is_refused: bool = False

    @property
    def reset_s(self) -> int:
        return math.ceil((self.policy.quota - self.remaining) * self.policy.seconds_per_token)

    @property
    def retry_after_s(self) -> int:
        return max(1, math.ceil(self.policy.seconds_per_token))


@dataclass(slots=True)
class _Local:
    """What this process holds of one bucket."""

    lot: int = 0
    lot_until: float = 0.0
    remaining: int = 0
    refused_until: float = 0.0
    own_tokens: float | None = None  # its own bucket, kept while the shared one cannot be asked
    own_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Want:
    policy: Policy
    subject: str

    @property
    def name(self) -> tuple[str, str]:
        return self.policy.name, self.subject


@dataclass(frozen=True, slots=True)
class _Row:
    key: bytes
    tokens_milli: int
    granted: int


def _share(want: _Want, row: _Row, granted: dict[Name, int]) -> Left:
    """Give one of those who asked together his token out of what they were granted, if one is left."""
    if not granted[want.name]:
        return Left(want.policy, 0, is_refused=True)
    granted[want.name] -= 1
    return Left(want.policy, row.tokens_milli // MILLI + granted[want.name])


class Limiter:
    """One per process; `database` is where the buckets are, `key` hides who is counted in them."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        *,
        elapsed: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """`elapsed` and `now` are for tests: the seconds of this process, and the instant of the database."""
        self._database, self._key, self._elapsed, self._now = database, key, elapsed, now
        self._local: OrderedDict[Name, _Local] = OrderedDict()
        self._asking: Gatherer[tuple[_Want, ...], dict[Name, Left]] = Gatherer(self._flush)

    async def take(self, wanted: Sequence[tuple[Policy, str]]) -> list[Left]:
        """Take a token of each policy for its subject, and answer what is left of each, in the same order.

        What one policy refuses counts against the others all the same. Refuses with Unavailable if a strict policy
        cannot be counted.
        """
        answers = [self._from_local(policy, subject) for policy, subject in wanted]
        if all(answers):
            return [answer for answer in answers if answer]
        wants = [_Want(policy, subject) for policy, subject in wanted]
        missing = tuple(want for want, answer in zip(wants, answers, strict=True) if answer is None)
        try:
            told = await self._asking.submit(missing)
        except (Refusal, psycopg.Error) as failure:
            if any(want.policy.is_strict for want in missing):
                raise Unavailable(retry_after_s=2) from failure
            log.warning("limits are counted by this process alone", failure=type(failure).__name__)
            told = {want.name: self._from_own(want) for want in missing}
        return [answer or told[want.name] for want, answer in zip(wants, answers, strict=True)]

    def _key_of(self, name: Name) -> bytes:
        return hmac.digest(self._key, "|".join(name).encode(), "sha256")[:KEY_BYTES]

    def _known(self, name: Name) -> _Local:
        found = self._local.get(name)
        if found is None:
            found = self._local[name] = _Local()
            if len(self._local) > LOCAL_MAX:
                self._local.popitem(last=False)
        return found

    async def look(self, tx: Tx, wanted: Sequence[tuple[Policy, str]]) -> list[Left]:
        """What is left of each policy for its subject, in the same order, without taking anything of it.

        What lies in a lot of some process counts as taken.
        """
        keys = [self._key_of((policy.name, subject)) for policy, subject in wanted]
        found = await tx.execute(
            """select w.n, least(w.quota, coalesce(b.tokens_milli / 1000
                + floor(extract(epoch from clock_timestamp() - b.at) * w.quota / w.window_s), w.quota))::int
            from unnest(%s::bytea[], %s::int[], %s::int[]) with ordinality as w (key, quota, window_s, n)
            left join infra.rate_buckets b on b.key = w.key order by w.n""",
            (keys, [policy.quota for policy, _ in wanted], [policy.window_s for policy, _ in wanted]),
        )
        left = [max(0, tokens) for _, tokens in await found.fetchall()]
        return [Left(policy, tokens) for (policy, _), tokens in zip(wanted, left, strict=True)]

    def _from_local(self, policy: Policy, subject: str) -> Left | None:
        """What this process can say by itself: somebody refused a moment ago is, and a lot has tokens left."""
        local, now = self._known((policy.name, subject)), self._elapsed()
        if now < local.refused_until:
            return Left(policy, 0, is_refused=True)
        if local.lot and now < local.lot_until:
            local.lot -= 1
            return Left(policy, local.remaining + local.lot)
        local.lot = 0
        return None

    def _from_own(self, want: _Want) -> Left:
        """The same policy, kept by this process alone."""
        local, now = self._known(want.name), self._elapsed()
        before = float(want.policy.quota) if local.own_tokens is None else local.own_tokens
        tokens = min(want.policy.quota, before + (now - local.own_at) / want.policy.seconds_per_token)
        local.own_at = now
        local.own_tokens = tokens - 1 if tokens >= 1 else tokens
        return Left(want.policy, int(local.own_tokens), is_refused=tokens < 1)

    async def _flush(self, batch: Sequence[tuple[_Want, ...]]) -> list[dict[Name, Left]]:
        """One statement for everybody who waits; tokens of one bucket go to those who came first."""
        counts = Counter(want.name for wants in batch for want in wants)
        policies = {want.name: want.policy for wants in batch for want in wants}
        names = {self._key_of(name): name for name in counts}
        async with self._database.begin_system("rate limits") as tx:
            rows = {names[row.key]: row for row in await self._ask(tx, names, counts, policies)}
        granted = {name: row.granted for name, row in rows.items()}
        told = [{want.name: _share(want, rows[want.name], granted) for want in wants} for wants in batch]
        for name, row in rows.items():
            self._remember(name, policies[name], row, granted[name])
        return told

    def _remember(self, name: Name, policy: Policy, row: _Row, lot: int) -> None:
        local, now = self._known(name), self._elapsed()
        local.lot, local.remaining, local.own_tokens = lot, row.tokens_milli // MILLI, None
        local.lot_until = now + max(LOT_SECONDS_MIN, policy.lot * policy.seconds_per_token)
        if not lot and row.tokens_milli < MILLI:  # nobody need ask again before there is one
            local.refused_until = now + (MILLI - row.tokens_milli) / MILLI * policy.seconds_per_token

    async def _ask(
        self, tx: Tx, names: dict[bytes, Name], counts: Counter[Name], policies: dict[Name, Policy]
    ) -> list[_Row]:
        keys = sorted(names)  # everybody locks in the same order
        wanted = [(counts[names[key]], policies[names[key]]) for key in keys]
        columns: tuple[list[Any], ...] = (
            keys,
            [policy.quota * MILLI for _, policy in wanted],
            [policy.window_s * MILLI for _, policy in wanted],
            [min(count + policy.lot - 1, policy.quota) for count, policy in wanted],
        )
        return await db.rows(
            tx,
            _Row,  # a bucket's time goes on only as far as it was filled for, so that short steps add up
            """with wanted as (
              select w.key, w.capacity, w.window_ms, w.tokens, coalesce(%s::timestamptz, clock_timestamp()) as at
              from unnest(%s::bytea[], %s::bigint[], %s::bigint[], %s::int[]) as w (key, capacity, window_ms, tokens))
            insert into infra.rate_buckets as b (key, tokens_milli, granted, at)
            select key, capacity - tokens * 1000, tokens, at from wanted order by key
            on conflict (key) do update set (tokens_milli, granted, at) = (
              select r.tokens - r.granted * 1000, r.granted, case when b.tokens_milli + g.gained >= w.capacity then w.at
                else b.at + (g.gained * w.window_ms)::float8 / w.capacity * interval '1 millisecond' end
              from wanted w
              cross join lateral (select
                w.capacity * greatest(0, (extract(epoch from w.at - b.at) * 1000)::bigint) / w.window_ms as gained) g
              cross join lateral (select least(w.capacity, b.tokens_milli + g.gained) as tokens) f
              cross join lateral (select f.tokens, least(w.tokens, f.tokens / 1000)::int as granted) r
              where w.key = excluded.key)
            returning key, tokens_milli, granted""",
            self._now(),
            *columns,
        )


async def prune(tx: Tx, *, rows_max: int) -> int:
    """Forget buckets that nobody has touched for a day: they are full again. Returns how many they were."""
    return await db.run(
        tx,
        """delete from infra.rate_buckets where key in (
          select key from infra.rate_buckets where at < clock_timestamp() - interval '1 day' limit %s)""",
        rows_max,
    )
