"""One's own data: what others see, a copy of everything, to be erased, and what one accepted; pages and calls."""

from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import Form, Path, Query, Request
from pydantic import Field, StrictBool, StrictInt
from starlette.responses import Response

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.errors import (
    ErasureBlocked,
    ExportTooSoon,
    LastOwner,
    NoSuchDocument,
    NoSuchPrivacyRequest,
    NoSuchUser,
)
from palio.identity.types import (
    ERASURE_WAIT_DAYS,
    IP_RETENTION_DAYS,
    Asked,
    BoardName,
    Card,
    Consent,
    ConsentSource,
    Document,
    Me,
    PrivacyCard,
    PrivacyRequest,
    PrivacyState,
    Visitor,
)
from palio.identity.web.reception import GUESSES, From, InHouse, me_of
from palio.identity.web.showing import go, is_proven, show
from palio.infra import settings
from palio.infra.db import Tx
from palio.ui import markdown
from palio.ui.access import NO_SCOPE, NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.refusals import ImpersonationReadOnly
from palio.ui.routes import Filled, Routes
from palio.ui.values import Instant

routes = Routes("identity")

PAGE = "/account/privacy"
EXPORTS, ERASURE, CONSENTS = "/me/privacy/exports", "/me/privacy/erasure", "/me/consents"
BOARD_NAMES: tuple[BoardName, ...] = ("full", "masked", "hidden")
Saved = Annotated[bool, Query()]
Key = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="The name of a document")]
Version = Annotated[int | None, Query(ge=1, le=1_000_000, description="Without it the newest")]


# what is said and answered


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """How far one part of the house is: what it is called, whether it is done, how many things it knew."""

    section: str
    is_done: bool
    rows: int | None


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """A copy of one's data: under way, or ready to be fetched at `path` until `expires_at`."""

    id: UUID
    state: PrivacyState
    requested_at: Instant
    finished_at: Instant | None
    expires_at: Instant | None
    bytes: int | None
    sha256: str | None
    path: str | None
    steps: list[StepAnswer]

    @classmethod
    def of(cls, card: PrivacyCard) -> "ExportAnswer":
        one = card.request
        is_there = one.state == "done" and one.file_key is not None
        return cls(
            *(one.id, one.state, one.requested_at, one.finished_at, one.expires_at, one.file_bytes),
            sha256=one.sha256.hex() if one.sha256 else None,
            path=f"{PAGE}/export/{one.id}" if is_there else None,
            steps=[StepAnswer(step.section, step.finished_at is not None, step.rows) for step in card.steps],
        )


@dataclass(frozen=True, slots=True)
class ExportsAnswer:
    """The copies one asked for, the newest first."""

    items: list[ExportAnswer]


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """That one wants to be erased: `requested` until the mailed link is opened, `confirmed` until it begins."""

    id: UUID
    state: PrivacyState
    requested_at: Instant
    due_at: Instant | None

    @classmethod
    def of(cls, one: PrivacyRequest) -> "ErasureAnswer":
        return cls(one.id, one.state, one.requested_at, one.due_at)


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """A version of what players are asked to accept, as Markdown."""

    key: str
    version: int
    locale: str
    body: str
    sha256: str
    acceptance_required: bool
    published_at: Instant

    @classmethod
    def of(cls, one: Document) -> "DocumentAnswer":
        return cls(
            *(one.key, one.version, one.locale, one.body, one.sha256.hex(), one.acceptance_required, one.published_at)
        )


@dataclass(frozen=True, slots=True)
class AskedAnswer:
    """A document one is asked to accept; with `is_missing` nothing is played before."""

    document: str
    newest: int
    accepted: int | None
    is_missing: bool

    @classmethod
    def of(cls, one: Asked) -> "AskedAnswer":
        return cls(one.key, one.version, one.accepted, (one.accepted or 0) < one.needed)


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """That one accepted a version of a document, and when one took it back."""

    document: str
    version: int
    given_at: Instant
    withdrawn_at: Instant | None
    source: ConsentSource

    @classmethod
    def of(cls, one: Consent) -> "ConsentAnswer":
        return cls(one.document_key, one.version, one.given_at, one.withdrawn_at, one.source)


@dataclass(frozen=True, slots=True)
class ConsentsAnswer:
    """What one is asked to accept, and everything one ever accepted, the newest first."""

    asked: list[AskedAnswer]
    items: list[ConsentAnswer]


class Consenting(Body):
    """Which version of which document is accepted, or, with `accept` false, that all of it is taken back."""

    document: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    version: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    accept: StrictBool = True


class ConsentForm(Body):
    """The same from a page."""

    document: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    accept: bool = True


AN_EXPORT = ExportAnswer(
    *(say.EXAMPLE_ID, "done", say.MOMENT, say.MOMENT, say.MOMENT, 48_211, "ab" * 32),
    path=f"{PAGE}/export/{say.EXAMPLE_ID}",
    steps=[StepAnswer("identity", is_done=True, rows=31)],
)
AN_ERASURE = ErasureAnswer(say.EXAMPLE_ID, "confirmed", say.MOMENT, say.MOMENT)
SOME_CONSENTS = ConsentsAnswer(
    [AskedAnswer("terms", 2, 1, is_missing=True)], [ConsentAnswer("terms", 1, say.MOMENT, None, "registration")]
)


