"""Whether it adds up: pages of staff over conservation, findings and seals."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.infra import seals
from palio.infra.db import Tx
from palio.ledger.console.calls.checks import beside_seals, findings_part, seals_part
from palio.ledger.console.calls.rights import FREEZE, READ
from palio.ledger.console.forms import ResolveForm
from palio.ledger.console.pages.places import CONSERVATION, FINDINGS, SEALS
from palio.ledger.schemas.proofs import At
from palio.ledger.service import checking, sealing, totals
from palio.ledger.types import CHECKS, FindingId
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging, Part
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

LISTED_AGAIN_MAX = 200  # findings beside a form that was refused: that one is among the newest
routes = Routes("ledger")


@routes.page(CONSERVATION, access=READ)
async def conservation_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Where the units of every asset are, and when it was last seen that all adds up."""
    values = {
        "assets": [(one, Asset(one.asset, one.scale)) for one in await totals.conservation(tx, now=ask.now)],
        "rounds": [one for one in await checking.reconciliation(tx) if one.job != "rollup"],
        "open": await checking.open_findings(tx),
    }
    return await console.render(request, ask, tx, "ledger/console/conservation.html", values, present=CONSERVATION)


@routes.page(FINDINGS, access=READ)
async def findings_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    all: Annotated[bool, Query()] = False,  # noqa: A002 - the name of the parameter
) -> HTMLResponse:
    """What reconciliations have found, and what came of it."""
    return await _findings(request, ask, tx, page, is_all=all)


async def _findings(
    request: Request,
    ask: Asking,
    tx: Tx,
    page: Paging | None,
    *,
    is_all: bool,
    filled: Filled | None = None,
) -> HTMLResponse:
    if page:
        part = await findings_part(tx, page, open_only=not is_all)
    else:
        part = Part(await checking.findings(tx, open_only=not is_all, limit=LISTED_AGAIN_MAX), None, None)
    problem = filled.problem if filled else None
    values = {
        "findings": part.rows,
        "part": part,
        "checks": CHECKS,
        "all": is_all,
        "may_resolve": FREEZE in ask.permissions,
        "blamed": request.path_params.get("finding_id"),
        "typed": filled.values if filled else {},
    }
    return await console.render(
        request, ask, tx, "ledger/console/findings.html", values, present=FINDINGS, problem=problem
    )


async def _findings_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The findings with what was typed, and why it was not taken."""
    return await _findings(request, ask, tx, None, is_all=False, filled=filled)


@routes.form(FINDINGS + "/{finding_id:uuid}/resolve", access=FREEZE, again=_findings_again)
async def resolve_by_form(
    finding_id: UUID, ask: Ask, tx: InTx, form: Annotated[ResolveForm, Form()]
) -> RedirectResponse:
    """Close a finding with what was found out."""
    await checking.resolve_finding(tx, finding_id=FindingId(finding_id), resolution=form.resolution, now=ask.now)
    return RedirectResponse(f"{FINDINGS}?all=true", 303)


@routes.page(SEALS, access=READ)
async def seals_page(request: Request, ask: Ask, tx: InTx, page: Paged, at: At = None) -> HTMLResponse:
    """The seals of the ledger, from seal `at` on if one is named, and how far sealing is."""
    found, far = await seals_part(tx, page, at), await sealing.how_far(tx, now=ask.now)
    older, newer = beside_seals(found, page, far)
    values = {
        "seals": found,
        "far": far,
        "keys": {number: key.hex() for number, key in sorted(seals.public_keys(tx.equipment.keyring).items())},
        "older": older,
        "newer": newer,
        "at": at,
        "now": ask.now,
    }
    return await console.render(request, ask, tx, "ledger/console/seals.html", values, present=SEALS)
