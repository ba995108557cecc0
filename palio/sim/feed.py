"""The affiliate feed: the two captures as they came, and then the same players going on with their lives.

It has the habits of the real one: one answer lists everybody, unsorted, without a time; zeros are integers and all else
doubles with noise; `today` rolls at 07:00 UTC, `this_week` on Mondays, `this_month` is read every three days only.
"""

import gzip
import hmac
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from palio.sim.growth import MICRO_PER_UNIT, Growth, Row
from palio.sim.refusals import SimRefusal
from palio.sim.wire import Reply, Request, as_json

DATA = Path(__file__).parent / "data"
PATH = "/feed/user/affiliate/referral-leaderboard/"
FIRST, SECOND = timedelta(hours=12, minutes=7), timedelta(minutes=15)  # how long each capture is shown
REPLAY = FIRST + SECOND
SHAPES = ("flat", "array", "results", "users", "single", "string", "grouped", "paged")
COLUMNS = ("today", "this_week", "this_month", "all_time")
ROWS_OF_PAGE = 100


class Feed:
    """One feed of one world; its acts are the control calls of the same names, and return what they changed."""

    def __init__(
        self, *, seed: int, start: datetime, now: Callable[[], datetime], token: str | None, pace: float = 1
    ) -> None:
        self._start, self._now, self._token = start, now, token
        self._captures = [(DATA / f"affiliate_snapshot_{name}.json").read_bytes() for name in ("T1", "T2")]
        self._growth = Growth(self._captures[1], seed=seed, start=start + REPLAY, pace=pace)
        self._vanished: set[str] = set()
        self._share, self._shape = 1.0, "flat"
        self._variant: str | None = None
        self._outage_until: datetime | None = None
        self._frozen: dict[str, datetime] = {}

    def answer(self, request: Request) -> Reply:
        """What the provider would answer."""
        if request.method != "GET" or not request.path.removeprefix(PATH) or not request.path.startswith(PATH):
            return as_json({"success": False, "message": "Not Found"}, 404)
        if not self.is_known(request):
            return as_json({"success": False, "message": "Unauthorized"}, 401)
        if self._outage_until and self._now() < self._outage_until:
            return as_json({"success": False, "message": "Internal Server Error"}, 500)
        page = request.query.get("page", "1")
        reply = self._body(int(page) if page.isascii() and page.isdecimal() else 1)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return reply
        packed = {**reply.headers, "Content-Encoding": "gzip"}
        return Reply(reply.status, gzip.compress(reply.body, 1, mtime=0), packed)

    def is_known(self, request: Request) -> bool:
        """Does the request bear the key, if there is one?"""
        return not self._token or hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {self._token}".encode()
        )

    def _body(self, page: int) -> Reply:
        if self._variant:
            return _variant(self._variant)
        age = self._now() - self._start
        if age < REPLAY and self._is_untouched():
            return Reply(body=self._captures[0 if age < FIRST else 1])
        return Reply(body=json.dumps(self._shaped(self._rows(), page), indent=1, ensure_ascii=False).encode())

    def _is_untouched(self) -> bool:
        return not self._vanished and not self._frozen and self._share == 1 and self._shape == "flat"

    def _rows(self) -> list[Row]:
        age = self._now() - self._start
        rows: list[Row] = (
            self._growth.rows(self._now())
            if age >= REPLAY
            else json.loads(self._captures[0 if age < FIRST else 1])["data"]
        )
        for column, since in self._frozen.items():
            rows = _with_column_of(rows, self._growth.rows(since), column)
        listed = [row for row in rows if row["uid"] not in self._vanished]
        return listed[: math.ceil(len(listed) * self._share)]

    def _shaped(self, rows: Sequence[Row], page: int) -> object:
        whole = {"success": True, "data": rows, "today": _total(rows, "today"), "this_week": _total(rows, "this_week")}
        match self._shape:
            case "array":
                return rows
            case "results" | "users":
                return {self._shape: rows}
            case "single":
                return rows[0] if rows else {}
            case "string":
                return json.dumps(whole)
            case "grouped":
                about = {"totalUsers": len(rows), "lastUpdated": self._now().isoformat()}
                return {"status": "success", "metadata": about, "data": {"monthly": {"data": rows}}}
            case "paged":
                about = {"totalUsers": len(rows), "totalPages": math.ceil(len(rows) / ROWS_OF_PAGE)}
                shown = rows[(page - 1) * ROWS_OF_PAGE : page * ROWS_OF_PAGE]
                return {**whole, "data": shown, "metadata": about}
            case _:
                return whole

    # what is ordered

    def play(self, uid: str, amount: str) -> None:
        """A wager of exactly this amount, like `12.34`; before the second capture is over it counts from its end."""
        self._growth.play(uid, _micro(amount), at=self._now())

    def correct(self, uid: str, amount: str) -> None:
        """The counter falls by this amount."""
        self._growth.play(uid, -_micro(amount), at=self._now())

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
        try:
            self._outage_until = datetime.fromisoformat(until) if isinstance(until, str) else until
        except ValueError:
            raise SimRefusal("until is an instant like 2026-03-20T12:00:00Z") from None
        if self._outage_until and self._outage_until.tzinfo is None:
            raise SimRefusal("until needs its offset, like 2026-03-20T12:00:00Z")

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
            self._frozen[column] = self._now()
        else:
            raise SimRefusal(f"there is no column {column}: {', '.join(COLUMNS)}")

    def control(self, act: str, members: Mapping[str, object]) -> None:
        """Carry out a control call. Refuses what does not exist, naming what does."""
        acts: dict[str, Callable[..., None]] = {
            one.__name__: one
            for one in (
                *(self.play, self.correct, self.rename, self.vanish, self.appear),
                *(self.shape, self.variant, self.freeze, self.outage, self.shrink),
            )
        }
        if act not in acts:
            raise SimRefusal(f"there is no act {act}: {', '.join(sorted(acts))}")
        try:
            acts[act](**members)
        except TypeError as failure:  # names it does not have, or a value of another kind
            raise SimRefusal(str(failure).partition(".")[2] or str(failure)) from None

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
            "all_time": _total(rows, "all_time"),
        }


