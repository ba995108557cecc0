"""Acts that take two people: one proposes, another decides, and then it happens once, or says why it could not.

A module proposes a *command* with its payload; `entry/wiring.py` maps commands to the functions that carry them out.
What is executed is judged anew by the module itself: facts that no longer hold make it fail, and nothing moves.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Protocol, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from palio.infra import audit, db, outbox, realtime, settings
from palio.infra.db import Tx
from palio.infra.messages import (
    ApprovalDecided,
    ApprovalExecuted,
    ApprovalOpened,
    ExecuteApproval,
)
from palio.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.parts import IDS, Part
from palio.kernel.providers import Change
from palio.kernel.settings import Setting
from palio.kernel.topics import LiveType, Topic

Decision: TypeAlias = Literal["approve", "reject"]
State: TypeAlias = Literal["open", "approved", "rejected", "withdrawn", "expired", "executed", "failed"]
Payload: TypeAlias = Mapping[str, Any]

REASON_MIN, REASON_MAX = 5, 500
PAYLOAD_BYTES_MAX = 64 << 10
LISTED_MAX = 200
NEWEST: Part[UUID] = Part(LISTED_MAX)
SUMMED_OVER = timedelta(hours=24)
EXECUTED_WITHIN = timedelta(hours=24)
USES_KEPT = timedelta(days=7)
TWO_CHECKERS_FROM = 10  # times the limit
DECIDE = "admin.approval.decide"


@dataclass(frozen=True, slots=True)
class Tile:
    """Which part of the first page of the console has changed."""

    tile: str


TILE_UPDATED = LiveType("tile.updated", "Something on the first page has changed.", Tile, {"tile": "approvals"})
TOPICS = (
    Topic("console:home", "What waits for somebody, on the first page.", (TILE_UPDATED,), access="admin.home.read"),
)
HOURS = Setting("admin.approval_hours", "int", 72, "How long a proposal waits for a second person.", "hours", 1, 720)


class NoSuchApproval(NotFound):
    """There is no proposal of this id."""

    code: ClassVar[str] = "approval.unknown"


class OwnProposal(Forbidden):
    """You have proposed this yourself: somebody else decides."""

    code: ClassVar[str] = "approval.own"


class OwnBenefit(Forbidden):
    """This is about you: somebody else decides."""

    code: ClassVar[str] = "approval.subject"


class Closed(Conflict):
    """The proposal is `state` already, by `decided_by`."""

    code: ClassVar[str] = "approval.closed"


class Expired(Conflict):
    """The proposal was open until `expires_at`: propose it again if it is still wanted."""

    code: ClassVar[str] = "approval.expired"


class ReasonMissing(Invalid):
    """Say why, in 5 to 500 characters."""

    code: ClassVar[str] = "approval.reason_missing"


class PayloadChanged(Conflict):
    """What is stored is not what was proposed and approved: nothing was done."""

    code: ClassVar[str] = "approval.payload_changed"


@dataclass(frozen=True, slots=True)
class Proposal:
    """An act as it is proposed. `payload` is everything its executor needs, as JSON without floats.

    `summary` is what deciders read. `amount` counts against the limit of the command, for each maker and `entity`.
    """

    command: str
    payload: Payload
    summary: str
    entity_type: str
    entity_id: str
    reason: str
    amount: int | None = None
    asset: str | None = None
    subject: UserId | None = None
    needed: int = 1


@dataclass(frozen=True, slots=True)
class Approval:
    """A proposal and what became of it."""

    id: UUID
    command: str
    payload: dict[str, Any]
    payload_hash: bytes
    summary: str
    entity_type: str
    entity_id: str
    subject_user_id: UserId | None
    amount: int | None
    asset: str | None
    made_by: UserId
    made_at: datetime
    reason: str
    needed: int
    state: State
    expires_at: datetime
    executed_at: datetime | None
    result: dict[str, Any] | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Decided:
    """One person's decision."""

    user_id: UserId
    decision: Decision
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approved:
    """What an executor is given: the payload, and on whose behalf. `key` makes its effects happen once."""

    payload: Payload
    maker: Actor
    approved_by: UserId
    reason: str
    key: str
    now: datetime


