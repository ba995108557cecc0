"""What staff decide about a player of a race. Notes are public, reasons stay in the audit and in the decisions."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from palio import affiliates, competitions
from palio.affiliates.types import Player, PlayerId
from palio.competitions.types import Competition, EntrantId
from palio.infra import audit, settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId, new_id
from palio.races import sql
from palio.races.errors import AdjustmentInvalid, BaselineUnknown, Frozen, NoSuchHold, OwnAccount, PlayerUnknown
from palio.races.rules import pictures
from palio.races.service import books, counting
from palio.races.service.running import find
from palio.races.types import ADJUST_OVER, MICRO_PER_UNIT, Baseline, HoldDecision, Race

ADJUSTMENT_MAX_MICRO = 10**8 * MICRO_PER_UNIT
SUMMED_OVER = timedelta(hours=24)
PAID_MAX = 1_000  # more than places and their ties


async def adjust(
    tx: Tx,
    *,
    adjustment_id: UUID,
    number: int,
    player_id: PlayerId,
    amount_micro: int,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
    undoes: UUID | None = None,
    approved_by: UserId | None = None,
) -> bool:
    """Add to a total or take from it, in micro-units. The caller chose the id: a repeat is False, changes nothing.

    It only ever adds: `undoes` names the adjustment whose opposite this is. What one person adjusts in a race within
    24 hours is summed; above `races.adjust_over` a second person is needed. Whoever has not wagered yet enters.
    Refuses with NoSuchRace, PlayerUnknown, AdjustmentInvalid, BaselineUnknown, OwnAccount,
    competitions.ReasonMissing, competitions.NotRunning, competitions.Paying, competitions.Cancelled,
    competitions.NoSuchAdjustment, competitions.AdjustmentUndone, competitions.ApprovalDue.
    """
    if not 0 < abs(amount_micro) <= ADJUSTMENT_MAX_MICRO:
        raise AdjustmentInvalid(amount_micro=amount_micro, limit_micro=ADJUSTMENT_MAX_MICRO)
    reason = competitions.checked_reason(reason)
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    player = await _player(tx, race, player_id)
    entrant_id = await _entrant(tx, race, competition, player, now)
    if not await competitions.adjust_score(
        tx,
        adjustment_id=adjustment_id,
        competition_id=competition.id,
        entrant_id=entrant_id,
        delta=amount_micro,
        actor=actor,
        reason=public_note,
        now=now,
        undoes=undoes,
    ):
        return False
    summed = await competitions.adjusted_by(
        tx, competition_id=competition.id, user_id=actor.user_id, since=now - SUMMED_OVER
    )
    limit = await settings.exact(tx, ADJUST_OVER) * MICRO_PER_UNIT
    if summed > limit and approved_by in (None, actor.user_id):
        because = f"one person adjusts at most {limit} micro-units within 24 hours (races.adjust_over)"
        raise competitions.ApprovalDue(act="the adjustment", because=because, summed_micro=summed)
    adjusted = (await competitions.adjustments(tx, competition_id=competition.id))[entrant_id]
    changes = {
        "player": (None, player_id),
        "adjusted_micro": (adjusted - amount_micro, adjusted),
        "note": (None, public_note),
    }
    await record(tx, race=race, actor=actor, action="race.adjust", changes=changes, reason=reason)
    await counting.tell_decided(tx, race=race, competition=competition, now=now)
    return True


async def exclude(
    tx: Tx,
    *,
    number: int,
    player_id: PlayerId,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> None:
    """Take a player out of a race; the note is what he is told.

    Refuses with NoSuchRace, PlayerUnknown, OwnAccount and as competitions.disqualify does.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    await _player(tx, race, player_id)
    await _exclude(tx, race, competition, player_id, actor, public_note, now, approved_by)
    await _decide(tx, race, player_id, "excluded", actor, reason, public_note, now)


