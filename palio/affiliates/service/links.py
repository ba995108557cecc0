"""Whose player an external player is: made, ended and moved, one player and one user at a time.

Whoever makes or ends a link first locks the player, then the open requests that it decides, in the order of their ids.
"""

from datetime import datetime
from uuid import UUID

from palio import identity
from palio.affiliates import rules, sql
from palio.affiliates.errors import (
    AlreadyLinked,
    LinkChanged,
    NoSuchLink,
    NotLinked,
    PlayerTaken,
    PlayerUnknown,
)
from palio.affiliates.messages import AccountLinked, AccountUnlinked, LinkDecided, WagersAdvanced
from palio.affiliates.service.apply import linked_totals
from palio.affiliates.types import (
    Imported,
    ImportLine,
    LinkId,
    LinkRequest,
    LinkRow,
    LinkState,
    Player,
    ProgrammeId,
    Proof,
)
from palio.infra import approvals, audit, db, outbox
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, UserId, new_id
from palio.kernel.providers import Change

LINK_MOVE = "affiliates.link_move"
RIVALS_SHOWN_MAX = 20


async def link(
    tx: Tx,
    *,
    programme_id: ProgrammeId,
    uid: str,
    user_id: UserId,
    reason: str,
    now: datetime,
    via: audit.Via = "cli",
    proof: Proof = "staff",
) -> LinkRow:
    """Say that a player belongs to a user, since staff know it; a repeat returns the link that is there. Audited.

    Refuses with PlayerUnknown, PlayerTaken, AlreadyLinked, OwnRequest.
    """
    rules.require_other(tx.actor, user_id)
    player = await lock_player(tx, programme_id=programme_id, uid=uid)
    if (found := await sql.find_link(tx, player.id)) and found.user_id == user_id:
        return found
    rivals = await sql.lock_rivals(tx, programme_id, player.id, [user_id])
    made = await make(tx, player=player, user_id=user_id, actor=tx.actor, proof=proof, reason=reason, now=now, via=via)
    await supersede(tx, rivals=rivals, actor=tx.actor, now=now)
    return made


async def make(
    tx: Tx,
    *,
    player: Player,
    user_id: UserId,
    actor: Actor,
    proof: Proof,
    reason: str,
    now: datetime,
    request: LinkRequest | None = None,
    via: audit.Via | None = None,
) -> LinkRow:
    """Link a player, who is locked. Audited; his totals are told at once. Refuses with PlayerTaken, AlreadyLinked."""
    if await sql.find_link(tx, player.id):
        raise PlayerTaken(uid=player.uid)
    link = LinkRow(LinkId(new_id()), player.programme_id, player.id, user_id, "active", now)
    request_id = request.id if request else None
    if not await sql.insert_link(tx, link, proof=proof, request_id=request_id, by=actor.user_id, reason=reason):
        raise AlreadyLinked(uid=await _uid_of(tx, player.programme_id, user_id))
    await sql.insert_link_event(
        tx, link, player, from_state=None, by=actor.user_id, note=reason, at=now, request_id=request_id
    )
    await _record(tx, actor, "link.make", link, (None, "active"), reason, via)
    await outbox.send(tx, AccountLinked(user_id, player.id, player.programme_id))
    status = await sql.get_status(tx, player.programme_id, 0)
    totals = await linked_totals(
        tx,
        programme_id=player.programme_id,
        numbers=[player.no],
        at=now,
        as_of=status.as_of or player.value_at,
    )
    await outbox.send(tx, WagersAdvanced(player.programme_id, tuple(totals)))
    return link


async def supersede(tx: Tx, *, rivals: list[LinkRequest], actor: Actor, now: datetime) -> None:
    """End locked requests that a link has decided for others; each of their users is told."""
    for request in rivals:
        await close(tx, request=request, state="superseded", actor=actor, note="", now=now)


async def close(
    tx: Tx, *, request: LinkRequest, state: rules.Closing, actor: Actor, note: str, now: datetime
) -> LinkRequest:
    """End a locked request, write the step, and tell its user; who ends his own knows it."""
    closed = rules.closed(request, state, by=actor.user_id, note=note, now=now)
    await sql.update_request(tx, closed)
    await sql.insert_request_event(tx, closed, from_state=request.state, by=actor.user_id, note=note, at=now)
    if state != "cancelled":
        await outbox.send(tx, LinkDecided(request.id, request.user_id, request.player_id, state))
    return closed


