"""Scores that programs send for people and teams, whom they name as we first met them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from palio import identity
from palio.competitions import sql
from palio.competitions.rules import lifecycle, periods, plain
from palio.competitions.rules.plain import Plain
from palio.competitions.service import known, rankings, reads, scores, telling
from palio.competitions.service.known import KnownBoards, KnownLists
from palio.competitions.service.rankings import Glance, Rankings
from palio.competitions.sql import plain as plain_sql
from palio.competitions.types import (
    Counted,
    EntrantId,
    ListId,
    NewEntrant,
    Outcome,
    ProgramScore,
    RankTerms,
    Refused,
    ScoreBoard,
    Submission,
)
from palio.infra import db
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


class Flown(NamedTuple):
    """What became of some submissions, None for those that `submit_many` has to look at, and what was seen after it."""

    outcomes: list[Outcome | None]
    asked: Mapping[RankTerms, Sequence[EntrantId]]
    glance: Glance | None

    async def ranks(self, orders: Rankings) -> list[Mapping[ListId, int] | None]:
        """The ranks that they have led to, as of the look after them or later; None where another look is wanted."""
        if self.glance is None:
            return [None] * len(self.outcomes)
        ranks = await orders.after(self.glance, self.asked)
        return [
            _ranks_of(outcome, ranks)
            if isinstance(outcome, Counted) and all(each.list_id in ranks for each in outcome.lists)
            else None
            for outcome in self.outcomes
        ]


async def submit_alone_many(tx: Tx, items: Sequence[ProgramScore | Refused], *, now: datetime) -> Flown:
    """Count the plain ones in one statement that is a transaction by itself, on a connection without one.

    After its commit it looks at their lists, where this process knows their rankings. Nothing is done if anything is in
    the way.
    """
    outcomes: list[Outcome | None] = [None] * len(items)
    boards, lists = db.memory(tx, KnownBoards).by_code, db.memory(tx, KnownLists).by_key
    batch = plain.read(items[: scores.ITEMS_MAX], boards, lists, now)
    if not batch.places:
        return Flown(outcomes, {}, None)
    terms = _terms_of_batch(batch)
    since = db.memory(tx, rankings.Rankings).since(terms.values())
    added = await plain_sql.submit_and_look(tx, batch, now, since=since, limit=rankings.CHANGED_MAX)
    if added is None:
        return Flown(outcomes, {}, None)
    for place, counted in batch.counted(added.entrants, added.scores).items():
        outcomes[place] = counted
    _tell(tx, batch)
    asked: dict[RankTerms, list[EntrantId]] = {}
    for list_id, entrant in added.scores:
        asked.setdefault(terms[ListId(list_id)], []).append(EntrantId(entrant))
    return Flown(outcomes, asked, Glance(since, added.changed, now))


def _terms_of_batch(batch: Plain) -> dict[ListId, RankTerms]:
    """How the lists are ranked on which these count."""
    boards = {list_id: aim.board for lists, aim in zip(batch.lists, batch.aims, strict=True) for list_id in lists}
    return {list_id: board.terms(list_id) for list_id, board in boards.items()}


def _tell(tx: Tx, batch: Plain) -> None:
    kinds = [(aim.board.code, periods.kind_of(span.key)) for aim in batch.aims for span in aim.open]
    telling.ranked(tx, changes=Counter(kinds))
    telling.listed(tx, changes=Counter([list_id for lists in batch.lists for list_id in lists]))


async def ranks_many(
    tx: Tx, done: Sequence[tuple[ProgramScore | Refused, Outcome]], *, now: datetime
) -> list[Mapping[ListId, int]]:
    """The ranks that submissions have led to, as far as they are known, by list: after their commit.

    Of a board that is hidden nothing is known.
    """
    counted = _counted(done)
    return await _ranked(tx, done, counted, await _terms(tx, counted, now))


async def ranks_alone_many(
    tx: Tx, done: Sequence[tuple[ProgramScore | Refused, Outcome]]
) -> list[Mapping[ListId, int]] | None:
    """The same in one statement, on a connection without a transaction.

    None, and nothing is read, where this process does not know every board and ranking by now: then `ranks_many` does.
    """
    boards, orders = db.memory(tx, KnownBoards).by_code, db.memory(tx, rankings.Rankings)
    counted = _counted(done)
    if any(item.score.competition_id or item.score.board not in boards for item, _ in counted):
        return None
    terms = _terms_of(boards, counted)
    return await _ranked(tx, done, counted, terms) if all(map(orders.knows, terms.values())) else None


def _counted(done: Sequence[tuple[ProgramScore | Refused, Outcome]]) -> list[tuple[ProgramScore, Counted]]:
    return [
        (item, outcome) for item, outcome in done if isinstance(item, ProgramScore) and isinstance(outcome, Counted)
    ]


async def _ranked(
    tx: Tx,
    done: Sequence[tuple[ProgramScore | Refused, Outcome]],
    counted: Sequence[tuple[ProgramScore, Counted]],
    terms: Mapping[ListId, RankTerms],
) -> list[Mapping[ListId, int]]:
    wanted: dict[ListId, dict[EntrantId, None]] = {}
    for _, outcome in counted:
        for each in outcome.lists:
            wanted.setdefault(each.list_id, {})[each.entrant_id] = None
    asked = {terms[list_id]: list(entrants) for list_id, entrants in wanted.items() if list_id in terms}
    ranks = await rankings.ranks_many(tx, asked=asked)
    return [_ranks_of(outcome, ranks) for _, outcome in done]


def _ranks_of(outcome: Outcome, ranks: Mapping[ListId, Mapping[int, int]]) -> Mapping[ListId, int]:
    found: dict[ListId, int] = {}
    for each in outcome.lists if isinstance(outcome, Counted) else ():
        rank = ranks[each.list_id].get(each.entrant_id) if each.list_id in ranks else None
        if rank is not None:
            found[each.list_id] = rank
    return found


async def _terms(tx: Tx, counted: Sequence[tuple[ProgramScore, Counted]], now: datetime) -> dict[ListId, RankTerms]:
    """How the lists are ranked that these submissions changed and that are neither frozen nor hidden."""
    codes = {item.score.board for item, _ in counted if item.score.board and not item.score.competition_id}
    boards = await known.boards_many(tx, codes)
    ids = {item.score.competition_id for item, _ in counted if item.score.competition_id}
    competitions = await reads.get_many(tx, list(ids)) if ids else {}
    seen = [each for each in competitions.values() if not each.standings_hash and not lifecycle.is_dark(each, now)]
    return {each.list_id: each.terms for each in seen} | _terms_of(boards, counted)


def _terms_of(
    boards: Mapping[str, ScoreBoard], counted: Sequence[tuple[ProgramScore, Counted]]
) -> dict[ListId, RankTerms]:
    """How lists of these boards are ranked."""
    found: dict[ListId, RankTerms] = {}
    for item, outcome in counted:
        board = boards.get(item.score.board or "") if not item.score.competition_id else None
        for each in outcome.lists if board else ():
            if each.list_id not in found:
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