class Executor(Protocol):
    """What carries a command out, and answers what is kept as its result."""

    async def __call__(self, tx: Tx, *, approved: Approved) -> Payload: ...


class Previewer(Protocol):
    """What tells the changes of a command by carrying it out: `preview` takes back what it did."""

    async def __call__(self, tx: Tx, *, approved: Approved) -> Sequence[Change]: ...


@dataclass(frozen=True, slots=True)
class Command:
    """What a command does, the permission that its makers and deciders need, and how its changes are told."""

    permission: str
    execute: Executor
    preview: Previewer


@dataclass(frozen=True, slots=True)
class Kept:
    """A proposal as the inbox shows it: who has decided what, whom it is about, and its own page if it has one."""

    approval: Approval
    decided: Sequence[Decided]
    subjects: Collection[UserId]
    path: str = ""


@dataclass(frozen=True, slots=True)
class PendingApprovals:
    """Proposals that a module keeps by itself, because each is also the receipt of what became of it.

    The rules and refusals are those of this door: `decide` refuses with OwnProposal, OwnBenefit, Closed, Expired,
    ReasonMissing, and `withdraw` with Forbidden what is another's. An approval is carried out as it is given.
    """

    module: str
    permission: str
    listed: Callable[[Tx, Collection[State], Part[UUID], UserId | None], Awaitable[Sequence[Kept]]]
    find: Callable[[Tx, UUID], Awaitable[Kept | None]]
    waiting: Callable[[Tx], Awaitable[tuple[int, datetime | None]]]
    preview: Callable[[Tx, UUID, datetime], Awaitable[Sequence[Change]]]
    decide: Callable[[Tx, UUID, Decision, UserId, str, datetime], Awaitable[None]]
    withdraw: Callable[[Tx, UUID, UserId, datetime], Awaitable[None]]


APPROVALS = """
    select a.id, a.command, a.payload, a.payload_hash, a.summary, a.entity_type, a.entity_id, a.subject_user_id,
      a.amount, a.asset, a.made_by, a.made_at, a.reason, a.needed, a.state, a.expires_at, a.executed_at, a.result,
      a.error_code
    from infra.approvals a"""
LISTED = (
    APPROVALS + """ where a.state = any (%s) and (%s::uuid is null or a.made_by = %s) and a.id > %s and a.id < %s"""
)


def checked_reason(reason: str) -> str:
    """A reason without the space around it. Refuses with ReasonMissing."""
    reason = reason.strip()
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise ReasonMissing
    return reason


def digest(command: str, payload: Payload) -> bytes:
    """What a proposal proposes, as one number."""
    return hashlib.sha256(json.dumps([command, payload], sort_keys=True, allow_nan=False).encode()).digest()


# proposing


