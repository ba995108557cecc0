"""Refusals on the wire: problem documents (RFC 9457) for programs, a page for people. HTTP numbers stand only here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from palio.kernel import errors
from palio.kernel.errors import Refusal
from palio.ui import leading, pages, refusals
from palio.ui.edge import CODE, RATE_HEADERS, request_id_of
from palio.ui.values import instant

STATUS: dict[type[Refusal], int] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    refusals.MethodNotAllowed: 405,
    refusals.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.Stale: 412,
    errors.TooLarge: 413,
    refusals.UnsupportedMedia: 415,
    errors.Invalid: 422,
    errors.Required: 428,
    errors.TooMany: 429,
    refusals.InternalError: 500,
    errors.Upstream: 502,
    errors.Unavailable: 503,
}
BY_STATUS: dict[int, type[Refusal]] = {status: kind for kind, status in STATUS.items()}
RETRY_AFTER_S = {429: 60, 503: 1}  # when the refusal knows no better; both always carry `Retry-After`
MEDIA_TYPE = "application/problem+json"
BITS_OF_A_NUMBER = 64  # what is longer no program reads as a number
ABBREVIATIONS = {word.lower(): word for word in ("CSRF", "JSON", "URL")}

Fact: TypeAlias = "str | int | list[Fact] | dict[str, Fact] | msgspec.Raw | None"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One bad place of the input: `pointer` leads there (RFC 6901); parameters are members of its root."""

    pointer: str
    code: str
    detail: str

    @property
    def root(self) -> str:
        """The member of the root it leads through: the field of a form."""
        return self.pointer.strip("/").partition("/")[0]


@dataclass(frozen=True, slots=True)
class Problem:
    """The document. Absent is nothing: what does not apply is empty or null."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    facts: Mapping[str, object] = field(default_factory=dict)
    errors: tuple[FieldProblem, ...] = ()
    retry_after_s: int | None = None


def wrong_of(problem: Problem | None) -> dict[str, str]:
    """What is wrong with a form, by its fields; nothing where it is no field's fault."""
    return {place.root: place.detail for place in problem.errors} if problem else {}


DOCUMENT = TypeAdapter(Problem)
WRITER = msgspec.json.Encoder()


def status_of(kind: type[Refusal]) -> int:
    """The HTTP status of a refusal: that of the nearest kind in the table."""
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), 500)


def title_of(code: str) -> str:
    """The constant title of a code: its reason in words, `races.no_such_race` being "No such race"."""
    first, *others = (ABBREVIATIONS.get(word, word) for word in code.rpartition(".")[2].split("_"))
    return " ".join((first[:1].upper() + first[1:], *others))


def kinds(base: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Every class of refusal of the product, the general ones first."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("palio."):
            yield kind
        yield from kinds(kind)


def describe(request: Request, refusal: Refusal, places: Sequence[FieldProblem] = ()) -> Problem:
    """The problem document of a refusal; without `places` it names the member that the refusal always blames."""
    status = status_of(type(refusal))
    blamed = [FieldProblem(f"/{refusal.blames}", refusal.code, refusal.detail)] if refusal.blames else []
    told = refusal.facts.get("retry_after_s")
    return Problem(
        type=f"/problems/{refusal.code}",
        title=title_of(refusal.code),
        status=status,
        code=refusal.code,
        detail=refusal.detail,
        request_id=str(request_id_of(request.scope)),
        facts={name: fact_of(value) for name, value in refusal.facts.items() if name != "retry_after_s"},
        errors=tuple(places or blamed),
        retry_after_s=told if isinstance(told, int) else RETRY_AFTER_S.get(status),
    )


def of_part(refusal: Refusal, places: Sequence[FieldProblem] = ()) -> dict[str, object]:
    """What a result of a batch says of a part that was refused: the document without what belongs to the whole."""
    return {
        "type": f"/problems/{refusal.code}",
        "title": title_of(refusal.code),
        "status": status_of(type(refusal)),
        "code": refusal.code,
        "detail": refusal.detail,
        "facts": {name: fact_of(value) for name, value in refusal.facts.items()},
        "errors": [{"pointer": each.pointer, "code": each.code, "detail": each.detail} for each in places],
    }


def example_of(kind: type[Refusal]) -> Mapping[str, object]:
    """What the document of a refusal looks like, for the description of the API."""
    status = status_of(kind)
    retry_after_s = RETRY_AFTER_S.get(status)
    request_id = "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"
    title, code = title_of(kind.code), kind.code
    example = Problem(f"/problems/{code}", title, status, code, kind().detail, request_id, retry_after_s=retry_after_s)
    return DOCUMENT.dump_python(example, mode="json")  # type: ignore[no-any-return]  # a dict, as the class is


def fact_of(value: object) -> Fact:
    """A fact as JSON: numbers stay numbers, ids and times become their text; what is written already stays so."""
    if isinstance(value, int) and value.bit_length() >= BITS_OF_A_NUMBER:
        return str(value)
    if value is None or isinstance(value, int | str | msgspec.Raw):
        return value
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): fact_of(part) for name, part in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [fact_of(part) for part in value]
    return str(value)