async def reinstate(
    tx: Tx, *, number: int, player_id: PlayerId, actor: Actor, reason: str, public_note: str, now: datetime
) -> None:
    """Let an excluded player back in, with what he wagered meanwhile.

    Refuses with NoSuchRace, PlayerUnknown, OwnAccount and as competitions.reinstate does.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    await _player(tx, race, player_id)
    entrant_id = await _entered(tx, race, player_id)
    await competitions.reinstate(
        tx, competition_id=competition.id, entrant_id=entrant_id, actor=actor, reason=public_note, now=now
    )
    decision_id = await _decide(tx, race, player_id, "kept", actor, reason, public_note, now)
    users = [link.user_id for link in await affiliates.links_many(tx, player_ids=[player_id])]
    if await counting.barred(tx, user_ids=users, now=now):
        await counting.set_ranked(tx, race=race, entrant_ids=[entrant_id], why=counting.BARRED, now=now)
    elif race.linked_only and not users:
        await counting.set_ranked(tx, race=race, entrant_ids=[entrant_id], why=counting.UNLINKED, now=now)
    await _make_up(tx, race, competition, player_id, entrant_id, actor, decision_id, now)
    await counting.tell_decided(tx, race=race, competition=competition, now=now)


async def decide_hold(
    tx: Tx,
    *,
    number: int,
    player_id: PlayerId,
    decision: HoldDecision,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
    value_micro: int | None = None,
    approved_by: UserId | None = None,
) -> None:
    """Decide about a held player: keep his number, let his total begin at 0 or at a value, or take him out.

    Where a total begins is decided until the freeze, with `from_value` in micro-units of `all_time`. Refuses with
    NoSuchRace, NoSuchHold, OwnAccount, Frozen, AdjustmentInvalid, competitions.ReasonMissing and, for an exclusion, as
    competitions.disqualify does.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    await require_held(tx, number=number, player_id=player_id)
    if decision == "excluded":
        await _exclude(tx, race, competition, player_id, actor, public_note, now, approved_by)
    if decision in ("from_zero", "from_value"):
        value = value_micro if decision == "from_value" else 0
        await _begin_at(tx, race, competition, player_id, value, now)
    await _decide(tx, race, player_id, decision, actor, reason, public_note, now)


async def require_held(tx: Tx, *, number: int, player_id: PlayerId) -> None:
    """Accept a player who is or was being checked. Refuses with NoSuchRace, NoSuchHold."""
    race, _ = await find(tx, number=number)
    if await sql.find_hold(tx, race.competition_id, player_id) is None:
        raise NoSuchHold(number=number, player_id=str(player_id))


async def lock(tx: Tx, *, number: int, now: datetime) -> tuple[Race, Competition]:
    """A race and its competition, ours until the transaction ends, with everything counted that the feed has.

    Refuses with NoSuchRace.
    """
    race, _ = await find(tx, number=number)
    competition = await competitions.lock(tx, competition_id=race.competition_id)
    (race,) = await sql.lock_races(tx, [race.competition_id])
    if pictures.is_running(competition) and await counting.catch_up(tx, race=race, competition=competition, now=now):
        (race,) = await sql.lock_races(tx, [race.competition_id])
    return race, competition


async def require_stranger(tx: Tx, *, race: Race, actor: Actor) -> None:
    """Accept staff who gain nothing by it. Refuses with OwnAccount whoever has a linked player in a paid place."""
    if actor.user_id is None:
        return
    own = {str(link.player_id) for link in await affiliates.links_many(tx, user_ids=[actor.user_id])}
    if not own:
        return
    board = await competitions.top(tx, competition_id=race.competition_id, limit=PAID_MAX)
    if any(row.prize and row.standing.ref in own for row in board.rows):
        raise OwnAccount(number=race.number)


async def record(
    tx: Tx, *, race: Race, actor: Actor, action: str, changes: Mapping[str, tuple[object, object]], reason: str
) -> None:
    """The audit row of an act of staff on a race."""
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="race",
        entity_id=str(race.competition_id),
        changes=changes,
        reason=reason,
    )


async def _player(tx: Tx, race: Race, player_id: PlayerId) -> Player:
    player = (await affiliates.players_many(tx, [player_id])).get(player_id)
    if player is None or player.programme_id != race.programme_id:
        raise PlayerUnknown(number=race.number, player_id=str(player_id))
    return player


