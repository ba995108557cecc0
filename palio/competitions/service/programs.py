"""Scores that programs send for people and teams, whom they name as we first met them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from palio import identity
from palio.competitions import sql
from palio.competitions.rules import lifecycle
from palio.competitions.service import known, rankings, reads, scores
from palio.competitions.types import (
    Counted,
    EntrantId,
    ListId,
    NewEntrant,
    Outcome,
    ProgramScore,
    RankTerms,
    Refused,
    Submission,
)
from palio.infra.db import Tx
from palio.kernel.ids import UserId

NOBODY = "competitions.no_such_entrant"
Named = tuple[str, str]


async def submit_many(tx: Tx, items: Sequence[ProgramScore | Refused], *, now: datetime) -> list[Outcome]:
    """As `scores.submit_many`, for entrants by kind and ref. An item that was refused before keeps its refusal.

    A user stands on boards of everybody from his first score on; any other entrant must have been entered by his
    product. Whom nobody knows is refused `no_such_entrant`. Refuses with TooLarge.
    """
    sound = [item for item in items if isinstance(item, ProgramScore)]
    entrants = await _entrants(tx, sound)
    numbered: list[Submission | Refused] = [
        item if isinstance(item, Refused) else _numbered(item, entrants) for item in items
    ]
    done = iter(await scores.submit_many(tx, [one for one in numbered if isinstance(one, Submission)], now=now))
    return [one if isinstance(one, Refused) else next(done) for one in numbered]


async def ranks_many(
    tx: Tx, done: Sequence[tuple[ProgramScore | Refused, Outcome]], *, now: datetime
) -> list[Mapping[ListId, int]]:
    """The ranks that submissions have led to, as far as they are known, by list: after their commit.

    Of a board that is hidden nothing is known.
    """
    counted = [
        (item, outcome) for item, outcome in done if isinstance(item, ProgramScore) and isinstance(outcome, Counted)
    ]
    terms = await _terms(tx, counted, now)
    wanted: dict[ListId, dict[EntrantId, None]] = {}
    for _, outcome in counted:
        for each in outcome.lists:
            wanted.setdefault(each.list_id, {})[each.entrant_id] = None
    ranks = {
        list_id: await rankings.ranks_many(tx, terms=terms[list_id], entrant_ids=list(entrant_ids))
        for list_id, entrant_ids in wanted.items()
        if list_id in terms
    }
    return [_ranks_of(outcome, ranks) for _, outcome in done]


def _ranks_of(outcome: Outcome, ranks: Mapping[ListId, Mapping[int, int]]) -> Mapping[ListId, int]:
    lists = outcome.lists if isinstance(outcome, Counted) else ()
    found = {each.list_id: ranks.get(each.list_id, {}).get(each.entrant_id) for each in lists}
    return {list_id: rank for list_id, rank in found.items() if rank is not None}


async def _terms(tx: Tx, counted: Sequence[tuple[ProgramScore, Counted]], now: datetime) -> dict[ListId, RankTerms]:
    """How the lists are ranked that these submissions changed and that are neither frozen nor hidden."""
    codes = {item.score.board for item, _ in counted if item.score.board and not item.score.competition_id}
    boards = await known.boards_many(tx, codes)
    ids = {item.score.competition_id for item, _ in counted if item.score.competition_id}
    competitions = await reads.get_many(tx, list(ids)) if ids else {}
    seen = [each for each in competitions.values() if not each.standings_hash and not lifecycle.is_dark(each, now)]
    found = {each.list_id: each.terms for each in seen}
    for item, outcome in counted:
        board = boards.get(item.score.board or "") if not item.score.competition_id else None
        for each in outcome.lists if board else ():
            found[each.list_id] = board.terms(each.list_id)  # type: ignore[union-attr]  # there is one, or no list
    return found


async def _entrants(tx: Tx, items: Sequence[ProgramScore]) -> dict[Named, EntrantId]:
    """Their numbers; users are met for the first time if they exist and it is for a board of everybody."""
    named = list(dict.fromkeys(item.named for item in items))
    found = await sql.list_entrants_of(tx, named) if named else {}
    strangers = {
        user_id: item.named
        for item in items
        if item.score.board and item.named not in found and (user_id := _user_of(item.named))
    }
    people = await identity.cards(tx, ids=list(strangers)) if strangers else {}
    if people:
        new = [NewEntrant("user", str(user_id), user_id) for user_id in strangers if user_id in people]
        numbers = await scores.enter_many(tx, new)
        found |= {("user", each.ref): number for each, number in zip(new, numbers, strict=True)}
    return found


def _numbered(item: ProgramScore, entrants: Mapping[Named, EntrantId]) -> Submission | Refused:
    number = entrants.get(item.named)
    if number is None:
        return Refused(NOBODY, {"entrant_id": ":".join(item.named)})
    return replace(item.score, entrant_id=number)


def _user_of(named: Named) -> UserId | None:
    kind, ref = named
    try:
        return UserId(UUID(ref)) if kind == "user" else None
    except ValueError:
        return None
