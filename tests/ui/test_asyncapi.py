"""The description of live topics is made of what modules declare and the socket reads."""

import json
import re

from palio.entry.topics import TOPICS
from palio.ui import asyncapi

DOCUMENT = json.loads(asyncapi.describe(TOPICS))


def resolve(reference: str) -> object:
    found: object = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        assert isinstance(found, dict)
        found = found[step]
    return found


def test_every_topic_is_a_channel_with_all_that_is_told_there() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    addresses = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert addresses.keys() == {topic.address for topic in TOPICS} | {"/api/v1/stream/ws"}
    for topic in TOPICS:
        channel = addresses[topic.address]
        assert [*channel["messages"]] == sorted(kind.name for kind in topic.types)
        assert [*channel.get("parameters", {})] == sorted(topic.names)
        assert (channel["x-kind"], channel["x-access"]) == ("log" if topic.is_log else "state", topic.access)


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT))
    assert len(references) > 20
    for reference in references:
        assert isinstance(resolve(reference), dict), reference


def test_examples_are_events_as_they_go_over_the_line() -> None:
    for topic in TOPICS:
        for kind in topic.types:
            event = asyncapi.event_of(kind, topic)
            payload = DOCUMENT["components"]["messages"][kind.name]["payload"]
            assert [*event] == ["id", "topic", "type", "at", "data"]
            assert topic.is_called(str(event["topic"]))
            assert {*payload["properties"]["data"].get("required", ())} <= {*kind.example}
            assert {*kind.example} <= {*payload["properties"]["data"]["properties"]}
