"""Use cases about what somebody no longer wants in the list of his movements. No balance and no sum knows of it."""

from datetime import datetime

from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.service import reading
from palio.ledger.sql import lists as sql
from palio.ledger.sql import reading as looking
from palio.ledger.types import HIDING_REASON_CHARS_MIN, TransferId


async def hide(tx: Tx, *, owner_id: UserId, asset: str, seq: int, now: datetime, reason: str = "") -> None:
    """Leave a line out of the list of a main wallet; a repeat changes nothing.

    Its owner gives no reason, staff give one, and that they did it is written down each time.
    Refuses with UnknownAsset, NoSuchEntry, HidingReasonMissing.
    """
    await _require_line(tx, owner_id, asset, seq)
    checked = _checked(tx, reason)
    changed = await sql.hide(tx, owner_id, asset, [seq], checked, now)
    await _write_down(tx, "hide", owner_id, asset, seq, was=not changed, reason=checked)


async def unhide(tx: Tx, *, owner_id: UserId, asset: str, seq: int, reason: str = "") -> None:
    """Put a line into the list again, as `hide` left it out.

    Refuses with UnknownAsset, NoSuchEntry, HidingReasonMissing.
    """
    await _require_line(tx, owner_id, asset, seq)
    checked = _checked(tx, reason)
    changed = await sql.unhide(tx, owner_id, asset, [seq])
    await _write_down(tx, "unhide", owner_id, asset, seq, was=bool(changed), reason=checked)


async def hide_transfer(tx: Tx, *, owner_id: UserId, transfer_id: TransferId, now: datetime) -> None:
    """Hide every line that a transfer made in the main wallets of an owner, who asks for it himself.

    Refuses with NoSuchEntry, and anybody else with HidingReasonMissing.
    """
    for asset, seqs in (await _lines_of(tx, owner_id, transfer_id)).items():
        await sql.hide(tx, owner_id, asset, seqs, _checked(tx, ""), now)


async def unhide_transfer(tx: Tx, *, owner_id: UserId, transfer_id: TransferId) -> None:
    """Show every line again that a transfer made in the main wallets of an owner; as `hide_transfer`."""
    for asset, seqs in (await _lines_of(tx, owner_id, transfer_id)).items():
        _checked(tx, "")
        await sql.unhide(tx, owner_id, asset, seqs)


async def _require_line(tx: Tx, owner_id: UserId, asset: str, seq: int) -> None:
    await reading.asset_of(tx, code=asset)
    if await looking.find_line(tx, owner_id, asset, seq) is None:
        raise errors.NoSuchEntry(asset=asset, seq=seq)


async def _lines_of(tx: Tx, owner_id: UserId, transfer_id: TransferId) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for line in await looking.list_seqs(tx, owner_id, transfer_id):
        lines.setdefault(line.asset, []).append(line.seq)
    if not lines:
        raise errors.NoSuchEntry(transfer_id=str(transfer_id))
    return lines


def _checked(tx: Tx, reason: str) -> str:
    """The reason, trimmed; whoever does it to somebody else must have one."""
    trimmed = reason.strip()
    if tx.actor.kind != "player" and len(trimmed) < HIDING_REASON_CHARS_MIN:
        raise errors.HidingReasonMissing(chars_min=HIDING_REASON_CHARS_MIN)
    return trimmed


async def _write_down(tx: Tx, verb: str, owner_id: UserId, asset: str, seq: int, *, was: bool, reason: str) -> None:
    """Of staff; an owner does as he likes with his own list."""
    if tx.actor.kind == "player":
        return
    await audit.record(
        tx,
        actor=tx.actor,
        action=f"wallet_line.{verb}",
        entity_type="wallet_line",
        entity_id=f"{owner_id}:{asset}:{seq}",
        changes={"hidden": (was, verb == "hide")},
        reason=reason,
        subject=owner_id,
    )