def respond(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The document for programs, a page for browsers, and for htmx what is said on it."""
    request.scope[CODE] = problem.code
    extra = dict(headers or {}) | {"Cache-Control": "no-store", "Vary": "Accept, HX-Request"}
    extra |= request.scope.get(RATE_HEADERS, {})
    if problem.status == STATUS[errors.Unauthenticated]:
        extra["WWW-Authenticate"] = "Bearer"
    if "version" in problem.facts and problem.status == STATUS[errors.Stale]:
        extra["ETag"] = f'"{problem.facts["version"]}"'
    if problem.retry_after_s is not None:
        extra["Retry-After"] = str(problem.retry_after_s)
    if wants_page(request):
        return pages.render(
            request, "problem.html", {"problem": problem}, block="problem", status=problem.status, headers=extra
        )
    return Response(WRITER.encode(problem), problem.status, media_type=MEDIA_TYPE, headers=extra)


def wants_page(request: Request) -> bool:
    """People get a page: whoever asks outside the API and takes HTML."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


async def on_refusal(request: Request, refusal: Exception) -> Response:
    """Answer what a use case or the edge refused."""
    assert isinstance(refusal, Refusal)  # noqa: S101 - registered for this class
    if wants_page(request) and (led := leading.lead(request, refusal)):
        request.scope[CODE] = refusal.code
        return led
    return respond(request, of(request, refusal))


async def on_invalid(request: Request, invalid: Exception) -> Response:
    """Answer input of the wrong shape: one problem that names every place."""
    assert isinstance(invalid, RequestValidationError)  # noqa: S101 - registered for this class
    return respond(request, of(request, invalid))


def of(request: Request, refused: Refusal | RequestValidationError) -> Problem:
    """The document of a refusal, or of input of the wrong shape. A path of the wrong shape leads nowhere."""
    if isinstance(refused, Refusal):
        return describe(request, refused)
    found = refused.errors()
    if any(error["loc"][0] == "path" for error in found):
        return describe(request, errors.NotFound())
    places = [place_of(error["loc"][1:], error["type"], error["msg"]) for error in found]
    return describe(request, refusal_of(places), places)


PLACE_CODES: dict[str, type[Refusal]] = {  # what pydantic calls it -> what we do
    "extra_forbidden": refusals.UnknownField,
    "timezone_aware": refusals.TimeZoneRequired,
    "unknown_parameter": refusals.UnknownParameter,
}
OUR_OWN = "Value error, "  # pydantic writes it before the words of our validators
PLACE_REFUSALS = {kind.code: kind for kind in PLACE_CODES.values()}


def place_of(path: Sequence[str | int], kind: str, words: str) -> FieldProblem:
    """One bad place: `path` leads to it, `kind` is the validator's name for the fault."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    code = PLACE_CODES[kind].code if kind in PLACE_CODES else kind
    return FieldProblem("".join(f"/{step}" for step in steps), code, words.removeprefix(OUR_OWN))


def refusal_of(places: Sequence[FieldProblem]) -> Refusal:
    """What all places have in common, else the general refusal."""
    codes = {place.code for place in places}
    return PLACE_REFUSALS.get(codes.pop(), errors.Invalid)() if len(codes) == 1 else errors.Invalid()


async def on_http(request: Request, exception: Exception) -> Response:
    """Answer what the framework refuses: no such address, wrong method, unreadable body."""
    assert isinstance(exception, HTTPException)  # noqa: S101 - registered for this class
    if isinstance(exception.__cause__, Refusal):  # ours, raised while the body was read
        return await on_refusal(request, exception.__cause__)
    kind = BY_STATUS.get(exception.status_code, errors.Malformed)
    facts = {"method": request.method} if kind is refusals.MethodNotAllowed else {}
    return respond(request, describe(request, kind(**facts)), _with_head(request, exception.headers))


def _with_head(request: Request, headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """What can be read answers HEAD too, which no route declares; a stream, which refuses it, does not."""
    allowed = re.findall(r"[A-Z]+", (headers or {}).get("Allow", ""))
    if "GET" not in allowed or request.method == "HEAD":
        return headers
    return {**(headers or {}), "Allow": ", ".join(sorted({*allowed, "HEAD"}))}


async def on_defect(request: Request, defect: Exception) -> Response:
    """Answer a bug of ours; what happened is only in the log, under the request id."""
    return respond(request, describe(request, refusals.InternalError()))
