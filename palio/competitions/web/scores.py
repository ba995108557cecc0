"""Scores by programs: single ones and batches, for boards of everybody and for competitions."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import TypeAdapter, ValidationError

from palio.competitions import errors
from palio.competitions.schemas.scores import (
    SCORE_EXAMPLE,
    SCORES_EXAMPLE,
    SHAPE,
    ScoreAnswer,
    ScoreForm,
    ScoresAnswer,
    ScoresForm,
    read_score,
    written,
)
from palio.competitions.types import PERMISSION_SCORE_SUBMIT, CompetitionId, ProgramScore, Refused
from palio.competitions.web.gathering import Mode, Scorer, ScoresRefusedError, Told
from palio.infra.db import Database
from palio.kernel.errors import Refusal, TooLarge
from palio.kernel.ids import Actor
from palio.kernel.providers import Bulk, BulkDone, Wished
from palio.ui import background, problems, strict
from palio.ui.actor import Ask, Asking
from palio.ui.hot import Answer, HotRoute, Plain
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.problems import FieldProblem
from palio.ui.refusals import BatchRefused
from palio.ui.routes import Routes

BATCH_BYTES_MAX = 8 << 20
OK = 200
ITEMS_BETWEEN_PAUSES = 250
BATCHES = Limit("score-batches", 60, MINUTE_S)
NO_AUDIT = "a score has a receipt that is kept"
routes = Routes("competitions")

Code = Annotated[str, Path(min_length=1, max_length=100, examples=["steps"])]
Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]
Place = Callable[[ScoreForm], ProgramScore]


async def scorer_of(request: Request) -> Scorer:
    """The one of this process."""
    scorer: Scorer = request.app.state.scorer
    return scorer


AtScorer = Annotated[Scorer, Depends(scorer_of)]


@routes.post(
    "/boards/{code}/scores",
    access=PERMISSION_SCORE_SUBMIT.name,
    for_services=True,
    idempotency="none",
    example=SCORE_EXAMPLE,
    refuses=errors.OF_SUBMISSIONS,
    unaudited=NO_AUDIT,
)
async def submit_board_score(code: Code, form: ScoreForm, scorer: AtScorer) -> ScoreAnswer:
    """Submit a score to a board of everybody: it counts on the lists of its day, week, month and of all time."""
    return await _submit(scorer, form.score(board=code))


@routes.post(
    "/boards/{code}/scores/batch",
    access=PERMISSION_SCORE_SUBMIT.name,
    for_services=True,
    idempotency="none",
    example=SCORES_EXAMPLE,
    refuses=[BatchRefused, TooLarge],
    rate=[BATCHES],
    unaudited=NO_AUDIT,
    body_bytes_max=BATCH_BYTES_MAX,
    may_wait=True,
)
async def submit_board_scores(
    code: Code, form: ScoresForm, request: Request, ask: Ask, scorer: AtScorer
) -> ScoresAnswer:
    """Submit many scores to a board of everybody: each by itself, or all of them or none."""
    if accepted := await background.accept(request, ask, items=len(form.items)):
        return accepted  # type: ignore[return-value]  # where to ask what came of it
    return await _submit_batch(scorer, form, lambda item: item.score(board=code))


@routes.post(
    "/competitions/{competition_id:uuid}/scores",
    access=PERMISSION_SCORE_SUBMIT.name,
    for_services=True,
    idempotency="none",
    example=SCORE_EXAMPLE,
    refuses=errors.OF_SUBMISSIONS,
    unaudited=NO_AUDIT,
)
async def submit_score(competition_id: Id, form: ScoreForm, scorer: AtScorer) -> ScoreAnswer:
    """Submit a score to a competition."""
    return await _submit(scorer, form.score(competition_id=CompetitionId(competition_id)))


@routes.post(
    "/competitions/{competition_id:uuid}/scores/batch",
    access=PERMISSION_SCORE_SUBMIT.name,
    for_services=True,
    idempotency="none",
    example=SCORES_EXAMPLE,
    refuses=[BatchRefused, TooLarge],
    rate=[BATCHES],
    unaudited=NO_AUDIT,
    body_bytes_max=BATCH_BYTES_MAX,
    may_wait=True,
)
async def submit_scores(
    competition_id: Id, form: ScoresForm, request: Request, ask: Ask, scorer: AtScorer
) -> ScoresAnswer:
    """Submit many scores to a competition: each by itself, or all of them or none."""
    if accepted := await background.accept(request, ask, items=len(form.items)):
        return accepted  # type: ignore[return-value]  # where to ask what came of it
    where = CompetitionId(competition_id)
    return await _submit_batch(scorer, form, lambda item: item.score(competition_id=where))


async def carry_out_later(database: Database, _: Actor, wished: Wished) -> BulkDone:
    """Carry out a batch that nobody waits for. Refuses as the call does, except that one taken back whole says why."""
    form, names = ScoresForm.model_validate(strict.parse(wished.body)), wished.names
    where = CompetitionId(UUID(names["competition_id"])) if "competition_id" in names else None
    try:
        answer = await _submit_batch(
            Scorer(database), form, lambda item: item.score(board=names.get("code"), competition_id=where)
        )
    except BatchRefused as refusal:
        return BulkDone(BODY.dump_json({"code": refusal.code, **refusal.facts}), refusal.code)
    return BulkDone(BODY.dump_json(asdict(answer)))


BODY: TypeAdapter[Mapping[str, object]] = TypeAdapter(Mapping[str, object])
BULK: tuple[Bulk[Database], ...] = (
    Bulk("competitions_submit_board_scores", carry_out_later),
    Bulk("competitions_submit_scores", carry_out_later),
)


def short_ways(scorer: Scorer) -> Sequence[HotRoute[Any]]:
    """The second way to a single score of a board."""

    async def answer_score(_: Asking, item: ProgramScore) -> Answer:
        [told] = await scorer.submit([item])
        if isinstance(told.outcome, Refused):
            raise errors.as_refusal(told.outcome)
        return Answer(OK, written(told.outcome, told.ranks))

    return (HotRoute("POST", "/api/v1/boards/{code}/scores", _read_score, answer_score),)


async def _read_score(plain: Plain) -> ProgramScore | None:
    """A key in the header means nothing to a score, which has its own."""
    return read_score(plain.body, plain.names[0])


async def _submit(scorer: Scorer, item: ProgramScore) -> ScoreAnswer:
    [told] = await scorer.submit([item])
    if isinstance(told.outcome, Refused):
        raise errors.as_refusal(told.outcome)
    return ScoreAnswer.of(told.outcome, told.ranks)


@dataclass(slots=True)
class _Batch:
    """The items of a batch, with what was refused of them by their shape."""

    refs: list[str | None] = field(default_factory=list)
    items: list[ProgramScore | Refused] = field(default_factory=list)
    refused: dict[int, tuple[Refusal, Sequence[FieldProblem]]] = field(default_factory=dict)


async def _submit_batch(scorer: Scorer, form: ScoresForm, place: Place) -> ScoresAnswer:
    """The results of a batch. Refuses with TooLarge, and with BatchRefused, whose facts are the same results."""
    background.require_few(len(form.items))
    batch = await _judged(form.items, place)
    mode: Mode = form.mode
    try:
        told = await scorer.submit(batch.items, mode=mode)
    except ScoresRefusedError as refused:
        answer = await _results(batch, refused.told, is_done=False)
        raise BatchRefused(results=answer.results, counts=answer.counts) from None
    return await _results(batch, told, is_done=True)


async def _judged(raw: Sequence[object], place: Place) -> _Batch:
    """Judge each item by its shape; others have their turn meanwhile."""
    batch = _Batch()
    for index, one in enumerate(raw):
        key = one.get("key") if isinstance(one, dict) else None
        batch.refs.append(key if isinstance(key, str) else None)
        try:
            batch.items.append(place(SHAPE.validate_python(one)))
        except ValidationError as wrong:
            found = wrong.errors(include_url=False, include_input=False, include_context=False)
            places = [problems.place_of(["items", index, *each["loc"]], each["type"], each["msg"]) for each in found]
            refusal = problems.refusal_of(places)
            batch.refused[index] = refusal, places
            batch.items.append(Refused(refusal.code, {}))
        if index % ITEMS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
    return batch


async def _results(batch: _Batch, told: Sequence[Told], *, is_done: bool) -> ScoresAnswer:
    """What became of each item; of a batch that was taken back only what was in the way."""
    results: list[Mapping[str, object]] = []
    counts = Counter(ok=0, duplicate=0, refused=0)
    for index, each in enumerate(told):
        result = _result(batch, index, each, is_done=is_done)
        counts[str(result["status"])] += 1
        results.append(result)
        if index % ITEMS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
    return ScoresAnswer(results, dict(counts))


def _result(batch: _Batch, index: int, told: Told, *, is_done: bool) -> dict[str, object]:
    ref, outcome = batch.refs[index], told.outcome
    if isinstance(outcome, Refused):
        refusal, places = batch.refused.get(index) or (errors.as_refusal(outcome), ())
        return {"index": index, "ref": ref, "status": "refused", "problem": problems.of_part(refusal, places)}
    status = "duplicate" if outcome.replayed else "ok"
    data = asdict(ScoreAnswer.of(outcome, told.ranks)) if is_done else {}
    return {"index": index, "ref": ref, "status": status, "data": data}
