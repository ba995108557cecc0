"""The pages that let people in: sign-up and the proof of an address, sign-in, a forgotten password, the first owner."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import Response

from palio.identity import doors
from palio.identity import schemas as say
from palio.identity.errors import ConsentRequired
from palio.identity.service import documents
from palio.identity.types import MFA_TRUST_DAYS, Needed, SecondFactorDue, SessionKind, SignedIn
from palio.identity.web.offering import ways_of
from palio.identity.web.reception import (
    DAY_S,
    GUESSES,
    LETTERS,
    REGISTRATION,
    SIGN_UP,
    From,
    InHouse,
    admit,
    cookie_name,
    is_of_console,
    keep,
    keep_device,
    leave,
)
from palio.identity.web.showing import go, mailbox_of, show
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ui import limits, problems
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.edge import CODE
from palio.ui.leading import CONSOLE, SIGN_IN, ours
from palio.ui.pages import language_of
from palio.ui.routes import Filled, Routes

routes = Routes("identity")
CONSOLE_SIGN_IN = f"{CONSOLE}/sign-in"
SIGNS_OUT = "identity.session.prove"
Next = Annotated[str, Query(alias="next", max_length=300)]
Told = Annotated[str, Query(max_length=20)]  # what has just been done, which the next page says


# sign-up


@routes.page("/sign-up", access="public")
async def sign_up(request: Request, ask: Ask, tx: InTx) -> Response:
    """The form of an application."""
    return go("/account") if ask.actor.kind == "player" else await _sign_up(request, ask, tx)


async def _sign_up(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None) -> Response:
    """The form, also one that was refused, with what is to be accepted."""
    needed = await documents.needed(tx, locale=language_of(request).tag, now=ask.now)
    return show(request, "sign_up", {"ways": ways_of(request), "needed": needed}, filled)


@routes.form("/sign-up", access="public", again=_sign_up, rate=GUESSES, idempotency="none")
async def apply(
    request: Request, form: Annotated[say.SignUp, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Take an application; what is refused of it does not count as one."""
    application = form.application(language_of(request).tag)
    await doors.judge_application(house, application=application, now=ask.now)
    await limits.take(request, ask, SIGN_UP)
    made = await doors.register(house, application=application, visitor=visitor, now=ask.now)
    response = go("/account" if made.session else "/sign-up/sent")
    keep(request, response, REGISTRATION, made.told, DAY_S)
    keep_device(request, response, visitor)
    if made.session:
        admit(request, response, made.session)
    return response


@routes.page("/sign-up/sent", access="public")
async def sign_up_sent(request: Request, again: bool = False) -> Response:
    """That a letter is on its way, whatever is known of the address."""
    return show(request, "sent", {"letter": "verification", "is_again": again, "mailbox": mailbox_of(request)})


async def _sent_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    values = {"letter": "verification", "is_again": False, "mailbox": mailbox_of(request)}
    return show(request, "sent", values, filled)


@routes.form("/sign-up/letter", access="public", again=_sent_again, rate=LETTERS, idempotency="none")
async def send_verification(form: Annotated[say.Address, Form()], house: InHouse) -> Response:
    """Send the letter once more."""
    await doors.ask_for_letter(house, letter="email_verification", email=form.email)
    return go("/sign-up/sent?again=true")


# the link of a letter: to look at it changes nothing, because programs open links too


@routes.page("/verify-email/{token}", access="public")
async def verify_email(request: Request, token: str) -> Response:
    """The button that proves an address; whoever did not register in this browser also shows the password."""
    is_known = cookie_name(request, REGISTRATION) in request.cookies
    return show(request, "verify", {"token": token, "needs_password": not is_known, "mailbox": mailbox_of(request)})


async def _verify_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    values = {"token": request.path_params["token"], "needs_password": True, "mailbox": mailbox_of(request)}
    return show(request, "verify", values, filled)


