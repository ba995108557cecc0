"""The fingerprint of terms: another one for each term that decides who wins what, the same for all the rest."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from palio import competitions
from palio.competitions.rules import editing
from palio.competitions.types import Competition, NewCompetition
from palio.infra import db
from palio.infra.db import Tx
from tests.factories.competitions import HOUR, live, new

OTHERWISE: dict[str, object] = {
    "product": "game",
    "starts_at": datetime(2026, 3, 1, tzinfo=UTC),
    "prize_asset": "COIN",
    "guaranteed_pool": 9_999,
    "prize_rule": {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 10_000}]},
    "tz": "Europe/Berlin",
    "score_scale": 3,
    "direction": "asc",
    "min_score": 7,
    "allow_nonpositive": True,
    "treasury_bps": 7,
    "tie_rule": "earliest",
    "empty_rule": "redistribute",
    "leftover_to": "treasury",
    "no_winner": "refund",
    "grace_s": 7,
    "review_h": 7,
    "results_visible": "after_end",
    "join_mode": "open",
    "entry_fee": 7,
    "min_participants": 2,
    "max_participants": 7,
    "eligibility": {"min_age": 21},
    "collect_s": 7,
    "op": "best",
    "has_subscore": True,
    "blackout_s": 7,
}
DECIDES_NOTHING = {
    *("title", "description", "rules_text", "subject_ref", "cadence", "series_id", "period_key", "rank_events"),
    "ends_at",  # may become later, which everybody sees
}


async def made(tx: Tx, noon: datetime) -> Competition:
    return await competitions.get(tx, competition_id=await live(tx, noon))


def test_of_each_term_it_is_known_whether_it_decides() -> None:
    """Whoever adds one says here whether a winner depends on it, and the fingerprint has it or not."""
    assert {each.name for each in fields(NewCompetition)} == OTHERWISE.keys() | DECIDES_NOTHING
    assert {*editing.MADE, *editing.TERMS, *editing.PROMISED} == OTHERWISE.keys()


async def test_each_term_that_decides_has_another_fingerprint(tx: Tx, noon: datetime) -> None:
    plain = await made(tx, noon)
    found = {name: editing.terms_hash(replace(plain, **{name: value})) for name, value in OTHERWISE.items()}
    assert plain.terms_hash == editing.terms_hash(plain)
    assert len({*found.values(), plain.terms_hash}) == len(OTHERWISE) + 1


async def test_words_and_zones_of_instants_do_not_change_it(tx: Tx, noon: datetime) -> None:
    plain = await made(tx, noon)
    said = replace(
        plain,
        title="Autumn",
        rules_text="Be fair.",
        ends_at=plain.ends_at + HOUR,
        starts_at=plain.starts_at.astimezone(timezone(timedelta(hours=9))),
    )
    assert editing.terms_hash(said) == plain.terms_hash


@pytest.mark.parametrize("changes", [{"op": "best"}, {"direction": "asc"}, {"has_subscore": True}, {"score_scale": 2}])
async def test_how_scores_are_ranked_is_in_what_is_published(
    tx: Tx, noon: datetime, changes: dict[str, object]
) -> None:
    plain = await made(tx, noon)
    other = await competitions.get(tx, competition_id=await live(tx, noon, **changes))
    stored = await db.value(tx, "select terms_hash from competitions.competitions where id = %s", other.id)
    assert stored == editing.terms_hash(other) != plain.terms_hash


def test_the_factory_says_nothing_that_would_hide_a_difference() -> None:
    """Each value above is another one than that of the competition it is compared with."""
    plain = new(datetime(2026, 3, 20, tzinfo=UTC))
    assert [name for name, value in OTHERWISE.items() if getattr(plain, name) == value] == []
