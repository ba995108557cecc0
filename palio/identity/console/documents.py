"""What players are asked to accept: its versions, and the next one, as calls and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Query, Request
from pydantic import Field, StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse, Response

from palio.identity.console.answers import Why, WhyForm
from palio.identity.errors import TextLanguageInvalid
from palio.identity.schemas import MOMENT
from palio.identity.service import documents
from palio.identity.types import Version
from palio.infra import approvals
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.routes import Filled, Routes
from palio.ui.values import Instant

HERE = "/console/identity/documents"
PUBLISH = "identity.document.publish"
TEXT_CHARACTERS_MAX, LANGUAGES_MAX = 200_000, 20
BODY_BYTES_MAX = 3 << 20
routes = Routes("identity")
Key = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9-]{1,39}$")]
Locale = Annotated[str, StringConstraints(strict=True, min_length=2, max_length=35)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=TEXT_CHARACTERS_MAX)]


class PublishDocument(Why):
    """The next version of a document, a text in Markdown for each language, and whether it binds anew."""

    key: Key
    texts: Annotated[dict[Locale, Text], Field(min_length=1, max_length=LANGUAGES_MAX)]
    acceptance_required: bool


class DocumentForm(WhyForm):
    """The same from a page; a language without a text is left out."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    locale: Annotated[list[Annotated[str, Field(max_length=35)]], Field(min_length=1, max_length=LANGUAGES_MAX)]
    body: Annotated[
        list[Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]], Field(min_length=1, max_length=LANGUAGES_MAX)
    ]
    acceptance_required: bool = False

    def texts(self) -> dict[str, str]:
        """Each text by its language."""
        pairs = zip(self.locale, self.body, strict=False)
        return {locale.strip(): body.replace("\r\n", "\n") for locale, body in pairs if body.strip()}


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """A version of a document. Nobody plays on before he has accepted the newest one that asks for it."""

    key: str
    version: int
    locales: list[str]
    acceptance_required: bool
    published_at: Instant

    @classmethod
    def of(cls, one: Version) -> "VersionAnswer":
        return cls(one.key, one.version, one.locales, one.acceptance_required, one.published_at)


@dataclass(frozen=True, slots=True)
class VersionsAnswer:
    """All versions of all documents, by name, the newest first; at most 500."""

    items: list[VersionAnswer]


@dataclass(frozen=True, slots=True)
class Published:
    """The number of the version that is out now."""

    key: str
    version: int


A_VERSION = VersionAnswer("terms", 2, ["de", "en"], acceptance_required=True, published_at=MOMENT)


@routes.get(HERE, access=PUBLISH, scope=NO_TOKEN, example=VersionsAnswer([A_VERSION]))
async def list_documents(tx: InTx) -> VersionsAnswer:
    """List the versions of what players are asked to accept; each text is read at `/documents/{key}`."""
    return VersionsAnswer(list(map(VersionAnswer.of, await documents.versions(tx))))


@routes.post(
    HERE,
    access=PUBLISH,
    scope=NO_TOKEN,
    step_up=True,
    example=Published("terms", 3),
    refuses=[TextLanguageInvalid, ReasonMissing],
    body_bytes_max=BODY_BYTES_MAX,
    status=201,
)
async def publish_document(said: PublishDocument, ask: Ask, tx: InTx) -> Published:
    """Publish the next version of a document; the newest one once more publishes nothing."""
    version = await _publish(tx, ask, said.key, said.texts, said.reason, is_required=said.acceptance_required)
    return Published(said.key, version)


async def _publish(tx: Tx, ask: Asking, key: str, texts: Mapping[str, str], reason: str, *, is_required: bool) -> int:
    why = approvals.checked_reason(reason)
    version = await documents.publish_document(
        tx, key=key, texts=texts, acceptance_required=is_required, now=ask.now, reason=why
    )
    tx.is_audited = True  # the version was, when it was published first
    return version


# the page


@routes.page(HERE, access=PUBLISH)
async def documents_page(
    request: Request, ask: Ask, tx: InTx, key: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse:
    """The versions there are, and a form for the next one of `key`, filled with its present texts."""
    return await _documents(request, ask, tx, key)


async def _documents(
    request: Request,
    ask: Asking,
    tx: Tx,
    key: str,
    filled: Filled | None = None,
    written: Sequence[tuple[str, str]] = (),
) -> HTMLResponse:
    problem = filled.problem if filled else None
    found = await documents.texts_of(tx, key=key) if key else []
    values = {
        "versions": await documents.versions(tx),
        "key": key,
        "is_next": bool(found),
        "texts": written or [(one.locale, one.body) for one in found],
        "is_required": found[0].acceptance_required if found else True,
        "typed": filled.values if filled else {},
    }
    return await console.render(
        request, ask, tx, "identity/console/documents.html", values, present=HERE, problem=problem
    )


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page with what was typed, and why nothing was published."""
    form = await request.form()
    locales, bodies = (list(map(str, form.getlist(name))) for name in ("locale", "body"))
    written = [(locale, body) for locale, body in zip(locales, bodies, strict=False) if body.strip()]
    return await _documents(request, ask, tx, filled.values.get("key", ""), filled, written[:LANGUAGES_MAX])


@routes.form(HERE, access=PUBLISH, step_up=True, asks_code=True, again=_again, body_bytes_max=BODY_BYTES_MAX)
async def publish_by_form(form: Annotated[DocumentForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Publish the next version of a document, from the page."""
    await _publish(tx, ask, form.key, form.texts(), form.reason, is_required=form.acceptance_required)
    return RedirectResponse(HERE, 303)