async def _entered(tx: Tx, race: Race, player_id: PlayerId) -> EntrantId:
    entered = await competitions.entered(tx, competition_id=race.competition_id, kind="player", refs=[str(player_id)])
    if str(player_id) not in entered:
        raise PlayerUnknown(number=race.number, player_id=str(player_id))
    return entered[str(player_id)]


async def _entrant(tx: Tx, race: Race, competition: Competition, player: Player, now: datetime) -> EntrantId:
    """The entrant behind a player. Who enters by an adjustment starts with what he lies above or below his baseline."""
    entered = await competitions.entered(tx, competition_id=race.competition_id, kind="player", refs=[str(player.id)])
    if str(player.id) in entered:
        return entered[str(player.id)]
    baseline = (await sql.list_baselines(tx, race.competition_id, [player.id])).get(player.id)
    if not pictures.is_running(competition) or (baseline and baseline.value_micro is None):
        raise BaselineUnknown(player_id=str(player.id))
    entrants = await counting.enter(tx, race=race, player_ids=[player.id], now=now)
    await books.open_score(tx, race=race, competition=competition, player_id=player.id, entrant=entrants, now=now)
    return entrants[player.id]


async def _exclude(
    tx: Tx,
    race: Race,
    competition: Competition,
    player_id: PlayerId,
    actor: Actor,
    public_note: str,
    now: datetime,
    approved_by: UserId | None,
) -> None:
    await competitions.disqualify(
        tx,
        competition_id=competition.id,
        entrant_id=await _entered(tx, race, player_id),
        actor=actor,
        reason=public_note,
        now=now,
        approved_by=approved_by,
    )
    await counting.tell_decided(tx, race=race, competition=competition, now=now)


async def _begin_at(
    tx: Tx, race: Race, competition: Competition, player_id: PlayerId, value: int | None, now: datetime
) -> None:
    if not pictures.is_running(competition) or race.start_snapshot_id is None:
        raise Frozen(number=race.number, status=competition.phase or competition.status)
    if value is None or not 0 <= value <= ADJUSTMENT_MAX_MICRO:
        raise AdjustmentInvalid(amount_micro=value, limit_micro=ADJUSTMENT_MAX_MICRO)
    baseline = Baseline(player_id, value, "staff", race.start_snapshot_id)
    await sql.upsert_baselines(tx, race.competition_id, [baseline])
    book = await books.now_of(tx, race=race, competition=competition)
    cause = f"hold:{new_id()}"
    await books.level(tx, race=race, competition=competition, book=book, cause=cause, now=now, players=[player_id])


async def _make_up(
    tx: Tx,
    race: Race,
    competition: Competition,
    player_id: PlayerId,
    entrant_id: EntrantId,
    actor: Actor,
    decision_id: UUID,
    now: datetime,
) -> None:
    """Add what was refused while a player was out: as a correction while it runs, as an adjustment in the review."""
    if race.start_snapshot_id is None:
        return
    book = await books.now_of(tx, race=race, competition=competition)
    if pictures.is_running(competition):
        cause = f"reinstated:{decision_id}"
        await books.level(tx, race=race, competition=competition, book=book, cause=cause, now=now, players=[player_id])
        return
    missing = -(await books.differences(tx, race=race, book=book)).get(player_id, 0)
    if missing:
        await competitions.adjust_score(
            tx,
            adjustment_id=decision_id,
            competition_id=competition.id,
            entrant_id=entrant_id,
            delta=missing,
            actor=actor,
            reason="what was wagered while the player was out",
            now=now,
        )


async def _decide(
    tx: Tx,
    race: Race,
    player_id: PlayerId,
    decision: HoldDecision,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
) -> UUID:
    decision_id = new_id()
    await sql.insert_decision(
        tx,
        decision_id,
        race.competition_id,
        what="hold",
        after={"state": decision},
        reason=competitions.checked_reason(reason),
        by=actor.user_id,
        now=now,
        player_id=player_id,
        public_note=public_note,
    )
    await sql.upsert_hold(tx, race.competition_id, player_id, decision, decision_id)
    changes = {"player": (None, player_id), "decision": (None, decision), "note": (None, public_note)}
    await record(tx, race=race, actor=actor, action="race.decide", changes=changes, reason=reason)
    return decision_id
