"""The description of live topics: AsyncAPI 3, from the one list of topics and the frames of the socket."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from pydantic import TypeAdapter

import palio
from palio.kernel.topics import OWNER, PUBLIC, LiveType, Topic
from palio.ui.problems import Problem
from palio.ui.streams.socket import CLOSES, FRAME_BYTES_MAX, PATH, Hello, Pong, Subscribe, Unsubscribe

Part: TypeAlias = dict[str, Any]

SCHEMAS = "#/components/schemas/{model}"
EXAMPLE_ID, EXAMPLE_AT = "412", "2026-03-18T14:05:09.123456Z"
WORDS = {
    "id": "A UUID in small letters",
    "number": "The number of a list",
    "code": "The code of a board, or of a programme",
    "period": "The kind of period: D, W, WE, M or ALL",
}
TEXT: Part = {"type": "string"}
NUMBER: Part = {"type": "string", "pattern": "^[0-9]+$", "description": "Behind which number somebody goes on"}
LIST: Part = {"type": "array", "items": TEXT}
ABOUT = (
    "Three transports tell the same events by the same ids: event streams (`GET /api/v1/stream?topics=`), the socket"
    f" (`GET /api/v1{PATH}`) and long polls (`GET /api/v1/stream/poll?topics=&after=&wait=`). Staff have their own"
    " under `/api/v1/console/stream`. Of a state topic the newest event wins; a log topic tells every event, in order."
    " Whoever comes back names the highest id he has seen (`Last-Event-ID`, `resume` or `after`); if it is not known"
    " any more he is told `resync`, reads everything again and goes on from there. `me` is all of one's own topics."
)


def describe(topics: Sequence[Topic]) -> bytes:
    """The document as JSON."""
    types = {kind.name: kind for topic in topics for kind in topic.types}
    frames = dict(_frames())
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "Palio", "version": palio.__version__, "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": {"socket": _socket(frames), **{name_of(topic): _channel(topic) for topic in topics}},
        "operations": {
            "say": _operation("receive", "socket", "What a client says over the socket.", ["hello", *_of_clients()]),
            "answer": _operation("send", "socket", "What the server says over the socket.", _of_servers()),
            **{
                f"tell-{name_of(topic)}": _operation(
                    "send", name_of(topic), topic.summary, [kind.name for kind in topic.types]
                )
                for topic in topics
            },
        },
        "components": {
            "messages": frames | {name: _message(kind) for name, kind in types.items()},
            "schemas": {"Problem": _schema(Problem)},
        },
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True).encode()


def name_of(topic: Topic) -> str:
    """What a topic is called in the document: its address without the names in it, `board-wager`."""
    return re.sub(r":?\{\w+\}", "", topic.address).replace(":", "-")


def event_of(kind: LiveType, topic: Topic) -> Part:
    """An example of an event, as it goes over the line."""
    filled = re.sub(r"\{(\w+)\}", lambda name: _EXAMPLES[name[1]], topic.address)
    return {"id": EXAMPLE_ID, "topic": filled, "type": kind.name, "at": EXAMPLE_AT, "data": dict(kind.example)}


_EXAMPLES = {"id": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", "number": "7", "code": "daily", "period": "D"}


def _channel(topic: Topic) -> Part:
    whose = {PUBLIC: "Everybody hears it.", OWNER: "Each hears his own."}
    found: Part = {
        "address": topic.address,
        "title": topic.address,
        "description": f"{topic.summary} {whose.get(topic.access, 'Staff with the permission hear it.')}",
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in topic.types},
        "x-kind": "log" if topic.is_log else "state",
        "x-access": topic.access,
    }
    if topic.scope:
        found["x-scope"] = topic.scope
    if topic.names:
        found["parameters"] = {name: {"description": WORDS[name]} for name in topic.names}
    return found


def _socket(frames: Part) -> Part:
    closes = "; ".join(f"{code} {words}" for code, words in CLOSES.items())
    return {
        "address": f"/api/v1{PATH}",
        "title": "The socket",
        "description": f"JSON texts of at most {FRAME_BYTES_MAX} bytes, each with its `op`. `hello` comes first. It is"
        f" closed with: {closes}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in frames},
        "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": {"ticket": TEXT}}}},
    }


def _operation(action: str, channel: str, summary: str, messages: Sequence[str]) -> Part:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _message(kind: LiveType) -> Part:
    event = {"id": NUMBER, "topic": TEXT, "type": {"const": kind.name}, "at": {**TEXT, "format": "date-time"}}
    payload = {"type": "object", "required": [*event, "data"], "properties": event | {"data": _schema(kind.facts)}}
    example = {"id": EXAMPLE_ID, "topic": "…", "type": kind.name, "at": EXAMPLE_AT, "data": dict(kind.example)}
    return {
        "name": kind.name,
        "title": kind.name,
        "summary": kind.summary,
        "payload": payload,
        "examples": [{"payload": example}],
    }


def _of_clients() -> list[str]:
    return ["subscribe", "unsubscribe", "pong"]


def _of_servers() -> list[str]:
    return ["ready", "event", "error", "resync", "ping", "bye"]


def _frames() -> Iterator[tuple[str, Part]]:
    """The frames of the socket by their `op`: clients' are read by these models, ours are described here."""
    for model in (Hello, Subscribe, Unsubscribe, Pong):
        schema = _schema(model)
        name = schema["properties"]["op"]["const"]
        yield name, {"name": name, "summary": schema.pop("description"), "payload": schema}
    told: dict[str, tuple[str, Part, list[str]]] = {
        "ready": (
            "What is heard from now on, and behind which number.",
            {"connection_id": TEXT, "topics": LIST, "from": NUMBER},
            ["connection_id", "topics"],
        ),
        "event": ("An event, as on every transport.", {"event": {"type": "object"}}, ["event"]),
        "error": (
            "What cannot be heard, and why; the others stay.",
            {"problem": {"$ref": SCHEMAS.format(model="Problem")}},
            ["problem"],
        ),
        "resync": ("Read all of these topics again.", {"topics": LIST, "from": NUMBER}, ["topics"]),
        "ping": ("Answer with `pong`.", {}, []),
        "bye": (
            "The server ends; come back after some time.",
            {"reason": TEXT, "retry_ms": {"type": "integer"}},
            ["reason", "retry_ms"],
        ),
    }
    for name, (summary, members, needed) in told.items():
        properties = {"op": {"const": name}} | members
        payload = {"type": "object", "required": ["op", *needed], "properties": properties}
        yield name, {"name": name, "summary": summary, "payload": payload}


def _schema(shape: Any) -> Part:
    """The schema of a shape, with its parts in place."""
    found: Part = TypeAdapter(shape).json_schema(ref_template=SCHEMAS, mode="serialization")
    parts = found.pop("$defs", {})
    return _in_place(found, parts)  # type: ignore[no-any-return]  # an object, as the schema of a class is


def _in_place(part: Any, parts: Part) -> Any:
    if isinstance(part, dict):
        reference = part.get("$ref", "")
        if name := reference.rpartition("/")[2]:
            return _in_place(parts[name], parts)
        return {name: _in_place(value, parts) for name, value in part.items()}
    return [_in_place(value, parts) for value in part] if isinstance(part, list) else part
