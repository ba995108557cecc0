"""What goes into pools and comes out again before the end, exact to the unit, each once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from palio import ledger
from palio.competitions import sql
from palio.competitions.errors import ContributionRefused
from palio.competitions.messages import PoolChanged, TellPool
from palio.competitions.rules import pools as rules
from palio.competitions.service import telling
from palio.competitions.types import (
    CompetitionId,
    Contributed,
    Contribution,
    Gate,
    Kept,
    PoolSums,
    Refused,
    SourceSum,
    TakeBack,
    TakenBack,
)
from palio.infra import outbox
from palio.infra.db import Tx
from palio.kernel.errors import Refusal, TooLarge
from palio.kernel.ids import new_id

ITEMS_MAX = 10_000
SUMS_MAX = 1_000
TOLD_EVERY = timedelta(seconds=1)

ContributionOutcome: TypeAlias = Contributed | Refused
TakeBackOutcome: TypeAlias = TakenBack | Refused


async def contribute_many(tx: Tx, items: Sequence[Contribution], *, now: datetime) -> list[ContributionOutcome]:
    """Put into pools, at most 10,000 times, and answer in the order given; a refused one never fails its neighbours.

    Of what players pay the treasury has its part. The same key with the same request is a replay. Refused are
    `invalid`, `no_such_competition`, `pool_closed`, `key_mismatch`, and what the ledger refuses, with its codes.
    Refuses the whole with TooLarge.
    """
    _check_size(items)
    if not items:
        return []
    gates = await _gates(tx, [item.competition_id for item in items])
    stored = {kept.key: kept for kept in await sql.list_contributions(tx, [item.key for item in items])}
    judged = [rules.judge(item, gates.get(item.competition_id), stored.get(item.key)) for item in items]
    fresh = {
        number: rules.kept_of(item, gates[item.competition_id], new_id())
        for number, (item, outcome) in enumerate(zip(items, judged, strict=True))
        if outcome is None
    }
    posted = await _post(tx, fresh, now)
    made = [
        replace(fresh[number], transfer_id=outcome.transfer_id)
        for number, outcome in posted.items()
        if isinstance(outcome, Contributed) and not outcome.replayed
    ]
    if made:
        await sql.insert_contributions(tx, made, now)
        more = [kept.competition_id for kept in made if kept.key != rules.promised_key(kept.competition_id)]
        await _tell(tx, set(more))
    return [outcome or posted[number] for number, outcome in enumerate(judged)]


async def _post(tx: Tx, fresh: Mapping[int, Kept], now: datetime) -> dict[int, ContributionOutcome]:
    """A key that somebody else was using just now is waited for by the ledger, and is then a replay."""
    outcomes = await ledger.post_many(tx, [rules.post_of(kept) for kept in fresh.values()], now=now) if fresh else []
    return {
        number: Contributed(
            *rules.parts_of(kept.amount, kept.treasury_bps), outcome.transfer_id, replayed=outcome.replayed
        )
        if isinstance(outcome, ledger.Posted)
        else Refused(outcome.code, outcome.facts)
        for (number, kept), outcome in zip(fresh.items(), outcomes, strict=True)
    }


async def contribute(tx: Tx, *, item: Contribution, now: datetime) -> Contributed:
    """Put into a pool once. Refuses with ContributionRefused, whose reason is a code of `contribute_many`, and as
    `ledger.post` does.
    """
    [outcome] = await contribute_many(tx, [item], now=now)
    if isinstance(outcome, Refused):
        refusal = _refusal(outcome)
        raise refusal
    return outcome


async def take_back(tx: Tx, *, item: TakeBack, now: datetime) -> TakenBack:
    """Let a part leave again. Refuses with ContributionRefused, whose reason is a code of `take_back_many`, and as
    `ledger.post` does.
    """
    [taken] = await take_all_back(tx, items=[item], now=now)
    return taken


async def take_all_back(tx: Tx, *, items: Sequence[TakeBack], now: datetime) -> list[TakenBack]:
    """The same for all of some or none. Refuses as `take_back` does."""
    outcomes = await take_back_many(tx, items, now=now)
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            refusal = _refusal(outcome)
            raise refusal
    return [outcome for outcome in outcomes if isinstance(outcome, TakenBack)]


def _refusal(outcome: Refused) -> Refusal:
    if outcome.code.startswith("ledger."):
        return ledger.as_refusal(ledger.Refused(outcome.code, outcome.facts))
    return ContributionRefused(reason=outcome.code)


async def take_back_many(tx: Tx, items: Sequence[TakeBack], *, now: datetime) -> list[TakeBackOutcome]:
    """Let parts of contributions leave again, at most 10,000, and answer in the order given.

    Pool and treasury return what each has of it, so that parts which add up to the whole end exactly; a batch takes one
    part of a contribution. The same key with the same request is a replay. Refused are `no_such_contribution`,
    `invalid`, `not_returnable`, `cancelled`, `pool_closed` from the settlement on, `exceeds_contribution`,
    `one_part_a_batch`, `key_mismatch`, and what the ledger refuses. Refuses the whole with TooLarge.
    """
    _check_size(items)
    if not items:
        return []
    known = await sql.list_contributions(tx, [item.contribution_key for item in items])
    gates = await _gates(tx, [kept.competition_id for kept in known])
    kept = {each.key: each for each in await sql.lock_contributions(tx, [each.key for each in known])}
    stored = {each.key: each for each in await sql.list_take_backs(tx, [item.key for item in items])}
    outcomes: dict[int, TakeBackOutcome] = {}
    first: dict[str, int] = {}  # by contribution, the item of the batch that takes its part
    for number, item in enumerate(items):
        of = kept.get(item.contribution_key)
        gate = gates.get(of.competition_id) if of else None
        is_free = items[first.get(item.contribution_key, number)] == item
        if outcome := rules.judge_take_back(item, of, gate, stored.get(item.key), is_free=is_free):
            outcomes[number] = outcome
        else:
            first.setdefault(item.contribution_key, number)
    left = await _leave(tx, {number: (kept[key], items[number]) for key, number in first.items()}, now)
    return [
        outcomes.get(number) or left.get(number) or _again(left[first[item.contribution_key]])
        for number, item in enumerate(items)
    ]


async def _leave(tx: Tx, leaving: Mapping[int, tuple[Kept, TakeBack]], now: datetime) -> dict[int, TakeBackOutcome]:
    if not leaving:
        return {}
    parts = {number: rules.returned_by(kept, item.amount) for number, (kept, item) in leaving.items()}
    posts = [rules.take_back_post(kept, item, parts[number]) for number, (kept, item) in leaving.items()]
    posted = await ledger.post_many(tx, posts, now=now)
    outcomes: dict[int, TakeBackOutcome] = {
        number: TakenBack(kept.id, item.amount, *parts[number], item.to, outcome.transfer_id, item.key)
        if isinstance(outcome, ledger.Posted)
        else Refused(outcome.code, outcome.facts)
        for (number, (kept, item)), outcome in zip(leaving.items(), posted, strict=True)
    }
    left = [(taken, leaving[number][0]) for number, taken in outcomes.items() if isinstance(taken, TakenBack)]
    if left:
        await sql.insert_take_backs(tx, [(taken, kept.payer_id) for taken, kept in left], now)
        await sql.update_taken_back(tx, [(kept.id, taken.amount) for taken, kept in left])
        await _tell(tx, {kept.competition_id for _, kept in left})
    return outcomes


def _again(outcome: TakeBackOutcome) -> TakeBackOutcome:
    """The same item of a batch once more."""
    return replace(outcome, replayed=True) if isinstance(outcome, TakenBack) else outcome


async def pool_sums(tx: Tx, *, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, PoolSums]:
    """What the pools of at most 1,000 competitions hold, and what of it came from where, whoever asks.

    What prizes have taken out since is not subtracted. Refuses with TooLarge.
    """
    if len(competition_ids) > SUMS_MAX:
        raise TooLarge(items=len(competition_ids), limit=SUMS_MAX)
    found: defaultdict[CompetitionId, list[SourceSum]] = defaultdict(list)
    for row in await sql.list_pool_sums(tx, competition_ids):
        found[row.competition_id].append(SourceSum(row.source, row.contributions, row.to_pool, row.to_treasury))
    return {
        competition_id: PoolSums(
            sum(each.to_pool for each in found[competition_id]),
            sum(each.to_treasury for each in found[competition_id]),
            tuple(found[competition_id]),
        )
        for competition_id in competition_ids
    }


def _check_size(items: Sequence[object]) -> None:
    if len(items) > ITEMS_MAX:
        raise TooLarge(items=len(items), limit=ITEMS_MAX)


async def _gates(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, Gate]:
    """The headers, held so that none can move to settling before this transaction ends."""
    return {gate.id: gate for gate in await sql.lock_gates(tx, sorted(set(competition_ids)))}


async def _tell(tx: Tx, competition_ids: Iterable[CompetitionId]) -> None:
    """Pages are told of every change, other modules once a second at most, and of the last one too."""
    changed = sorted(competition_ids)
    telling.changed(tx, competition_ids=changed)
    if await outbox.is_wanted(tx, PoolChanged):
        for competition_id in changed:
            await outbox.send(tx, TellPool(competition_id), key=str(competition_id), after=TOLD_EVERY)
