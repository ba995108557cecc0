"""What staff see of a race: the board with full names, who is held, what was decided, and what an act would move."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from palio import affiliates, competitions, ledger
from palio.affiliates.types import Player, PlayerId
from palio.competitions.types import PAY_APPROVAL_ABOVE, Board, BoardRow, Competition
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor
from palio.kernel.providers import After
from palio.races import sql
from palio.races.errors import OwnAccount, PlayerUnknown
from palio.races.rules import foreseeing, pictures, showing
from palio.races.service import deciding, reading
from palio.races.service.running import find
from palio.races.types import FINAL_ALARM_H, Desk, Foreseen, HeldPlayer, Race, StaffRow, StatedHold

ROWS_MAX = 10_000
HOUSE = "house:prizes"


async def desk(tx: Tx, *, number: int, actor: Actor, now: datetime, rows_max: int = 100) -> Desk:
    """A race as it lies before staff, drafts too. Refuses with NoSuchRace."""
    race, competition = await find(tx, number=number)
    programme = await affiliates.programme_status(tx, programme_id=race.programme_id)
    board = await _board(tx, race, competition, rows_max, now)
    above = settings.value(PAY_APPROVAL_ABOVE)
    pays_at = competition.frozen_at and competition.frozen_at + timedelta(hours=competition.review_h)
    needs_second = competitions.needs_approval(competition, above)
    is_overdue = competition.phase == "collecting" and race.final_state == "waiting"
    return Desk(
        stage=race.stage,
        waits_for=pictures.waits_for(race, competition),
        review_reasons=tuple(dict.fromkeys([*race.review_reasons, *competition.review_reasons])),
        programme_code=programme.code,
        previous=await sql.find_number(tx, race.previous_id) if race.previous_id else None,
        successor=await sql.find_successor(tx, race.competition_id),
        pays_from=pays_at if competition.phase == "review" and not needs_second else None,
        forced_from=competition.ends_at + timedelta(hours=settings.value(FINAL_ALARM_H)) if is_overdue else None,
        is_own=await _is_own(tx, race, actor),
        needs_second=needs_second,
        house=await ledger.balance(tx, address=HOUSE, asset=competition.prize_asset),
        board=board,
        held=await _held(tx, race, {row.player_id: row for row in board}),
        decisions=tuple(await sql.list_made(tx, race.competition_id)),
    )


async def staff_board(
    tx: Tx, *, number: int, now: datetime, after: After = 0, limit: int = ROWS_MAX
) -> tuple[list[StaffRow], Board]:
    """A part of the board as staff see it, and as everybody does. Refuses with NoSuchRace, NotStarted."""
    race, competition = await reading.find_started(tx, number=number)
    found = await competitions.top(tx, competition_id=competition.id, limit=limit, after=after, now=now)
    return list(await _rows(tx, race, found.rows)), found


async def holds(tx: Tx, *, number: int, now: datetime) -> list[HeldPlayer]:
    """Everybody whose number was doubted, the open ones first. Refuses with NoSuchRace."""
    race, competition = await find(tx, number=number)
    board = await _board(tx, race, competition, ROWS_MAX, now)
    return list(await _held(tx, race, {row.player_id: row for row in board}))


async def player_named(tx: Tx, *, number: int, text: str) -> PlayerId:
    """The player of a race whom staff name by his uid or his id. Refuses with NoSuchRace, PlayerUnknown."""
    race, _ = await find(tx, number=number)
    player_id = await affiliates.player_named(tx, programme_id=race.programme_id, text=text)
    if player_id is None:
        raise PlayerUnknown(number=number, player_id=text)
    return player_id


async def foresee(
    tx: Tx, *, number: int, player_id: PlayerId, amount_micro: int | None, now: datetime
) -> list[Foreseen]:
    """What would move if so much were added to a total, or, with None, if the player were taken out.

    Refuses with NoSuchRace, NotStarted, PlayerUnknown.
    """
    race, competition = await reading.find_started(tx, number=number)
    player = (await affiliates.players_many(tx, [player_id])).get(player_id)
    if player is None or player.programme_id != race.programme_id:
        raise PlayerUnknown(number=number, player_id=str(player_id))
    board = await competitions.top(tx, competition_id=competition.id, limit=ROWS_MAX, now=now)
    before = [foreseeing.standing_of(row) for row in board.rows]
    changed = foreseeing.changed(before, player_id, amount_micro, least=competition.least_score)
    ranks = Counter(rank for _, _, rank in changed if rank)
    preview = competitions.preview_prizes(
        competitions.read_prize_rule(competition.prize_rule),
        pool=competition.guaranteed_pool if competition.pool_final is None else competition.pool_final,
        entrants=ranks.total(),
        ties=ranks,
        empty_rule=competition.empty_rule,
    )
    moves = foreseeing.moves(before, changed, {share.place: share.amount for share in preview.shares})
    players = await affiliates.players_many(tx, [move.player_id for move in moves])
    return [
        Foreseen(
            uid=players[move.player_id].uid,
            name=showing.full_name(players[move.player_id]),
            total_before=move.before.total_micro,
            total_after=move.after.total_micro,
            rank_before=move.before.rank,
            rank_after=move.after.rank,
            prize_before=move.before.prize,
            prize_after=move.after.prize,
        )
        for move in moves
    ]


async def _board(tx: Tx, race: Race, competition: Competition, rows_max: int, now: datetime) -> tuple[StaffRow, ...]:
    if competition.status in ("draft", "upcoming"):
        return ()
    found = await competitions.top(tx, competition_id=competition.id, limit=rows_max, now=now)
    return await _rows(tx, race, found.rows)


async def _rows(tx: Tx, race: Race, rows: tuple[BoardRow, ...]) -> tuple[StaffRow, ...]:
    if not rows:
        return ()
    players = await affiliates.players_many(tx, [_player_id(row) for row in rows])
    entrant_ids = [row.standing.entrant_id for row in rows]
    lowered = await competitions.corrections(tx, competition_id=race.competition_id, entrant_ids=entrant_ids)
    adjusted = await competitions.adjustments(tx, competition_id=race.competition_id)
    held = {hold.player_id for hold in await sql.list_open_holds(tx, race.competition_id)}
    return tuple(
        StaffRow(
            place=row.standing.place,
            rank=row.standing.rank,
            player_id=_player_id(row),
            entrant_id=row.standing.entrant_id,
            uid=players[_player_id(row)].uid,
            name=showing.full_name(players[_player_id(row)]),
            is_linked=row.standing.user_id is not None,
            total_micro=row.standing.score,
            lowered_micro=lowered.get(row.standing.entrant_id, 0),
            adjusted_micro=adjusted.get(row.standing.entrant_id, 0),
            prize=row.prize,
            flags=showing.flags(
                is_stale=players[_player_id(row)].stale_since is not None,
                is_corrected=row.standing.entrant_id in lowered,
                is_held=_player_id(row) in held,
                is_adjusted=row.standing.entrant_id in adjusted,
            ),
            reward_status=row.reward_status,
            trend=row.trend,
        )
        for row in rows
    )


async def _held(tx: Tx, race: Race, board: Mapping[PlayerId, StaffRow]) -> tuple[HeldPlayer, ...]:
    stated = await sql.list_holds(tx, race.competition_id)
    players = await affiliates.players_many(tx, [hold.player_id for hold in stated])
    return tuple(_shown(hold, players[hold.player_id], board.get(hold.player_id)) for hold in stated)


def _shown(hold: StatedHold, player: Player, row: StaffRow | None) -> HeldPlayer:
    return HeldPlayer(
        player_id=hold.player_id,
        uid=player.uid,
        name=showing.full_name(player),
        reason=hold.reason,
        facts=hold.facts,
        state=hold.state,
        note=hold.note,
        decided_at=hold.decided_at,
        total_micro=row.total_micro if row else None,
        rank=row.rank if row else None,
        prize=row.prize if row else 0,
    )


async def _is_own(tx: Tx, race: Race, actor: Actor) -> bool:
    try:
        await deciding.require_stranger(tx, race=race, actor=actor)
    except OwnAccount:
        return True
    return False


def _player_id(row: BoardRow) -> PlayerId:
    return PlayerId(UUID(row.standing.ref))
