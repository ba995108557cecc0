"""Races as the page shows them, made by hand: one for each state it can be in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from palio.races.types import BoardRow, Picture, PrizePlaces, RaceLine, RaceView

NOW = datetime(2026, 3, 20, 14, 5, 22, tzinfo=UTC)
SHA = "02ba421e7f9d0c3b5a6e8f10213243546576879899aabbccddeeff0011223344"
TOTALS = [
    155_530_000,
    117_379_993,
    70_628_429,
    38_729_807,
    25_000_000,
    12_506_379,
    12_506_378,
    9_700_000,
    8_100_000,
    7_000_000,
    6_594_500,
    5_000_000,
    1_000_000,
]
SHARES = [25_000, 7_500, 5_000, 2_500, 2_500, 1_875, 1_875, 1_250, 1_250, 1_250]
START = Picture(UUID(int=1), 11, NOW - timedelta(days=4), NOW - timedelta(days=4), SHA)
FINAL = Picture(UUID(int=2), 412, NOW + timedelta(days=3), NOW + timedelta(days=3), SHA[::-1])


def row(place: int, total: int, **changes: object) -> BoardRow:
    prize = SHARES[place - 1] if place <= len(SHARES) else 0
    plain = BoardRow(place, place, 100 + place, f"pla{'*' * 3}", total, prize, is_qualified=True)
    return replace(plain, **changes)  # type: ignore[arg-type]


TRENDS = (0, 2, -1, -1, None, 1, -3, *[0] * 6)
ROWS = tuple(row(n, total, trend=trend) for n, (total, trend) in enumerate(zip(TOTALS, TRENDS, strict=True), 1))
LIVE = RaceView(
    competition_id=UUID("01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44"),
    number=38,
    title="Weekly wager race 38",
    description="",
    rules_text="",
    programme="Northwind",
    status="live",
    phase=None,
    starts_at=datetime(2026, 3, 16, tzinfo=UTC),
    ends_at=datetime(2026, 3, 23, tzinfo=UTC),
    asset="USD",
    asset_scale=2,
    pool=50_000,
    min_wager_micro=0,
    currency="USD",
    as_of=NOW - timedelta(minutes=3),
    is_stale=False,
    is_provisional=True,
    rows=ROWS,
    entrants=13,
    qualified=13,
    prizes=(*(PrizePlaces(n, n, amount) for n, amount in enumerate(SHARES[:7], 1)), PrizePlaces(8, 10, 1_250)),
    start_state="exact",
    start=START,
    final_state="waiting",
    final=None,
    gap_from=None,
    gap_to=None,
    backdated_reason=None,
    terms_sha256=SHA,
    standings_sha256=None,
    undistributed=0,
    seq=411,
    version=3,
    created_at=NOW - timedelta(days=9),
    updated_at=NOW,
    grace_s=900,
    review_h=24,
)
LONG = "The player with the very longest name of all"
NOTHING = {"rows": (), "entrants": 0, "qualified": 0}
VIEWS = {
    "live": LIVE,
    "before": replace(
        LIVE,
        number=39,
        status="upcoming",
        starts_at=NOW + timedelta(hours=5),
        as_of=None,
        start=None,
        start_state="waiting",
        is_provisional=False,
        **NOTHING,
    ),
    "waiting": replace(LIVE, number=31, start=None, start_state="waiting", as_of=None, **NOTHING),
    "late": replace(
        LIVE,
        number=32,
        start_state="late",
        gap_from=NOW - timedelta(days=5),
        gap_to=NOW - timedelta(days=4),
        backdated_reason="The programme asked for it on Tuesday.",
        is_stale=True,
    ),
    "marks": replace(
        LIVE,
        number=33,
        min_wager_micro=10_000_000,
        currency="USD",
        entrants=213,
        qualified=7,
        rules_text="House rules apply.\nNo bots.",
        rows=(
            row(1, 117_379_993, rank=1, flags=("held",), prize=16_250),
            row(2, 117_379_993, rank=1, prize=16_250, name=LONG),
            row(3, 70_628_429, flags=("stale",)),
            row(4, 38_729_807, flags=("corrected", "adjusted")),
            *ROWS[4:7],
            *(replace(one, is_qualified=False, prize=0) for one in ROWS[7:]),
        ),
    ),
    "collecting": replace(LIVE, number=34, status="settling", phase="collecting", ends_at=NOW - timedelta(minutes=4)),
    "review": replace(
        LIVE,
        number=35,
        status="settling",
        phase="review",
        ends_at=NOW - timedelta(hours=4),
        final=FINAL,
        final_state="exact",
        standings_sha256=SHA,
    ),
    "late end": replace(
        LIVE,
        number=30,
        status="settling",
        phase="review",
        ends_at=NOW - timedelta(days=2),
        final=FINAL,
        final_state="late",
        standings_sha256=SHA,
    ),
    "completed": replace(
        LIVE,
        number=36,
        status="completed",
        ends_at=NOW - timedelta(days=1),
        final=FINAL,
        final_state="exact",
        standings_sha256=SHA,
        is_provisional=False,
        undistributed=3_750,
        rows=tuple(
            replace(one, reward_status="paid" if one.place % 2 else "unclaimed") if one.prize else one for one in ROWS
        ),
    ),
    "cancelled": replace(
        LIVE,
        number=37,
        status="cancelled",
        cancel_reason="The feed of the programme ended.",
        is_provisional=False,
        **NOTHING,
    ),
    "empty": replace(LIVE, number=40, **NOTHING),
}
BY_NUMBER = {view.number: view for view in VIEWS.values()}


def line_of(view: RaceView) -> RaceLine:
    return RaceLine(**{name: getattr(view, name) for name in RaceLine.__dataclass_fields__ if hasattr(view, name)})
