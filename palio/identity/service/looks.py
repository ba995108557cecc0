"""What staff look at of somebody: his pages as he sees them, sealed values one by one, and their own notes.

Of the first two he reads in his log-in history; each is in the audit with its reason, a value never.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import NothingSealed, OwnAccount
from palio.identity.service import accounts, sessions
from palio.identity.types import Note, Outcome, Revealed, Sealed, SessionId, SignedIn
from palio.infra import approvals, audit, crypto
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.crypto import Place
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId, new_id
from palio.kernel.providers import Change

OVER_LIMIT = "identity.reveal_over_limit"


# as a player


async def impersonate(tx: Tx, *, user_id: UserId, reason: str, now: datetime) -> SignedIn:
    """Begin a session of 30 minutes in which the actor looks as a player, and ends what he looked at before. Audited.

    Refuses with NoSuchUser, ReasonTooShort, OwnAccount, NotAPlayer.
    """
    by = tx.actor.user_id
    if by is not None:
        await sql.looks.lock_reader(tx, by)  # of two at once the later one ends the earlier
    known = await sql.suspensions.lock(tx, user_id)  # whoever makes him staff waits, or was waited for
    user = await accounts.get(tx, name_or_id=user_id)
    why = rules.looks.require_player(
        user_id, user.kind, user.status, is_staff=known is not None and known.is_staff, by=by, reason=reason
    )
    if by is None:
        raise OwnAccount
    await sql.looks.update_impersonations_ended(tx, by, now=now)
    session_id, cookie = SessionId(new_id()), personal.new_secret()
    lives = rules.sessions.lives_of("impersonation", now, idle_days=1, refresh_days=1)
    await sql.looks.insert_impersonation(
        tx, session_id, user_id, by=by, reason=why, token_hash=personal.hash_of(cookie), lives=lives, now=now
    )
    await audit.record(
        tx,
        actor=tx.actor,
        action="impersonation.begin",
        entity_type="session",
        entity_id=str(session_id),
        changes={"until": (None, lives.absolute_at)},
        reason=why,
        subject=user_id,
    )
    await _tell(tx, user_id, "looked_at", now)
    sessions.forget_after_commit(tx)
    return SignedIn(session_id, user_id, "impersonation", lives.absolute_at, None, "", cookie)


async def note_page(tx: Tx, *, actor: Actor, path: str, reason: str) -> None:
    """Write down that somebody of the staff looked at a page as a player; the actor is that viewer."""
    await audit.record(
        tx,
        actor=Actor("staff", actor.impersonator, actor.request_id),
        action="impersonation.look",
        entity_type="page",
        entity_id=path[:300],
        changes={},
        reason=reason,
        subject=actor.user_id,
        via="web",
    )


# sealed values


async def reveal(tx: Tx, *, sealed: Sealed, reason: str, now: datetime) -> Revealed | Approval:
    """A sealed value, with a reason; five minutes long the actor can read it again. Audited, without the value.

    From the 31st in an hour on it is a proposal: once somebody else has agreed, the same call answers the value.
    Refuses with NoSuchUser, NothingSealed, OwnAccount, and with approvals.ReasonMissing.
    """
    why, by = approvals.checked_reason(reason), tx.actor.user_id
    user = await accounts.get(tx, name_or_id=sealed.user_id)
    if by is None or by == user.id:
        raise OwnAccount
    await sql.looks.lock_reader(tx, by)
    value = await _opened(tx, sealed)
    approval_id = None
    if await sql.looks.count_reveals(tx, by, since=now - rules.looks.HOUR) >= rules.looks.REVEALS_AN_HOUR_MAX:
        approval_id = await sql.looks.delete_permit(tx, sealed, by=by, now=now)
        if approval_id is None:
            return await _propose(tx, sealed, user.username, why, now)
    await sql.looks.insert_reveal(tx, new_id(), sealed, by=by, approval_id=approval_id, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.reveal",
        entity_type="user",
        entity_id=str(user.id),
        changes={sealed.name: (audit.SEALED, audit.SEALED)},
        reason=why,
        subject=user.id,
        approval_id=approval_id,
    )
    await _tell(tx, user.id, "revealed", now)
    return Revealed(sealed.name, sealed.row_id, now + rules.looks.OPEN, value)


async def open_to(tx: Tx, *, user_id: UserId, now: datetime) -> list[Revealed]:
    """The values of somebody that the actor has revealed within five minutes; what is no longer kept is left out."""
    if tx.actor.user_id is None:
        return []
    found = await sql.looks.list_open(tx, user_id, tx.actor.user_id, since=now - rules.looks.OPEN)
    places = [(one.value, _place(Sealed(user_id, one.name, one.row_id))) for one in found]
    opened = await crypto.open_many(tx, places) if places else []
    return [
        Revealed(one.name, one.row_id, one.at + rules.looks.OPEN, value)
        for one, value in zip(found, opened, strict=True)
    ]


async def carry_out_reveal(tx: Tx, *, approved: Approved) -> Payload:
    """Permit the maker to read the value that two people agreed on, within an hour. Refuses with NothingSealed."""
    payload = approved.payload
    row_id = UUID(payload["row_id"]) if payload["row_id"] else None
    sealed = Sealed(UserId(UUID(payload["user_id"])), payload["name"], row_id)
    if await sql.looks.find_sealed(tx, sealed) is None or approved.maker.user_id is None:
        raise NothingSealed
    until = approved.now + rules.looks.PERMIT
    await sql.looks.insert_permit(
        tx, UUID(approved.key.partition(":")[2]), sealed, by=approved.maker.user_id, now=approved.now, until=until
    )
    return {"until": until.isoformat()}


async def preview_reveal(tx: Tx, *, approved: Approved) -> list[Change]:
    """That the maker may read it. Refuses with NoSuchUser, NothingSealed."""
    user = await accounts.get(tx, name_or_id=UUID(approved.payload["user_id"]))
    await carry_out_reveal(tx, approved=approved)
    return [Change(user.username, str(approved.payload["name"]), "sealed", "read once by whoever proposes it")]


async def _propose(tx: Tx, sealed: Sealed, username: str, reason: str, now: datetime) -> Approval:
    payload = {
        "user_id": str(sealed.user_id),
        "name": sealed.name,
        "row_id": str(sealed.row_id) if sealed.row_id else None,
    }
    summary = (
        f"Read the {sealed.name.replace('_', ' ')} of {username}, beyond {rules.looks.REVEALS_AN_HOUR_MAX} an hour"
    )
    proposal = Proposal(OVER_LIMIT, payload, summary, "user", str(sealed.user_id), reason, subject=sealed.user_id)
    return await approvals.open_proposal(tx, actor=tx.actor, proposal=proposal, now=now)


async def _opened(tx: Tx, sealed: Sealed) -> str:
    value = await sql.looks.find_sealed(tx, sealed)
    if value is None:
        raise NothingSealed
    return await crypto.open_sealed(tx, value, _place(sealed))


def _place(sealed: Sealed) -> Place:
    user_id, row_id = sealed.user_id, sealed.row_id or sealed.user_id
    places = {
        "email": personal.place_of_email(row_id, user_id),
        "phone": personal.place_of_phone(row_id, user_id),
        "ip": personal.place_of_ip("ip_addresses", row_id, user_id),
        "full_name": personal.place_of_full_name(user_id),
        "birth_date": personal.place_of_birth_date(user_id),
    }
    return places[sealed.name]


async def _tell(tx: Tx, user_id: UserId, outcome: Outcome, now: datetime) -> None:
    """Have somebody read in his log-in history that staff looked."""
    event_id = new_id()
    await sql.looks.insert_look(tx, event_id, user_id, outcome=outcome, nobody=personal.hash_of(str(event_id)), now=now)


# notes


async def write_note(tx: Tx, *, user_id: UserId, body: str, now: datetime) -> Note:
    """Write a note about somebody, which others of the staff read. Audited, without its words.

    Refuses with NoSuchUser, OwnAccount, NoteInvalid.
    """
    text, by = rules.looks.require_note(body), tx.actor.user_id
    user = await accounts.get(tx, name_or_id=user_id)
    if by is None or by == user.id:
        raise OwnAccount
    note = Note(new_id(), user.id, by, text, now)
    await sql.looks.insert_note(tx, note)
    await audit.record(
        tx,
        actor=tx.actor,
        action="user.note",
        entity_type="user",
        entity_id=str(user.id),
        changes={"note": (None, str(note.id))},
        subject=user.id,
    )
    return note


async def notes_of(tx: Tx, *, user_id: UserId) -> Sequence[Note]:
    """The notes of the staff about somebody, the newest first, at most a hundred."""
    return await sql.looks.list_notes(tx, user_id)
