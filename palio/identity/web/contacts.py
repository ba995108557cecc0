"""The addresses and the name of somebody as calls, and the page of the addresses."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.doors import House
from palio.identity.errors import (
    EmailInvalid,
    EmailIsPrimary,
    EmailKnown,
    EmailNotAllowed,
    EmailUnverified,
    LastLoginMethod,
    NoSuchEmail,
    TimeZoneChangeTooSoon,
    TimeZoneInvalid,
    TokenInvalid,
    TooManyEmails,
    UsernameChangeTooSoon,
    UsernameInvalid,
    UsernameReserved,
    UsernameTaken,
)
from palio.identity.service.contacts import EMAILS_MAX
from palio.identity.types import EmailId
from palio.identity.web.account import profile_again
from palio.identity.web.reception import GUESSES, LETTERS, InHouse, me_of
from palio.identity.web.showing import go, is_proven, mailbox_of, show
from palio.infra.db import Tx
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import Limit
from palio.ui.routes import Filled, Routes

routes = Routes("identity")
PAGE = "/account/emails"
ADDING = (Limit("addresses", 10, 3_600, by="user"), *LETTERS)
Told = Annotated[str, Query(max_length=20)]

AN_EMAIL = say.EmailAnswer(say.EXAMPLE_ID, "alice@example.com", True, say.MOMENT, say.MOMENT)


@routes.get("/me/emails", access="owner", scope=NO_TOKEN, example=say.Emails([AN_EMAIL]))
async def list_emails(ask: Ask, tx: InTx) -> say.Emails:
    """List one's addresses."""
    found = await service.contacts.emails_of(tx, user_id=me_of(ask))
    return say.Emails([say.EmailAnswer.of(one) for one in found])


@routes.post(
    "/me/emails",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Emails([AN_EMAIL]),
    refuses=[EmailInvalid, EmailNotAllowed, EmailKnown, TooManyEmails],
    rate=ADDING,
    idempotency="none",
    status=201,
)
async def add_email(form: say.Address, house: InHouse, ask: Ask) -> say.Emails:
    """Add an address; it is written to, and counts once the link was opened. At most three."""
    await doors.add_email(house, user_id=me_of(ask), text=form.email, now=ask.now)
    return await _listed(house, ask)


@routes.post(
    "/me/emails/confirm",
    access="owner",
    scope=NO_TOKEN,
    example=say.Emails([AN_EMAIL]),
    refuses=[TokenInvalid],
    rate=GUESSES,
    idempotency="none",
)
async def confirm_email(form: say.EmailLink, house: InHouse, ask: Ask) -> say.Emails:
    """Prove an address that one has added, by the mailed link."""
    await doors.confirm_email(house, user_id=me_of(ask), secret=form.token, now=ask.now)
    return await _listed(house, ask)


@routes.post(
    "/me/emails/{email_id:uuid}/letter",
    access="owner",
    scope=NO_TOKEN,
    example=say.Done(),
    refuses=[NoSuchEmail],
    rate=ADDING,
    idempotency="none",
    status=202,
)
async def send_email_again(email_id: UUID, house: InHouse, ask: Ask) -> say.Done:
    """Have the link for a new address sent again."""
    await doors.send_email_again(house, user_id=me_of(ask), email_id=EmailId(email_id))
    return say.Done()


@routes.post(
    "/me/emails/{email_id:uuid}/primary",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Emails([AN_EMAIL]),
    refuses=[NoSuchEmail, EmailUnverified],
    idempotency="none",
)
async def make_email_primary(email_id: UUID, house: InHouse, ask: Ask) -> say.Emails:
    """Be written to at this address; the one before is told."""
    await doors.make_email_primary(house, user_id=me_of(ask), email_id=EmailId(email_id))
    return await _listed(house, ask)


@routes.delete(
    "/me/emails/{email_id:uuid}",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Done("done"),
    refuses=[NoSuchEmail, EmailIsPrimary, LastLoginMethod],
    idempotency="none",
)
async def remove_email(email_id: UUID, house: InHouse, ask: Ask) -> say.Done:
    """Remove one of one's addresses; it is told."""
    await doors.remove_email(house, user_id=me_of(ask), email_id=EmailId(email_id), now=ask.now)
    return say.Done("done")


@routes.put(
    "/me/username",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Done("done"),
    refuses=[UsernameInvalid, UsernameReserved, UsernameTaken, UsernameChangeTooSoon],
    rate=GUESSES,
    idempotency="none",
)
async def change_username(form: say.NewUsername, house: InHouse, ask: Ask) -> say.Done:
    """Take another user name, at most once in 30 days; nobody gets the old one for 90 days."""
    await doors.rename(house, user_id=me_of(ask), username=form.username, now=ask.now)
    return say.Done("done")


