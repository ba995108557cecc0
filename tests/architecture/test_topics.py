"""Live topics: one list, whose names mean one thing, with examples of the shape they promise."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from palio.entry.published import PUBLIC
from palio.entry.topics import TOPICS
from palio.entry.wiring import PERMISSIONS
from palio.kernel.topics import OWNER, LiveType, Topic
from palio.kernel.topics import PUBLIC as PUBLIC_TO_ALL

ROOT = Path(__file__).resolve().parents[2]
TYPES = {kind.name: kind for topic in TOPICS for kind in topic.types}
TOLD_BY_SQL = re.compile(
    r"insert into infra\.stream_pending.{0,200}?'(me:[a-z]+)',.{0,60}?'([a-z]+\.[a-z_]+)'", re.DOTALL
)
PERSONAL = re.compile(r"e?mail|phone|(?:^|_)ip(?:_|$)|address$|birth|token|secret|password|display_name|user_?name")


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.name)
def test_an_example_has_the_shape_that_its_type_promises(kind: LiveType) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.name)
    shape = TypeAdapter(kind.facts)
    shape.validate_python(kind.example)
    members = shape.json_schema()["properties"]
    assert {*kind.example} <= {*members}
    assert [name for name in members if PERSONAL.search(name)] == []


def test_a_name_is_that_of_one_type_and_an_address_of_one_topic() -> None:
    every = {kind for topic in TOPICS for kind in topic.types if kind is not TYPES[kind.name]}
    assert every == set()
    assert len({topic.address for topic in TOPICS}) == len(TOPICS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.address)
def test_who_may_hear_a_topic_stands_in_its_name(topic: Topic) -> None:
    """Own topics begin with `me:`, those of staff with `console:`, and take a permission that exists."""
    whose = topic.address.partition(":")[0]
    expected = {"me": {OWNER}, "console": {permission.name for permission in PERMISSIONS}}.get(whose, {PUBLIC_TO_ALL})
    assert topic.access in expected
    assert topic.is_log or whose != "me", "what is told to one person goes by the log"


def test_what_the_database_tells_by_itself_is_declared() -> None:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "palio/migrations").glob("*.sql")))
    told = set(TOLD_BY_SQL.findall(text))
    assert told == {("me:wallet", "wallet.changed")}
    for address, name in told:
        assert any(topic.is_called(address) and TYPES[name] in topic.types for topic in TOPICS)


def test_what_is_told_live_and_outside_under_one_name_is_one_thing() -> None:
    """Streams and webhooks have one vocabulary: a fact that both tell of an event has one name and one shape."""
    outside = {one.name: one for one in PUBLIC}
    both = sorted(TYPES.keys() & outside.keys())
    assert {"race.completed", "competition.completed", "feed.stale"} <= {*both}
    for name in both:
        live = TypeAdapter(TYPES[name].facts).json_schema()["properties"]
        told = TypeAdapter(outside[name].kind).json_schema(mode="serialization")["properties"]
        shared = live.keys() & told.keys()
        assert [(name, each) for each in shared if kinds_of(live[each]) != kinds_of(told[each])] == []


def kinds_of(schema: dict[str, object]) -> set[object]:
    """Of which JSON types a fact is."""
    parts = schema.get("anyOf", [schema])
    assert isinstance(parts, list)
    return {part.get("type") for part in parts}


def test_every_noun_that_is_told_live_is_known_outside_or_stays_inside_by_its_topic() -> None:
    """What everybody may hear live is told to machines too, under the same noun, but for what only moves a picture."""
    nouns = {one.name.partition(".")[0] for one in PUBLIC}
    public = {kind.name for topic in TOPICS if topic.access == PUBLIC_TO_ALL for kind in topic.types}
    assert {name for name in public if name.partition(".")[0] not in nouns} == {"leaderboard.updated", "system.notice"}
