"""Numbers, money and time as people read them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from babel import Locale

from palio.ui.formats import Formats
from palio.ui.values import Asset, Money, instant

EN, DE, AR = (Formats(Locale.parse(tag)) for tag in ("en", "de", "ar"))
USD, QC, COIN, KWD = Asset("USD", 2), Asset("QC", 2), Asset("COIN", 0), Asset("KWD", 3)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "asset", "text"),
    [
        (125_000, USD, "$1,250.00"),
        (-5, USD, "\N{MINUS SIGN}$0.05"),
        (9_007_199_254_740_991, USD, "$90,071,992,547,409.91"),
        (1_250, KWD, "1.250 KWD"),
        (125_000, Asset("USD", 4), "$12.5000"),
        (6_420, COIN, "6,420 coins"),
        (-1, COIN, "\N{MINUS SIGN}1 coin"),
        (0, COIN, "0 coins"),
        (12, Asset("COIN", 1), "1.2 COIN"),
        (1_824_000, QC, "18,240.00 QC"),
    ],
)
def test_money_has_the_scale_of_its_asset(amount: int, asset: Asset, text: str) -> None:
    assert EN.money(amount, asset) == text


def test_money_follows_the_language() -> None:
    assert DE.money(125_000, USD) == "1.250,00\N{NO-BREAK SPACE}$"
    assert DE.money(125_000, USD, sign=True) == "+1.250,00\N{NO-BREAK SPACE}$"
    assert "1,250.00" in AR.money(125_000, USD)


@pytest.mark.parametrize(
    ("micro", "shown", "needed"),
    [(155_530_000, "$155.53", "$155.53"), (12_506_378, "$12.51", "$12.51"), (12_501_000, "$12.50", "$12.51"),
     (1, "$0.00", "$0.01"), (0, "$0.00", "$0.00"), (117_379_993, "$117.38", "$117.38")],
)  # fmt: skip
def test_a_wager_is_shown_to_the_cent_and_what_is_missing_is_rounded_up(micro: int, shown: str, needed: str) -> None:
    assert (EN.wager(micro, "USD"), EN.wager(micro, "USD", at_least=True)) == (shown, needed)


def test_every_micro_unit_of_a_wager_can_be_seen() -> None:
    assert EN.exact(1_117_379_993) == "1,117.379993"
    assert DE.exact(1_117_379_993) == "1.117,379993"


def test_counts_and_shares() -> None:
    assert (EN.count(1_234_567), DE.count(-1_234, sign=True), EN.count(5, sign=True)) == (
        "1,234,567",
        "\N{MINUS SIGN}1.234",
        "+5",
    )
    assert (EN.share(1_250), EN.share(10_000), DE.share(375)) == ("12.5%", "100%", "3,75%")
    assert [EN.share(bps, is_column=True) for bps in (1_250, 10_000, 7)] == ["12.50%", "100.00%", "0.07%"]


def test_times_are_relative_within_a_day_and_exact_beyond() -> None:
    assert EN.when(NOON - timedelta(minutes=3), NOON) == "3 minutes ago"
    assert EN.when(NOON + timedelta(hours=5), NOON) == "in 5 hours"
    assert EN.when(NOON - timedelta(days=2), NOON) == "Mar 18, 2026, 12:00"
    assert (EN.clock(NOON), EN.weekday(NOON), EN.day(date(2026, 3, 20))) == (
        "12:00",
        "Fri, Mar 20, 12:00",
        "Mar 20, 2026",
    )
    assert DE.moment(NOON) == "20. März 2026, 12:00"


def test_a_countdown_has_days_only_while_there_are_some() -> None:
    assert EN.left(timedelta(days=2, hours=9, minutes=54, seconds=38), "d") == "2 d 09:54:38"
    assert EN.left(timedelta(seconds=59.9), "d") == "00:00:59"
    assert EN.left(timedelta(seconds=-5), "d") == "00:00:00"


def test_the_api_writes_money_and_times_in_one_way() -> None:
    assert Money.of(12_345, USD) == Money("USD", 12_345, "123.45")
    assert Money.of(-5, Asset("X", 8)).text == "-0.00000005"
    assert instant(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-03-20T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("score", "scale", "text"),
    [
        (1_234_567, 0, "1,234,567"),
        (111_105, 1, "11,110.5"),
        (-1_775, 2, "\N{MINUS SIGN}17.75"),
        (0, 2, "0.00"),
        (9_203_670_000, 6, "9,203.670000"),
        (9_000_000_000_000_000, 0, "9,000,000,000,000,000"),
    ],
)
def test_a_score_has_the_decimals_of_its_board(score: int, scale: int, text: str) -> None:
    assert EN.score(score, scale) == text
