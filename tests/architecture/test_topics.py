"""Live topics: one list, whose names mean one thing, with examples of the shape they promise."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from palio.entry.topics import TOPICS
from palio.entry.wiring import PERMISSIONS
from palio.kernel.topics import OWNER, PUBLIC, LiveType, Topic

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
    expected = {"me": {OWNER}, "console": {permission.name for permission in PERMISSIONS}}.get(whose, {PUBLIC})
    assert topic.access in expected
    assert topic.is_log or whose != "me", "what is told to one person goes by the log"


def test_what_the_database_tells_by_itself_is_declared() -> None:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "palio/migrations").glob("*.sql")))
    told = set(TOLD_BY_SQL.findall(text))
    assert told == {("me:wallet", "wallet.changed")}
    for address, name in told:
        assert any(topic.is_called(address) and TYPES[name] in topic.types for topic in TOPICS)
