"""Declarations of runtime settings: a module states in its `types.py` what an operator may change.

What is stored is JSON without floats. Reading it is strict: `"250"`, `250.0` and `true` are no integers.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from palio.kernel.errors import Invalid, NotFound
from palio.kernel.schedules import next_after

Value = TypeVar("Value")
Kind: TypeAlias = Literal[
    "bool", "int", "bps", "money", "duration", "time_of_day", "date", "text", "choice", "list", "schedule", "document"
]
NUMBERS: frozenset[Kind] = frozenset({"int", "bps", "money", "duration"})
WHOLE_BPS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ITEMS_MAX = 1_000
TEXT_CHARACTERS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Setting(Generic[Value]):
    """One setting; `key` is `module.name`.

    Numbers lie in `low..high` and are counted in `unit`: money in the smallest unit of its asset, durations in what the
    unit says. Texts have at most `high` characters and match `pattern` as a whole; lists have at most `high` items of
    kind `of`; a document is an object that `judge` finds nothing wrong with. `visible` ones stand on the rules page.
    """

    key: str
    kind: Kind
    default: Value
    description: str
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    of: Kind | None = None
    judge: Callable[[Mapping[str, Any]], str | None] | None = None
    sensitive: bool = False
    approval: bool = False
    product: str | None = None
    visible: bool = False


class UnknownSetting(NotFound):
    """No module declares this key."""

    code: ClassVar[str] = "setting.unknown"


class WrongType(Invalid):
    """The value is not of the setting's kind."""

    code: ClassVar[str] = "setting.wrong_type"


class OutOfRange(Invalid):
    """The number, length or count lies outside the range, which the facts name."""

    code: ClassVar[str] = "setting.out_of_range"


class NotAllowed(Invalid):
    """The value is none of the choices, does not match the pattern, or the document's judge says why not."""

    code: ClassVar[str] = "setting.not_allowed"


class Catalogue:
    """Every setting that the modules declare, by key."""

    def __init__(self, settings: Iterable[Setting[Any]]) -> None:
        self._settings: dict[str, Setting[Any]] = {}
        for setting in settings:
            if setting.key in self._settings:
                raise ValueError(f"{setting.key} is declared twice")
            self._settings[setting.key] = setting

    def __iter__(self) -> Iterator[Setting[Any]]:
        return iter(self._settings.values())

    def named(self, key: str) -> Setting[Any]:
        """The setting of a key. Refuses with UnknownSetting."""
        if key not in self._settings:
            raise UnknownSetting(key=key)
        return self._settings[key]


def read(setting: Setting[Value], stored: object) -> Value:
    """The value that stored JSON means; `null` is the default. Refuses with WrongType, OutOfRange, NotAllowed."""
    if stored is None:
        return setting.default
    value: Value = READERS[setting.kind](setting, stored)
    return value


def write(value: object) -> object:
    """A value as the JSON it is stored as: the inverse of `read`."""
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [write(item) for item in value]
    return value


def from_words(setting: Setting[Any], words: str) -> object:
    """What an operator typed, as JSON for `read`: numbers, true and false, items between commas. `default` is null.

    Refuses with WrongType.
    """
    if words == "default":
        return None
    if setting.kind == "list":
        item = _item_of(setting)
        return [from_words(item, word.strip()) for word in words.split(",") if word.strip()]
    if setting.kind == "bool":
        answer = {"true": True, "on": True, "false": False, "off": False}.get(words)
        return _must_be(setting, answer, isinstance(answer, bool))
    if setting.kind in NUMBERS:
        digits = words.replace("_", "").replace(",", "")
        return int(_must_be(setting, digits, re.fullmatch(r"-?[0-9]{1,18}", digits) is not None))
    return words


def _must_be(setting: Setting[Any], stored: Any, is_right: bool) -> Any:
    if not is_right:
        raise WrongType(key=setting.key, expected=setting.kind)
    return stored


def _in_range(setting: Setting[Any], number: int, low: int | None, high: int | None) -> None:
    if (low is not None and number < low) or (high is not None and number > high):
        raise OutOfRange(key=setting.key, low=low, high=high, unit=setting.unit)


def _bool(setting: Setting[Any], stored: object) -> object:
    return _must_be(setting, stored, isinstance(stored, bool))


def _number(setting: Setting[Any], stored: object) -> int:
    number: int = _must_be(setting, stored, type(stored) is int)
    low, high = (setting.low or 0, setting.high or WHOLE_BPS) if setting.kind == "bps" else (setting.low, setting.high)
    _in_range(setting, number, low, high)
    return number


def _text(setting: Setting[Any], stored: object) -> str:
    text: str = _must_be(setting, stored, isinstance(stored, str))
    _in_range(setting, len(text), setting.low, TEXT_CHARACTERS_MAX if setting.high is None else setting.high)
    if setting.pattern is not None and not re.fullmatch(setting.pattern, text):
        raise NotAllowed(key=setting.key, pattern=setting.pattern)
    return text


def _choice(setting: Setting[Any], stored: object) -> str:
    text: str = _must_be(setting, stored, isinstance(stored, str))
    if text not in setting.choices:
        raise NotAllowed(key=setting.key, choices=list(setting.choices))
    return text


def _time_of_day(setting: Setting[Any], stored: object) -> time:
    text: str = _must_be(setting, stored, isinstance(stored, str))
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise NotAllowed(key=setting.key, pattern="HH:MM")
    return time.fromisoformat(text)


def _date(setting: Setting[Any], stored: object) -> date:
    text: str = _must_be(setting, stored, isinstance(stored, str))
    try:
        return date.fromisoformat(_must_be(setting, text, re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None))
    except ValueError:
        raise NotAllowed(key=setting.key, pattern="YYYY-MM-DD") from None


def _schedule(setting: Setting[Any], stored: object) -> str:
    text: str = _must_be(setting, stored, isinstance(stored, str))
    try:
        next_after(text, "UTC", EPOCH)
    except ValueError as failure:
        raise NotAllowed(key=setting.key, reason=str(failure)) from None
    return text


def _list(setting: Setting[Any], stored: object) -> tuple[object, ...]:
    items: list[object] = _must_be(setting, stored, isinstance(stored, list))
    _in_range(setting, len(items), 0, ITEMS_MAX if setting.high is None else setting.high)
    item = _item_of(setting)
    return tuple(READERS[item.kind](item, entry) for entry in items)


def _item_of(setting: Setting[Any]) -> Setting[Any]:
    """A list's item as a setting of its own: it keeps choices and pattern, while the range counts the items."""
    return Setting(
        setting.key, setting.of or "text", None, setting.description, choices=setting.choices, pattern=setting.pattern
    )


def _document(setting: Setting[Any], stored: object) -> Mapping[str, object]:
    document: Mapping[str, object] = _must_be(setting, stored, isinstance(stored, dict) and not _has_float(stored))
    if setting.judge and (reason := setting.judge(document)):
        raise NotAllowed(key=setting.key, reason=reason)
    return document


def _has_float(stored: object) -> bool:
    if isinstance(stored, dict):
        return any(map(_has_float, stored.values()))
    if isinstance(stored, list):
        return any(map(_has_float, stored))
    return isinstance(stored, float)


READERS: Mapping[Kind, Callable[[Setting[Any], object], Any]] = {
    "bool": _bool,
    **dict.fromkeys(NUMBERS, _number),
    "time_of_day": _time_of_day,
    "date": _date,
    "text": _text,
    "choice": _choice,
    "list": _list,
    "schedule": _schedule,
    "document": _document,
}
