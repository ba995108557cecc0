"""People: found by name, and shown with what modules know of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio import identity
from palio.admin import schemas, service
from palio.admin.schemas import desk_of
from palio.identity.types import SessionId
from palio.infra.approvals import Approval
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging, dated
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes

HERE, GRANT, END = "/console/people", "identity.role.grant", "identity.session.end"
routes = Routes("admin")


@routes.page(HERE, access="admin.card.read")
async def people_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, q: Annotated[str, Query(max_length=300)] = ""
) -> HTMLResponse:
    """Find somebody; without a word to look for, see everybody, those who came last first."""
    found = {"found": await service.find_people(tx, text=q)} if q.strip() else await _newest(tx, page)
    values = {"q": q, "older": None, "newer": None, **found}
    return await console.render(request, ask, tx, "admin/people.html", values, present=HERE)


async def _newest(tx: Tx, page: Paging) -> dict[str, object]:
    shown = page.shown(
        await service.newest_people(tx, part=page.wanted(_born)), lambda one: (one.created_at.isoformat(), str(one.id))
    )
    return {"found": shown.rows, "older": shown.next, "newer": shown.prev}


def _born(at: object, user_id: object) -> tuple[datetime, UserId]:
    created_at, row_id = dated(at, user_id)
    return created_at, UserId(row_id)


@routes.page(HERE + "/{user_id:uuid}", access="admin.card.read")
async def person_page(
    request: Request, ask: Ask, tx: InTx, user_id: UUID, waiting: Annotated[UUID | None, Query()] = None
) -> HTMLResponse:
    """Somebody, as each module knows him. Refuses with identity.NoSuchUser."""
    return await _person(request, ask, tx, user_id, {}, waiting=waiting)


async def _person(
    request: Request,
    ask: Asking,
    tx: Tx,
    user_id: UUID,
    typed: Mapping[str, str],
    problem: Problem | None = None,
    waiting: UUID | None = None,
) -> HTMLResponse:
    card = await service.card(tx, desk=desk_of(request), held=ask.permissions, user_id=user_id, now=ask.now)
    may_read = "identity.user.read" in ask.permissions
    values = {
        "card": card,
        "grants": await identity.grants_of(tx, user_id=UserId(user_id), now=ask.now) if may_read else None,
        "sessions": await _sessions(tx, ask, user_id) if may_read else None,
        "may_end": END in ask.permissions,
        "roles": await _givable(tx, ask) if GRANT in ask.permissions else [],
        "is_self": user_id == ask.actor.user_id,
        "typed": typed,
        "waiting": waiting,
    }
    return await console.render(request, ask, tx, "admin/person.html", values, present=HERE, problem=problem)


async def _sessions(tx: Tx, ask: Asking, user_id: UUID) -> list[identity.Session]:
    """Where somebody is signed in; addresses stay sealed."""
    current = SessionId(ask.session_id) if ask.session_id else None
    return await identity.sessions_of(tx, user_id=UserId(user_id), current=current, now=ask.now, is_revealed=False)


async def _givable(tx: Tx, ask: Asking) -> list[identity.Role]:
    """The roles that somebody may give: those that hold nothing he does not hold."""
    return [role for role in await identity.list_roles(tx) if ask.permissions.issuperset(role.permissions)]


async def _person_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The card with what was typed, and why it was not done."""
    return await _person(request, ask, tx, request.path_params["user_id"], filled.values, filled.problem)


@routes.form(HERE + "/{user_id:uuid}/roles", access=GRANT, step_up=True, again=_person_again)
async def give_role_by_form(
    ask: Ask, tx: InTx, user_id: UUID, form: Annotated[schemas.GrantForm, Form()]
) -> RedirectResponse:
    """Give a role, for good or until some time; owner and finance wait for a second person."""
    given = await identity.grant_or_propose(
        tx,
        user_id=UserId(user_id),
        role=form.role,
        reason=form.reason,
        now=ask.now,
        held=ask.permissions,
        expires_at=form.expires_at,
        of=form.of,
    )
    asked = f"?waiting={given.id}" if isinstance(given, Approval) else ""
    return RedirectResponse(f"{HERE}/{user_id}{asked}", 303)


@routes.form(HERE + "/{user_id:uuid}/roles/revoke", access=GRANT, step_up=True, again=_person_again)
async def take_role_by_form(
    ask: Ask, tx: InTx, user_id: UUID, form: Annotated[schemas.RoleForm, Form()]
) -> RedirectResponse:
    """Take a role now; the sessions of its bearer end."""
    await identity.revoke_role(
        tx,
        user_id=UserId(user_id),
        role=form.role,
        reason=form.reason,
        now=ask.now,
        held=ask.permissions,
        of=form.of,
    )
    return RedirectResponse(f"{HERE}/{user_id}", 303)


@routes.form(HERE + "/{user_id:uuid}/sessions/end", access=END, again=_person_again)
async def end_sessions_by_form(
    ask: Ask, tx: InTx, user_id: UUID, form: Annotated[schemas.SessionsForm, Form()]
) -> RedirectResponse:
    """Sign somebody out, of one session or of all."""
    session_id = SessionId(form.session_id) if form.session_id else None
    await identity.end_for_staff(tx, user_id=UserId(user_id), session_id=session_id, why=form.reason, now=ask.now)
    return RedirectResponse(f"{HERE}/{user_id}", 303)


@routes.get(
    "/console/users/{user_id:uuid}/card",
    access="admin.card.read",
    example=schemas.CARD,
    refuses=[identity.NoSuchUser],
)
async def get_card(request: Request, ask: Ask, tx: InTx, user_id: UUID) -> schemas.CardAnswer:
    """Read what modules know of somebody, as far as you may; a panel that could not be read is null."""
    card = await service.card(tx, desk=desk_of(request), held=ask.permissions, user_id=user_id, now=ask.now)
    return schemas.CardAnswer.of(card)
