"""Proof of a competition: scores, standings and prizes worked out once more, from receipts, and compared."""

from collections.abc import Mapping, Sequence

from palio import ledger
from palio.competitions import sql
from palio.competitions.rules import prizes
from palio.competitions.service import reads
from palio.competitions.types import Competition, CompetitionId, Difference, Proof
from palio.infra.db import Tx

DIFFERENCES_MAX = 1_000  # of each check


async def verify(tx: Tx, *, competition_id: CompetitionId) -> Proof:
    """What is not as its receipts say; of a competition that is not frozen only the scores can be compared.

    Refuses with NoSuchCompetition.
    """
    competition = await reads.get(tx, competition_id=competition_id)
    found = await sql.list_wrong_scores(tx, competition.list_id, DIFFERENCES_MAX)
    if competition.standings_hash:
        found += await sql.list_wrong_standings(tx, competition.list_id, DIFFERENCES_MAX)
        found += await _digest(tx, competition)
        found += await _prizes(tx, competition)
        found += await _pool(tx, competition)
    entrants = (await reads.counts_many(tx, [competition_id]))[competition_id]
    return Proof(competition, entrants, tuple(found))


async def _digest(tx: Tx, competition: Competition) -> list[Difference]:
    frozen, now = (competition.standings_hash or b"").hex(), (await sql.hash_standings(tx, competition.list_id)).hex()
    return [] if frozen == now else [Difference("standings_sha256", None, frozen, now)]


async def _prizes(tx: Tx, competition: Competition) -> list[Difference]:
    """The allocation of the final pool over the standings, beside the rewards."""
    rule, pool = prizes.read(competition.prize_rule), competition.pool_final or 0
    qualified = (await sql.count_standings(tx, competition.list_id)).qualified
    winners = await sql.list_winners(tx, competition.list_id, prizes.places_of(rule))
    groups = prizes.groups_of(winners.ranks) + [1] * (qualified - len(winners.ranks))
    shares = prizes.allocate(rule, pool=pool, groups=groups, empty_rule=competition.empty_rule, scores=winners.scores)
    rewards = await reads.rewards(tx, competition_id=competition.id)
    winner_of = dict(enumerate(winners.entrant_ids, 1))
    expected = {winner_of[each.place]: _said(each.amount, prizes.items_at(rule, each.place)) for each in shares}
    actual = {reward.entrant_id: _said(reward.amount, reward.items) for reward in rewards}
    return [
        Difference("prize", entrant_id, expected.get(entrant_id, "0"), actual.get(entrant_id, "0"))
        for entrant_id in sorted(expected.keys() | actual.keys())
        if expected.get(entrant_id) != actual.get(entrant_id)
    ][:DIFFERENCES_MAX]


def _said(amount: int, items: Sequence[Mapping[str, object]]) -> str:
    """A prize as a difference names it: units, and what is won besides."""
    return " + ".join([str(amount), *(f"{item['kind']} {item['ref']}" for item in items)])


async def _pool(tx: Tx, competition: Competition) -> list[Difference]:
    """What has left the pool: everything but what still waits for its winner."""
    if competition.status not in ("completed", "archived"):
        return []
    owed = await sql.sum_kept(tx, competition.id)
    held = await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)
    return [] if owed == held else [Difference("pool", None, str(owed), str(held))]
