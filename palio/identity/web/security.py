"""The page that shows who is in one's account and by what, and the fresh proof for what is dangerous."""

from typing import Annotated

import segno
from fastapi import Form, Query, Request
from starlette.responses import Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.errors import FactorMissing
from palio.identity.types import DeviceId, SessionId
from palio.identity.web.entering import SIGNS_OUT, Next
from palio.identity.web.reception import (
    GUESSES,
    From,
    InHouse,
    house_of,
    is_of_console,
    keep_session,
    me_of,
    prove,
    session_of,
)
from palio.identity.web.showing import go, is_proven, show
from palio.infra.db import Tx
from palio.kernel.parts import Part
from palio.ui.access import step_up_needed
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.leading import CONSOLE, PROVE, ours
from palio.ui.routes import Filled, Routes

routes = Routes("identity")
PAGE, AUTHENTICATOR = "/account/security", "/account/authenticator"
CONSOLE_PROVE = f"{CONSOLE}/prove"
LOG_INS_SHOWN, ADDRESSES_SHOWN = 20, 10
Told = Annotated[str, Query(max_length=20)]


@routes.page(PAGE, access="owner")
async def security(request: Request, ask: Ask, tx: InTx, told: Told = "") -> Response:
    """Sessions, password, second factor, and who tried to sign in."""
    return await _security(request, ask, tx, told=told)


async def _security(request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, told: str = "") -> Response:
    user_id = me_of(ask)
    values = {
        "present": "security",
        "me": await service.accounts.me(tx, user_id=user_id, now=ask.now),
        "passkeys": await service.passkeys.passkeys_of(tx, user_id=user_id),
        "devices": await service.devices.devices_of(tx, user_id=user_id, current=session_of(ask), now=ask.now),
        "addresses": await service.attempts.addresses_of(tx, user_id=user_id, part=Part(ADDRESSES_SHOWN)),
        "sessions": await service.sessions.sessions_of(tx, user_id=user_id, current=session_of(ask), now=ask.now),
        "log_ins": await service.attempts.log_ins(tx, user_id=user_id, part=Part(LOG_INS_SHOWN)),
        "reset": await service.resets.reset_of(tx, user_id=user_id),
        "told": told,
        "now": ask.now,
    }
    return show(request, "security", values, filled)


@routes.form("/account/sessions/end", access="owner", again=_security, for_restricted=True)
async def end_session(form: Annotated[say.SessionForm, Form()], ask: Ask, tx: InTx) -> Response:
    """End one of one's sessions; it is refused from its next request on."""
    await service.sessions.end_session(
        tx, user_id=me_of(ask), session_id=SessionId(form.session_id), reason="revoked_by_user", now=ask.now
    )
    return go(f"{PAGE}?told=ended")


@routes.form("/account/sessions/end-others", access="owner", again=_security, for_restricted=True)
async def end_other_sessions(ask: Ask, tx: InTx) -> Response:
    """End all one's sessions but this one."""
    await service.sessions.end_sessions(
        tx, user_id=me_of(ask), but=session_of(ask), reason="revoked_by_user", now=ask.now
    )
    return go(f"{PAGE}?told=ended")


@routes.form("/account/devices/forget", access="owner", again=_security)
async def forget_device(form: Annotated[say.DeviceForm, Form()], ask: Ask, tx: InTx) -> Response:
    """Forget one of one's devices: the sessions on it end."""
    await service.devices.forget(tx, user_id=me_of(ask), device_id=DeviceId(form.device_id), now=ask.now)
    return go(f"{PAGE}?told=forgotten")