@routes.put(
    "/me/time-zone",
    access="owner",
    example=say.TimeZoneAnswer("Europe/Berlin", say.MOMENT),
    refuses=[TimeZoneInvalid, TimeZoneChangeTooSoon],
    idempotency="none",
)
async def change_zone(form: say.NewTimeZone, house: InHouse, ask: Ask) -> say.TimeZoneAnswer:
    """Choose another time zone, at most once in seven days; it counts from the later of the two next midnights."""
    change = await doors.change_zone(house, user_id=me_of(ask), zone=form.time_zone, now=ask.now)
    return say.TimeZoneAnswer(change.zone, change.valid_from)


async def _listed(house: House, ask: Asking) -> say.Emails:
    async with house.database.begin(ask.actor) as tx:
        return await list_emails(ask, tx)


# the pages


@routes.page(PAGE, access="owner")
async def emails(request: Request, ask: Ask, tx: InTx, told: Told = "") -> Response:
    """One's addresses, and the form of another."""
    return await _emails(request, ask, tx, told=told)


async def _emails(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, told: str = "") -> Response:
    user_id = me_of(ask)
    values = {
        "present": "profile",
        "emails": await service.contacts.emails_of(tx, user_id=user_id),
        "most": EMAILS_MAX,
        "factors": await service.factors.factors_of(tx, user_id=user_id),
        "is_proven": is_proven(ask),
        "mailbox": mailbox_of(request),
        "told": told,
        "now": ask.now,
    }
    return show(request, "emails", values, filled)


@routes.form(f"{PAGE}/add", access="owner", again=_emails, step_up=True, rate=ADDING, idempotency="none")
async def add_by_form(form: Annotated[say.Address, Form()], house: InHouse, ask: Ask) -> Response:
    """Add an address."""
    await doors.add_email(house, user_id=me_of(ask), text=form.email, now=ask.now)
    return go(f"{PAGE}?told=sent")


@routes.form(f"{PAGE}/letter", access="owner", again=_emails, rate=ADDING, idempotency="none")
async def send_again_by_form(form: Annotated[say.EmailForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Send the link again."""
    await doors.send_email_again(house, user_id=me_of(ask), email_id=EmailId(form.email_id))
    return go(f"{PAGE}?told=sent")


@routes.form(f"{PAGE}/primary", access="owner", again=_emails, step_up=True, idempotency="none")
async def make_primary_by_form(form: Annotated[say.EmailForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Be written to at another address."""
    await doors.make_email_primary(house, user_id=me_of(ask), email_id=EmailId(form.email_id))
    return go(f"{PAGE}?told=primary")


@routes.form(f"{PAGE}/remove", access="owner", again=_emails, step_up=True, idempotency="none")
async def remove_by_form(form: Annotated[say.EmailForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Remove an address."""
    await doors.remove_email(house, user_id=me_of(ask), email_id=EmailId(form.email_id), now=ask.now)
    return go(f"{PAGE}?told=removed")


@routes.page(PAGE + "/confirm/{token}", access="owner")
async def confirm(request: Request, token: str, ask: Ask) -> Response:
    """The button that proves a new address: to look at the link changes nothing, because programs open links too."""
    return show(request, "confirm_email", {"token": token, "present": "profile"})


async def _confirm_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "confirm_email", {"token": request.path_params["token"], "present": "profile"}, filled)


@routes.form(PAGE + "/confirm/{token}", access="owner", again=_confirm_again, rate=GUESSES, idempotency="none")
async def confirm_by_form(token: str, house: InHouse, ask: Ask) -> Response:
    """Prove a new address."""
    await doors.confirm_email(house, user_id=me_of(ask), secret=token, now=ask.now)
    return go(f"{PAGE}?told=confirmed")


@routes.form("/account/username", access="owner", again=profile_again, step_up=True, rate=GUESSES, idempotency="none")
async def rename_by_form(form: Annotated[say.NewUsername, Form()], house: InHouse, ask: Ask) -> Response:
    """Take another user name."""
    await doors.rename(house, user_id=me_of(ask), username=form.username, now=ask.now)
    return go("/account?saved=true")


@routes.form("/account/time-zone", access="owner", again=profile_again, idempotency="none")
async def change_zone_by_form(form: Annotated[say.NewTimeZone, Form()], house: InHouse, ask: Ask) -> Response:
    """Choose another time zone."""
    await doors.change_zone(house, user_id=me_of(ask), zone=form.time_zone, now=ask.now)
    return go("/account?saved=true")