def _total(rows: Sequence[Row], column: str) -> float:
    total: float = sum(row["wagered"][column] for row in rows if isinstance(row["wagered"], dict))
    return total


def _with_column_of(rows: Sequence[Row], earlier: Sequence[Row], column: str) -> list[Row]:
    """The rows with one column as it was; who was not there then has nothing in it."""
    then = {row["uid"]: row["wagered"][column] for row in earlier if isinstance(row["wagered"], dict)}
    return [
        {**row, "wagered": {**row["wagered"], column: then.get(row["uid"], 0)}}
        for row in rows
        if isinstance(row["wagered"], dict)
    ]


def _micro(amount: object) -> int:
    """An amount as people write it, exactly. Refuses what is none."""
    whole, _, part = str(amount).partition(".")
    digits = whole + part.ljust(6, "0")
    if not (whole and digits.isascii() and digits.isdecimal() and len(part) <= 6):  # noqa: PLR2004 - millionths
        raise SimRefusal("an amount is written like 12.34, with at most six decimals")
    return int(whole) * MICRO_PER_UNIT + int(part.ljust(6, "0"))


def _variant(name: str) -> Reply:
    found = json.loads((DATA / "affiliate_payload_variants.json").read_bytes())["variants"]
    variants = {one["id"]: one for one in found}
    if name not in variants:
        raise SimRefusal(f"there is no variant {name}: {', '.join(variants)}")
    raw = variants[name].get("raw")
    body = raw if raw is not None else json.dumps(variants[name]["body"], ensure_ascii=False)
    is_page = body.startswith("<")
    return Reply(body=body.encode(), headers={"Content-Type": "text/html" if is_page else "application/json"})
