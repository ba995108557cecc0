"""Every route says who may use it, and every call is described in full."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from palio.entry import web
from palio.ui import description
from palio.ui.routes import Call, Route

ROUTES = [route for module in web.MODULES for route in module.all]
CALLS = [route for route in ROUTES if isinstance(route, Call)]
ACCESS = re.compile(r"public|player|owner|[a-z]+(\.[a-z_]+){1,2}")
SHOWN_ONCE = {  # what a caller is given to keep
    ("TokensAnswer", "access_token"),
    ("TokensAnswer", "refresh_token"),
    ("SessionBegun", "tokens"),
    ("NewApiTokenAnswer", "secret"),
    ("EnrolmentAnswer", "secret"),
    ("NewWebhookAnswer", "secret"),
    ("NewSecretAnswer", "secret"),
}
UNSTAMPED = tomllib.loads((Path(__file__).parent / "unstamped.toml").read_text())
SECRET = re.compile(r"password|token|secret|sealed|private|(?<!sha256)_hash$")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_declares_access(route: Route) -> None:
    assert ACCESS.fullmatch(route.access)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_an_address_is_lower_case_with_typed_ids(route: Route) -> None:
    """No word is mistaken for an id, and none for another word."""
    assert re.fullmatch(r"/|(/([a-z0-9.-]+|\{[a-z_]+(:[a-z]+)?\}(\.csv)?))+", route.path)
    assert [name for name in re.findall(r"\{([a-z_]+_id)\}", route.path) if name] == [], "{x_id:uuid}"


def test_a_name_of_a_call_is_never_used_twice() -> None:
    names = [call.operation_id or "" for call in CALLS]

    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z0-9]+){2,}", name)] == []


@pytest.mark.parametrize("call", [call for call in CALLS if call.body_field], ids=lambda call: call.path)
def test_what_a_refusal_blames_is_in_the_body(call: Call) -> None:
    """Its pointer leads somewhere, so that a form can show it beside the field."""
    assert call.body_field
    body = call.body_field.field_info.annotation.model_fields  # type: ignore[union-attr]  # a model

    assert {kind.blames for kind in call.refuses if kind.blames} - set(body) == set()


def test_what_changes_says_when_it_changed_last() -> None:
    """Whatever says since when it is there and has a version or a state, alone or in a list."""
    document = json.loads(description.describe(web.MODULES))
    schemas = document["components"]["schemas"]
    answers = [
        content["schema"]
        for calls in document["paths"].values()
        for call in calls.values()
        for status, answer in call["responses"].items()
        if status.startswith("2") and (content := answer["content"].get("application/json"))
    ]
    named = {one["$ref"].rpartition("/")[2] for one in answers if "$ref" in one}
    rows = [schemas[name]["properties"].get("items", {}).get("items", {}) for name in named]
    named |= {one["$ref"].rpartition("/")[2] for one in rows if "$ref" in one}
    fields = {name: set(schemas[name]["properties"]) for name in named}
    changing = {
        name for name, has in fields.items() if "version" in has or ("created_at" in has and has & {"state", "status"})
    }
    silent = {name.rpartition("__")[2] for name in changing if "updated_at" not in fields[name]}

    assert len(changing - silent) > 5
    assert silent - UNSTAMPED.keys() == set(), "say when (`updated_at`), or why not in unstamped.toml"
    assert UNSTAMPED.keys() - silent == set()


def test_no_answer_has_a_field_that_sounds_like_a_secret() -> None:
    """All fields of the declared answer are sent; what calls take is another matter."""
    document = json.loads(description.describe(web.MODULES))
    bodies = {match for call in CALLS if call.body_field for match in [call.body_field.field_info.annotation.__name__]}  # type: ignore[union-attr]  # a model
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if name not in bodies}
    fields = {(name, each) for name, schema in schemas.items() for each in schema.get("properties", {})}

    assert {(name, each) for name, each in fields if SECRET.search(each)} == SHOWN_ONCE