async def propose(tx: Tx, *, actor: Actor, proposal: Proposal, over: int, now: datetime) -> Approval | None:
    """None if the maker may act at once: with this act, no more than `over` within 24 hours. Else the open proposal.

    What one maker does by one command to one thing is summed, so that splitting does not help: the sum is ours until
    the transaction ends. From ten times the limit on it takes two others. Refuses as `open_proposal` does.
    """
    line = f"{proposal.command}|{actor.user_id}|{proposal.entity_id}"
    await db.value(tx, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", line)
    amount = abs(proposal.amount or 0)
    used: int = await db.value(
        tx,
        """select coalesce(sum(amount), 0)::bigint from infra.approval_uses
        where command = %s and made_by = %s and subject = %s and at > %s""",
        *(proposal.command, actor.user_id, proposal.entity_id, now - SUMMED_OVER),
    )
    if used + amount > over:
        needed = 2 if over and used + amount > TWO_CHECKERS_FROM * over else 1
        return await open_proposal(tx, actor=actor, proposal=proposal, now=now, needed=needed)
    await db.run(
        tx,
        """insert into infra.approval_uses (command, made_by, subject, at, amount, asset)
        values (%s, %s, %s, %s, %s, %s)""",
        *(proposal.command, actor.user_id, proposal.entity_id, now, amount, proposal.asset),
    )
    return None


async def open_proposal(
    tx: Tx, *, actor: Actor, proposal: Proposal, now: datetime, needed: int | None = None
) -> Approval:
    """Store a proposal that waits for a second person; the same one twice is the first one.

    Refuses with ReasonMissing, and with OwnProposal whoever is nobody: a machine proposes nothing.
    """
    if actor.user_id is None:
        raise OwnProposal
    reason, payload = checked_reason(proposal.reason), dict(proposal.payload)
    sha256 = digest(proposal.command, payload)
    if len(json.dumps(payload)) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"{proposal.command}: a payload of more than {PAYLOAD_BYTES_MAX} bytes")
    approval_id = new_id()
    is_new = await db.run(
        tx,
        """insert into infra.approvals (id, command, payload, payload_hash, summary, entity_type, entity_id,
          subject_user_id, amount, asset, made_by, made_at, reason, needed, state, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'open', %s)
        on conflict (command, entity_type, entity_id, payload_hash) where state in ('open', 'approved') do nothing""",
        *(approval_id, proposal.command, Jsonb(payload), sha256, proposal.summary, proposal.entity_type),
        *(proposal.entity_id, proposal.subject, proposal.amount, proposal.asset, actor.user_id, now, reason),
        *(needed or proposal.needed, now + timedelta(hours=settings.value(HOURS))),
    )
    if not is_new:
        tx.is_audited = True  # as the one that waits was written down
        return await _waiting(tx, proposal, sha256)
    made = await lock(tx, approval_id=approval_id)
    await _record(tx, actor, made, "approval.open", {"state": (None, "open"), "command": (None, made.command)}, reason)
    await outbox.send(tx, ApprovalOpened(made.id, made.command, made.state))
    _tell_tile(tx)
    return made


async def _waiting(tx: Tx, proposal: Proposal, sha256: bytes) -> Approval:
    found = await db.find(
        tx,
        Approval,
        APPROVALS
        + """ where a.command = %s and a.entity_type = %s and a.entity_id = %s and a.payload_hash = %s
          and a.state in ('open', 'approved')""",
        *(proposal.command, proposal.entity_type, proposal.entity_id, sha256),
    )
    if found is None:  # it was decided since
        raise Closed(state="decided", decided_by="somebody")
    return found


# deciding


async def decide(
    tx: Tx,
    *,
    approval_id: UUID,
    actor: Actor,
    decision: Decision,
    reason: str,
    held: Collection[str],
    commands: Mapping[str, Command],
    now: datetime,
    step_up_at: datetime | None = None,
) -> Approval:
    """Approve or reject what somebody else has proposed. With enough approvals it is carried out by a job.

    The decider holds `admin.approval.decide` and the permission of the command. A rejection needs a reason. Refuses
    with NoSuchApproval, Forbidden, OwnProposal, OwnBenefit, Closed, Expired, ReasonMissing.
    """
    found = await lock(tx, approval_id=approval_id)
    for permission in (DECIDE, commands[found.command].permission):
        if permission not in held:
            raise Forbidden(permission=permission)
    if actor.user_id is None or actor.user_id == found.made_by:
        raise OwnProposal
    if actor.user_id == found.subject_user_id:
        raise OwnBenefit
    await _require_open(tx, found, actor.user_id, now)
    reason = checked_reason(reason) if decision == "reject" or reason.strip() else ""
    await db.run(
        tx,
        """insert into infra.approval_decisions (approval_id, user_id, decision, reason, at, step_up_at)
        values (%s, %s, %s, %s, %s, %s)""",
        *(approval_id, actor.user_id, decision, reason, now, step_up_at),
    )
    state: State = "rejected"
    if decision == "approve":
        given = len([each for each in await decisions(tx, approval_id=approval_id) if each.decision == "approve"])
        state = "approved" if given >= found.needed else "open"
    decided = await _move(tx, found, state)
    await _record(tx, actor, decided, f"approval.{decision}", {"state": (found.state, state)}, reason)
    await outbox.send(tx, ApprovalDecided(found.id, found.command, state))
    _tell_tile(tx)
    if state == "approved":
        await outbox.send(tx, ExecuteApproval(found.id), key=str(found.id))
    return decided


