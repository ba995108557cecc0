"""What staff see of what people ask of their data, and of breaks from playing: pages and calls of the console."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Form, Query, Request, Response
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from palio.identity import rules, service
from palio.identity import schemas as say
from palio.identity.errors import (
    ExclusionFirm,
    ExclusionShorter,
    NoSuchExclusion,
    NoSuchPrivacyRequest,
    NoSuchUser,
    OwnExclusion,
    ReasonTooShort,
)
from palio.identity.types import (
    Exclusion,
    ExclusionKind,
    PlayActivity,
    PrivacyCard,
    PrivacyKind,
    PrivacyState,
)
from palio.identity.web.reception import me_of
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui import console
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.bodies import Body
from palio.ui.console import RailEntry
from palio.ui.paging import BEFORE_ALL, Listed, Paged, Paging, Part, dated, first_part, sorted_by
from palio.ui.problems import wrong_of
from palio.ui.ranges import of_words
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank, Instant

routes = Routes("identity")

PRIVACY, EXCLUSION = "identity.privacy.manage", "identity.exclusion.set"
REQUESTS, EXCLUSIONS = "/console/identity/privacy-requests", "/console/identity/play-exclusions"
RED_TRIES = 3  # a step that went wrong so often is shown red
RAIL = (
    RailEntry("people", "Data requests", REQUESTS, PRIVACY),
    RailEntry("people", "Breaks from playing", EXCLUSIONS, EXCLUSION),
)
OfState: TypeAlias = PrivacyState | Literal[""]  # of a page, whose field may be left empty
States: TypeAlias = Annotated[list[PrivacyState], Depends(of_words("state", get_args(PrivacyState)))]
ByRequest: TypeAlias = Annotated[Paging, Depends(sorted_by("-requested_at", end=BEFORE_ALL))]
ByBeginning: TypeAlias = Annotated[Paging, Depends(sorted_by("-starts_at", end=BEFORE_ALL))]
Reason = Annotated[str, Field(max_length=500)]
Who = Annotated[str, Query(max_length=80, description="User name or id of one player")]
Told = Annotated[str, Query(max_length=20)]


class Retry(Body):
    """Why a step is set going again."""

    reason: Reason


class Exclude(Body):
    """Whom the house keeps from playing (user name or id), for how many days (for ever without), and why."""

    user: Annotated[str, Field(min_length=1, max_length=80)]
    days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    reason: Reason


class ExcludeForm(Body):
    """The same from a page."""

    user: Annotated[str, Field(max_length=80)]
    days: Annotated[int | None, Field(ge=1, le=36_500), Blank] = None
    reason: Reason


class RetryForm(Retry):
    """Which request is set going again, and why."""

    request_id: UUID


class UndoForm(Retry):
    """Which break was a mistake, and why."""

    exclusion_id: UUID


@dataclass(frozen=True, slots=True)
class StepOfRequest:
    """How far one part of the house is; `error_code` is what went wrong last, `is_red` that it did three times."""

    section: str
    attempts: int
    is_done: bool
    is_red: bool
    error_code: str | None


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """What somebody asks of his data: a copy (`export`) or to be erased (`erase`)."""

    id: UUID
    user_id: UUID
    kind: PrivacyKind
    state: PrivacyState
    requested_at: Instant
    due_at: Instant | None
    finished_at: Instant | None
    steps: list[StepOfRequest]

    @classmethod
    def of(cls, card: PrivacyCard) -> "RequestAnswer":
        one = card.request
        steps = [
            StepOfRequest(
                *(step.section, step.attempts, step.finished_at is not None),
                is_red=step.finished_at is None and step.attempts >= RED_TRIES,
                error_code=step.error_code,
            )
            for step in card.steps
        ]
        return cls(one.id, one.user_id, one.kind, one.state, one.requested_at, one.due_at, one.finished_at, steps)


@dataclass(frozen=True, slots=True)
class BreakAnswer:
    """A break from playing; the reason of the house stays sealed."""

    id: UUID
    user_id: UUID
    kind: ExclusionKind
    activities: list[PlayActivity]
    starts_at: Instant
    ends_at: Instant | None
    set_by: Literal["player", "house"]
    is_on: bool
    return_requested_at: Instant | None
    lifted_at: Instant | None

    @classmethod
    def of(cls, one: Exclusion, now: datetime) -> "BreakAnswer":
        return cls(
            *(one.id, one.user_id, one.kind, list(one.activities), one.starts_at, one.ends_at),
            set_by="house" if one.created_by else "player",
            is_on=rules.play.is_on(one, now),
            return_requested_at=one.return_requested_at,
            lifted_at=one.lifted_at,
        )


@dataclass(frozen=True, slots=True)
class ProposedAnswer:
    """The approval that waits for a second person."""

    approval_id: UUID


_ID = say.EXAMPLE_ID
A_REQUEST = RequestAnswer(
    *(_ID, _ID, "erase", "running", say.MOMENT, say.MOMENT, None),
    steps=[StepOfRequest("affiliates", 3, is_done=False, is_red=True, error_code="OSError")],
)
A_BREAK = BreakAnswer(
    _ID,
    _ID,
    "operator_exclusion",
    ["stake", "pay_in", "bonus", "compete", "marketing"],
    say.MOMENT,
    None,
    set_by="house",
    is_on=True,
    return_requested_at=None,
    lifted_at=None,
)


# what people ask of their data


@routes.get(REQUESTS, access=PRIVACY, example=Listed([A_REQUEST], None, None))
async def list_privacy_requests(tx: InTx, page: ByRequest, states: States) -> Listed[RequestAnswer]:
    """List what people ask of their data, the newest first, with how far each part of the house is."""
    return (await _requests(tx, page, states)).told(RequestAnswer.of)


@routes.post(
    REQUESTS + "/{request_id:uuid}/retry",
    access=PRIVACY,
    example=A_REQUEST,
    refuses=[NoSuchPrivacyRequest, ReasonTooShort],
)
async def retry_privacy_request(request_id: UUID, said: Retry, tx: InTx) -> RequestAnswer:
    """Set the step going again that went wrong, instead of waiting for the next try."""
    return RequestAnswer.of(await service.privacy.retry(tx, request_id=request_id, reason=said.reason))


@routes.page(REQUESTS, access=PRIVACY)
async def privacy_requests_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, state: OfState = "", told: Told = ""
) -> HTMLResponse:
    """What people ask of their data, with how far each is."""
    return await _requests_page(request, ask, tx, page, state, told=told)


async def _requests_page(
    request: Request,
    ask: Asking,
    tx: Tx,
    page: Paging,
    state: OfState,
    filled: Filled | None = None,
    told: str = "",
) -> HTMLResponse:
    shown = await _requests(tx, page, [state] if state else [])
    values = {
        "found": [RequestAnswer.of(one) for one in shown.rows],
        "names": await _names(ask, tx, [one.request.user_id for one in shown.rows]),
        "older": shown.next,
        "newer": shown.prev,
        "state": state,
        "told": told,
        **_refused(filled),
    }
    return await console.render(
        *(request, ask, tx, "identity/privacy_requests.html", values), present=REQUESTS, status=_status(filled)
    )


async def _requests_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _requests_page(request, ask, tx, await first_part(request, ask, REQUESTS), "", filled)


@routes.form(REQUESTS + "/retry", access=PRIVACY, again=_requests_again, idempotency="none")
async def retry_by_form(form: Annotated[RetryForm, Form()], tx: InTx) -> RedirectResponse:
    """Set a step going again."""
    await service.privacy.retry(tx, request_id=form.request_id, reason=form.reason)
    return RedirectResponse(f"{REQUESTS}?told=retried", 303)


async def _requests(tx: Tx, page: Paging, states: Sequence[PrivacyState]) -> Part[PrivacyCard]:
    found = await service.privacy.requests_of_all(tx, states=states, part=page.wanted(dated).and_one)
    return page.part(found, lambda one: (one.request.requested_at.isoformat(), str(one.request.id)))


# breaks from playing


@routes.get(EXCLUSIONS, access=EXCLUSION, example=Listed([A_BREAK], None, None), refuses=[NoSuchUser])
async def list_breaks(ask: Ask, tx: InTx, page: ByBeginning, user: Who = "") -> Listed[BreakAnswer]:
    """List breaks from playing of everybody or of one player, the newest first."""
    return (await _breaks(tx, page, user)).told(lambda one: BreakAnswer.of(one, ask.now))


@routes.post(
    EXCLUSIONS,
    access=EXCLUSION,
    scope=NO_TOKEN,
    step_up=True,
    example=A_BREAK,
    refuses=[NoSuchUser, OwnExclusion, ReasonTooShort, ExclusionShorter],
    status=201,
)
async def set_break(said: Exclude, ask: Ask, tx: InTx) -> BreakAnswer:
    """Keep a player from playing in the name of the house, on every account of his; the reason is sealed."""
    found = await service.accounts.get(tx, name_or_id=said.user)
    made = await service.play.exclude_for_house(
        tx, user_id=found.id, days=said.days, by=me_of(ask), reason=said.reason, now=ask.now
    )
    return BreakAnswer.of(made, ask.now)


@routes.post(
    EXCLUSIONS + "/{exclusion_id:uuid}/undo",
    access=EXCLUSION,
    scope=NO_TOKEN,
    step_up=True,
    example=ProposedAnswer(_ID),
    refuses=[NoSuchExclusion, ExclusionFirm, ReasonTooShort, ReasonMissing],
    status=202,
)
async def propose_undo(exclusion_id: UUID, said: Retry, ask: Ask, tx: InTx) -> ProposedAnswer:
    """Propose that a break was a mistake, within its first hour; a second person decides."""
    approval = await service.play.propose_undo(tx, exclusion_id=exclusion_id, reason=said.reason, now=ask.now)
    return ProposedAnswer(approval.id)


@routes.page(EXCLUSIONS, access=EXCLUSION)
async def breaks_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, user: Who = "", told: Told = ""
) -> HTMLResponse:
    """Breaks from playing, and the form by which the house sets one."""
    return await _breaks_page(request, ask, tx, page, user, told=told)


async def _breaks_page(
    request: Request, ask: Asking, tx: Tx, page: Paging, user: str, filled: Filled | None = None, told: str = ""
) -> HTMLResponse:
    try:
        shown = await _breaks(tx, page, user)
    except NoSuchUser:
        shown = Part([], None, None)
    values = {
        "found": [(BreakAnswer.of(one, ask.now), _is_young(one, ask.now)) for one in shown.rows],
        "names": await _names(ask, tx, [one.user_id for one in shown.rows]),
        "older": shown.next,
        "newer": shown.prev,
        "user": user,
        "told": told,
        **_refused(filled),
    }
    return await console.render(
        *(request, ask, tx, "identity/play_exclusions.html", values), present=EXCLUSIONS, status=_status(filled)
    )


def _is_young(one: Exclusion, now: datetime) -> bool:
    return one.lifted_at is None and now - one.starts_at <= rules.play.UNDO_WITHIN


async def _breaks_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _breaks_page(request, ask, tx, await first_part(request, ask, EXCLUSIONS), "", filled)


@routes.form(EXCLUSIONS, access=EXCLUSION, again=_breaks_again, step_up=True, asks_code=True, idempotency="none")
async def set_break_by_form(form: Annotated[ExcludeForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Keep a player from playing in the name of the house."""
    found = await service.accounts.get(tx, name_or_id=form.user)
    await service.play.exclude_for_house(
        tx, user_id=found.id, days=form.days, by=me_of(ask), reason=form.reason, now=ask.now
    )
    return RedirectResponse(f"{EXCLUSIONS}?told=set", 303)


