"""Machines outside hear of an event by a name of its own, or there is a reason why they do not."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from palio.entry.published import PUBLIC
from palio.infra import webhooks
from palio.kernel.events import PublicType
from palio.kernel.messages import Event
from tests.architecture.test_messages import declared

INSIDE = tomllib.loads((Path(__file__).parent / "published.toml").read_text())
DATA_BYTES_MAX = 20_480
every_type = pytest.mark.parametrize("one", PUBLIC, ids=lambda one: one.name)


def test_an_event_is_told_outside_or_there_is_a_reason_why_not() -> None:
    events = {f"{module}.{kind.__name__}": kind for module, kind in declared() if issubclass(kind, Event)}
    told = {name for name, kind in events.items() if kind in {one.kind for one in PUBLIC}}

    assert told & INSIDE.keys() == set()
    assert told | INSIDE.keys() == events.keys()
    assert all(reason.strip() for reason in INSIDE.values())


def test_names_and_events_are_used_once() -> None:
    assert len({one.name for one in PUBLIC}) == len({one.kind for one in PUBLIC}) == len(PUBLIC)
    assert webhooks.TEST not in {one.name for one in PUBLIC}


@every_type
def test_a_name_is_a_noun_and_a_verb(one: PublicType) -> None:
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", one.name)
    assert one.summary.endswith(".")


def test_an_example_has_what_its_schema_says() -> None:
    for one in webhooks.describe(PUBLIC):
        data = one.schema["properties"]["data"]

        assert set(one.example) == set(one.schema["required"])
        assert set(data["required"]) <= set(one.example["data"]) <= set(data["properties"])
        assert len(json.dumps(one.example["data"])) < DATA_BYTES_MAX
