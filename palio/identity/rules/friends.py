"""How two people become friends, and how they stop: each act turns what they are to each other into something else.

Whoever is blocked is not told: his request looks to him like any other that nobody answers.
"""

from collections.abc import Callable, Mapping

from palio.identity.errors import FriendBlocked, FriendsFull, NotAsked, NotYourself
from palio.identity.types import FriendAct, FriendState, Pair
from palio.kernel.ids import UserId

ROOM: Mapping[FriendState, int] = {"accepted": 1_000, "asking": 100, "asked": 1_000, "blocked": 1_000}


def require_other(user_id: UserId, friend_id: UserId) -> None:
    """Nobody is his own friend. Refuses with NotYourself."""
    if user_id == friend_id:
        raise NotYourself


def act(pair: Pair, what: FriendAct) -> Pair:
    """What two people are to each other after an act of the first; a repeat changes nothing.

    Refuses with FriendBlocked, NotAsked.
    """
    return ACTS[what](pair)


def _ask(pair: Pair) -> Pair:
    if pair.mine == "blocked":
        raise FriendBlocked
    if pair.mine == "asked":
        return Pair("accepted", "accepted")
    if pair.mine is not None:
        return pair
    return Pair("asking", pair.theirs or "asked")


def _accept(pair: Pair) -> Pair:
    if pair.mine not in {"asked", "accepted"}:
        raise NotAsked
    return Pair("accepted", "accepted")


def _remove(pair: Pair) -> Pair:
    """End whatever one began: a friendship, a request of either side, a block."""
    if pair.mine is None:
        return pair
    return Pair(None, "blocked" if pair.theirs == "blocked" else None)


def _block(pair: Pair) -> Pair:
    return Pair("blocked", pair.theirs if pair.theirs in {"blocked", "asking"} else None)


ACTS: Mapping[FriendAct, Callable[[Pair], Pair]] = {
    "ask": _ask,
    "accept": _accept,
    "remove": _remove,
    "block": _block,
}


def require_room(state: FriendState, count: int) -> None:
    """Let one more row of a state be kept beside so many. Refuses with FriendsFull."""
    if count >= ROOM[state]:
        raise FriendsFull(limit=ROOM[state], state=state)