# calls


@routes.get(EXPORTS, access="owner", scope=NO_TOKEN, example=ExportsAnswer([AN_EXPORT]))
async def list_exports(ask: Ask, tx: InTx) -> ExportsAnswer:
    """List the copies of one's data, the newest first, with how far each is."""
    return ExportsAnswer([ExportAnswer.of(one) for one in await service.privacy.exports_of(tx, user_id=me_of(ask))])


@routes.post(
    EXPORTS,
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    for_restricted=True,
    example=AN_EXPORT,
    refuses=[NoSuchUser, ExportTooSoon],
    idempotency="none",
    status=202,
)
async def ask_for_export(ask: Ask, house: InHouse) -> ExportAnswer:
    """Ask for a copy of everything that is known of oneself, once in 24 hours; it is kept for seven days."""
    found = await doors.ask_for_export(house, user_id=me_of(ask), now=ask.now)
    return ExportAnswer.of(PrivacyCard(found))


@routes.post(
    ERASURE,
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    for_restricted=True,
    example=AN_ERASURE,
    refuses=[NoSuchUser, LastOwner, ErasureBlocked],
    idempotency="none",
    status=202,
)
async def ask_for_erasure(ask: Ask, house: InHouse) -> ErasureAnswer:
    """Ask to be erased: a mailed link confirms it, then there are days to change one's mind."""
    return ErasureAnswer.of(await doors.ask_for_erasure(house, user_id=me_of(ask), now=ask.now))


@routes.delete(
    ERASURE,
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    for_restricted=True,
    example=AN_ERASURE,
    refuses=[NoSuchPrivacyRequest],
    idempotency="none",
)
async def cancel_erasure(ask: Ask, house: InHouse) -> ErasureAnswer:
    """Stay after all, as long as it has not begun."""
    return ErasureAnswer.of(await doors.cancel_erasure(house, user_id=me_of(ask), now=ask.now))


@routes.get(
    "/documents/{key}",
    access="public",
    scope=NO_SCOPE,
    example=DocumentAnswer(
        "terms",
        2,
        "en",
        "# Terms\nBe fair.",
        "ab" * 32,
        acceptance_required=True,
        published_at=say.MOMENT,
    ),
    refuses=[NoSuchDocument],
)
async def get_document(request: Request, key: Key, ask: Ask, tx: InTx, version: Version = None) -> DocumentAnswer:
    """Read what players are asked to accept, in the language of whoever asks, if it is there."""
    locale = _wanted(request)
    return DocumentAnswer.of(await service.documents.document(tx, key=key, locale=locale, version=version, now=ask.now))


def _wanted(request: Request) -> str:
    """The language that whoever asks reads best: documents come in more of them than pages do."""
    first = request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
    return first[:35] or "en"


@routes.get(CONSENTS, access="owner", scope=NO_TOKEN, example=SOME_CONSENTS)
async def list_consents(ask: Ask, tx: InTx) -> ConsentsAnswer:
    """List what one is asked to accept, and what one accepted and took back."""
    return await _consents(ask, tx)


@routes.post(
    CONSENTS,
    access="owner",
    scope=NO_TOKEN,
    for_restricted=True,
    example=SOME_CONSENTS,
    refuses=[NoSuchDocument],
    idempotency="none",
)
async def say_consent(said: Consenting, ask: Ask, visitor: From, house: InHouse, tx: InTx) -> ConsentsAnswer:
    """Accept a version of a document, or take back what one accepted of it."""
    await _consent(house, ask, visitor, said.document, said.version, accept=said.accept)
    return await _consents(ask, tx)


async def _consents(ask: Asking, tx: Tx) -> ConsentsAnswer:
    user_id = me_of(ask)
    return ConsentsAnswer(
        [AskedAnswer.of(one) for one in await service.documents.asked_of(tx, user_id=user_id, now=ask.now)],
        [ConsentAnswer.of(one) for one in await service.documents.consents_of(tx, user_id=user_id)],
    )


async def _consent(
    house: doors.House, ask: Asking, visitor: Visitor, document: str, version: int, *, accept: bool
) -> None:
    if accept:
        await doors.give_consent(house, user_id=me_of(ask), key=document, version=version, visitor=visitor, now=ask.now)
    else:
        await doors.withdraw_consent(house, user_id=me_of(ask), key=document, now=ask.now)


# pages


@routes.page(PAGE, access="owner")
async def privacy(request: Request, ask: Ask, tx: InTx, saved: Saved = False) -> Response:
    """What others see, and what is known here."""
    return await _privacy(request, ask, tx, is_saved=saved)


