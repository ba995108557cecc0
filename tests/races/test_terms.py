"""What a race may be, as people write it down."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from palio import affiliates, competitions, ledger, races
from palio.competitions.types import PrizeRule, Waits
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.races.types import NewRace
from tests.factories.competitions import banded
from tests.factories.races import FIXTURES, SYSTEM, T1, at, feed, race

SPLITS = {
    split["source"]: split
    for split in json.loads((FIXTURES / "race_prize_splits.json").read_text(), parse_float=Decimal)["splits"]
}
PLAIN = {
    "title": "Spring race",
    "starts_at": "2025-03-26T08:30:00Z",
    "ends_at": "2025-03-26T20:00:00Z",
    "pool": "500.00",
}


def read(**changes: object) -> NewRace:
    body = {name: value for name, value in {**PLAIN, **changes}.items() if value is not ...}
    return races.read_spec(body, read_rule=competitions.read_prize_rule, waits=Waits(900, 24))


def rule_of(split: dict[str, object]) -> PrizeRule:
    """The rule in the form in which the split was found."""
    values = split["values"]
    if split["type"] == "percent":
        return read(prizes=values).prize_rule
    bands = [{"from": place, "to": place, "value": int(value) * 100} for place, value in enumerate(values, 1)]  # type: ignore[arg-type, call-overload]
    return read(prizes={"kind": "fixed", "bands": bands}).prize_rule


@pytest.mark.parametrize(
    ("source", "pool"),
    [
        ("server monthly archive", 50_000),
        ("db-reset seed", 50_000),
        ("admin race form default", 50_000),
        ("V8.14 weekly", 250_000),
        ("operator weekly race (advertised)", 1_000_000),
    ],
)
async def test_splits_that_add_up_are_published(tx: Tx, source: str, pool: int) -> None:
    programme = await feed(tx)
    made = await race(tx, programme, at("08:00:00"), prize_rule=rule_of(SPLITS[source]), pool=pool)
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == pool


@pytest.mark.parametrize(
    ("source", "pool", "total"),
    [
        ("db schema comment", 50_000, 4_000),
        ("front-end monthly constant", 50_000, 10_350),
        ("V8.14 monthly", 50_000, 9_975),
        ("other affiliate weekly", 40_000, 38_000),
    ],
)
async def test_splits_that_do_not_add_up_are_refused_naming_the_sum(tx: Tx, source: str, pool: int, total: int) -> None:
    programme = await feed(tx)
    rows = "select (select count(*) from races.races) + (select count(*) from ledger.entries)"
    before = await db.value(tx, rows)
    with pytest.raises(competitions.PrizeSum) as refused:
        async with tx.transaction():
            await race(tx, programme, at("08:00:00"), prize_rule=rule_of(SPLITS[source]), pool=pool)
    assert refused.value.facts["sum"] == total
    assert await db.value(tx, rows) == before


def test_a_specification_may_leave_nearly_everything_to_the_defaults() -> None:
    assert (
        read(programme=None)
        == read()
        == NewRace(
            title="Spring race",
            programme="default",
            starts_at=datetime(2025, 3, 26, 8, 30, tzinfo=UTC),
            ends_at=datetime(2025, 3, 26, 20, tzinfo=UTC),
            pool_asset="USD",
            pool=50_000,
            prize_rule=races.by_place((5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)),
        )
    )


def test_a_specification_may_say_everything() -> None:
    found = read(
        pool={"asset": "QC", "amount": 7},
        prizes={"1": Decimal("62.5"), "2": "37.5"},
        min_wager="10.000001",
        cadence="weekly",
        description=" d ",
        rules_text="r",
        grace_s=0,
        review_h=1,
        previous=3,
        backdated_reason="said on stream",
        linked_only=True,
    )
    assert (found.linked_only, read().linked_only) == (True, False)
    assert (found.pool_asset, found.pool, found.min_wager_micro, found.cadence) == ("QC", 7, 10_000_001, "weekly")
    assert [band.value for band in found.prize_rule.bands] == [6250, 3750]
    assert (found.description, found.rules_text, found.grace_s, found.review_h) == ("d", "r", 0, 1)
    assert (found.previous, found.backdated_reason) == (3, "said on stream")
    assert read(min_wager_micro=5, min_wager=None).min_wager_micro == 5
    assert read(rules_text="one\n\ttwo").rules_text == "one\n\ttwo"
    hebrew, joined = "\u05de\u05e8\u05d5\u05e5", "\U0001f469\u200d\U0001f4bb race"
    for title in (hebrew, joined, "\u6625", "!"):
        assert read(title=title).title == title


@pytest.mark.parametrize(
    ("changes", "code", "fact"),
    [
        ({"title": ""}, "races.spec_invalid", "title"),
        ({"title": "a\0b"}, "races.spec_invalid", "title"),
        ({"title": "a\ud83d"}, "races.spec_invalid", "title"),
        ({"title": "a\x1b[2J"}, "races.spec_invalid", "title"),
        ({"title": "\u200b\u200c\u200d\u2060\ufeff"}, "races.spec_invalid", "something can be seen"),
        ({"title": "\u3164\u0301 \u2800"}, "races.spec_invalid", "something can be seen"),
        ({"title": "Spring \u202eecar"}, "races.spec_invalid", "direction of reading"),
        ({"backdated_reason": "\u200b" * 5}, "races.spec_invalid", "something can be seen"),
        ({"title": ...}, "races.spec_invalid", "title"),
        ({"starts_at": "2025-03-26T08:30:00"}, "races.spec_invalid", "starts_at"),
        ({"ends_at": 5}, "races.spec_invalid", "ends_at"),
        ({"ends_at": "9999-01-01T00:00:00Z"}, "races.spec_invalid", "9998"),
        ({"pool": "-5.00"}, "races.spec_invalid", "a number from 0"),
        ({"pool": "1" + 30 * "0"}, "races.spec_invalid", "at most 16 digits before"),
        ({"pool": "90071992547409.92"}, "races.spec_invalid", "at most 90071992547409.91"),
        ({"pool": "500.001"}, "races.spec_invalid", "pool"),
        ({"pool": 0}, "races.spec_invalid", "pool"),
        ({"pool": ...}, "races.spec_invalid", "pool"),
        ({"pool": {"asset": "USD"}}, "races.spec_invalid", "pool"),
        ({"pool": {"asset": "USD", "amount": 1.5}}, "races.spec_invalid", "pool"),
        ({"pool": "NaN"}, "races.spec_invalid", "pool"),
        ({"pool": "1e400"}, "races.spec_invalid", "pool"),
        ({"pool": "\uff11\uff12"}, "races.spec_invalid", "pool"),
        ({"pool": True}, "races.spec_invalid", "pool"),
        ({"min_wager": "-1"}, "races.spec_invalid", "min_wager"),
        ({"min_wager": 1, "min_wager_micro": 1_000_000}, "races.spec_invalid", "min_wager_micro"),
        ({"linked_only": 1}, "races.spec_invalid", "true or false"),
        ({"cadence": "hourly"}, "races.spec_invalid", "cadence"),
        ({"grace_s": 86_401}, "races.spec_invalid", "grace_s"),
        ({"review_h": True}, "races.spec_invalid", "review_h"),
        ({"prizes": "all"}, "races.spec_invalid", "prizes"),
        ({"prizes": {"first": 100}}, "races.spec_invalid", "prizes"),
        ({"prizes": {"\u0661": 100}}, "races.spec_invalid", "prizes"),
        ({"prizes": {"1": 50, "3": 50}}, "races.spec_invalid", "prizes"),
        ({"prizes": []}, "races.spec_invalid", "prizes"),
        ({"prizes": [Decimal("99.995"), Decimal("0.005")]}, "races.prize_precision", "1"),
        ({"prizes": {"kind": "bps", "bands": [{"from": 2, "to": 2, "value": 10000}]}}, "competitions.prize_shape", ""),
        ({"prize_pool": 5}, "races.spec_invalid", "prize_pool"),
    ],
)
def test_what_is_wrong_with_a_specification_is_named(changes: dict[str, object], code: str, fact: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(**changes)
    assert refused.value.code == code
    assert fact in str(refused.value.facts)
    assert fact in refused.value.detail


def test_a_specification_is_an_object() -> None:
    with pytest.raises(races.SpecInvalid):
        races.read_spec([], read_rule=competitions.read_prize_rule, waits=Waits(900, 24))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ends_at": at("08:39:59")}, races.WindowInvalid),
        ({"ends_at": datetime(2026, 3, 27, 8, 31, tzinfo=UTC)}, races.WindowInvalid),
        (
            {"prize_rule": banded("occupants", (1, None, 10_000))},
            races.SpecInvalid,
        ),
        ({"previous": 10**9}, races.NoSuchRace),
        ({"programme": "nobody"}, affiliates.NoSuchProgramme),
        ({"pool_asset": "XYZ"}, races.SpecInvalid),
    ],
)
async def test_what_no_race_may_be(tx: Tx, changes: dict[str, object], refusal: type[Refusal]) -> None:
    programme = await feed(tx)
    with pytest.raises(refusal):
        await race(tx, programme, at("08:00:00"), **changes)


async def test_a_start_in_the_past_needs_a_reason_and_a_picture(tx: Tx) -> None:
    programme = await feed(tx)
    with pytest.raises(races.ReasonMissing):
        await race(tx, programme, at("12:00:00"), backdated_reason="why")
    with pytest.raises(races.NoPicture):
        await race(tx, programme, at("12:00:00"))
    await programme.take(tx, T1, at("08:21:15"))
    made = await race(tx, programme, at("12:00:00"))
    assert made.backdated_reason == "announced in the chat"
    ahead = await race(tx, programme, at("08:00:00"))
    assert ahead.backdated_reason is None


async def test_a_closed_programme_and_too_many_races_are_refused(tx: Tx) -> None:
    programme = await feed(tx)
    for _ in range(20):
        await race(tx, programme, at("08:00:00"))
    with pytest.raises(races.TooManyRaces):
        await race(tx, programme, at("08:00:00"))
    other = await feed(tx)
    await db.run(tx, "update affiliates.programmes set status = 'paused' where id = %s", other.programme_id)
    with pytest.raises(races.ProgrammeClosed):
        await race(tx, other, at("08:00:00"))


async def test_the_minimum_of_a_race_that_states_none_is_a_setting(tx: Tx) -> None:
    programme = await feed(tx)
    made = await race(tx, programme, at("08:00:00"), min_wager_micro=None)
    assert (await competitions.get(tx, competition_id=made.competition_id)).min_score == 0
    listed = await races.recent(tx, limit=5)
    assert (listed[0].number, listed[0].entrants, listed[0].asset_scale) == (made.number, 0, 2)
    assert listed[0].pool == 50_000
    assert SYSTEM.user_id is None
