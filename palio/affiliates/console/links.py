"""What staff decide about links over HTTP: the queue of requests, the ends and moves of links, lists of them."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio import identity
from palio.affiliates import service
from palio.affiliates.errors import (
    AlreadyDecided,
    AlreadyLinked,
    BadLinkList,
    NoSuchLink,
    NoSuchProgramme,
    NoSuchRequest,
    NoteMissing,
    NotLinked,
    OwnRequest,
    PlayerTaken,
    PlayerUnknown,
    RequestTaken,
)
from palio.affiliates.schemas.linking import (
    IMPORT_EXAMPLE,
    INERT,
    LINE,
    LINK_EXAMPLE,
    LINKED_EXAMPLE,
    PROPOSAL_EXAMPLE,
    QUEUE_EXAMPLE,
    QUEUED_EXAMPLE,
    AskMore,
    Because,
    Decide,
    ImportAnswer,
    ImportedAnswer,
    ImportLinks,
    LinkAnswer,
    LinkedAnswer,
    MoveLink,
    ProposalAnswer,
    QueuedAnswer,
)
from palio.affiliates.types import (
    AttachmentId,
    LinkDecision,
    LinkId,
    LinkLine,
    LinkRequestId,
    LinksFilter,
    ProgrammeId,
    QueuedRequest,
    QueueFilter,
)
from palio.infra import files
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Database, Tx
from palio.kernel.parts import IDS
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged, PagedById, Paging, Part, numbered, ordered
from palio.ui.routes import Routes
from palio.ui.values import Blank

routes = Routes("affiliates")

READ, REVIEW = "affiliates.read", "affiliates.links.review"
OF_A_REQUEST = (NoSuchRequest, AlreadyDecided, OwnRequest)
LIST_BYTES_MAX = 1 << 20
Box: TypeAlias = Literal["open", "mine", "contested", "closed"]
Which = Annotated[
    Box,
    Query(
        description="All that are open, those you look at, those that several ask for (oldest first), or closed ones"
    ),
]
LinkState = Annotated[Literal["active", "ended"], Query(description="Those that hold, or those that have ended")]
Programme = Annotated[str | None, Query(max_length=64, description="Code of a programme"), Blank]
Text = Annotated[
    str, Query(max_length=200, pattern=LINE, description="A reference, a uid, a name, or how a user name begins")
]


ORDERS = "By `id`: upwards, or downwards with a minus in front; usually what is open upwards, what is closed downwards"


async def queued(
    page: Paged,
    state: Which = "open",
    sort: Annotated[str | None, Query(description=ORDERS, json_schema_extra={"enum": ["id", "-id"]})] = None,
) -> Paging:
    """Read what part of the queue is asked for. Refuses with RequestValidationError an order that it does not have."""
    return ordered(page, sort or ("-id" if state == "closed" else "id"), of="-id", end=(str(IDS[0]),))


Queued: TypeAlias = Annotated[Paging, Depends(queued)]


@routes.get("/console/affiliates/link-requests", access=READ, example=QUEUE_EXAMPLE)
async def list_link_queue(
    ask: Ask, tx: InTx, page: Queued, state: Which = "open", programme: Programme = None, q: Text = ""
) -> Listed[QueuedAnswer]:
    """List requests to link."""
    return (await listed(tx, ask, page, state, programme, q)).told(QueuedAnswer.of)


async def listed(tx: Tx, ask: Asking, page: Paging, box: Box, programme: str | None, text: str) -> Part[QueuedRequest]:
    """A part of the queue, and the cursors of its neighbours."""
    wanted = QueueFilter(
        programme, text.strip(), is_contested=box == "contested", taken_by=ask.actor.user_id if box == "mine" else None
    )
    read = service.decided if box == "closed" else service.open_requests
    found = await read(tx, wanted=wanted, part=page.wanted(numbered).and_one)
    return page.part(found, lambda one: (str(one.request.id),))


@routes.get(
    "/console/affiliates/link-requests/{request_id:uuid}", access=READ, example=QUEUED_EXAMPLE, refuses=[NoSuchRequest]
)
async def get_link_request(request_id: UUID, ask: Ask, tx: InTx) -> QueuedAnswer:
    """Read a request with every step of its history."""
    return await _card(tx, LinkRequestId(request_id))


@routes.page("/console/affiliates/pictures/{picture_id:uuid}", access=READ)
async def proof_picture(picture_id: UUID, request: Request, ask: Ask) -> Response:
    """A picture that somebody has sent as a proof."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        found = await service.attachment(tx, attachment_id=AttachmentId(picture_id))
    content = await service.read_picture(files.storage_of(database), attachment=found)
    return Response(content, media_type=files.MEDIA_TYPE, headers=INERT)


@routes.post(
    "/console/affiliates/link-requests/{request_id:uuid}/take",
    access=REVIEW,
    example=QUEUED_EXAMPLE,
    refuses=[*OF_A_REQUEST, RequestTaken],
)
async def take_link_request(request_id: UUID, ask: Ask, tx: InTx) -> QueuedAnswer:
    """Say that one looks at a request, for half an hour."""
    await service.take(tx, request_id=LinkRequestId(request_id), actor=ask.actor, now=ask.now)
    return await _card(tx, LinkRequestId(request_id))


