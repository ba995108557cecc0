"""Reading a setting is strict: kind, range, choices, pattern; a refusal names what would have been right."""

from datetime import date, time

import pytest

from palio.kernel.settings import (
    Catalogue,
    NotAllowed,
    OutOfRange,
    Setting,
    UnknownSetting,
    WrongType,
    from_words,
    read,
    write,
)

CAP = Setting("steps.daily_coin_cap", "int", 100, "Coins a day at most.", "coins", 0, 100_000)
TOP = Setting("races.top", "choice", "ten", "How many are shown.", choices=("ten", "all"))
HOURS = Setting("races.hours", "list", (1,), "When it runs.", of="int", high=3)


@pytest.mark.parametrize("stored", ["250", 250.0, True, [250]])
def test_only_an_integer_is_an_integer(stored):
    with pytest.raises(WrongType):
        read(CAP, stored)


def test_a_number_outside_its_range_is_refused_naming_the_range():
    with pytest.raises(OutOfRange) as refused:
        read(CAP, 100_001)
    assert refused.value.code == "setting.out_of_range"
    assert refused.value.facts == {"key": "steps.daily_coin_cap", "low": 0, "high": 100_000, "unit": "coins"}
    assert read(CAP, 100_000) == 100_000


def test_null_is_the_default():
    assert read(CAP, None) == 100


@pytest.mark.parametrize(
    ("setting", "stored", "value"),
    [
        (Setting("a.b", "bool", False, "x"), True, True),
        (Setting("a.b", "bps", 0, "x"), 10_000, 10_000),
        (Setting("a.b", "money", 0, "x", "USD", 0, 500), 500, 500),
        (Setting("a.b", "time_of_day", time(4), "x"), "23:59", time(23, 59)),
        (Setting("a.b", "date", date(2026, 1, 1), "x"), "2026-02-28", date(2026, 2, 28)),
        (Setting("a.b", "text", "", "x", pattern="[a-z]*"), "abc", "abc"),
        (TOP, "all", "all"),
        (HOURS, [1, 2, 3], (1, 2, 3)),
        (Setting("a.b", "schedule", "0 0 * * *", "x"), "*/5 * * * *", "*/5 * * * *"),
        (Setting("a.b", "document", {}, "x"), {"bands": [1]}, {"bands": [1]}),
    ],
)
def test_each_kind_reads_what_it_is_stored_as_and_writes_it_back(setting, stored, value):
    assert read(setting, stored) == value
    assert write(value) == stored


@pytest.mark.parametrize(
    ("setting", "stored"),
    [
        (Setting("a.b", "time_of_day", time(4), "x"), "24:00"),
        (Setting("a.b", "date", date(2026, 1, 1), "x"), "2026-02-30"),
        (Setting("a.b", "text", "", "x", pattern="[a-z]*"), "ABC"),
        (TOP, "some"),
        (Setting("a.b", "schedule", "0 0 * * *", "x"), "0 0 31 2 *"),
        (Setting("a.b", "document", {}, "x", judge=lambda document: None if document else "it is empty"), {}),
    ],
)
def test_what_is_of_the_kind_but_not_allowed_is_refused(setting, stored):
    with pytest.raises(NotAllowed):
        read(setting, stored)


def test_limits_without_a_number_hold_too():
    with pytest.raises(OutOfRange):
        read(Setting("a.b", "bps", 0, "x"), 10_001)
    with pytest.raises(OutOfRange):
        read(HOURS, [1, 2, 3, 4])
    with pytest.raises(OutOfRange):
        read(Setting("a.b", "text", "", "x", high=3), "four")


def test_a_document_holds_no_float_at_any_depth():
    with pytest.raises(WrongType):
        read(Setting("a.b", "document", {}, "x"), {"bands": [{"share": 0.5}]})


@pytest.mark.parametrize(
    ("setting", "words", "stored"),
    [
        (CAP, "1,000", 1000),
        (CAP, "default", None),
        (Setting("a.b", "bool", False, "x"), "on", True),
        (HOURS, "1, 2", [1, 2]),
        (TOP, "all", "all"),
    ],
)
def test_what_an_operator_types_becomes_json(setting, words, stored):
    assert from_words(setting, words) == stored


@pytest.mark.parametrize(("setting", "words"), [(CAP, "12.5"), (CAP, "١٢"), (Setting("a.b", "bool", False, "x"), "1")])
def test_what_an_operator_mistypes_is_refused(setting, words):
    with pytest.raises(WrongType):
        from_words(setting, words)


def test_a_catalogue_knows_its_settings_by_key():
    catalogue = Catalogue([CAP, TOP])
    assert catalogue.named("races.top") is TOP
    with pytest.raises(UnknownSetting):
        catalogue.named("races.bottom")
    with pytest.raises(ValueError, match="declared twice"):
        Catalogue([CAP, CAP])
