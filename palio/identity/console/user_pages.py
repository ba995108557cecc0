"""Pages of staff over one account: what is known of it, and a page for each act."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.identity.console import answers as say
from palio.identity.console.looks import IMPERSONATE, NOTE, RESET, REVEAL
from palio.identity.console.users import EDIT, READ, SUSPEND
from palio.identity.service import accounts, avatars, looks, people, resets, suspensions, telegram
from palio.identity.types import Revealed, Sealed, SealedField
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

PEOPLE = "/console/people"  # the entry of the rail under which accounts stand
ACCOUNT = "/console/identity/users/{user_id:uuid}"
ACTS = {
    "correct": EDIT,
    "suspend": SUSPEND,
    "reinstate": SUSPEND,
    "reveal": REVEAL,
    "note": NOTE,
    "avatar": EDIT,
    "telegram": EDIT,
    "impersonate": IMPERSONATE,
    "mfa-reset": RESET,
}
routes = Routes("identity")


@routes.page(ACCOUNT, access=READ)
async def account_page(
    request: Request,
    user_id: UUID,
    ask: Ask,
    tx: InTx,
    waiting: Annotated[UUID | None, Query()] = None,
    proposed: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """An account as staff see it, and what can be done about it. Refuses with NoSuchUser."""
    notes = await looks.notes_of(tx, user_id=UserId(user_id))
    revealed = await looks.open_to(tx, user_id=UserId(user_id), now=ask.now)
    values = {
        **await _known(ask, tx, user_id),
        "waiting": waiting,
        "proposed": proposed,
        "reset": await resets.reset_of(tx, user_id=UserId(user_id)),
        "revealed": {(one.name, one.row_id): one for one in revealed},
        "notes": notes,
        "authors": await accounts.names(tx, ids={one.author_id for one in notes}, viewer=ask.actor),
    }
    return await console.render(request, ask, tx, "identity/console/account.html", values, present=PEOPLE)


async def _known(ask: Asking, tx: Tx, user_id: UUID) -> dict[str, object]:
    return {
        "found": await people.record_of(tx, user_id=UserId(user_id), now=ask.now),
        "account": f"/console/identity/users/{user_id}",
        "is_self": user_id == ask.actor.user_id,
        "may": {act for act, permission in ACTS.items() if permission in ask.permissions},
    }


# one act, one page: what it does, why, and the button


def _declare_act(act: str, access: str) -> None:
    @routes.page(f"{ACCOUNT}/{act}", access=access)
    async def act_page(
        request: Request,
        user_id: UUID,
        ask: Ask,
        tx: InTx,
        name: Annotated[SealedField | None, Query()] = None,
        id: Annotated[UUID | None, Query()] = None,  # noqa: A002 - its public name
    ) -> HTMLResponse:
        """What it does, and the form for it."""
        return await _act(request, ask, tx, user_id, act, {"name": name or "", "id": str(id or "")})


for _name, _access in ACTS.items():
    _declare_act(_name, _access)


async def _act(
    request: Request,
    ask: Asking,
    tx: Tx,
    user_id: UUID,
    act: str,
    typed: Mapping[str, str],
    problem: Problem | None = None,
) -> HTMLResponse:
    values = {**await _known(ask, tx, user_id), "act": act, "typed": typed}
    return await console.render(request, ask, tx, "identity/console/act.html", values, present=PEOPLE, problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The page of the act with what was typed, and why it was not done."""
    act = request.url.path.rpartition("/")[2]
    return await _act(request, ask, tx, request.path_params["user_id"], act, filled.values, filled.problem)


def _to(user_id: UUID) -> RedirectResponse:
    return RedirectResponse(f"/console/identity/users/{user_id}", 303)


@routes.form(f"{ACCOUNT}/correct", access=EDIT, step_up=True, asks_code=True, again=_again)
async def correct_by_form(user_id: UUID, form: Annotated[say.CorrectForm, Form()], tx: InTx) -> RedirectResponse:
    """Correct what an account says of its bearer."""
    found = await people.correct(
        tx, user_id=UserId(user_id), to=form.correction(), reason=form.reason, version=form.version
    )
    tx.is_audited = tx.is_audited or found.version == form.version  # the same again changes nothing
    return _to(user_id)


