"""Transfers by programs: single ones and batches, on the ordinary way and on the short one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from palio.infra.db import Database
from palio.kernel.errors import Refusal, Unauthenticated
from palio.kernel.ids import Actor
from palio.kernel.providers import Bulk, BulkDone, Wished
from palio.ledger import errors
from palio.ledger.schemas import transfers as shapes
from palio.ledger.schemas.transfers import (
    BATCH,
    TRANSFER,
    BatchAnswer,
    BatchForm,
    QuickBatch,
    TransferAnswer,
    TransferForm,
    api_key,
    data_of,
)
from palio.ledger.types import (
    PERMISSION_TRANSFER_POST,
    AnyOutcome,
    Item,
    Mode,
    Posted,
    Refused,
)
from palio.ledger.web.gathering import Teller
from palio.ui import background, keys, problems, strict
from palio.ui.actor import Ask, Asking
from palio.ui.hot import Answer, HotRoute, Plain
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.problems import FieldProblem
from palio.ui.refusals import BatchRefused, IdempotencyKeyInvalid, IdempotencyKeyRequired
from palio.ui.routes import Routes

BATCH_BYTES_MAX = 8 << 20
OK, CREATED = 200, 201
BATCHES = Limit("transfer-batches", 60, MINUTE_S)
ITEMS_BETWEEN_PAUSES = 250
NO_AUDIT = "a transfer is kept for ever and names who posted it"
OF_EVERY_TRANSFER = (
    *(errors.InvalidPost, errors.KeyMismatch, errors.ForeignFamily, errors.InsufficientFunds),
    *(errors.AccountFrozen, errors.AccountClosed, errors.BalanceLimit),
    *(errors.NoSuchHold, errors.HoldNotOpen, errors.HoldLapsed, errors.HoldMismatch, errors.HoldExceeded),
)
routes = Routes("ledger")


async def teller_of(request: Request) -> Teller:
    """The one of this process."""
    teller: Teller = request.app.state.teller
    return teller


InBank = Annotated[Teller, Depends(teller_of)]


@routes.post(
    "/ledger/transfers",
    access=PERMISSION_TRANSFER_POST.name,
    for_services=True,
    idempotency="required",
    keeps_keys=True,
    status=CREATED,
    example=TRANSFER,
    refuses=OF_EVERY_TRANSFER,
    unaudited=NO_AUDIT,
)
async def post_transfer(
    form: TransferForm, request: Request, response: Response, ask: Ask, teller: InBank
) -> TransferAnswer:
    """Post a transfer once for its key, however often it is sent."""
    key = _key_of(keys.key_of(request))
    item = shapes.post_of(form, api_key(_user_of(ask.actor), key), ask.actor)
    posted = _posted((await teller.post([item]))[0])
    if posted.replayed:
        response.headers.update(keys.REPLAYED)
    return TransferAnswer.of(posted)


@routes.post(
    "/ledger/transfers/batch",
    access=PERMISSION_TRANSFER_POST.name,
    for_services=True,
    idempotency="none",
    example=BATCH,
    refuses=[errors.BatchTooLarge, BatchRefused],
    rate=[BATCHES],
    unaudited=NO_AUDIT,
    body_bytes_max=BATCH_BYTES_MAX,
    may_wait=True,
)
async def post_transfer_batch(form: BatchForm, request: Request, ask: Ask, teller: InBank) -> BatchAnswer:
    """Post many transfers, holds, releases and reversals: each by itself, or all of them or none."""
    if accepted := await background.accept(request, ask, items=len(form.items)):
        return accepted  # type: ignore[return-value]  # where to ask what came of it
    answer = await _carry_out(teller, await _judged(form, ask.actor))
    return Response(answer.body, answer.status, media_type="application/json")  # type: ignore[return-value]  # as it says


async def carry_out_later(database: Database, actor: Actor, wished: Wished) -> BulkDone:
    """Carry out a batch that nobody waits for. Refuses as the call does, except that one taken back whole says why."""
    batch = await _judged(BatchForm.model_validate(strict.parse(wished.body)), actor)
    try:
        return BulkDone((await _carry_out(Teller(database), batch)).body)
    except BatchRefused as refusal:
        return BulkDone(shapes.encode({"code": refusal.code, **refusal.facts}), refusal.code)


BULK: tuple[Bulk[Database], ...] = (Bulk("ledger_post_transfer_batch", carry_out_later),)


def short_ways(teller: Teller) -> Sequence[HotRoute[Any]]:
    """The second way to both calls."""

    async def answer_transfer(ask: Asking, work: tuple[str, shapes.QuickTransfer]) -> Answer:
        key, form = work
        [outcome] = await teller.post([shapes.quick_post(form, api_key(_user_of(ask.actor), key), ask.actor)])
        posted = _posted(outcome)
        return Answer(CREATED, shapes.written(posted), posted.replayed)

    async def answer_batch(ask: Asking, work: tuple[QuickBatch, Sequence[shapes.QuickItem]]) -> Answer:
        batch, forms = work
        prefix, posts = api_key(_user_of(ask.actor), ""), []
        for start in _slices(len(forms)):
            posts += [shapes.quick_post(form, prefix + form.key, ask.actor) for form in forms[start]]
            await asyncio.sleep(0)
        return await _carry_out(teller, _Batch([form.key for form in forms], posts, batch.mode, batch.is_dry_run))

    return (
        HotRoute("POST", "/api/v1/ledger/transfers", _read_transfer, answer_transfer),
        HotRoute("POST", "/api/v1/ledger/transfers/batch", _read_batch, answer_batch),
    )


async def _read_transfer(plain: Plain) -> tuple[str, shapes.QuickTransfer] | None:
    if plain.key is None or not shapes.KEY.fullmatch(plain.key):
        return None
    form = shapes.read_transfer(plain.body)
    return (plain.key, form) if form else None


async def _read_batch(plain: Plain) -> tuple[QuickBatch, Sequence[shapes.QuickItem]] | None:
    """A key in the header means nothing to a batch, whose items have their own."""
    batch = shapes.read_batch(plain.body)
    if batch is None:
        return None
    forms: list[shapes.QuickItem] = []
    for start in _slices(len(batch.items)):
        read = shapes.read_items(batch.items[start])
        if read is None:
            return None
        forms += read
        await asyncio.sleep(0)
    return batch, forms


@dataclass(slots=True)
class _Batch:
    """The items of a batch, with what was refused of them before anybody looked at the ledger."""

    refs: Sequence[str | None]
    items: Sequence[Item | Refused]
    mode: Mode
    is_dry_run: bool
    refused: dict[int, tuple[Refusal, Sequence[FieldProblem]]] = field(default_factory=dict)


async def _judged(form: BatchForm, actor: Actor) -> _Batch:
    """Judge each item by the shape of its kind."""
    batch = _Batch([], [], form.mode, form.dry_run)
    items: list[Item | Refused] = []
    raw: Sequence[object] = form.items  # nothing has looked at them
    for part in _slices(len(raw)):
        for index, one in enumerate(raw[part], part.start):
            found = _item_of(one, actor, index)
            if isinstance(found, tuple):
                batch.refused[index] = found
                items.append(Refused(found[0].code))
            else:
                items.append(found)
        await asyncio.sleep(0)
    keys_given = [one.get("key") if isinstance(one, dict) else None for one in raw]
    batch.refs, batch.items = [key if isinstance(key, str) else None for key in keys_given], items
    return batch


def _item_of(raw: object, actor: Actor, index: int) -> Item | tuple[Refusal, Sequence[FieldProblem]]:
    """What is meant, or why it is refused, with every bad place."""
    op = raw.get("op", "transfer") if isinstance(raw, dict) else None
    shape = shapes.SHAPES.get(op) if isinstance(op, str) else None
    if shape is None:
        path, words = (
            (("op",), "There is no such operation.") if isinstance(raw, dict) else ((), "An item is an object.")
        )
        places = [problems.place_of(["items", index, *path], "literal_error", words)]
        return problems.refusal_of(places), places
    try:
        form = shape.validate_python(raw)
    except ValidationError as wrong:
        found = wrong.errors(include_url=False, include_input=False, include_context=False)
        places = [problems.place_of(["items", index, *error["loc"]], error["type"], error["msg"]) for error in found]
        return problems.refusal_of(places), places
    if not shapes.KEY.fullmatch(form.key):
        refusal = IdempotencyKeyInvalid()
        return refusal, [FieldProblem(f"/items/{index}/key", refusal.code, refusal.detail)]
    return shapes.item_of(form, actor, _user_of(actor))


async def _carry_out(teller: Teller, batch: _Batch) -> Answer:
    """The results of a batch. Refuses with BatchTooLarge, and with BatchRefused, whose facts are the same results."""
    try:
        outcomes = await teller.post_apart(batch.items, mode=batch.mode, dry_run=batch.is_dry_run)
    except errors.BatchRefused as refused:
        told: Sequence[AnyOutcome] = refused.facts["outcomes"]  # type: ignore[assignment]  # as the ledger made them
        raise BatchRefused(**await _results(batch, told)) from None
    return Answer(OK, shapes.encode(await _results(batch, outcomes)))


async def _results(batch: _Batch, outcomes: Sequence[AnyOutcome]) -> dict[str, object]:
    """One result for each item, and how many there are of each status. They are written part by part, whoever tells
    them: as a whole they would be the longest turn of the process.
    """
    written: list[bytes] = []
    counts = Counter(ok=0, duplicate=0, refused=0)
    for part in _slices(len(outcomes)):
        results = [_result(batch, index, outcome) for index, outcome in enumerate(outcomes[part], part.start)]
        counts.update([str(result["status"]) for result in results])
        written.append(shapes.encode(results))
        await asyncio.sleep(0)
    return {"results": shapes.joined(written), "counts": dict(counts)}


def _result(batch: _Batch, index: int, outcome: AnyOutcome) -> dict[str, object]:
    ref = batch.refs[index]
    if isinstance(outcome, Refused):
        refusal, places = batch.refused.get(index) or (errors.as_refusal(outcome), ())
        problem = problems.of_part(refusal, places)
        return {"index": index, "ref": ref, "status": "refused", "problem": problem}
    status = "duplicate" if outcome.replayed else "ok"
    return {"index": index, "ref": ref, "status": status, "data": data_of(outcome)}


def _slices(count: int) -> list[slice]:
    """Parts after each of which others may have their turn."""
    return [slice(start, start + ITEMS_BETWEEN_PAUSES) for start in range(0, count, ITEMS_BETWEEN_PAUSES)]


def _key_of(key: str | None) -> str:
    """A key that the ledger can keep. Refuses with IdempotencyKeyRequired, IdempotencyKeyInvalid."""
    if key is None:
        raise IdempotencyKeyRequired
    if not shapes.KEY.fullmatch(key):
        raise IdempotencyKeyInvalid
    return key


def _user_of(actor: Actor) -> UUID:
    """Whoever asks. Refuses with Unauthenticated."""
    if actor.user_id is None:
        raise Unauthenticated
    return actor.user_id


def _posted(outcome: AnyOutcome) -> Posted:
    """The outcome of a transfer. Raises what it was refused with."""
    if isinstance(outcome, Posted):
        return outcome
    raise errors.as_refusal(outcome)  # type: ignore[arg-type]  # a transfer is posted or refused
