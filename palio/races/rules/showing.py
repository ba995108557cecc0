"""How races look: prizes by places, pictures, lines, marks."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from palio.affiliates.types import Player, PlayerId, SnapshotView
from palio.competitions.types import BoardRow, PrizeRule, Share, Standing
from palio.races.types import Flag, Line, Picture, PrizePlaces

DECIMALS_MIN, DECIMALS_MAX = 2, 6  # a cent, and a micro-unit


def places_of(rule: PrizeRule) -> int:
    """How many places a rule pays."""
    return rule.bands[-1].last or rule.bands[-1].first


def prize_places(shares: Sequence[Share]) -> tuple[PrizePlaces, ...]:
    """Neighbouring places that pay the same, as one line."""
    runs = [list(run) for _, run in groupby(shares, key=lambda share: share.amount)]
    return tuple(PrizePlaces(run[0].place, run[-1].place, run[0].amount) for run in runs)


def picture(snapshot: SnapshotView) -> Picture:
    """A stored snapshot as everybody sees it."""
    return Picture(snapshot.id, snapshot.seq, snapshot.fetched_at, snapshot.as_of, snapshot.sha256.hex())


def decimals_of(totals: Sequence[int]) -> list[int]:
    """How many decimals of each total, in ranking order and micro-units, tell it from the next other ones: 2 to 6.

    So nobody looks level with whom he does not share his rank; equal totals look alike.
    """
    distinct = list(dict.fromkeys(totals))
    shown = [DECIMALS_MIN] * len(distinct)
    while alike := [
        n for n in range(len(distinct) - 1) if _shown(distinct, shown, n) == _shown(distinct, shown, n + 1)
    ]:
        for n in alike:
            shown[n] = shown[n + 1] = min(shown[n], shown[n + 1]) + 1
    decimals = dict(zip(distinct, shown, strict=True))
    return [decimals[total] for total in totals]


def _shown(totals: Sequence[int], decimals: Sequence[int], n: int) -> int:
    return round(totals[n], decimals[n] - DECIMALS_MAX)


def player_of(standing: Standing) -> PlayerId:
    """The player whom a line of a race stands for."""
    return PlayerId(UUID(standing.ref))


def missing(*, score: int, least: int, is_paid: bool, last_paid: int | None) -> int:
    """How much more a total needs to be paid: enough to count, and to draw level with the last paid place."""
    if is_paid:
        return 0
    return max(0, least - score, 0 if last_paid is None else last_paid - score)


def flags(*, is_stale: bool, is_corrected: bool, is_held: bool, is_adjusted: bool) -> tuple[Flag, ...]:
    """The marks of a row of the board."""
    marks: list[tuple[Flag, bool]] = [
        ("stale", is_stale),
        ("corrected", is_corrected),
        ("held", is_held),
        ("adjusted", is_adjusted),
    ]
    return tuple(flag for flag, applies in marks if applies)


def full_name(player: Player) -> str:
    """How staff see a player named."""
    return player.name or f"Player {player.uid[-4:]}"


def line(row: BoardRow, player: Player) -> Line:
    """A row of the board as staff see it."""
    standing = row.standing
    return Line(
        place=standing.place,
        rank=standing.rank,
        uid=player.uid,
        name=full_name(player),
        total_micro=standing.score,
        prize=row.prize,
        reward_status=row.reward_status,
    )
