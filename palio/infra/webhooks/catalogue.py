"""What machines outside may hear of: each type with the shape of its message and an example."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from palio.infra import outbox
from palio.infra.webhooks import telling
from palio.kernel.events import PublicType, TypeName

TEST: TypeName = "webhook.test"
AN_ID = "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"
AN_INSTANT = datetime.fromisoformat("2026-03-20T12:00:00Z")


@dataclass(frozen=True, slots=True)
class Described:
    """A type as its listeners read of it: the JSON Schema of a whole message, and one message."""

    name: TypeName
    summary: str
    schema: dict[str, Any]
    example: dict[str, Any]


def describe(types: Sequence[PublicType]) -> list[Described]:
    """The types by name, and the one of the test message."""
    found = [_described(one.name, one.summary, _data_schema(one), _data_example(one)) for one in types]
    endpoint = {"type": "object", "properties": {"endpoint": {"type": "string", "format": "uuid"}}}
    words = "Somebody on our side has asked whether you hear us."
    test = _described(TEST, words, endpoint | {"required": ["endpoint"]}, {"endpoint": AN_ID})
    return sorted([*found, test], key=lambda one: one.name)


def _data_schema(one: PublicType) -> dict[str, Any]:
    kind: Any = one.kind
    schema = outbox.shape_of(kind).json_schema(mode="serialization")
    schema.pop("description", None)
    return schema


def _data_example(one: PublicType) -> dict[str, Any]:
    kind: Any = one.kind
    example: dict[str, Any] = outbox.shape_of(kind).dump_python(one.example, mode="json")
    return example


def _described(name: TypeName, summary: str, schema: dict[str, Any], example: dict[str, Any]) -> Described:
    event_id = {"type": "string", "format": "uuid"}
    data = schema | {
        "properties": {"event_id": event_id, **schema["properties"]},
        "required": ["event_id", *schema.get("required", [])],
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data,
        },
    }
    sent = telling.body_of(name, AN_INSTANT, json.dumps({"event_id": AN_ID, **example}))
    return Described(name, summary, whole, json.loads(sent))