async def withdraw(tx: Tx, *, approval_id: UUID, actor: Actor, now: datetime) -> Approval:
    """Take back one's own proposal. Refuses with NoSuchApproval, Closed, Expired, and Forbidden if it is another's."""
    found = await lock(tx, approval_id=approval_id)
    if actor.user_id != found.made_by:
        raise Forbidden
    await _require_open(tx, found, None, now)
    withdrawn = await _move(tx, found, "withdrawn")
    await _record(tx, actor, withdrawn, "approval.withdraw", {"state": ("open", "withdrawn")}, "")
    await outbox.send(tx, ApprovalDecided(found.id, found.command, "withdrawn"))
    _tell_tile(tx)
    return withdrawn


async def _require_open(tx: Tx, found: Approval, decider: UserId | None, now: datetime) -> None:
    made = await decisions(tx, approval_id=found.id)
    if found.state != "open" or any(each.user_id == decider for each in made):
        raise Closed(state=found.state, decided_by=", ".join(str(each.user_id) for each in made))
    if now >= found.expires_at:
        raise Expired(expires_at=found.expires_at)


# carrying out


async def execute(tx: Tx, *, approval_id: UUID, commands: Mapping[str, Command], now: datetime) -> Approval:
    """Carry out what was approved, once: what its module refuses fails it, with that code, and nothing moves.

    A second run changes nothing. Refuses with NoSuchApproval.
    """
    found = await lock(tx, approval_id=approval_id)
    if found.state != "approved":
        return found
    made = await decisions(tx, approval_id=approval_id)
    if now >= made[-1].at + EXECUTED_WITHIN:
        return await _ended(tx, found, "expired", None, None, now)
    tx.approval_id = found.id
    try:
        async with db.attempt(tx):
            _require_unchanged(found)
            result = await commands[found.command].execute(tx, approved=_approved(found, made[-1].user_id, now))
    except Refusal as refusal:
        return await _ended(tx, found, "failed", None, refusal.code, now)
    finally:
        tx.approval_id = None
    return await _ended(tx, found, "executed", result, None, now)


async def preview(tx: Tx, *, found: Approval, commands: Mapping[str, Command], now: datetime) -> Sequence[Change]:
    """What a proposal would change if it were carried out now: it is, and all of it is taken back.

    Refuses as its command would.
    """
    async with db.taken_back(tx):
        _require_unchanged(found)
        somebody = UserId(found.id)  # whoever is to agree; nobody has yet
        return await commands[found.command].preview(tx, approved=_approved(found, somebody, now))


def _require_unchanged(found: Approval) -> None:
    if digest(found.command, found.payload) != found.payload_hash:
        raise PayloadChanged


def _approved(found: Approval, by: UserId, now: datetime) -> Approved:
    maker = Actor("staff", found.made_by, RequestId(found.id))
    return Approved(found.payload, maker, by, found.reason, f"approval:{found.id}", now)


