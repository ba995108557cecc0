"""Calls of staff that ask whether it adds up: conservation, findings, seals."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Query

from palio.infra.db import Tx
from palio.infra.seals import Seal
from palio.ledger.console.calls.lists import id_of, ids_beside, note_export
from palio.ledger.console.calls.rights import FREEZE, READ
from palio.ledger.console.schemas.checks import (
    CONSERVATION_EXAMPLE,
    FINDING_EXAMPLE,
    FINDINGS_EXAMPLE,
    SEALS_EXAMPLE,
    ConservedAnswer,
    FindingAnswer,
    ResolveBody,
    SealAnswer,
    SealsAnswer,
)
from palio.ledger.errors import FindingResolved, NoSuchFinding, ResolutionInvalid
from palio.ledger.schemas.proofs import beside, wanted
from palio.ledger.service import checking, sealing, totals
from palio.ledger.service.sealing import Sealing
from palio.ledger.types import FindingId, KeptFinding
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, Paged, PagedById, Paging, Part
from palio.ui.routes import Routes

routes = Routes("ledger")


@routes.get("/console/ledger/conservation", access=READ, example=CONSERVATION_EXAMPLE)
async def list_conserved(ask: Ask, tx: InTx) -> Listed[ConservedAnswer]:
    """List where the units of every asset are now; each adds up to nothing."""
    return Listed(tuple(map(ConservedAnswer.of, await totals.conservation(tx, now=ask.now))), None, None)


async def findings_part(tx: Tx, page: Paging, *, open_only: bool) -> Part[KeptFinding]:
    """A page of findings."""
    older_than, newer_than = ids_beside(page)
    found = await checking.findings(
        tx,
        open_only=open_only,
        before=FindingId(older_than) if older_than else None,
        after=FindingId(newer_than) if newer_than else None,
        limit=page.limit + 1,
    )
    return page.part(found, id_of)


@routes.get("/console/ledger/findings", access=READ, example=FINDINGS_EXAMPLE)
async def list_findings(
    ask: Ask,
    tx: InTx,
    page: PagedById,
    all: Annotated[bool, Query(description="Resolved ones too")] = False,  # noqa: A002 - the name of the parameter
) -> Listed[FindingAnswer]:
    """List what reconciliations have found, the newest first; open ones unless all are asked for."""
    part = await findings_part(tx, page, open_only=not all)
    await note_export(tx, ask, page, "findings", len(part.rows))
    return Listed(tuple(map(FindingAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/findings/{finding_id:uuid}/resolve",
    access=FREEZE,
    example=FINDING_EXAMPLE,
    refuses=[NoSuchFinding, FindingResolved, ResolutionInvalid],
)
async def resolve_finding(finding_id: UUID, body: ResolveBody, ask: Ask, tx: InTx) -> FindingAnswer:
    """Close a finding with what was found out; the account it froze stays frozen until it is released."""
    return FindingAnswer.of(
        await checking.resolve_finding(tx, finding_id=FindingId(finding_id), resolution=body.resolution, now=ask.now)
    )


async def seals_part(tx: Tx, page: Paging, at: int | None = None) -> Sequence[Seal]:
    """A page of seals; without a cursor it begins with seal `at`, if one is named."""
    before, after = wanted(page, at)
    return await sealing.heads(tx, before=before, after=after, limit=page.limit)


def beside_seals(seals: Sequence[Seal], page: Paging, far: Sealing) -> tuple[str | None, str | None]:
    """The cursors `(older, newer)` beside a page of seals."""
    return beside(seals, page, newest=far.newest.n if far.newest else 0)


@routes.get("/console/ledger/seals", access=READ, example=SEALS_EXAMPLE)
async def list_ledger_seals(ask: Ask, tx: InTx, page: Paged) -> SealsAnswer:
    """List the seals of the ledger, the newest first, and whether they are anchored."""
    found, far = await seals_part(tx, page), await sealing.how_far(tx, now=ask.now)
    await note_export(tx, ask, page, "seals", len(found))
    older, newer = beside_seals(found, page, far)
    return SealsAnswer(tuple(SealAnswer.of(seal, far) for seal in found), older, newer, far.is_late)
