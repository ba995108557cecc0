"""Players who go on from the second capture: who wagers when, who joins, who takes another name.

What a player does on a day comes from a stream of its own, so that the state at an instant depends on the seed and on
what was ordered, never on when somebody looked.
"""

import hashlib
import json
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from palio.sim.chance import Stream
from palio.sim.refusals import SimRefusal

MICRO_PER_UNIT = 1_000_000
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
TODAY_ROLLS_AT = timedelta(hours=7)
MONTH_IS_READ_EVERY = timedelta(hours=72)
CLASSES = (0.92, 0.05, 0.02, 0.01)  # silent, small, regular, heavy
SESSIONS_PER_DAY = (0.0, 3.0, 8.0, 14.0)
UNITS_OF_SESSION = ((0, 0), (2, 30), (20, 200), (50, 400))
PARETO_SHAPE, PARETO_TIMES_MAX = 1.3, 60  # the tail of the heavy ones
HOURS = (4, 3, 2, 1, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 6, 7, 7, 8, 9, 10, 10, 9, 8, 6)  # when people play, in UTC
JITTER_SHARE, JITTER_MICRO_MAX = 0.03, 100_000  # the week's column of a few players is a little off
UID_CHARACTERS = 20
UNITS_OF_PULSE = (0.1, 6.0)
FIRST_WORDS = (
    *("calm", "cold", "dark", "fair", "fast", "free", "gold", "gray", "high", "keen", "kind", "late", "lone"),
    *("loud", "mint", "neat", "pale", "pink", "red", "shy", "slow", "sly", "tall", "warm", "wild", "wise"),
)
SECOND_WORDS = (
    *("ace", "bat", "bear", "bee", "boar", "bull", "cat", "crow", "deer", "dove", "duck", "elk", "fox", "frog", "gull"),
    *("hare", "hawk", "jay", "lark", "lion", "lynx", "mole", "moth", "newt", "owl", "pike", "puma", "ram", "seal"),
    *("swan", "toad", "wasp", "wolf", "wren"),
)
CROWD_UNITS_MAX = 50_000  # what one of the invented many has wagered before


def nickname(uid: str) -> str:
    """What a player with this uid would call himself: always the same."""
    drawn = hashlib.sha256(uid.encode()).digest()
    first, second = FIRST_WORDS[drawn[0] % len(FIRST_WORDS)], SECOND_WORDS[drawn[1] % len(SECOND_WORDS)]
    number = int.from_bytes(drawn[2:4]) % 90 + 10
    spelt = f"{first}{second}{number}", f"{first.title()}{second.title()}{number}", f"{first}_{second}{number % 10}"
    return spelt[drawn[4] % len(spelt)]


class Numbers(NamedTuple):
    """The columns of a row, as the feed names them."""

    today: float
    this_week: float
    this_month: float
    all_time: float


class Row(NamedTuple):
    """One player as the list shows him; `text` is the same as JSON, indented as the captures are."""

    uid: str
    name: str
    wagered: Numbers
    text: str

    def members(self) -> dict[str, object]:
        """The row as an object."""
        return {"uid": self.uid, "name": self.name, "wagered": self.wagered._asdict()}


def row(uid: str, name: str, wagered: Numbers) -> Row:
    """A row with its text: written by hand, since a hundred thousand of them are to be ready in a second."""
    today, week, month, all_time = wagered
    text = (
        f'  {{\n   "uid": {quoted(uid)},\n   "name": {quoted(name)},\n   "wagered": {{\n    "today": {today!r},\n'
        f'    "this_week": {week!r},\n    "this_month": {month!r},\n    "all_time": {all_time!r}\n   }}\n  }}'
    )
    return Row(uid, name, wagered, text)


@dataclass(frozen=True, slots=True, order=True)
class Play:
    """One wager, or with `is_correction` an amount taken from the counter alone."""

    at: datetime
    micro: int
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class Pulse:
    """From an instant on somebody wagers a little every so many seconds, so that whoever looks sees the list move."""

    since: datetime
    every_s: int = 10


@dataclass(slots=True)
class Player:
    """Somebody in the list, with what he had when growth began; `listed_from` is when he joined."""

    uid: str
    name: str
    rate: int
    opening: dict[str, float] = field(default_factory=dict)
    listed_from: datetime | None = None
    plays: list[Play] = field(default_factory=list)
    names: list[tuple[datetime, str]] = field(default_factory=list)


