"""Proof of a competition: scores, standings and prizes worked out once more, from receipts, and compared."""

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
    shares = prizes.allocate(rule, pool=pool, groups=groups, empty_rule=competition.empty_rule)
    expected = {entrant_id: share.amount for entrant_id, share in zip(winners.entrant_ids, shares, strict=False)}
    actual = {reward.entrant_id: reward.amount for reward in await reads.rewards(tx, competition_id=competition.id)}
    return [
        Difference("prize", entrant_id, str(expected.get(entrant_id, 0)), str(actual.get(entrant_id, 0)))
        for entrant_id in sorted(expected.keys() | actual.keys())
        if expected.get(entrant_id, 0) != actual.get(entrant_id, 0)
    ][:DIFFERENCES_MAX]


async def _pool(tx: Tx, competition: Competition) -> list[Difference]:
    """What has left the pool: everything but what still waits for its winner."""
    if competition.status not in ("completed", "archived"):
        return []
    owed = await sql.sum_kept(tx, competition.id)
    held = await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)
    return [] if owed == held else [Difference("pool", None, str(owed), str(held))]
