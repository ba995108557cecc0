"""Passkeys as calls, and the page on which they are made, named and removed."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.errors import (
    ContactUnverified,
    LastLoginMethod,
    NoSuchPasskey,
    NotStaff,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeyNameInvalid,
    TooManyAttempts,
    TooManyPasskeys,
)
from palio.identity.service.passkeys import PASSKEYS_MAX
from palio.identity.types import PasskeyId
from palio.identity.web.reception import GUESSES, From, InHouse, admit, keep_session, me_of, session_of
from palio.identity.web.showing import go, is_proven, show
from palio.infra.db import Tx
from palio.ui.access import NO_SCOPE, NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.routes import Filled, Routes

routes = Routes("identity")
PAGE = "/account/passkeys"
Told = Annotated[str, Query(max_length=20)]

A_PASSKEY = say.PasskeyAnswer(say.EXAMPLE_ID, "my telephone", True, say.MOMENT, None)
QUESTION = say.PasskeyOptions({"challenge": "kR9…", "rpId": "palio.example", "userVerification": "required"})
BEGUN = say.SessionBegun(say.EXAMPLE_ID, "browser", say.MOMENT, None)


@routes.post(
    "/auth/passkey/options", access="public", scope=NO_SCOPE, example=QUESTION, rate=GUESSES, idempotency="none"
)
async def ask_for_passkey(house: InHouse, ask: Ask) -> say.PasskeyOptions:
    """Get what an authenticator is to sign, for coming in, for a second factor or for a fresh proof; good 5 minutes."""
    return say.PasskeyOptions(await doors.passkey_options(house, now=ask.now))


@routes.post(
    "/auth/passkey/verify",
    access="public",
    scope=NO_SCOPE,
    example=BEGUN,
    refuses=[PasskeyInvalid, TooManyAttempts, ContactUnverified, NotStaff],
    rate=GUESSES,
    idempotency="none",
)
async def enter_by_passkey(
    form: say.EnterByPasskey, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.SessionBegun:
    """Begin a session by a passkey, without a name or a password; it counts as two factors."""
    found = await doors.sign_in_by_passkey(
        house, credential=form.credential.model_dump(), kind=form.kind, visitor=visitor, now=ask.now
    )
    admit(request, response, found)
    return say.SessionBegun.of(found)


@routes.get("/me/passkeys", access="owner", scope=NO_TOKEN, example=say.Passkeys([A_PASSKEY]))
async def list_passkeys(ask: Ask, tx: InTx) -> say.Passkeys:
    """List one's passkeys."""
    found = await service.passkeys.passkeys_of(tx, user_id=me_of(ask))
    return say.Passkeys([say.PasskeyAnswer.of(one) for one in found])


@routes.post(
    "/me/passkeys/options",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=QUESTION,
    refuses=[TooManyPasskeys],
    idempotency="none",
)
async def ask_for_new_passkey(house: InHouse, ask: Ask) -> say.PasskeyOptions:
    """Get what an authenticator is to make; good for 5 minutes."""
    return say.PasskeyOptions(await doors.new_passkey_options(house, user_id=me_of(ask), now=ask.now))


@routes.post(
    "/me/passkeys",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Passkeys([A_PASSKEY]),
    refuses=[PasskeyNameInvalid, PasskeyInvalid, TooManyPasskeys, PasskeyKnown],
    idempotency="none",
    status=201,
)
async def add_passkey(
    form: say.NewPasskey, request: Request, response: Response, house: InHouse, ask: Ask
) -> say.Passkeys:
    """Keep the passkey that an authenticator has made; from now on a password alone is not enough."""
    cookie = await doors.add_passkey(
        house,
        user_id=me_of(ask),
        session_id=session_of(ask),
        credential=form.credential.model_dump(),
        name=form.name,
        now=ask.now,
    )
    if cookie:
        keep_session(request, response, cookie, is_console=False)
    async with house.database.begin(ask.actor) as tx:
        return await list_passkeys(ask, tx)


@routes.delete(
    "/me/passkeys/{passkey_id:uuid}",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Done("done"),
    refuses=[NoSuchPasskey, LastLoginMethod],
    idempotency="none",
)
async def remove_passkey(passkey_id: UUID, house: InHouse, ask: Ask) -> say.Done:
    """Remove one of one's passkeys, unless it is the last way in."""
    await doors.remove_passkey(house, user_id=me_of(ask), passkey_id=PasskeyId(passkey_id))
    return say.Done("done")


# the page


@routes.page(PAGE, access="owner")
async def passkeys(request: Request, ask: Ask, tx: InTx, told: Told = "") -> Response:
    """One's passkeys, and how to make another."""
    return await _passkeys(request, ask, tx, told=told)


async def _passkeys(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, told: str = "") -> Response:
    user_id = me_of(ask)
    values = {
        "present": "security",
        "me": await service.accounts.me(tx, user_id=user_id, now=ask.now),
        "passkeys": await service.passkeys.passkeys_of(tx, user_id=user_id),
        "most": PASSKEYS_MAX,
        "factors": await service.factors.factors_of(tx, user_id=user_id),
        "is_proven": is_proven(ask),
        "told": told,
        "now": ask.now,
    }
    return show(request, "passkeys", values, filled)


@routes.form(f"{PAGE}/remove", access="owner", again=_passkeys, step_up=True, idempotency="none")
async def remove_by_form(form: Annotated[say.PasskeyForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Remove one of one's passkeys."""
    await doors.remove_passkey(house, user_id=me_of(ask), passkey_id=PasskeyId(form.passkey_id))
    return go(f"{PAGE}?told=removed")
