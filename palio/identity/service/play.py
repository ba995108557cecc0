"""Who may play, and the breaks that keep somebody from it. Every product asks here before anything else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import NoSuchExclusion, NoSuchUser, OwnExclusion
from palio.identity.messages import PlayerExcluded
from palio.identity.service.accounts import USERS_OF_A_CALL_MAX
from palio.identity.sql.facts import Profile
from palio.identity.sql.play import Mark, PlayerRow
from palio.identity.types import (
    BLOCKED_COUNTRIES,
    MIN_AGE,
    Exclusion,
    ExclusionKind,
    ExclusionLength,
    NewExclusion,
    PlayActivity,
    Player,
    PlayTerms,
)
from palio.infra import approvals, audit, crypto, outbox, settings
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.errors import Refusal, TooLarge
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import Dated, Part
from palio.kernel.providers import Change

MARKED: tuple[ExclusionKind, ...] = ("self_exclusion", "operator_exclusion")
ENDED_AT_ONCE = 10_000
EXCLUSION_UNDO = "identity.exclusion_undo"


async def require_play_many(
    tx: Tx, items: Sequence[tuple[UserId, PlayActivity]], *, now: datetime
) -> list[Refusal | None]:
    """Why each of at most 10,000 people may not do a thing now, or None, in the order given. One statement for all.

    Whoever stakes or pays in is held against a break that is being set at this moment: one of the two waits, so that
    nothing is staked behind a break. Whom the caller does not see is refused. Refuses as a whole with TooLarge.

    Refusals: NoSuchUser, AccountSuspended, ContactUnverified, ConsentRequired, Underage, RegionBlocked, RegionUnknown,
    SelfExcluded.
    """
    if len(items) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(items))
    if not items:
        return []
    blocked: tuple[str, ...] = settings.value(BLOCKED_COUNTRIES)
    terms = PlayTerms(settings.value(MIN_AGE), frozenset(blocked), now)
    if paying := {user_id for user_id, activity in items if activity in rules.play.PAYING}:
        await sql.play.lock_payers(tx, list(paying))
    players = await _players(tx, {user_id for user_id, _ in items}, terms)
    return [
        rules.play.judge(players[user_id], activity, terms) if user_id in players else NoSuchUser(user=str(user_id))
        for user_id, activity in items
    ]


async def of_age(tx: Tx, *, ids: Collection[UserId], years: int, now: datetime) -> set[UserId]:
    """Those of at most 10,000 people who have said when they were born, and are so old. Refuses with TooLarge."""
    if len(ids) > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=len(ids))
    born = (
        await born_many(tx, await sql.play.list_players(tx, list(ids), with_birth_dates=True, now=now)) if ids else {}
    )
    today = now.astimezone(UTC).date()
    return {user_id for user_id, day in born.items() if rules.play.age(day, today) >= years}


async def _players(tx: Tx, user_ids: set[UserId], terms: PlayTerms) -> dict[UserId, Player]:
    rows = await sql.play.list_players(tx, list(user_ids), with_birth_dates=terms.min_age > 0, now=terms.now)
    born = await born_many(tx, rows) if terms.min_age else {}
    breaks: dict[UserId, list[Exclusion]] = {}
    for row in rows:
        breaks.setdefault(row.user_id, []).extend(_break_of(row))
    return {
        row.user_id: Player(
            *(row.user_id, row.status, row.suspended_until, row.country, row.has_contact, tuple(row.missing)),
            *(born.get(row.user_id), tuple(breaks[row.user_id])),
        )
        for row in rows
    }


async def born_many(tx: Tx, rows: Sequence[PlayerRow] | Sequence[Profile]) -> Mapping[UserId, date]:
    """When these people were born, as far as they have said."""
    sealed = {row.user_id: row.birth_date for row in rows if row.birth_date}
    places = [(value, personal.place_of_birth_date(user_id)) for user_id, value in sealed.items()]
    opened = await crypto.open_many(tx, places) if places else []
    return {user_id: date.fromisoformat(text) for user_id, text in zip(sealed, opened, strict=True)}


def _break_of(row: PlayerRow) -> list[Exclusion]:
    if row.exclusion_id is None or row.kind is None or row.starts_at is None:
        return []
    return [
        Exclusion(
            *(row.exclusion_id, row.user_id, row.kind, tuple(row.activities or ()), row.starts_at, row.ends_at),
            *(row.created_by, row.return_requested_at),
        )
    ]


async def take_break(tx: Tx, *, user_id: UserId, length: ExclusionLength, now: datetime) -> Exclusion:
    """Set the break a player wants, as `exclude` does. Refuses with NoSuchUser, ExclusionShorter."""
    return await exclude(tx, user_id=user_id, wish=rules.play.own_break(length, now), by=None, now=now)


async def exclude(
    tx: Tx, *, user_id: UserId, wish: NewExclusion, by: UserId | None, reason: str = "", now: datetime
) -> Exclusion:
    """Keep a player from some things, on every account of his; audited and told. Whoever proves later what is proven of
    them now, his mailbox or number, his account at Telegram or a provider, is kept from them too, or does not get in.

    `by` is who of the staff does it, None the player himself; the reason is sealed. A break of the kind that is on is
    made longer. It acts on whatever is asked for next: who stakes at this moment is waited for. For the system and
    staff. Refuses with NoSuchUser, ExclusionShorter.
    """
    await sql.credentials.lock_user(tx, user_id)  # first, so that an account just proven is among the others
    accounts = await sql.play.lock_accounts_of(tx, user_id)
    if user_id not in accounts:
        raise NoSuchUser(user=str(user_id))
    known = {
        one.user_id: one
        for one in reversed(await sql.play.list_exclusions(tx, accounts))
        if one.kind == wish.kind and rules.play.is_on(one, now)
    }
    made = [
        _set(account, known.get(account), wish, by=by, is_asking=account == user_id, now=now) for account in accounts
    ]
    reasons = await crypto.seal_many(
        tx, [(reason, personal.place_of_reason(one.id, one.user_id)) for one in made if reason]
    )
    await sql.play.upsert_exclusions(tx, made, reasons or [None] * len(made))
    await _mark(tx, accounts, MARKED, now)
    mine = next(one for one in made if one.user_id == user_id)
    await _record(tx, known.get(user_id), mine, reason)
    await outbox.send(tx, *(PlayerExcluded(one.user_id, one.kind, one.activities, one.ends_at) for one in made))
    return mine


def _set(
    account: UserId, known: Exclusion | None, wish: NewExclusion, *, by: UserId | None, is_asking: bool, now: datetime
) -> Exclusion:
    if known is None:
        return Exclusion(new_id(), account, wish.kind, wish.activities, now, wish.ends_at, created_by=by)
    return rules.play.lengthened(known, wish) if is_asking else rules.play.covering(known, wish)


async def _record(tx: Tx, known: Exclusion | None, made: Exclusion, reason: str) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action="play_exclusion.extend" if known else "play_exclusion.set",
        entity_type="play_exclusion",
        entity_id=str(made.id),
        changes={
            "kind": (known.kind if known else None, made.kind),
            "activities": (list(known.activities) if known else None, list(made.activities)),
            "ends_at": (known.ends_at if known else None, made.ends_at),
            "reason": (None, audit.SEALED if reason else None),
        },
        subject=made.user_id,
    )


async def carry_over(tx: Tx, *, user_id: UserId, now: datetime) -> list[Exclusion]:
    """Give an account of which something was just proven the breaks of whoever it is; answers those that are new.

    They are those of the other accounts of that mailbox, and those of whoever had the number, the mailbox or the
    account elsewhere before.
    """
    known = [
        one
        for one in await sql.play.list_exclusions(tx, await sql.play.lock_accounts_of(tx, user_id))
        if rules.play.is_on(one, now)
    ]
    own = {one.kind: rules.play.until(one) for one in sorted(known, key=rules.play.until) if one.user_id == user_id}
    marked = await sql.play.list_marked(tx, user_id, await _telegram(tx, [user_id]), now=now)
    found = [one for one in known if one.user_id != user_id]
    found += [
        Exclusion(
            *(new_id(), user_id, one.kind, rules.play.PAUSED.get(one.kind, rules.play.PAUSED["self_exclusion"])),
            *(one.starts_at, one.ends_at, one.created_by),
        )
        for one in marked
    ]
    longest = {one.kind: one for one in sorted(found, key=rules.play.until)}
    made = [
        replace(one, id=new_id(), user_id=user_id, return_requested_at=None)
        for one in longest.values()
        if one.kind not in own or own[one.kind] < rules.play.until(one)
    ]
    if made:
        await sql.play.upsert_exclusions(tx, made, [None] * len(made))
        await outbox.send(tx, *(PlayerExcluded(one.user_id, one.kind, one.activities, one.ends_at) for one in made))
    if own or made:
        await _mark(tx, [user_id], MARKED, now)
    return made


async def leave_marks(tx: Tx, *, user_id: UserId, now: datetime) -> None:
    """Remember what is proven of somebody who goes while he is not to play: he does not come back meanwhile."""
    await _mark(tx, [user_id], rules.play.KINDS, now)


async def _mark(tx: Tx, user_ids: Sequence[UserId], kinds: Sequence[ExclusionKind], now: datetime) -> None:
    await sql.play.upsert_marks(tx, user_ids, await _telegram(tx, user_ids), kinds, now=now)


async def _telegram(tx: Tx, user_ids: Sequence[UserId]) -> list[Mark]:
    found = await sql.play.list_telegram(tx, user_ids)
    made = [(one.user_id, personal.telegram_mark(tx, one.telegram_id)) for one in found]
    return [
        Mark(user_id, digest, index.version + later)
        for user_id, index in made
        for later, digest in enumerate(index.known)
    ]


async def end_breaks(tx: Tx, *, now: datetime) -> int:
    """Note which breaks are over, at most 10,000, and forget marks that have ended; answers how many breaks."""
    await sql.play.delete_marks(tx, now=now)
    return await sql.play.update_ended(tx, now=now, asked_before=now - rules.play.RETURN_WAIT, limit=ENDED_AT_ONCE)


async def exclusions_of_all(tx: Tx, *, user_id: UserId | None = None, part: Part[Dated]) -> list[Exclusion]:
    """For staff: a part of the breaks of everybody or of one player, the newest first."""
    return await sql.play.list_all_exclusions(tx, user_id, part)


async def exclude_for_house(
    tx: Tx, *, user_id: UserId, days: int | None, by: UserId, reason: str, now: datetime
) -> Exclusion:
    """Keep a player from playing in the name of the house, for so many days or for ever (None); the reason is sealed.

    Refuses with OwnExclusion, ReasonTooShort, NoSuchUser, ExclusionShorter.
    """
    rules.roles.require_reason(reason)
    if user_id == by:
        raise OwnExclusion
    ends_at = None if days is None else now + timedelta(days=days)
    wish = NewExclusion("operator_exclusion", rules.play.PAUSED["self_exclusion"], ends_at)
    return await exclude(tx, user_id=user_id, wish=wish, by=by, reason=reason, now=now)


async def propose_undo(tx: Tx, *, exclusion_id: UUID, reason: str, now: datetime) -> Approval:
    """Have a second person decide that a break was a mistake, which is so within its first hour only.

    Refuses with NoSuchExclusion, ExclusionFirm, ReasonTooShort.
    """
    rules.roles.require_reason(reason)
    found = await sql.play.find_exclusion(tx, exclusion_id)
    if found is None:
        raise NoSuchExclusion
    rules.play.require_young(found, now)
    summary = "Undo a break from playing that was a mistake"
    proposal = Proposal(
        *(EXCLUSION_UNDO, {"exclusion": str(exclusion_id)}, summary, "play_exclusion", str(exclusion_id), reason),
        subject=found.user_id,
    )
    return await approvals.open_proposal(tx, actor=tx.actor, proposal=proposal, now=now)


async def carry_out_exclusion_undo(tx: Tx, *, approved: Approved) -> Payload:
    """Undo a break that two people call a mistake, on every account it covers; audited. A repeat changes nothing.

    Refuses with NoSuchExclusion, ExclusionFirm.
    """
    found = await _to_undo(tx, approved)
    accounts = await sql.play.lock_accounts_of(tx, found.user_id)
    same = [
        one.id
        for one in await sql.play.list_exclusions(tx, accounts)
        if (one.kind, one.starts_at) == (found.kind, found.starts_at)
    ]
    if await sql.play.update_lifted(tx, same, now=approved.now):
        await sql.play.delete_marks_of(tx, accounts, await _telegram(tx, accounts), found.kind)
        await _mark(tx, accounts, MARKED, approved.now)
        await audit.record(
            tx,
            actor=approved.maker,
            action="play_exclusion.undo",
            entity_type="play_exclusion",
            entity_id=str(found.id),
            changes={"lifted_at": (None, approved.now)},
            reason=approved.reason,
            subject=found.user_id,
        )
    return {"undone": len(same)}


async def preview_exclusion_undo(tx: Tx, *, approved: Approved) -> list[Change]:
    """What would be undone. Refuses as `carry_out_exclusion_undo` does."""
    found = await _to_undo(tx, approved)
    return [Change("", "break from playing, until", found.ends_at or "for ever", None)]


async def _to_undo(tx: Tx, approved: Approved) -> Exclusion:
    found = await sql.play.find_exclusion(tx, UUID(approved.payload["exclusion"]))
    if found is None:
        raise NoSuchExclusion
    rules.play.require_young(found, approved.now)
    return found


async def exclusions_of(tx: Tx, *, user_id: UserId) -> list[Exclusion]:
    """The breaks of a player, over or not, the newest first."""
    return await sql.play.list_exclusions(tx, [user_id])


async def ask_to_return(tx: Tx, *, user_id: UserId, exclusion_id: UUID, now: datetime) -> Exclusion:
    """Ask for the way back after a self-exclusion; a day later it is open. A repeat changes nothing; audited.

    For the system. Refuses with NoSuchExclusion, ExclusionRuns.
    """
    found = next((one for one in await exclusions_of(tx, user_id=user_id) if one.id == exclusion_id), None)
    if found is None or found.kind != "self_exclusion":
        raise NoSuchExclusion
    rules.play.require_over(found, now)
    if await sql.play.update_return_requested(tx, exclusion_id, now=now):
        await audit.record(
            tx,
            actor=tx.actor,
            action="play_exclusion.return",
            entity_type="play_exclusion",
            entity_id=str(exclusion_id),
            changes={"return_requested_at": (None, now)},
            subject=user_id,
        )
    return next(one for one in await exclusions_of(tx, user_id=user_id) if one.id == exclusion_id)