@routes.post(
    "/console/affiliates/link-requests/{request_id:uuid}/ask",
    access=REVIEW,
    example=QUEUED_EXAMPLE,
    refuses=[*OF_A_REQUEST, NoteMissing],
)
async def ask_about_link_request(request_id: UUID, said: AskMore, ask: Ask, tx: InTx) -> QueuedAnswer:
    """Ask the user for more."""
    await service.ask_more(
        tx,
        request_id=LinkRequestId(request_id),
        actor=ask.actor,
        note=said.note,
        staff_note=said.staff_note,
        now=ask.now,
    )
    return await _card(tx, LinkRequestId(request_id))


@routes.post(
    "/console/affiliates/link-requests/{request_id:uuid}/approve",
    access=REVIEW,
    example=QUEUED_EXAMPLE,
    refuses=[*OF_A_REQUEST, NoteMissing, PlayerTaken, AlreadyLinked],
)
async def approve_link_request(request_id: UUID, said: Decide, ask: Ask, tx: InTx) -> QueuedAnswer:
    """Link the player to the user; what waited is paid, and other requests for the player end."""
    return await _decide(tx, ask, request_id, said, "approve")


@routes.post(
    "/console/affiliates/link-requests/{request_id:uuid}/reject",
    access=REVIEW,
    example=QUEUED_EXAMPLE,
    refuses=[*OF_A_REQUEST, NoteMissing],
)
async def reject_link_request(request_id: UUID, said: Decide, ask: Ask, tx: InTx) -> QueuedAnswer:
    """Refuse a request, with a note that the user reads."""
    return await _decide(tx, ask, request_id, said, "reject")


async def _decide(tx: Tx, ask: Asking, request_id: UUID, said: Decide, decision: LinkDecision) -> QueuedAnswer:
    await service.decide(
        tx,
        request_id=LinkRequestId(request_id),
        actor=ask.actor,
        decision=decision,
        note=said.note,
        staff_note=said.staff_note,
        now=ask.now,
    )
    return await _card(tx, LinkRequestId(request_id))


async def _card(tx: Tx, request_id: LinkRequestId) -> QueuedAnswer:
    return QueuedAnswer.of(*await service.request_card(tx, request_id=request_id))


@routes.get("/console/affiliates/links", access=READ, example=LINKED_EXAMPLE)
async def list_links(
    ask: Ask, tx: InTx, page: PagedById, state: LinkState = "active", programme: Programme = None, q: Text = ""
) -> Listed[LinkedAnswer]:
    """List links that hold, or those that have ended, the newest first."""
    return (await listed_links(tx, page, state, programme, q)).told(LinkedAnswer.of)


async def listed_links(
    tx: Tx, page: Paging, state: Literal["active", "ended"], programme: str | None, text: str
) -> Part[LinkLine]:
    """A page of links."""
    wanted = LinksFilter(programme, text.strip(), has_ended=state == "ended")
    found = await service.list_links(tx, wanted=wanted, part=page.wanted(numbered).and_one)
    return page.part(found, lambda one: (str(one.id),))


@routes.post(
    "/console/affiliates/links/{link_id:uuid}/unlink",
    access=REVIEW,
    example=LINK_EXAMPLE,
    refuses=[NoSuchLink, NotLinked],
)
async def unlink_player(link_id: UUID, said: Because, ask: Ask, tx: InTx) -> LinkAnswer:
    """End a link now; what was won stays."""
    ended = await service.unlink_one(tx, link_id=LinkId(link_id), actor=ask.actor, reason=said.reason, now=ask.now)
    return LinkAnswer.of(ended)


@routes.post(
    "/console/affiliates/links/transfer",
    access=REVIEW,
    example=PROPOSAL_EXAMPLE,
    refuses=[NoSuchProgramme, PlayerUnknown, identity.NoSuchUser, OwnRequest, AlreadyLinked, ReasonMissing],
    step_up=True,
    scope="session",
    status=202,
)
async def transfer_link(said: MoveLink, ask: Ask, tx: InTx) -> ProposalAnswer:
    """Propose that a player is somebody else's; a second person decides, and nothing moves before."""
    user = await identity.get(tx, name_or_id=said.to_user)
    waiting = await service.propose_transfer(
        tx,
        programme_id=await programme_of(tx, said.programme),
        uid=said.uid,
        to_user=user.id,
        actor=ask.actor,
        reason=said.reason,
        now=ask.now,
    )
    return ProposalAnswer.of(waiting)


@routes.post(
    "/console/affiliates/links/import",
    access=REVIEW,
    example=IMPORT_EXAMPLE,
    refuses=[NoSuchProgramme, BadLinkList],
    step_up=True,
    scope="session",
    body_bytes_max=LIST_BYTES_MAX,
)
async def import_links(said: ImportLinks, ask: Ask, tx: InTx) -> ImportAnswer:
    """Make a list of links, all of them or none; a dry run says what would become of each."""
    done = await service.import_links(
        tx,
        programme_id=await programme_of(tx, said.programme),
        text=said.links,
        reason=said.reason,
        now=ask.now,
        dry_run=said.dry_run,
    )
    return ImportAnswer(done.is_written, tuple(map(ImportedAnswer.of, done.lines)))


async def programme_of(tx: Tx, code: str | None) -> ProgrammeId:
    head = await service.head_of(tx, code=code)
    if head is None:
        raise NoSuchProgramme(programme=code)
    return head.id
