"""The affiliate feed: the two captures as they came, and then the same players going on with their lives.

It has the habits of the real one: one answer lists everybody, unsorted, without a time; zeros are integers and all else
doubles with noise; `today` rolls at 07:00 UTC, `this_week` on Mondays, `this_month` is read every three days only.
"""

import hmac
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from palio.sim.growth import MICRO_PER_UNIT, Growth, Numbers, Pulse, Row, row
from palio.sim.refusals import SimRefusal
from palio.sim.wire import Reply, Request, as_json

DATA = Path(__file__).parent / "data"
PATH = "/feed/user/affiliate/referral-leaderboard/"
FIRST, SECOND = timedelta(hours=12, minutes=7), timedelta(minutes=15)  # how long each capture is shown
REPLAY = FIRST + SECOND
SHAPES = ("flat", "array", "results", "users", "single", "string", "grouped", "paged")
COLUMNS = Numbers._fields
ROWS_OF_PAGE = 100


@dataclass(frozen=True, slots=True)
class Order:
    """An act that was ordered, and when: all that makes this feed another than its seed makes it."""

    at: datetime
    act: str
    members: Mapping[str, object] = field(default_factory=dict)


class Feed:
    """One feed of one world; its acts are the control calls of the same names, and `orders` keeps what was ordered."""

    def __init__(
        self,
        *,
        seed: int,
        start: datetime,
        now: Callable[[], datetime],
        token: str | None,
        pace: float = 1,
        players: int = 0,
        pulse: Pulse | None = None,
    ) -> None:
        self._start, self._clock, self._token = start, now, token
        self._captures = [(DATA / f"affiliate_snapshot_{name}.json").read_bytes() for name in ("T1", "T2")]
        self._growth = Growth(
            self._captures[1], seed=seed, start=start + REPLAY, pace=pace, players=players, pulse=pulse
        )
        self.orders: list[Order] = []
        self._ordered_at: datetime | None = None
        self._vanished: set[str] = set()
        self._share, self._shape = 1.0, "flat"
        self._variant: str | None = None
        self._outage_until: datetime | None = None
        self._frozen: dict[str, dict[str, float]] = {}

    def _now(self) -> datetime:
        return self._ordered_at or self._clock()

    def answer(self, request: Request, *, skew: timedelta = timedelta()) -> Reply:
        """What the provider would answer; its clock may go wrong by `skew`."""
        if request.method != "GET" or not request.path.removeprefix(PATH) or not request.path.startswith(PATH):
            return as_json({"success": False, "message": "Not Found"}, 404)
        if not self.is_known(request):
            return as_json({"success": False, "message": "Unauthorized"}, 401)
        if self._outage_until and self._now() < self._outage_until:
            return as_json({"success": False, "message": "Internal Server Error"}, 500)
        if self._variant:
            return _variant(self._variant)
        page = request.query.get("page", "1")
        return self._list(int(page) if page.isascii() and page.isdecimal() else 1, self._now() + skew)

    def is_known(self, request: Request) -> bool:
        """Does the request bear the key, if there is one?"""
        return not self._token or hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {self._token}".encode()
        )

    def _list(self, page: int, said_at: datetime) -> Reply:
        age = self._now() - self._start
        if age < REPLAY and not (self._vanished or self._frozen or self._share < 1 or self._shape != "flat"):
            return Reply(body=self._captures[0 if age < FIRST else 1])
        rows = self._rows()
        if self._shape == "flat":
            return Reply(body=_flat(rows))
        return Reply(body=json.dumps(self._shaped(rows, page, said_at), indent=1, ensure_ascii=False).encode())

    def _rows(self) -> list[Row]:
        age = self._now() - self._start
        rows = self._growth.rows(self._now()) if age >= REPLAY else _captured(self._captures[0 if age < FIRST else 1])
        for column, values in self._frozen.items():
            rows = [row(one.uid, one.name, one.wagered._replace(**{column: values.get(one.uid, 0)})) for one in rows]
        listed = [one for one in rows if one.uid not in self._vanished] if self._vanished else rows
        return listed[: math.ceil(len(listed) * self._share)]

    def _shaped(self, rows: Sequence[Row], page: int, said_at: datetime) -> object:
        objects = [one.members() for one in rows]
        whole = {"success": True, "data": objects, "today": _total(rows, 0), "this_week": _total(rows, 1)}
        match self._shape:
            case "array":
                return objects
            case "results" | "users":
                return {self._shape: objects}
            case "single":
                return objects[0] if rows else {}
            case "string":
                return json.dumps(whole)
            case "grouped":
                about = {"totalUsers": len(rows), "lastUpdated": said_at.isoformat()}
                return {"status": "success", "metadata": about, "data": {"monthly": {"data": objects}}}
            case _:  # paged
                pages = math.ceil(len(rows) / ROWS_OF_PAGE)
                about = {"totalUsers": len(rows), "totalPages": pages, "page": page}
                shown = objects[(page - 1) * ROWS_OF_PAGE : page * ROWS_OF_PAGE]
                return {"success": True, "metadata": about, "data": shown}

    # what is ordered

    def play(self, uid: str, amount: str) -> None:
        """A wager of exactly this amount, like `12.34`; before the second capture is over it counts from its end."""
        self._growth.play(uid, _micro(amount), at=self._now())

    def correct(self, uid: str, amount: str) -> None:
        """The counter falls by this amount."""
        self._growth.play(uid, -_micro(amount), at=self._now())

    def level(self, place: int, since: str) -> None:
        """Whoever is behind a place wagers what he lacks of it, counted from an instant: now two share it."""
        gained = self._growth.gained(_instant(since), self._now())
        ranked = sorted(gained, key=lambda uid: (-gained[uid], uid))
        if not 0 < place < len(ranked):
            raise SimRefusal(f"{len(ranked)} players have wagered since {since}")
        before, behind = ranked[place - 1 : place + 1]
        if lacking := gained[before] - gained[behind]:
            self._growth.play(behind, lacking, at=self._now())

    def rename(self, uid: str, name: str) -> None:
        """The player has another name."""
        self._growth.rename(uid, name, at=self._now())

    def vanish(self, uid: str) -> None:
        """The list is without this player."""
        self._vanished.add(self._growth.player(uid).uid)

    def appear(self, uid: str, name: str = "newcomer") -> None:
        """A player who vanished is back, or somebody joins."""
        self._vanished.discard(uid)
        self._growth.appear(uid, name, at=self._now())

    def shape(self, name: str) -> None:
        """The list comes in another form."""
        if name not in SHAPES:
            raise SimRefusal(f"there is no shape {name}: {', '.join(SHAPES)}")
        self._shape = name

    def variant(self, id: str | None = None) -> None:  # noqa: A002 - as the control call names it
        """A body of the collection of odd ones instead of the list; none: the list again."""
        if id is not None:
            _variant(id)
        self._variant = id

    def outage(self, until: str | datetime | None = None) -> None:
        """Every answer is a 500 until that instant; none: it is over."""
        self._outage_until = _instant(until) if isinstance(until, str) else until

    def shrink(self, share: float) -> None:
        """Only the first part of the list is there; 1: all of it again."""
        if not 0 <= share <= 1:
            raise SimRefusal("a share lies in 0-1")
        self._share = share

    def freeze(self, column: str | None = None) -> None:
        """A column stands still from now on, as real ones do for days; none: all of them move again."""
        if column is None:
            self._frozen.clear()
        elif column in COLUMNS:
            self._frozen[column] = {one.uid: getattr(one.wagered, column) for one in self._growth.rows(self._now())}
        else:
            raise SimRefusal(f"there is no column {column}: {', '.join(COLUMNS)}")

    def control(self, act: str, members: Mapping[str, object]) -> None:
        """Carry out a control call. Refuses what does not exist, naming what does."""
        acts: dict[str, Callable[..., None]] = {
            one.__name__: one
            for one in (
                *(self.play, self.correct, self.level, self.rename, self.vanish, self.appear),
                *(self.shape, self.variant, self.freeze, self.outage, self.shrink),
            )
        }
        if act not in acts:
            raise SimRefusal(f"there is no act {act}: {', '.join(sorted(acts))}")
        try:
            acts[act](**members)
        except TypeError as failure:  # names it does not have, or a value of another kind
            raise SimRefusal(str(failure).partition(".")[2] or str(failure)) from None
        self.orders.append(Order(self._now(), act, dict(members)))

    def repeat(self, orders: Sequence[Order]) -> None:
        """Have everything ordered again as it once was, each at its own time."""
        for order in orders:
            self._ordered_at = order.at
            self.control(order.act, order.members)
        self._ordered_at = None

    def state(self) -> dict[str, object]:
        """What would be told now."""
        rows = self._rows()
        return {
            "players": len(rows),
            "shape": self._shape,
            "variant": self._variant,
            "outage_until": self._outage_until,
            "share": self._share,
            "frozen": sorted(self._frozen),
            "vanished": sorted(self._vanished),
            "all_time": _total(rows, 3),
        }