@routes.form(
    EXCLUSIONS + "/undo", access=EXCLUSION, again=_breaks_again, step_up=True, asks_code=True, idempotency="none"
)
async def propose_undo_by_form(form: Annotated[UndoForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Propose that a break was a mistake."""
    await service.play.propose_undo(tx, exclusion_id=form.exclusion_id, reason=form.reason, now=ask.now)
    return RedirectResponse(f"{EXCLUSIONS}?told=proposed", 303)


async def _breaks(tx: Tx, page: Paging, user: str) -> Part[Exclusion]:
    of = (await service.accounts.get(tx, name_or_id=user.strip())).id if user.strip() else None
    found = await service.play.exclusions_of_all(tx, user_id=of, part=page.wanted(dated).and_one)
    return page.part(found, lambda one: (one.starts_at.isoformat(), str(one.id)))


# both


async def _names(ask: Asking, tx: Tx, ids: list[UserId]) -> Mapping[UserId, str]:
    return await service.accounts.names(tx, ids=set(ids), viewer=ask.actor) if ids else {}


def _refused(filled: Filled | None) -> dict[str, object]:
    """What was typed into a form that was refused, and why, by field."""
    wrong = wrong_of(filled.problem if filled else None)
    return {
        "typed": filled.values if filled else {},
        "wrong": wrong,
        "problem": filled.problem if filled and not wrong else None,
    }


def _status(filled: Filled | None) -> int:
    return filled.problem.status if filled else 200
