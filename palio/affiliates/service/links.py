"""Whose player an external player is, as staff decide it."""

from datetime import datetime

from palio.affiliates import sql
from palio.affiliates.errors import AlreadyLinked, NotLinked, PlayerTaken, PlayerUnknown
from palio.affiliates.messages import AccountLinked, AccountUnlinked, WagersAdvanced
from palio.affiliates.service.apply import linked_totals
from palio.affiliates.types import LinkId, LinkRow, Player, ProgrammeId
from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id


async def link(
    tx: Tx, *, programme_id: ProgrammeId, uid: str, user_id: UserId, reason: str, now: datetime, via: audit.Via = "cli"
) -> LinkRow:
    """Say that a player belongs to a user, since staff know it; a repeat returns the link that is there. Audited.

    Refuses with PlayerUnknown, PlayerTaken, AlreadyLinked.
    """
    player = await _lock_player(tx, programme_id, uid)
    if found := await sql.find_link(tx, player.id):
        if found.user_id == user_id:
            return found
        raise PlayerTaken(uid=uid)
    made = LinkRow(LinkId(new_id()), programme_id, player.id, user_id, "active", now)
    if not await sql.insert_link(tx, made, by=tx.actor.user_id, reason=reason):
        raise AlreadyLinked(uid=await _uid_of(tx, programme_id, user_id))
    await sql.insert_link_event(tx, made, player, from_state=None, by=tx.actor.user_id, note=reason, at=now)
    await _record(tx, "link.make", made, (None, "active"), reason, via)
    await outbox.send(tx, AccountLinked(user_id, player.id, programme_id))
    status = await sql.get_status(tx, programme_id, 0)
    totals = await linked_totals(
        tx, programme_id=programme_id, numbers=[player.no], at=now, as_of=status.as_of or player.value_at
    )
    await outbox.send(tx, WagersAdvanced(programme_id, tuple(totals)))
    return made


async def unlink(
    tx: Tx, *, programme_id: ProgrammeId, uid: str, reason: str, now: datetime, via: audit.Via = "cli"
) -> LinkRow:
    """End the link of a player now; what was won stays. Audited. Refuses with PlayerUnknown, NotLinked."""
    player = await _lock_player(tx, programme_id, uid)
    found = await sql.find_link(tx, player.id)
    if found is None:
        raise NotLinked(uid=uid)
    ended = LinkRow(found.id, programme_id, player.id, found.user_id, "unlinked", found.linked_at)
    await sql.update_unlinked(tx, found.id, at=now, by=tx.actor.user_id, reason=reason)
    await sql.insert_link_event(tx, ended, player, from_state="active", by=tx.actor.user_id, note=reason, at=now)
    await _record(tx, "link.end", ended, ("active", "unlinked"), reason, via)
    await outbox.send(tx, AccountUnlinked(found.user_id, player.id, programme_id))
    return ended


async def _lock_player(tx: Tx, programme_id: ProgrammeId, uid: str) -> Player:
    player_id = await sql.lock_player(tx, programme_id, uid)
    if player_id is None:
        raise PlayerUnknown(uid=uid)
    (player,) = await sql.list_players(tx, [player_id])
    return player


async def _uid_of(tx: Tx, programme_id: ProgrammeId, user_id: UserId) -> str | None:
    found = await sql.find_link_of(tx, programme_id, user_id)
    return (await sql.list_players(tx, [found.player_id]))[0].uid if found else None


async def _record(
    tx: Tx, action: str, one: LinkRow, states: tuple[str | None, str], reason: str, via: audit.Via
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="link",
        entity_id=str(one.id),
        changes={"state": states, "player_id": (None, str(one.player_id))},
        reason=reason,
        subject=one.user_id,
        via=via,
    )