async def _privacy(
    request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, is_saved: bool = False
) -> Response:
    me = await service.accounts.me(tx, user_id=me_of(ask), now=ask.now)
    values = {
        "present": "privacy",
        "me": me,
        "choices": [(choice, _as_seen(me, choice)) for choice in BOARD_NAMES],
        "ip_days": settings.value(IP_RETENTION_DAYS),
        "is_saved": is_saved,
        "is_proven": is_proven(ask),
        "factors": await service.factors.factors_of(tx, user_id=me.user.id),
        "exports": await service.privacy.exports_of(tx, user_id=me.user.id),
        "erasure": await service.privacy.erasure_of(tx, user_id=me.user.id),
        "wait_days": settings.value(ERASURE_WAIT_DAYS),
        "asked": await service.documents.asked_of(tx, user_id=me.user.id, now=ask.now),
        "consents": await service.documents.consents_of(tx, user_id=me.user.id),
        "now": ask.now,
    }
    return show(request, "privacy", values, filled)


def _as_seen(me: Me, choice: BoardName) -> str:
    """How a board would show somebody who chose so."""
    user = me.user
    card = Card(user.id, user.username, user.display_name, user.board_name, user.status, user.created_at)
    return rules.names.public_name(replace(card, board_name=choice))


@routes.form(PAGE, access="owner", again=_privacy, idempotency="none")
async def save_privacy(form: Annotated[say.PrivacyForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Choose how much of the name boards show."""
    await doors.update_profile(
        house,
        user_id=me_of(ask),
        display_name=None,
        board_name=form.board_name,
        locale=None,
        version=form.version,
        now=ask.now,
    )
    return go(f"{PAGE}?saved=true")


@routes.form(f"{PAGE}/export", access="owner", again=_privacy, step_up=True, for_restricted=True, idempotency="none")
async def export_by_form(house: InHouse, ask: Ask) -> Response:
    """Ask for a copy of one's data."""
    await doors.ask_for_export(house, user_id=me_of(ask), now=ask.now)
    return go(f"{PAGE}#export")


@routes.page(f"{PAGE}/export/{{request_id:uuid}}", access="owner")
async def export_file(request_id: UUID, ask: Ask, house: InHouse) -> Response:
    """A copy of one's own data as a file. Refuses with NoSuchPrivacyRequest, ImpersonationReadOnly."""
    if ask.actor.impersonator:
        raise ImpersonationReadOnly  # it is read by the house, and holds what stays sealed to staff
    content = await doors.fetch_export(house, user_id=me_of(ask), request_id=request_id, now=ask.now)
    return Response(
        content,
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="my-data.zip"', "Cache-Control": "no-store"},
    )


@routes.form(f"{PAGE}/erase", access="owner", again=_privacy, step_up=True, for_restricted=True, idempotency="none")
async def erase_by_form(house: InHouse, ask: Ask) -> Response:
    """Ask to be erased."""
    await doors.ask_for_erasure(house, user_id=me_of(ask), now=ask.now)
    return go(f"{PAGE}#erase")


@routes.form(f"{PAGE}/stay", access="owner", again=_privacy, step_up=True, for_restricted=True, idempotency="none")
async def stay_by_form(house: InHouse, ask: Ask) -> Response:
    """Stay after all."""
    await doors.cancel_erasure(house, user_id=me_of(ask), now=ask.now)
    return go(f"{PAGE}#erase")


@routes.form(f"{PAGE}/consent", access="owner", again=_privacy, for_restricted=True, idempotency="none")
async def consent_by_form(form: Annotated[ConsentForm, Form()], visitor: From, house: InHouse, ask: Ask) -> Response:
    """Accept a document, or take that back."""
    await _consent(house, ask, visitor, form.document, form.version, accept=form.accept)
    return go(f"{PAGE}#consents")


@routes.page("/documents/{key}", access="public")
async def document_page(request: Request, key: Key, ask: Ask, tx: InTx, version: Version = None) -> Response:
    """A version of what players are asked to accept. Refuses with NoSuchDocument."""
    locale = _wanted(request)
    found = await service.documents.document(tx, key=key, locale=locale, version=version, now=ask.now)
    return show(request, "document", {"document": found, "text": markdown.render(found.body)})


@routes.page("/erase/{token}", access="public")
async def erase_page(request: Request, token: str) -> Response:
    """What the mailed link leads to: only pressing the button confirms anything."""
    return show(request, "erase", {"token": token, "wait_days": settings.value(ERASURE_WAIT_DAYS), "request": None})


async def _erase_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    values = {"token": request.path_params["token"], "wait_days": settings.value(ERASURE_WAIT_DAYS), "request": None}
    return show(request, "erase", values, filled)


@routes.form("/erase/{token}", access="public", again=_erase_again, rate=GUESSES, idempotency="none")
async def confirm_erasure(request: Request, token: str, house: InHouse, ask: Ask) -> Response:
    """Confirm that one wants to be erased."""
    found = await doors.confirm_erasure(house, secret=token, now=ask.now)
    return show(request, "erase", {"token": token, "wait_days": settings.value(ERASURE_WAIT_DAYS), "request": found})