def _captured(body: bytes) -> list[Row]:
    return [row(one["uid"], one["name"], Numbers(**one["wagered"])) for one in json.loads(body)["data"]]


def _flat(rows: Sequence[Row]) -> bytes:
    """The list as the captures have it, put together from the texts of its rows."""
    listed = "[\n" + ",\n".join([one.text for one in rows]) + "\n ]" if rows else "[]"
    totals = f'"today": {_total(rows, 0)!r},\n "this_week": {_total(rows, 1)!r}'
    return f'{{\n "success": true,\n "data": {listed},\n {totals}\n}}'.encode()


def _total(rows: Sequence[Row], column: int) -> float:
    total: float = sum(one.wagered[column] for one in rows)
    return total


def _instant(text: str) -> datetime:
    """An instant as programs write it. Refuses what is none, and one that could lie anywhere."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise SimRefusal("an instant is written like 2026-03-20T12:00:00Z") from None
    if at.tzinfo is None:
        raise SimRefusal("an instant needs its offset, like 2026-03-20T12:00:00Z")
    return at


def _micro(amount: object) -> int:
    """An amount as people write it, exactly. Refuses what is none."""
    whole, _, part = str(amount).partition(".")
    digits = whole + part.ljust(6, "0")
    if not (whole and digits.isascii() and digits.isdecimal() and len(part) <= 6):  # noqa: PLR2004 - millionths
        raise SimRefusal("an amount is written like 12.34, with at most six decimals")
    return int(whole) * MICRO_PER_UNIT + int(part.ljust(6, "0"))


@cache
def _variants() -> dict[str, dict[str, object]]:
    found = json.loads((DATA / "affiliate_payload_variants.json").read_bytes())["variants"]
    return {one["id"]: one for one in found}


def _variant(name: str) -> Reply:
    variants = _variants()
    if name not in variants:
        raise SimRefusal(f"there is no variant {name}: {', '.join(variants)}")
    raw = variants[name].get("raw")
    body = raw if isinstance(raw, str) else json.dumps(variants[name]["body"], ensure_ascii=False)
    is_page = body.startswith("<")
    return Reply(body=body.encode(), headers={"Content-Type": "text/html" if is_page else "application/json"})