async def _ended(
    tx: Tx, found: Approval, state: State, result: Payload | None, error_code: str | None, now: datetime
) -> Approval:
    executed_at = now if state == "executed" else None
    told = dict(result) if result is not None else None
    await db.run(
        tx,
        "update infra.approvals set state = %s, executed_at = %s, result = %s, error_code = %s where id = %s",
        *(state, executed_at, None if told is None else Jsonb(told), error_code, found.id),
    )
    ended = replace(found, state=state, executed_at=executed_at, result=told, error_code=error_code)
    changes = {"state": (found.state, state), "error_code": (None, error_code)}
    await _record(tx, tx.actor, ended, f"approval.{state}", changes, found.reason)
    await outbox.send(tx, ApprovalExecuted(found.id, found.command, state))
    _tell_tile(tx)
    return ended


async def expire(tx: Tx, *, now: datetime) -> int:
    """End what nobody has decided or carried out in time, and forget old sums. Returns how many were ended."""
    due = await db.column(
        tx,
        """select a.id from infra.approvals a
        where (a.state = 'open' and a.expires_at <= %s) or (a.state = 'approved' and (
            select max(d.at) from infra.approval_decisions d where d.approval_id = a.id) <= %s)
        order by a.id limit 200 for update of a skip locked""",
        now,
        now - EXECUTED_WITHIN,
    )
    for approval_id in due:
        await _ended(tx, await lock(tx, approval_id=approval_id), "expired", None, None, now)
    await db.run(tx, "delete from infra.approval_uses where at < %s", now - USES_KEPT)
    return len(due)


# looking


async def lock(tx: Tx, *, approval_id: UUID) -> Approval:
    """A proposal, ours until the transaction ends. Refuses with NoSuchApproval."""
    found = await db.find(tx, Approval, APPROVALS + " where a.id = %s for update", approval_id)
    if found is None:
        raise NoSuchApproval
    return found


async def listed(
    tx: Tx, *, states: Sequence[State], made_by: UserId | None = None, part: Part[UUID] = NEWEST
) -> list[Approval]:
    """A part of the proposals in these states, the newest first: of everybody or of one maker."""
    values = list(states), made_by, made_by, *part.between(*IDS), min(part.limit, LISTED_MAX)
    if part.is_back:
        return (await db.rows(tx, Approval, LISTED + " order by a.id limit %s", *values))[::-1]
    return await db.rows(tx, Approval, LISTED + " order by a.id desc limit %s", *values)


async def get(tx: Tx, *, approval_id: UUID) -> Approval:
    """A proposal as it stands. Refuses with NoSuchApproval."""
    found = await db.find(tx, Approval, APPROVALS + " where a.id = %s", approval_id)
    if found is None:
        raise NoSuchApproval
    return found


async def waiting(tx: Tx) -> tuple[int, datetime | None]:
    """How many proposals are open, and since when the oldest is."""
    count = await db.value(tx, "select count(*) from infra.approvals where state = 'open'")
    return count, await db.value(tx, "select min(made_at) from infra.approvals where state = 'open'")


async def decisions(tx: Tx, *, approval_id: UUID) -> list[Decided]:
    """Who has decided what about a proposal, in that order."""
    return await db.rows(
        tx,
        Decided,
        """select user_id, decision, reason, at from infra.approval_decisions where approval_id = %s
        order by at, user_id limit 10""",
        approval_id,
    )


async def _move(tx: Tx, found: Approval, state: State) -> Approval:
    await db.run(tx, "update infra.approvals set state = %s where id = %s", state, found.id)
    return replace(found, state=state)


async def _record(
    tx: Tx, actor: Actor, approval: Approval, action: str, changes: Mapping[str, tuple[object, object]], reason: str
) -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="approval",
        entity_id=str(approval.id),
        changes=changes,
        reason=reason,
        subject=approval.subject_user_id,
        approval_id=approval.id,
    )


def _tell_tile(tx: Tx) -> None:
    realtime.publish(tx, "console:home", TILE_UPDATED, {"tile": "approvals"})
