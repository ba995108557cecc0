"""Doubts about a frozen ranking: nothing is paid before each is answered."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from palio.competitions import sql
from palio.competitions.errors import NoSuchAppeal, NotEligible
from palio.competitions.messages import AppealDecided
from palio.competitions.rules import appeals as rules
from palio.competitions.service import telling
from palio.competitions.service.lifecycle import lock
from palio.competitions.service.settlement import recount
from palio.competitions.types import APPEALS_MAX, Appeal, AppealState, CompetitionId
from palio.infra import approvals, audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId

LISTED_MAX = 200


async def open_appeal(
    tx: Tx, *, appeal_id: UUID, competition_id: CompetitionId, user_id: UserId, text: str, now: datetime
) -> Appeal:
    """Let a participant doubt the result during its review; from then on it is not paid by itself.

    Refuses with NoSuchCompetition, AppealsClosed, NotEligible for strangers, TooManyAppeals, AppealTextInvalid.
    """
    text = rules.checked_text(text)
    competition = await lock(tx, competition_id=competition_id)
    rules.check_opening(competition, await sql.list_appeals_of(tx, competition_id, user_id, APPEALS_MAX))
    entrant_id = await sql.find_entrant_of(tx, competition_id, user_id)
    if entrant_id is None:
        raise NotEligible(rule="joined")
    appeal = Appeal(appeal_id, competition_id, entrant_id, user_id, text, "open", None, None, now, None)
    await sql.insert_appeal(tx, appeal)
    telling.changed(tx, competition_ids=[competition_id])
    return appeal


async def decide_appeal(
    tx: Tx,
    *,
    appeal_id: UUID,
    decision: Literal["upheld", "rejected"],
    answer: str,
    actor: Actor,
    now: datetime,
) -> Appeal:
    """Answer a doubt; the player reads the answer. What is upheld writes standings and prizes anew, with whatever staff
    have put right.

    Refuses with NoSuchAppeal, AppealDecidedBefore, AppealsClosed, AppealTextInvalid, and approvals.OwnBenefit whose own
    doubt it is.
    """
    answer = rules.checked_text(answer)
    found = await sql.find_appeal(tx, appeal_id)
    if found is None:
        raise NoSuchAppeal
    competition = await lock(tx, competition_id=found.competition_id)
    appeal = await sql.find_appeal(tx, appeal_id) or found  # as it is under the lock
    rules.check_deciding(competition, appeal)
    if actor.user_id == appeal.user_id:
        raise approvals.OwnBenefit
    await sql.update_appeal(tx, appeal_id, decision, answer, actor.user_id, now)
    changes: dict[str, tuple[object, object]] = {"appeal": (None, appeal_id), "state": (appeal.state, decision)}
    if decision == "upheld":
        changes["standings"] = await recount(tx, competition=competition, now=now)
    await audit.record(
        tx,
        actor=actor,
        action="appeal.decide",
        entity_type="competition",
        entity_id=str(competition.id),
        changes=changes,
        reason=answer,
        subject=appeal.user_id,
    )
    await outbox.send(tx, AppealDecided(appeal_id, appeal.user_id, decision))
    return await sql.find_appeal(tx, appeal_id) or appeal


async def get_appeal(tx: Tx, *, appeal_id: UUID) -> Appeal:
    """One doubt. Refuses with NoSuchAppeal."""
    found = await sql.find_appeal(tx, appeal_id)
    if found is None:
        raise NoSuchAppeal
    return found


async def appeals_of(tx: Tx, *, competition_id: CompetitionId, user_id: UserId) -> list[Appeal]:
    """What a user doubted in a competition, the newest first, with the answers."""
    return await sql.list_appeals_of(tx, competition_id, user_id, APPEALS_MAX)


async def list_appeals(
    tx: Tx, *, states: Collection[AppealState], competition_id: CompetitionId | None = None
) -> Sequence[Appeal]:
    """What was doubted, of one competition or of all, the oldest first, at most 200."""
    return await sql.list_appeals(tx, states, LISTED_MAX, competition_id=competition_id)


async def waiting_appeals(tx: Tx) -> tuple[int, datetime | None]:
    """How many doubts wait for an answer, and since when the oldest does."""
    return await sql.count_waiting_appeals(tx)