class Growth:
    """The list of players from `start` on. `pace` makes sessions more frequent and as much smaller.

    `players` is how many there are at the start, if that is more than the capture has. A row is worked out again only
    when something came to it, or a column rolled.
    """

    def __init__(
        self,
        capture: bytes,
        *,
        seed: int,
        start: datetime,
        pace: float = 1,
        players: int = 0,
        pulse: Pulse | None = None,
    ) -> None:
        self._seed, self._start, self._pace, self._pulse = seed, start, pace, pulse
        self._grown_until = start.replace(hour=0, minute=0, second=0, microsecond=0)
        self._players = {player.uid: player for player in map(self._known, json.loads(capture)["data"])}
        for number in range(len(self._players), players):
            player = self._invented(number)
            self._players[player.uid] = player
        self._moving = {uid for uid, player in self._players.items() if any(_columns_that_roll(player.opening))}
        self._rows: dict[str, Row] = {}
        self._coming: list[tuple[datetime, str]] = []  # when whose row changes
        self._rolled: tuple[datetime, ...] = ()
        if players:
            self.rows(start)  # the first list of very many takes longest: better before anybody asks

    def _known(self, listed: dict[str, object]) -> Player:
        wagered = listed["wagered"]
        opening = dict(wagered) if isinstance(wagered, dict) else {}
        uid = str(listed["uid"])
        return Player(uid, str(listed["name"]), self._rate_of(uid) if opening["all_time"] else 0, opening)

    def _invented(self, number: int) -> Player:
        drawn = hashlib.sha256(f"{self._seed}|feed|crowd|{number}".encode())
        micro = int.from_bytes(drawn.digest()[-8:]) % (CROWD_UNITS_MAX * MICRO_PER_UNIT) if number % 2 else 0
        uid = drawn.hexdigest()[:UID_CHARACTERS]
        rate = self._rate_of(uid) if micro else 0
        return Player(uid, nickname(uid), rate, {"all_time": noisy(micro)})

    def _rate_of(self, uid: str) -> int:
        return Stream(self._seed, f"feed|class|{uid}").weighted(CLASSES)

    # what is ordered

    def player(self, uid: str) -> Player:
        """The player of this uid. Refuses one that does not exist."""
        if uid not in self._players:
            raise SimRefusal(f"there is no player {uid}")
        return self._players[uid]

    def play(self, uid: str, micro: int, *, at: datetime) -> None:
        """A wager of exactly so much; less than nothing corrects the counter."""
        self._have_play(self.player(uid), Play(max(at, self._start), micro, micro < 0))

    def rename(self, uid: str, name: str, *, at: datetime) -> None:
        """Another name from now on."""
        self._have_renamed(self.player(uid), name, at)

    def appear(self, uid: str, name: str, *, at: datetime) -> None:
        """Somebody new, who has wagered nothing yet."""
        self._grow(at)
        self._join(uid, name, at)

    def gained(self, since: datetime, until: datetime) -> dict[str, int]:
        """By how many millionths the counter of each player rose between two instants, if it did."""
        self._grow(until)
        sums = {
            uid: sum(play.micro for play in player.plays if since < play.at <= until)
            for uid, player in self._players.items()
            if player.plays
        }
        return {uid: micro for uid, micro in sums.items() if micro > 0}

    def _have_play(self, player: Player, play: Play) -> None:
        insort(player.plays, play)
        self._moving.add(player.uid)
        heappush(self._coming, (play.at, player.uid))

    def _have_renamed(self, player: Player, name: str, at: datetime) -> None:
        insort(player.names, (at, name))
        heappush(self._coming, (at, player.uid))

    def _join(self, uid: str, name: str, at: datetime) -> None:
        if uid not in self._players:
            self._players[uid] = Player(uid, name, self._rate_of(uid), listed_from=at)
            heappush(self._coming, (at, uid))

    # what follows from it

    def rows(self, now: datetime) -> list[Row]:
        """The list as it is now, in the order in which players came."""
        self._grow(now)
        for uid in self._changed(now):
            player = self._players[uid]
            if player.listed_from is None or player.listed_from <= now:
                self._rows[uid] = self._row(player, now)
        return [self._rows[uid] for uid in self._players if uid in self._rows]

    def _changed(self, now: datetime) -> set[str]:
        """Whose row may be another than when somebody looked last: everybody's when a column rolled."""
        rolled = (_day_of(now), _week_of(now), self._read_at(now))
        have_rolled, self._rolled = rolled != self._rolled, rolled
        changed = set() if not have_rolled else set(self._moving) if self._rows else set(self._players)
        while self._coming and self._coming[0][0] <= now:
            changed.add(heappop(self._coming)[1])
        return changed

    def _read_at(self, now: datetime) -> datetime:
        """When the column of the month was read last."""
        return self._start + (now - self._start) // MONTH_IS_READ_EVERY * MONTH_IS_READ_EVERY

    def _grow(self, now: datetime) -> None:
        """Decide day by day what happens, up to the day that is on."""
        while self._grown_until <= now:
            day, self._grown_until = self._grown_until, self._grown_until + DAY
            self._have_somebody_renamed(day)
            self._have_somebody_join(day)
            for player in self._players.values():
                for play in self._sessions(player, day):
                    self._have_play(player, play)
            for player, play in self._beats(day):
                self._have_play(player, play)

    def _sessions(self, player: Player, day: datetime) -> Iterator[Play]:
        if not player.rate:
            return
        chance = Stream(self._seed, f"feed|plays|{player.uid}|{day:%Y-%m-%d}")
        low, high = UNITS_OF_SESSION[player.rate]
        for _ in range(chance.poisson(SESSIONS_PER_DAY[player.rate] * self._pace)):
            at = day + timedelta(hours=chance.weighted(HOURS) + chance.fraction())
            units = low + (high - low) * chance.fraction()
            if player.rate == len(CLASSES) - 1:
                units *= min(PARETO_TIMES_MAX, (1 - chance.fraction()) ** (-1 / PARETO_SHAPE))
            if at > max(self._start, player.listed_from or self._start):
                yield Play(at, max(1, round(units / self._pace * MICRO_PER_UNIT)))

    def _beats(self, day: datetime) -> Iterator[tuple[Player, Play]]:
        """The wagers of the pulse: each in its own stretch of time, mostly by the same few who had wagered before."""
        if self._pulse is None or day + DAY <= self._pulse.since:
            return
        players = [player for player in self._players.values() if player.opening.get("all_time")]
        chance, every = Stream(self._seed, f"feed|pulse|{day:%Y-%m-%d}"), timedelta(seconds=self._pulse.every_s)
        low, high = UNITS_OF_PULSE
        for number in range(DAY // every):
            at = day + (number + chance.fraction()) * every
            player = players[int(chance.fraction() ** 2 * len(players))]
            units = low + (high - low) * chance.fraction() ** 2
            if at > max(self._start, self._pulse.since):
                yield player, Play(at, round(units * MICRO_PER_UNIT))

    def _have_somebody_join(self, day: datetime) -> None:
        chance = Stream(self._seed, f"feed|joins|{day:%Y-%m-%d}")
        for _ in range(1 + chance.below(3)):
            uid, at = chance.word(UID_CHARACTERS), day + DAY * chance.fraction()
            if at > self._start:
                self._join(uid, nickname(uid), at)

    def _have_somebody_renamed(self, day: datetime) -> None:
        if day.weekday():
            return
        chance = Stream(self._seed, f"feed|renames|{day:%Y-%m-%d}")
        player = [*self._players.values()][chance.below(len(self._players))]
        at = day + WEEK * chance.fraction()
        self._have_renamed(player, f"{player.name}_{chance.word(2).lower()}", at)

    def _row(self, player: Player, now: datetime) -> Row:
        names = [name for at, name in player.names if at <= now] if player.names else []
        name = names[-1] if names else player.name
        if player.uid not in self._moving:
            return row(player.uid, name, Numbers(0, 0, 0, player.opening.get("all_time", 0)))
        week, read = _week_of(now), self._read_at(now)
        jitter = self._jitter(player, week) if _sum(player, week, now) else 0
        wagered = Numbers(
            self._column(player, "today", _day_of(now), now),
            self._column(player, "this_week", week, now, jitter),
            self._column(player, "this_month", _month_of(read), read),
            self._column(player, "all_time", None, now),
        )
        return row(player.uid, name, wagered)

    def _jitter(self, player: Player, week: datetime) -> int:
        chance = Stream(self._seed, f"feed|jitter|{player.uid}|{week:%Y-%m-%d}")
        return chance.below(JITTER_MICRO_MAX) if chance.fraction() < JITTER_SHARE else 0

    def _column(self, player: Player, name: str, since: datetime | None, until: datetime, more: int = 0) -> float:
        """A number of the list: the one of the capture as long as nothing came, else one with a computer's noise."""
        opening = player.opening.get(name, 0) if since is None or since <= self._start else 0
        added = _sum(player, since, until) + more
        return noisy(micro_of(opening) + added) if added else opening


def _columns_that_roll(opening: dict[str, float]) -> tuple[float, ...]:
    return tuple(opening.get(column, 0) for column in Numbers._fields[:-1])


def micro_of(value: float) -> int:
    """A number of the capture in millionths, half to even."""
    return int((Decimal(str(value)) * MICRO_PER_UNIT).quantize(Decimal(1)))


def noisy(micro: int) -> float:
    """Nothing is the integer 0; all else a double with the noise of earlier sums, as real feeds send it."""
    return (micro / MICRO_PER_UNIT + 0.1) - 0.1 if micro else 0


def _sum(player: Player, since: datetime | None, until: datetime) -> int:
    """What came between two instants; what is corrected is missing from the counter alone."""
    return sum(
        play.micro
        for play in player.plays
        if play.at <= until and (since is None or (play.at >= since and not play.is_correction))
    )


def _day_of(now: datetime) -> datetime:
    return (now - TODAY_ROLLS_AT).replace(hour=0, minute=0, second=0, microsecond=0) + TODAY_ROLLS_AT


def _week_of(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - now.weekday() * DAY


def _month_of(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