@routes.form("/verify-email/{token}", access="public", again=_verify_again, rate=GUESSES, idempotency="none")
async def prove_email(
    request: Request, token: str, form: Annotated[say.ProveEmail, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Prove an address by the mailed link."""
    await doors.verify_email(
        house,
        secret=token,
        registration=request.cookies.get(cookie_name(request, REGISTRATION)),
        password=form.password or None,
        visitor=visitor,
        now=ask.now,
    )
    response = go(f"{SIGN_IN}?told=verified")
    response.delete_cookie(cookie_name(request, REGISTRATION), path="/", secure=request.url.scheme == "https")
    return response


@routes.page("/forgot-password", access="public")
async def forgot_password(request: Request) -> Response:
    """Ask for a link to choose a new password."""
    return show(request, "forgot", {})


async def _forgot_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "forgot", {}, filled)


@routes.form("/forgot-password", access="public", again=_forgot_again, rate=LETTERS, idempotency="none")
async def send_reset(form: Annotated[say.Address, Form()], house: InHouse) -> Response:
    """Send a link to choose a new password, if anybody has the address."""
    await doors.ask_for_letter(house, letter="password_reset", email=form.email)
    return go("/forgot-password/sent")


@routes.page("/forgot-password/sent", access="public")
async def reset_sent(request: Request) -> Response:
    """That a letter is on its way, whatever is known of the address."""
    return show(request, "sent", {"letter": "reset", "is_again": False, "mailbox": mailbox_of(request)})


@routes.page("/reset-password/{token}", access="public")
async def reset_password(request: Request, token: str) -> Response:
    """Choose a new password by the mailed link."""
    return show(request, "new_password", {"token": token, "is_owner": False})


async def _reset_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "new_password", {"token": request.path_params["token"], "is_owner": False}, filled)


@routes.form("/reset-password/{token}", access="public", again=_reset_again, rate=GUESSES, idempotency="none")
async def set_password(token: str, form: Annotated[say.OneNewPassword, Form()], house: InHouse, ask: Ask) -> Response:
    """Set a new password by the mailed link; every session and API token ends."""
    await doors.reset_password(house, secret=token, new=form.password, now=ask.now)
    return go(f"{SIGN_IN}?told=reset")


@routes.page("/first-owner/{token}", access="public")
async def first_owner(request: Request, token: str) -> Response:
    """Choose the password of the first owner."""
    return show(request, "new_password", {"token": token, "is_owner": True})


async def _owner_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "new_password", {"token": request.path_params["token"], "is_owner": True}, filled)


@routes.form("/first-owner/{token}", access="public", again=_owner_again, rate=GUESSES, idempotency="none")
async def become_owner(token: str, form: Annotated[say.OneNewPassword, Form()], house: InHouse, ask: Ask) -> Response:
    """Become the first owner by the printed link."""
    await doors.accept_first_owner(house, secret=token, new=form.password, now=ask.now)
    return go(f"{SIGN_IN}?told=owner&next=/account/authenticator")


@routes.page("/invitation/{token}", access="public")
async def invitation(request: Request, token: str, ask: Ask, tx: InTx) -> Response:
    """Name and password of somebody who was invited: to look at it changes nothing."""
    return await _invited(request, ask, tx)


async def _invited(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None) -> Response:
    needed = await documents.needed(tx, locale=language_of(request).tag, now=ask.now)
    return show(request, "invitation", {"token": request.path_params["token"], "needed": needed}, filled)


@routes.form("/invitation/{token}", access="public", again=_invited, rate=GUESSES, idempotency="none")
async def accept_invitation(
    request: Request, token: str, form: Annotated[say.InvitedForm, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Make the account, and go on to the sign-in."""
    application = form.application(language_of(request).tag)
    await doors.accept_invitation(house, secret=token, application=application, visitor=visitor, now=ask.now)
    return go(f"{SIGN_IN}?told=verified")


# sign-in, of players and of staff


@routes.page(SIGN_IN, access="public")
async def sign_in(request: Request, ask: Ask, wanted: Next = "/", told: Told = "") -> Response:
    """The form of players."""
    return go(ours(wanted)) if ask.actor.kind in {"player", "viewer"} else _sign_in(request, ours(wanted), told)


@routes.page(CONSOLE_SIGN_IN, access="public")
async def sign_in_to_console(request: Request, ask: Ask, wanted: Next = CONSOLE, told: Told = "") -> Response:
    """The form of staff: their console has a session of its own."""
    return go(ours(wanted)) if ask.actor.kind == "staff" else _sign_in(request, ours(wanted, CONSOLE), told)


def _sign_in(request: Request, wanted: str, told: str = "", filled: Filled | None = None) -> Response:
    is_console = is_of_console(request)
    values = {"wanted": wanted, "told": told, "is_console": is_console, "ways": ways_of(request, wanted, is_console)}
    return show(request, "sign_in", values, filled)


def _factor(
    request: Request, ticket: str, wanted: str, factors: Sequence[str], filled: Filled | None = None
) -> Response:
    values = {
        "ticket": ticket,
        "wanted": wanted,
        "factors": factors,
        "trust_days": settings.value(MFA_TRUST_DAYS),
        "is_console": is_of_console(request),
    }
    return show(request, "second_factor", values, filled)


async def _sign_in_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return _sign_in(request, filled.values.get("next", "/"), filled=filled)


async def _factor_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The code again; when the ticket has run out, the password again."""
    wanted = filled.values.get("next", "/")
    if filled.problem.code == "identity.second_factor_wrong":
        factors = filled.values.get("factors", "").split()
        return _factor(request, filled.values.get("ticket", ""), wanted, factors, filled)
    return _sign_in(request, wanted, filled=filled)


@routes.form(SIGN_IN, access="public", again=_sign_in_again, rate=GUESSES, idempotency="none")
async def enter(
    request: Request, form: Annotated[say.Credentials, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Begin a session by name or address and password, or go on to the second factor."""
    return await _enter(request, form, visitor, house, ask, "browser")


@routes.form(CONSOLE_SIGN_IN, access="public", again=_sign_in_again, rate=GUESSES, idempotency="none")
async def enter_console(
    request: Request, form: Annotated[say.Credentials, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """The same for staff, who always go on to the second factor."""
    return await _enter(request, form, visitor, house, ask, "console")


async def _enter(
    request: Request, form: say.Credentials, visitor: From, house: InHouse, ask: Asking, kind: SessionKind
) -> Response:
    found = await doors.sign_in(
        house, identifier=form.identifier, password=form.password, kind=kind, visitor=visitor, now=ask.now
    )
    return come_in(request, found, form.wanted)


def come_in(request: Request, found: SignedIn | SecondFactorDue, wanted: str) -> Response:
    """On to what somebody wanted, with the cookies of his session; or to his second factor."""
    if isinstance(found, SecondFactorDue):
        return _factor(request, found.ticket, wanted, found.factors)
    response = go(ours(wanted))
    admit(request, response, found)
    return response


def ask_to_accept(
    request: Request, needed: Sequence[Needed], *, address: str, again: Mapping[str, str] | None = None
) -> Response:
    """What is to be accepted by whoever is new: a button sends `again` to an address, or, without that, leads there."""
    values = {"needed": needed, "address": address, "again": again}
    response = show(request, "accept", values)
    response.status_code = problems.status_of(ConsentRequired)
    request.scope[CODE] = ConsentRequired.code
    return response


def refuse_on_page(request: Request, refusal: Refusal, wanted: str) -> Response:
    """The sign-in, with what is wrong with the way that somebody took."""
    problem = problems.describe(request, refusal)
    request.scope[CODE] = problem.code
    response = _sign_in(request, wanted, filled=Filled({}, replace(problem, errors=())))
    response.status_code = problem.status
    return response


@routes.form(f"{SIGN_IN}/code", access="public", again=_factor_again, rate=GUESSES, idempotency="none")
async def enter_code(
    request: Request, form: Annotated[say.CodeOfTicket, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Begin the session whose password was right, by a code."""
    return await _enter_code(request, form, visitor, house, ask)


@routes.form(f"{CONSOLE_SIGN_IN}/code", access="public", again=_factor_again, rate=GUESSES, idempotency="none")
async def enter_code_of_console(
    request: Request, form: Annotated[say.CodeOfTicket, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """The same for staff."""
    return await _enter_code(request, form, visitor, house, ask)


async def _enter_code(request: Request, form: say.CodeOfTicket, visitor: From, house: InHouse, ask: Asking) -> Response:
    found = await doors.second_factor(
        house,
        ticket=form.ticket,
        code=form.code,
        trusts_device=form.trust_device,
        visitor=visitor,
        now=ask.now,
    )
    response = go(ours(form.wanted))
    admit(request, response, found)
    return response


@routes.form("/sign-out", access="public", idempotency="none", for_viewers=True)
async def sign_out(request: Request, house: InHouse, ask: Ask) -> Response:
    """End this session."""
    response = go(f"{SIGN_IN}?told=left")
    await leave(request, response, house, ask)
    return response


@routes.form(
    f"{CONSOLE}/sign-out",
    access=SIGNS_OUT,
    idempotency="none",
    unaudited="the session tells when and why it ended",
)
async def sign_out_of_console(request: Request, house: InHouse, ask: Ask) -> Response:
    """End this session of the console."""
    response = go(f"{CONSOLE_SIGN_IN}?told=left")
    await leave(request, response, house, ask)
    return response
