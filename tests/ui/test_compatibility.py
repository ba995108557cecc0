"""What breaks those who use the API, and what does not: between two descriptions of the same few calls."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from palio.entry import web
from palio.ui import compatibility, description
from tests.entry.conftest import run

TODAY = "2026-03-20"
OLD: dict[str, Any] = {
    "paths": {
        "/orders": {
            "post": {
                "operationId": "store_create_order",
                "x-access": "player",
                "x-scope": "store:write",
                "x-idempotency": "optional",
                "parameters": [{"in": "query", "name": "dry_run", "required": False, "schema": {"type": "boolean"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {
                    "201": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Placed"}}},
                    },
                    "409": {"content": {}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["item"],
                "properties": {
                    "item": {"type": "string", "maxLength": 40},
                    "count": {"type": "integer", "minimum": 1, "maximum": 9},
                    "kind": {"enum": ["gift", "own"]},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
            "Placed": {
                "type": "object",
                "required": ["id", "lines"],
                "properties": {
                    "id": {"type": "string"},
                    "state": {"type": "string", "enum": ["open", "paid"]},
                    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                },
            },
            "Line": {
                "type": "object",
                "required": ["price"],
                "properties": {
                    "price": {"type": "integer"},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                },
            },
        }
    },
}


def call_of(document: dict[str, Any]) -> dict[str, Any]:
    call: dict[str, Any] = document["paths"]["/orders"]["post"]
    return call


def fields_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    fields: dict[str, Any] = document["components"]["schemas"][name]["properties"]
    return fields


def required_of(document: dict[str, Any], name: str) -> list[str]:
    required: list[str] = document["components"]["schemas"][name]["required"]
    return required


BREAKS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a call is gone": (lambda new: new["paths"].pop("/orders"), "it is gone"),
    "its name": (lambda new: call_of(new).update(operationId="x"), "operationId: store_create_order is now x"),
    "who may": (lambda new: call_of(new).update({"x-access": "staff"}), "x-access: player is now staff"),
    "a key": (lambda new: call_of(new).update({"x-idempotency": "required"}), "x-idempotency: a key is required"),
    "a parameter is gone": (lambda new: call_of(new).pop("parameters"), "query parameter dry_run: it is gone"),
    "one is required": (
        lambda new: call_of(new)["parameters"][0].update(required=True),
        "query parameter dry_run: it is required",
    ),
    "a new one is required": (
        lambda new: call_of(new)["parameters"].append(
            {"in": "header", "name": "X", "required": True, "schema": {"type": "string"}}
        ),
        "header parameter X: a new one is required",
    ),
    "a body is not taken": (
        lambda new: call_of(new).pop("requestBody"),
        "body: application/json is not taken any more",
    ),
    "a field is not taken": (lambda new: fields_of(new, "Order").pop("note"), "body.note: it is gone"),
    "a field is required": (lambda new: required_of(new, "Order").append("count"), "body.count: it is required"),
    "a new field is required": (
        lambda new: new["components"]["schemas"]["Order"].update(
            required=["item", "colour"], properties={**fields_of(new, "Order"), "colour": {"type": "string"}}
        ),
        "body.colour: it is required",
    ),
    "a shorter text": (
        lambda new: fields_of(new, "Order")["item"].update(maxLength=30),
        "body.item: maxLength is now 30",
    ),
    "a higher least": (lambda new: fields_of(new, "Order")["count"].update(minimum=2), "body.count: minimum is now 2"),
    "a form": (lambda new: fields_of(new, "Order")["item"].update(pattern="^a"), "body.item: pattern is now ^a"),
    "another type": (
        lambda new: fields_of(new, "Order").update(count={"type": "string"}),
        "body.count: integer is not taken any more",
    ),
    "a value is not taken": (
        lambda new: fields_of(new, "Order").update(kind={"enum": ["own"]}),
        "body.kind: gift is not taken any more",
    ),
    "nothing is not taken": (
        lambda new: fields_of(new, "Order").update(note={"type": "string"}),
        "body.note: null is not taken any more",
    ),
    "an answer is gone": (lambda new: call_of(new)["responses"].pop("201"), "answer 201: it is gone"),
    "a field of an answer": (lambda new: fields_of(new, "Placed").pop("state"), "answer 201.state: it is gone"),
    "one that may be missing": (
        lambda new: required_of(new, "Placed").remove("id"),
        "answer 201.id: it may be missing",
    ),
    "one that may be null": (
        lambda new: fields_of(new, "Placed").update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "answer 201.id: it may be null",
    ),
    "a field deep in an answer": (
        lambda new: fields_of(new, "Line").update(price={"type": "string"}),
        "answer 201.lines[].price: it may be string",
    ),
}
GROWTH: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda new: new,
    "a call": lambda new: new["paths"].update({"/items": {"get": call_of(OLD)}}),
    "a parameter": lambda new: call_of(new)["parameters"].append(
        {"in": "query", "name": "x", "required": False, "schema": {"type": "string"}}
    ),
    "a field that may be sent": lambda new: fields_of(new, "Order").update(colour={"type": "string"}),
    "a field that need not be sent": lambda new: required_of(new, "Order").clear(),
    "a longer text": lambda new: fields_of(new, "Order")["item"].update(maxLength=50),
    "any number": lambda new: fields_of(new, "Order").update(count={"type": "number"}),
    "a value that may be sent": lambda new: fields_of(new, "Order")["kind"]["enum"].append("loan"),
    "a value of an answer": lambda new: fields_of(new, "Placed")["state"]["enum"].append("sent"),
    "a field of an answer": lambda new: fields_of(new, "Placed").update(total={"type": "integer"}),
    "one that is never missing": lambda new: required_of(new, "Placed").append("state"),
    "a refusal": lambda new: call_of(new)["responses"].update({"410": {"content": {}}}),
    "no more a refusal": lambda new: call_of(new)["responses"].pop("409"),
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    new = deepcopy(OLD)
    change(new)
    return new


@pytest.mark.parametrize(("change", "told"), BREAKS.values(), ids=BREAKS.keys())
def test_what_breaks_callers_is_named(change: Callable[[dict[str, Any]], object], told: str) -> None:
    found = compatibility.breaks(OLD, changed(change), today=TODAY)

    assert [str(one) for one in found] == [f"POST /orders: {told}"]


@pytest.mark.parametrize("change", GROWTH.values(), ids=GROWTH.keys())
def test_what_grows_breaks_nobody(change: Callable[[dict[str, Any]], object]) -> None:
    assert compatibility.breaks(OLD, changed(change), today=TODAY) == []


@pytest.mark.parametrize(("sunset", "may_go"), [("2026-03-19", True), ("2026-03-20", False), ("2026-09-01", False)])
def test_a_call_whose_time_is_over_may_go(sunset: str, *, may_go: bool) -> None:
    old = changed(lambda document: call_of(document).update({"x-sunset": sunset}))

    assert (compatibility.breaks(old, {**OLD, "paths": {}}, today=TODAY) == []) is may_go


def test_the_description_of_this_palio_breaks_nobody_who_knows_it() -> None:
    document = json.loads(description.describe(web.MODULES))

    assert compatibility.breaks(document, document, today=TODAY) == []


def test_the_command_tells_what_breaks_between_two_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(OLD))
    new.write_text(json.dumps(changed(lambda document: fields_of(document, "Placed").pop("state"))))

    broken = run("openapi", "--check", str(old), "--new", str(new))
    as_json = run("openapi", "--check", str(old), "--new", str(new), "--json")
    grown = run("openapi", "--check", str(new), "--new", str(old))

    assert (broken.status, broken.out) == (1, "POST /orders: answer 201.state: it is gone\n1 breaks.\n")
    assert as_json.answer == {
        "breaks": [{"call": "POST /orders", "place": "answer 201.state", "what": "it is gone"}],
    }
    assert (grown.status, grown.out) == (0, "Nothing breaks.\n")


def test_a_file_that_is_no_description_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text("[]")

    done = run("openapi", "--check", str(file))

    assert done.status == 64
    assert "is no OpenAPI document" in done.err