@routes.form(
    "/account/password", access="owner", again=_security, rate=GUESSES, idempotency="none", for_restricted=True
)
async def change_password(
    form: Annotated[say.PasswordForm, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Set a new password by the present one; all other sessions end."""
    await doors.change_password(
        house,
        user_id=me_of(ask),
        session_id=session_of(ask),
        current=form.current,
        new=form.password,
        visitor=visitor,
        now=ask.now,
    )
    return go(f"{PAGE}?told=password")


# the authenticator


@routes.page(AUTHENTICATOR, access="owner")
async def authenticator(request: Request, ask: Ask, tx: InTx) -> Response:
    """Where a second factor is set up, step by step, or removed."""
    return await _authenticator(request, ask, tx)


async def _authenticator(
    request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, codes: list[str] | None = None
) -> Response:
    me = await service.accounts.me(tx, user_id=me_of(ask), now=ask.now)
    house = await house_of(request)
    enrolment = await doors.pending_totp(house, user_id=me.user.id) if is_proven(ask) else None
    values = {
        "present": "security",
        "me": me,
        "is_proven": is_proven(ask),
        "factors": await service.factors.factors_of(tx, user_id=me.user.id),
        "enrolment": enrolment,
        "codes": codes,
    }
    return show(request, "authenticator", values, filled)


@routes.page(f"{AUTHENTICATOR}/picture.svg", access="owner")
async def picture(house: InHouse, ask: Ask) -> Response:
    """The secret of the authenticator that waits for its first code, as a picture that a camera reads.

    Refuses with StepUpRequired, and with FactorMissing if none waits.
    """
    if not is_proven(ask):
        raise step_up_needed()
    enrolment = await doors.pending_totp(house, user_id=me_of(ask))
    if enrolment is None:
        raise FactorMissing
    drawn = segno.make(enrolment.address, error="m", micro=False)
    svg = drawn.svg_inline(scale=4, border=4, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None)
    return Response(
        svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1),
        media_type="image/svg+xml",
        headers={"Cache-Control": "no-store"},
    )


@routes.form(f"{AUTHENTICATOR}/begin", access="owner", again=_authenticator, step_up=True, idempotency="none")
async def begin_authenticator(house: InHouse, ask: Ask) -> Response:
    """Make the secret of an authenticator; it counts after its first code."""
    await doors.begin_totp(house, user_id=me_of(ask), now=ask.now)
    return go(AUTHENTICATOR)


@routes.form(
    f"{AUTHENTICATOR}/confirm", access="owner", again=_authenticator, step_up=True, rate=GUESSES, idempotency="none"
)
async def confirm_authenticator(
    request: Request, form: Annotated[say.Code, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Make the authenticator count by its first code, and show the recovery codes this once."""
    cookie = await doors.confirm_totp(
        house, user_id=me_of(ask), session_id=session_of(ask), code=form.code, visitor=visitor, now=ask.now
    )
    response = await _with_new_codes(request, house, ask)
    if cookie:
        keep_session(request, response, cookie, is_console=False)
    return response


@routes.form(f"{AUTHENTICATOR}/codes", access="owner", again=_authenticator, step_up=True, idempotency="none")
async def renew_codes(request: Request, house: InHouse, ask: Ask) -> Response:
    """Ten recovery codes in the place of all earlier ones, shown this once."""
    return await _with_new_codes(request, house, ask)


async def _with_new_codes(request: Request, house: InHouse, ask: Asking) -> Response:
    codes = await doors.new_recovery_codes(house, user_id=me_of(ask), now=ask.now)
    async with house.database.begin(ask.actor) as tx:
        return await _authenticator(request, ask, tx, codes=codes)


@routes.form(f"{AUTHENTICATOR}/remove", access="owner", again=_authenticator, step_up=True, idempotency="none")
async def remove_authenticator(house: InHouse, ask: Ask) -> Response:
    """Remove the authenticator and the recovery codes."""
    await doors.remove_totp(house, user_id=me_of(ask))
    return go(f"{PAGE}?told=removed")


# the fresh proof


@routes.page(PROVE, access="owner")
async def proof(request: Request, ask: Ask, tx: InTx, wanted: Next = "/account") -> Response:
    """Who acts proves anew who he is, and goes back to what he wanted."""
    return await _proof(request, ask, tx, ours(wanted))


@routes.page(CONSOLE_PROVE, access=SIGNS_OUT)
async def proof_in_console(request: Request, ask: Ask, tx: InTx, wanted: Next = CONSOLE) -> Response:
    """The same for staff."""
    return await _proof(request, ask, tx, ours(wanted))


async def _proof(request: Request, ask: Asking, tx: Tx, wanted: str, filled: Filled | None = None) -> Response:
    factors = await service.factors.factors_of(tx, user_id=me_of(ask))
    values = {"wanted": wanted, "factors": factors, "is_console": is_of_console(request)}
    return show(request, "prove", values, filled)


async def _prove_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _proof(request, ask, tx, filled.values.get("next", "/"), filled)


@routes.form(PROVE, access="owner", again=_prove_again, rate=GUESSES, idempotency="none", for_restricted=True)
async def prove_anew(
    request: Request, form: Annotated[say.ProofThen, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Judge the proof."""
    return await _prove(request, form, visitor, house, ask)


@routes.form(
    CONSOLE_PROVE,
    access=SIGNS_OUT,
    again=_prove_again,
    rate=GUESSES,
    idempotency="none",
    unaudited="it changes the session of whoever asks, and nothing else",
)
async def prove_anew_in_console(
    request: Request, form: Annotated[say.ProofThen, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Judge the proof of staff."""
    return await _prove(request, form, visitor, house, ask)


async def _prove(request: Request, form: say.ProofThen, visitor: From, house: InHouse, ask: Asking) -> Response:
    response = go(ours(form.wanted))
    await prove(request, response, visitor, house, ask, form.secret)
    return response