async def unlink(
    tx: Tx, *, programme_id: ProgrammeId, uid: str, reason: str, now: datetime, via: audit.Via = "cli"
) -> LinkRow:
    """End the link of a player now; what was won stays. Audited. Refuses with PlayerUnknown, NotLinked."""
    player = await lock_player(tx, programme_id=programme_id, uid=uid)
    found = await sql.find_link(tx, player.id)
    if found is None:
        raise NotLinked(uid=uid)
    return await _end(tx, found, player, "unlinked", actor=tx.actor, reason=reason, now=now, via=via)


async def unlink_one(tx: Tx, *, link_id: LinkId, actor: Actor, reason: str, now: datetime) -> LinkRow:
    """End a link now, as its user or as staff; what was won stays. Audited.

    Refuses with NoSuchLink, and with NotLinked if it has ended already.
    """
    seen = await sql.find_any_link(tx, link_id)
    if seen is None:
        raise NoSuchLink
    (player,) = await sql.list_players(tx, [seen.player_id])
    await lock_player(tx, programme_id=player.programme_id, uid=player.uid)
    found = await sql.find_link(tx, player.id)
    if found is None or found.id != link_id:
        raise NotLinked(uid=player.uid)
    return await _end(tx, found, player, "unlinked", actor=actor, reason=reason, now=now)


async def _end(
    tx: Tx,
    link: LinkRow,
    player: Player,
    state: LinkState,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    via: audit.Via | None = None,
) -> LinkRow:
    ended = LinkRow(link.id, link.programme_id, player.id, link.user_id, state, link.linked_at)
    await sql.update_ended(tx, ended, at=now, by=actor.user_id, reason=reason)
    await sql.insert_link_event(tx, ended, player, from_state="active", by=actor.user_id, note=reason, at=now)
    action = "link.end" if state == "unlinked" else "link.move"
    await _record(tx, actor, action, ended, ("active", state), reason, via)
    await outbox.send(tx, AccountUnlinked(link.user_id, player.id, link.programme_id))
    return ended


async def propose_transfer(
    tx: Tx, *, programme_id: ProgrammeId, uid: str, to_user: UserId, actor: Actor, reason: str, now: datetime
) -> Approval:
    """Propose that a player is somebody else's, or somebody's again; nothing moves before a second person approves.

    Refuses with PlayerUnknown, AlreadyLinked, OwnRequest, and as `approvals.open_proposal` does.
    """
    player = await lock_player(tx, programme_id=programme_id, uid=uid)
    found = await sql.find_link(tx, player.id)
    rules.require_other(actor, to_user, found.user_id if found else None)
    if (theirs := await _uid_of(tx, programme_id, to_user)) is not None:
        raise AlreadyLinked(uid=theirs)
    to_name = (await identity.get(tx, name_or_id=to_user)).username
    proposal = Proposal(
        LINK_MOVE,
        {
            "programme_id": str(programme_id),
            "uid": uid,
            "to_user": str(to_user),
            "link_id": str(found.id) if found else None,
        },
        f"Link player {player.name or uid} ({uid}) to {to_name}",
        "player",
        str(player.id),
        reason,
        subject=to_user,
    )
    waiting = await approvals.open_proposal(tx, actor=actor, proposal=proposal, now=now)
    await audit.record(
        tx,
        actor=actor,
        action="link.propose_move",
        entity_type="player",
        entity_id=str(player.id),
        changes={"user_id": (found.user_id if found else None, to_user)},
        reason=waiting.reason,
        subject=to_user,
        approval_id=waiting.id,
    )
    return waiting


async def preview_transfer(tx: Tx, *, approved: Approved) -> list[Change]:
    """Whose player it would be, and which requests it would end. Refuses as `carry_out_transfer` does."""
    payload = approved.payload
    to_user = UserId(UUID(payload["to_user"]))
    player = await lock_player(tx, programme_id=ProgrammeId(UUID(payload["programme_id"])), uid=payload["uid"])
    found = await sql.find_link(tx, player.id)
    rivals = await sql.list_rivals(tx, player.id, RIVALS_SHOWN_MAX)
    await carry_out_transfer(tx, approved=approved)
    users = {to_user, *(rival.user_id for rival in rivals), *([found.user_id] if found else [])}
    names = {user_id: card.username for user_id, card in (await identity.cards(tx, ids=users)).items()}
    return [
        Change(player.name or player.uid, "linked to", names.get(found.user_id) if found else None, names.get(to_user)),
        *(
            Change(names[rival.user_id], f"request {rival.ref}", rival.state, "superseded")
            for rival in rivals
            if rival.user_id in names
        ),
    ]


