"""Numbers, money and time as people of one language read them (CLDR, by Babel); templates reach them by macros."""

from copy import copy
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from gettext import NullTranslations

from babel import Locale
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.numbers import format_decimal, format_percent, get_currency_symbol

from palio.ui.values import Asset, decimal

MICRO_PLACES = 6
WAGER_PLACES = 2
DAY = timedelta(days=1)


class Formats:
    """What a template may write, bound to one locale and its words. Amounts are integers of the smallest unit."""

    def __init__(self, locale: Locale, words: NullTranslations | None = None) -> None:
        self._locale = locale
        self._words = words or NullTranslations()

    def money(self, amount: int, asset: Asset, *, sign: bool = False) -> str:
        """`$1,250.00`, `12 coins`, or `12.50 QC` for what has neither a sign nor a word."""
        named = self._named(abs(amount), asset)
        return _signed(amount, sign) + (named or self._in(asset.code, decimal(abs(amount), asset.scale), asset.scale))

    def _named(self, amount: int, asset: Asset) -> str:
        """So much of what is counted in whole pieces that have a name; empty for everything else."""
        if (asset.code, asset.scale) != ("COIN", 0):
            return ""
        return self._words.ngettext("%(n)s coin", "%(n)s coins", amount) % {"n": self.count(amount)}

    def wager(self, micro: int, currency: str, *, at_least: bool = False, places: int = WAGER_PLACES) -> str:
        """Micro-units to the cent, or to more places.

        `at_least` rounds up, so that who wagers what is shown has wagered enough.
        """
        rounding = ROUND_CEILING if at_least else ROUND_HALF_EVEN
        return self._in(currency, decimal(micro, MICRO_PLACES).quantize(Decimal(1).scaleb(-places), rounding), places)

    def exact(self, micro: int) -> str:
        """Micro-units with all six places."""
        return format_decimal(decimal(micro, MICRO_PLACES), format="#,##0.000000", locale=self._locale)

    def count(self, n: int, *, sign: bool = False) -> str:
        """A whole number with its separators."""
        return _signed(n, sign) + format_decimal(abs(n), locale=self._locale)

    def score(self, score: int, scale: int) -> str:
        """A score of a board with its separators and so many decimals; below nothing with a minus."""
        pattern = f"#,##0.{'0' * scale}".rstrip(".")
        return _signed(score, sign=False) + format_decimal(
            decimal(abs(score), scale), format=pattern, locale=self._locale
        )

    def share(self, bps: int, *, is_column: bool = False) -> str:
        """Basis points as percent: 1250 is `12.5%`, or `12.50%` where one stands below the other."""
        return format_percent(decimal(bps, 4), format="#,##0.00%" if is_column else "#,##0.##%", locale=self._locale)

    def when(self, at: datetime, now: datetime) -> str:
        """How long ago, or until, within a day; else the day and the time."""
        if abs(now - at) < DAY:
            return format_timedelta(at - now, add_direction=True, locale=self._locale)
        return self.moment(at)

    def moment(self, at: datetime) -> str:
        """Day and time, in UTC: `Mar 20, 2026, 14:05`."""
        return self._joined("yMMMd", at)

    def weekday(self, at: datetime) -> str:
        """The same for times near by, with the day of the week in place of the year."""
        return self._joined("MMMEd", at)

    def left(self, span: timedelta, day: str) -> str:
        """What a countdown shows, to the second: `2 d 09:54:38`."""
        minutes, seconds = divmod(max(0, int(span.total_seconds())), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return (f"{days} {day} " if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"

    def clock(self, at: datetime) -> str:
        """Hour and minute, in UTC."""
        return format_skeleton("Hm", at.astimezone(UTC), locale=self._locale)

    def day(self, on: date) -> str:
        """A date: `Mar 20, 2026`."""
        return format_skeleton("yMMMd", on, locale=self._locale)

    def short_day(self, on: date) -> str:
        """A date of a year that is known: `Mar 20`."""
        return format_skeleton("MMMd", on, locale=self._locale)

    def weekday_name(self, on: date) -> str:
        """The day of the week of a date, short: `Mon`."""
        return format_date(on, "ccc", locale=self._locale)

    def month(self, n: int) -> str:
        """The name of a month, 1 to 12, standing alone."""
        return str(self._locale.months["stand-alone"]["wide"][n])

    def _joined(self, skeleton: str, at: datetime) -> str:
        day = format_skeleton(skeleton, at.astimezone(UTC), locale=self._locale)
        return str(self._locale.datetime_formats["medium"]).replace("{0}", self.clock(at)).replace("{1}", day)

    def _in(self, code: str, amount: Decimal, places: int) -> str:
        if get_currency_symbol(code, self._locale) == code:
            pattern = f"#,##0.{'0' * places}".rstrip(".")
            return f"{format_decimal(amount, format=pattern, locale=self._locale)} {code}"
        currency = copy(self._locale.currency_formats["standard"])
        currency.frac_prec = (places, places)  # the scale of the asset, whatever CLDR says of the currency
        return str(currency.apply(amount, self._locale, currency=code, currency_digits=False))


def _signed(number: int, sign: bool) -> str:
    return "\N{MINUS SIGN}" if number < 0 else "+" if sign and number else ""