@routes.form(f"{ACCOUNT}/suspend", access=SUSPEND, step_up=True, asks_code=True, again=_again)
async def suspend_by_form(
    user_id: UUID, form: Annotated[say.SuspendForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Suspend an account, or say anew why and until when."""
    await suspensions.suspend(
        tx, user_id=UserId(user_id), reason=form.reason, until=form.until, now=ask.now, held=ask.permissions
    )
    return _to(user_id)


@routes.form(f"{ACCOUNT}/reinstate", access=SUSPEND, step_up=True, asks_code=True, again=_again)
async def reinstate_by_form(user_id: UUID, form: Annotated[say.WhyForm, Form()], tx: InTx) -> RedirectResponse:
    """Let a suspended account in again."""
    await suspensions.reinstate(tx, user_id=UserId(user_id), reason=form.reason)
    return _to(user_id)


@routes.form(f"{ACCOUNT}/reveal", access=REVEAL, step_up=True, asks_code=True, again=_again, idempotency="none")
async def reveal_by_form(
    user_id: UUID, form: Annotated[say.RevealForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Read a sealed value: for five minutes it stands on the page of the account."""
    sealed = Sealed(UserId(user_id), form.name, form.id)
    found = await looks.reveal(tx, sealed=sealed, reason=form.reason, now=ask.now)
    if isinstance(found, Revealed):
        return RedirectResponse(f"/console/identity/users/{user_id}#sealed", 303)
    return RedirectResponse(f"/console/identity/users/{user_id}?waiting={found.id}", 303)


@routes.form(f"{ACCOUNT}/avatar", access=EDIT, step_up=True, asks_code=True, again=_again)
async def remove_avatar_by_form(
    user_id: UUID, form: Annotated[say.WhyForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Remove the picture somebody shows of himself."""
    await avatars.remove_by_staff(tx, user_id=UserId(user_id), reason=form.reason, now=ask.now)
    return _to(user_id)


@routes.form(f"{ACCOUNT}/telegram", access=EDIT, step_up=True, asks_code=True, again=_again)
async def move_telegram_by_form(
    user_id: UUID, form: Annotated[say.MoveTelegramForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Link a Telegram account that is somebody else's to this account."""
    await telegram.move(tx, telegram_id=int(form.telegram_id), user_id=UserId(user_id), reason=form.reason, now=ask.now)
    tx.is_audited = True  # the first time it was
    return _to(user_id)


@routes.form(f"{ACCOUNT}/note", access=NOTE, again=_again)
async def note_by_form(user_id: UUID, form: Annotated[say.NoteForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Write a note for others of the staff."""
    await looks.write_note(tx, user_id=UserId(user_id), body=form.body, now=ask.now)
    return _to(user_id)


@routes.form(
    f"{ACCOUNT}/impersonate", access=IMPERSONATE, step_up=True, asks_code=True, again=_again, idempotency="none"
)
async def impersonate_by_form(
    request: Request, user_id: UUID, form: Annotated[say.WhyForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Look as a player, read-only, and begin at his first page."""
    begun = await looks.impersonate(tx, user_id=UserId(user_id), reason=form.reason, now=ask.now)
    response = RedirectResponse("/", 303)
    request.app.state.keep_viewer(request, response, begun)
    return response


@routes.form(f"{ACCOUNT}/mfa-reset", access=RESET, step_up=True, asks_code=True, again=_again)
async def propose_reset_by_form(
    user_id: UUID, form: Annotated[say.WhyForm, Form()], ask: Ask, tx: InTx
) -> RedirectResponse:
    """Propose that lost second factors are removed."""
    found = await resets.propose_reset(tx, user_id=UserId(user_id), reason=form.reason, now=ask.now)
    return RedirectResponse(f"/console/identity/users/{user_id}?proposed={found.id}", 303)