async def carry_out_transfer(tx: Tx, *, approved: Approved) -> Payload:
    """Move the link that two people want moved; both users are told, and what waits follows.

    Refuses with LinkChanged if the player has been linked or unlinked since, AlreadyLinked, PlayerUnknown.
    """
    payload, maker, now = approved.payload, approved.maker, approved.now
    to_user = UserId(UUID(payload["to_user"]))
    player = await lock_player(tx, programme_id=ProgrammeId(UUID(payload["programme_id"])), uid=payload["uid"])
    found = await sql.find_link(tx, player.id)
    if (str(found.id) if found else None) != payload["link_id"]:
        raise LinkChanged(uid=player.uid)
    rivals = await sql.lock_rivals(tx, player.programme_id, player.id, [to_user])
    if found:
        await _end(tx, found, player, "transferred", actor=maker, reason=approved.reason, now=now)
    made = await make(tx, player=player, user_id=to_user, actor=maker, proof="staff", reason=approved.reason, now=now)
    await supersede(tx, rivals=rivals, actor=maker, now=now)
    return {"link_id": str(made.id)}


class _NothingKeptError(Exception):
    """Rolls a list of links back whole."""


async def import_links(
    tx: Tx,
    *,
    programme_id: ProgrammeId,
    text: str,
    reason: str,
    now: datetime,
    dry_run: bool,
    via: audit.Via | None = None,
) -> Imported:
    """Make the links of a CSV with the columns `uid` and `user` (a user name or id): all of them, or none. Audited.

    Each line is answered with what became of it: `linked`, `present`, or the code of what is in the way, and then
    nothing is written, as in a dry run. Refuses with BadLinkList.
    """
    lines = rules.read_links(text)
    found = list[ImportLine]()
    try:
        async with db.attempt(tx):
            for line, uid, user in lines:
                found.append(await _import(tx, programme_id, (line, uid, user), reason, now, via))
            if dry_run or any(one.verdict not in {"linked", "present"} for one in found):
                raise _NothingKeptError  # noqa: TRY301 - leaving the block by it is what rolls back
    except _NothingKeptError:
        is_written = False
    else:
        is_written = True
    await audit.record(
        tx,
        actor=tx.actor,
        action="links.import",
        entity_type="programme",
        entity_id=str(programme_id),
        changes={"lines": (None, len(found)), "is_written": (None, is_written), "dry_run": (None, dry_run)},
        reason=reason,
        via=via,
    )
    return Imported(tuple(found), is_written)


async def _import(
    tx: Tx,
    programme_id: ProgrammeId,
    line: tuple[int, str, str],
    reason: str,
    now: datetime,
    via: audit.Via | None,
) -> ImportLine:
    number, uid, name = line
    try:
        async with db.attempt(tx):
            user = await identity.get(tx, name_or_id=name)
            made = await link(
                tx,
                programme_id=programme_id,
                uid=uid,
                user_id=user.id,
                reason=reason,
                now=now,
                via=via or "web",
                proof="import",
            )
    except Refusal as refusal:
        return ImportLine(number, uid, name, refusal.code, refusal.detail)
    return ImportLine(number, uid, name, "linked" if made.linked_at == now else "present")


async def lock_player(tx: Tx, *, programme_id: ProgrammeId, uid: str) -> Player:
    """The player of a uid; nobody else links or unlinks him until the transaction ends. Refuses with PlayerUnknown."""
    player_id = await sql.lock_player(tx, programme_id, uid)
    if player_id is None:
        raise PlayerUnknown(uid=uid)
    (player,) = await sql.list_players(tx, [player_id])
    return player


async def _uid_of(tx: Tx, programme_id: ProgrammeId, user_id: UserId) -> str | None:
    found = await sql.find_link_of(tx, programme_id, user_id)
    return (await sql.list_players(tx, [found.player_id]))[0].uid if found else None


async def _record(
    tx: Tx,
    actor: Actor,
    action: str,
    one: LinkRow,
    states: tuple[str | None, str],
    reason: str,
    via: audit.Via | None,
) -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="link",
        entity_id=str(one.id),
        changes={"state": states, "player_id": (None, str(one.player_id))},
        reason=reason,
        subject=one.user_id,
        via=via,
    )
