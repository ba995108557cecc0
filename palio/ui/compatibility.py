"""What breaks those who use the API, between two of its descriptions: within a version it only grows.

A caller must go on being understood (what he may send is not narrowed) and go on understanding (what he is told is not
widened, but for new fields and new values of enums, which every client must bear).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Part: TypeAlias = Mapping[str, Any]
Way: TypeAlias = Literal["asked", "answered"]

METHODS = ("get", "post", "put", "patch", "delete")
REFERENCE = "#/components/schemas/"
AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACTLY = ("pattern", "format", "const", "uniqueItems", "multipleOf")
TERMS = ("x-access", "x-scope")
STATUS_DONE = "2"


@dataclass(frozen=True, slots=True)
class Break:
    """A change that breaks callers: of which call, where in it, and what happened."""

    call: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.call}: {self.place}: {self.what}" if self.place else f"{self.call}: {self.what}"


def breaks(old: Part, new: Part, *, today: str) -> list[Break]:
    """All that breaks callers of `old` who meet `new`, both OpenAPI 3.1 documents; `today` is a date, YYYY-MM-DD.

    A call whose `x-sunset` is over may be gone.
    """
    comparison = _Comparison(old, new)
    found: list[Break] = []
    for name, (path, method, call) in _calls(old).items():
        later = new["paths"].get(path, {}).get(method)
        if later is not None:
            found += [Break(name, place, what) for place, what in comparison.of_call(call, later)]
        elif call.get("x-sunset", today) >= today:
            found.append(Break(name, "", "it is gone"))
    return found


def _calls(document: Part) -> dict[str, tuple[str, str, Part]]:
    return {
        f"{method.upper()} {path}": (path, method, calls[method])
        for path, calls in document["paths"].items()
        for method in METHODS
        if method in calls
    }


Found: TypeAlias = Iterator[tuple[str, str]]


@dataclass
class _Comparison:
    """Two documents, and which of their named schemas are already being compared: they may refer to themselves."""

    old: Part
    new: Part
    _open: set[tuple[str, str, Way]] = field(default_factory=set)

    def of_call(self, old: Part, new: Part) -> Found:
        if old["operationId"] != new["operationId"]:
            yield "operationId", f"{old['operationId']} is now {new['operationId']}"
        for term in TERMS:
            if old.get(term) != new.get(term):
                yield term, f"{old.get(term)} is now {new.get(term)}"
        if new.get("x-idempotency") == "required" != old.get("x-idempotency"):
            yield "x-idempotency", "a key is required"
        yield from self._of_parameters(old.get("parameters", []), new.get("parameters", []))
        yield from self._of_body(old.get("requestBody"), new.get("requestBody"))
        yield from self._of_answers(old["responses"], new["responses"])

    def _of_parameters(self, old: Sequence[Part], new: Sequence[Part]) -> Found:
        before, after = ({(one["in"], one["name"]): one for one in all_} for all_ in (old, new))
        for (kind, name), one in before.items():
            place = f"{kind} parameter {name}"
            if (kind, name) not in after:
                yield place, "it is gone"
                continue
            later = after[kind, name]
            if later.get("required") and not one.get("required"):
                yield place, "it is required"
            yield from self.of_schemas(one["schema"], later["schema"], "asked", place)
        for kind, name in after.keys() - before.keys():
            if after[kind, name].get("required"):
                yield f"{kind} parameter {name}", "a new one is required"

    def _of_body(self, old: Part | None, new: Part | None) -> Found:
        if new and new.get("required") and not (old and old.get("required")):
            yield "body", "it is required"
        if old is None:
            return
        for media_type, content in old["content"].items():
            later = (new or {"content": {}})["content"].get(media_type)
            if later is None:
                yield "body", f"{media_type} is not taken any more"
            else:
                yield from self.of_schemas(content.get("schema", {}), later.get("schema", {}), "asked", "body")

    def _of_answers(self, old: Part, new: Part) -> Found:
        for status, answer in old.items():
            if not status.startswith(STATUS_DONE):
                continue
            if status not in new:
                yield f"answer {status}", "it is gone"
                continue
            for media_type, content in answer.get("content", {}).items():
                later = new[status].get("content", {}).get(media_type)
                if later is None:
                    yield f"answer {status}", f"{media_type} is not answered any more"
                elif "schema" in content:
                    place = f"answer {status}"
                    yield from self.of_schemas(content["schema"], later.get("schema", {}), "answered", place)

    def of_schemas(self, old: Part, new: Part, way: Way, place: str) -> Found:
        """Each kind of value on one side has its like on the other: who widens may add kinds, who narrows may not."""
        names = (old.get("$ref", ""), new.get("$ref", ""), way)
        if names in self._open and (names[0] or names[1]):
            return
        self._open.add(names)
        before, after = _kinds(self.old, old), _kinds(self.new, new)
        if not after or not before:  # one of them takes everything
            if before and way == "answered":
                yield place, "it may be anything"
            if after and way == "asked":
                yield place, f"it must be {' or '.join(sorted(after))}"
        else:
            if way == "asked" and (lost := _without(before, after)):
                yield place, f"{' or '.join(lost)} is not taken any more"
            if way == "answered" and (added := _without(after, before)):
                yield place, f"it may be {' or '.join(added)}"
            for kind in before.keys() & after.keys():
                yield from self._of_kind(before[kind], after[kind], way, place)
        self._open.discard(names)

    def _of_kind(self, old: Part, new: Part, way: Way, place: str) -> Found:
        if way == "asked":  # the bounds of an answer are what is known today, and no promise
            yield from _narrowed(old, new, place)
        yield from self._of_fields(old, new, way, place)
        if "items" in old and "items" in new:
            yield from self.of_schemas(old["items"], new["items"], way, f"{place}[]")

    def _of_fields(self, old: Part, new: Part, way: Way, place: str) -> Found:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, one in before.items():
            if name not in after:
                yield f"{place}.{name}", "it is gone"
            else:
                yield from self.of_schemas(one, after[name], way, f"{place}.{name}")
        needed, given = {*old.get("required", [])}, {*new.get("required", [])}
        if way == "asked":
            for name in sorted(given - needed):
                yield f"{place}.{name}", "it is required"
        else:
            for name in sorted((needed - given) & after.keys()):
                yield f"{place}.{name}", "it may be missing"


def _without(kinds: Mapping[str, Part], others: Mapping[str, Part]) -> list[str]:
    """Kinds that are not among the others; a whole number is a number."""
    return sorted(kind for kind in kinds if kind not in others and not (kind == "integer" and "number" in others))


def _narrowed(old: Part, new: Part, place: str) -> Found:
    """What `old` takes and `new` does not."""
    for name in AT_LEAST:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield place, f"{name} is now {new[name]}"
    for name in AT_MOST:
        if name in new and new[name] < old.get(name, float("inf")):
            yield place, f"{name} is now {new[name]}"
    for name in EXACTLY:
        if name in new and new[name] != old.get(name):
            yield place, f"{name} is now {new[name]}"
    if "enum" in new and "enum" not in old:
        yield place, "only some values are taken"
    if lost := [str(value) for value in old.get("enum", []) if value not in new.get("enum", old.get("enum", []))]:
        yield place, f"{', '.join(lost)} is not taken any more"


def _kinds(document: Part, schema: Part) -> dict[str, Part]:
    """The kinds of values that a schema takes, by their type; objects of a choice by their name."""
    return dict(_spread(document, schema, ""))


def _spread(document: Part, schema: Part, name: str) -> Iterator[tuple[str, Part]]:
    if "$ref" in schema:
        named = schema["$ref"].removeprefix(REFERENCE)
        yield from _spread(document, document["components"]["schemas"][named], name)
        return
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        objects = [one for one in choices if "$ref" in one]
        for one in choices:
            is_one_of_many = "$ref" in one and len(objects) > 1
            yield from _spread(document, one, one["$ref"].removeprefix(REFERENCE) if is_one_of_many else name)
        return
    kinds = schema.get("type", _type_of(schema))
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield f"{name or kind}", schema


def _type_of(schema: Part) -> str | list[str]:
    """The type of what names none: that of its values, if it has any; else it takes everything."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return sorted({"string" if isinstance(value, str) else type(value).__name__ for value in values})
