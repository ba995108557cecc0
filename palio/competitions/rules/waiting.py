"""Prizes that wait, for their winner or for staff: what pays them, and what sends them back."""

from dataclasses import replace

from palio.competitions.messages import RewardPaid
from palio.competitions.rules import lifecycle
from palio.competitions.types import Waiting
from palio.kernel.ids import UserId
from palio.ledger.types import Post


def prize_post(found: Waiting, user_id: UserId) -> Post:
    """What pays a prize that waited; its key is that of every attempt to pay it, so that one of them does."""
    post = _moved(found, f"reward:{found.entrant_id}", "competitions.prize", f"user:{user_id}:main")
    return replace(post, metadata={"competition": str(found.competition_id), "rank": found.rank, "title": found.title})


def return_post(found: Waiting, why: str) -> Post:
    """What sends a prize where left-overs go."""
    return _moved(found, f"{why}:{found.entrant_id}", "competitions.leftover", lifecycle.house_of(found.leftover_to))


def _moved(found: Waiting, key: str, kind: str, address: str) -> Post:
    legs = ((found.pool_address, found.asset, -found.amount), (address, found.asset, found.amount))
    return Post(f"comp:{found.competition_id}:{key}", kind, legs)


def told(found: Waiting, user_id: UserId) -> RewardPaid:
    """What is said of a prize that is paid."""
    return RewardPaid(found.competition_id, found.entrant_id, user_id, found.rank, found.asset, found.amount)
