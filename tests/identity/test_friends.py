"""Friends: asked, accepted, kept away; what each of two people knows of the other, and who is found by whom."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import identity
from palio.identity import rules, sql
from palio.identity.errors import FriendBlocked, FriendsFull, NotAsked, NotYourself
from palio.identity.service import friends
from palio.identity.types import Friend, FriendAct, FriendState, Pair
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.parts import Dated, Part
from tests.factories.identity import World, later

NOBODY = Pair(None, None)

TABLE: list[tuple[Pair, FriendAct, Pair | type[Refusal]]] = [
    (NOBODY, "ask", Pair("asking", "asked")),
    (NOBODY, "accept", NotAsked),
    (NOBODY, "remove", NOBODY),
    (NOBODY, "block", Pair("blocked", None)),
    (Pair("asking", "asked"), "ask", Pair("asking", "asked")),
    (Pair("asking", "asked"), "accept", NotAsked),
    (Pair("asking", "asked"), "remove", NOBODY),
    (Pair("asking", "asked"), "block", Pair("blocked", None)),
    (Pair("asked", "asking"), "ask", Pair("accepted", "accepted")),
    (Pair("asked", "asking"), "accept", Pair("accepted", "accepted")),
    (Pair("asked", "asking"), "remove", NOBODY),
    (Pair("asked", "asking"), "block", Pair("blocked", "asking")),
    (Pair("accepted", "accepted"), "ask", Pair("accepted", "accepted")),
    (Pair("accepted", "accepted"), "accept", Pair("accepted", "accepted")),
    (Pair("accepted", "accepted"), "remove", NOBODY),
    (Pair("accepted", "accepted"), "block", Pair("blocked", None)),
    (Pair("blocked", None), "ask", FriendBlocked),
    (Pair("blocked", None), "accept", NotAsked),
    (Pair("blocked", None), "remove", NOBODY),
    (Pair("blocked", "asking"), "remove", NOBODY),
    (Pair("blocked", "blocked"), "remove", Pair(None, "blocked")),
    (Pair(None, "blocked"), "ask", Pair("asking", "blocked")),
    (Pair(None, "blocked"), "accept", NotAsked),
    (Pair(None, "blocked"), "remove", Pair(None, "blocked")),
    (Pair(None, "blocked"), "block", Pair("blocked", "blocked")),
    (Pair("asking", "blocked"), "ask", Pair("asking", "blocked")),
    (Pair("asking", "blocked"), "remove", Pair(None, "blocked")),
]


@pytest.mark.parametrize(("before", "what", "after"), TABLE)
def test_an_act_turns_two_people_into_something_else(
    before: Pair, what: FriendAct, after: Pair | type[Refusal]
) -> None:
    if isinstance(after, Pair):
        assert rules.friends.act(before, what) == after
    else:
        with pytest.raises(after):
            rules.friends.act(before, what)


ACTS = st.lists(st.tuples(st.booleans(), st.sampled_from(["ask", "accept", "remove", "block"])), max_size=30)
TOGETHER = {
    *{(None, None), ("asking", "asked"), ("asked", "asking"), ("accepted", "accepted")},
    *{("blocked", None), (None, "blocked"), ("blocked", "blocked"), ("blocked", "asking"), ("asking", "blocked")},
}


@given(ACTS)
def test_the_two_rows_always_belong_together_and_a_block_lasts_until_its_owner_ends_it(
    acts: list[tuple[bool, FriendAct]],
) -> None:
    mine, theirs = None, None
    for is_mine, what in acts:
        before = Pair(mine, theirs) if is_mine else Pair(theirs, mine)
        try:
            after = rules.friends.act(before, what)
        except Refusal:
            continue
        assert (after.mine, after.theirs) in TOGETHER
        assert (after.theirs == "blocked") == (before.theirs == "blocked")  # nobody sets or ends another's block
        assert rules.friends.act(after, what) == after if what != "accept" else after.mine == "accepted"
        mine, theirs = (after.mine, after.theirs) if is_mine else (after.theirs, after.mine)


def test_nobody_is_his_own_friend_and_nobody_has_more_than_there_is_room_for() -> None:
    me = UserId(new_id())
    with pytest.raises(NotYourself):
        rules.friends.require_other(me, me)
    for state, room in {"accepted": 1_000, "asking": 100, "asked": 1_000, "blocked": 1_000}.items():
        rules.friends.require_room(state, room - 1)  # type: ignore[arg-type]  # one of the states
        with pytest.raises(FriendsFull) as refused:
            rules.friends.require_room(state, room)  # type: ignore[arg-type]  # one of the states
        assert refused.value.facts == {"limit": room, "state": state}


# with rows


async def people(tx: Tx, now: datetime, *names: str) -> list[UserId]:
    return [(await identity.create(tx, username=name, now=now)).id for name in names]


async def rows(tx: Tx) -> set[tuple[UserId, UserId, FriendState]]:
    found = await db.rows(tx, Friend, "select user_id, friend_id, state::text, changed_at from identity.friends")
    return {(row.user_id, row.friend_id, row.state) for row in found}


async def test_two_become_friends_and_part_again(tx: Tx, noon: datetime) -> None:
    alice, bob, carol = await people(tx, noon, "alice", "bob", "carol")
    assert await friends.act(tx, user_id=alice, friend_id=bob, what="ask", now=noon) == "asking"
    assert await identity.friends(tx, user_id=alice) == []
    assert await friends.act(tx, user_id=bob, friend_id=alice, what="accept", now=later(noon, minutes=1)) == "accepted"
    await friends.act(tx, user_id=alice, friend_id=carol, what="ask", now=noon)
    await friends.act(tx, user_id=carol, friend_id=alice, what="ask", now=later(noon, minutes=2))
    assert await identity.friends(tx, user_id=alice) == [carol, bob]
    assert [await identity.friends(tx, user_id=user_id) for user_id in (bob, carol)] == [[alice], [alice]]

    assert await friends.act(tx, user_id=bob, friend_id=alice, what="remove", now=noon) is None
    assert await friends.act(tx, user_id=bob, friend_id=alice, what="remove", now=noon) is None
    assert await identity.friends(tx, user_id=alice) == [carol]
    assert await rows(tx) == {(alice, carol, "accepted"), (carol, alice, "accepted")}


async def test_whoever_is_blocked_asks_and_hears_nothing(tx: Tx, noon: datetime) -> None:
    alice, mallory = await people(tx, noon, "alice", "mallory")
    await friends.act(tx, user_id=alice, friend_id=mallory, what="block", now=noon)
    assert await friends.act(tx, user_id=mallory, friend_id=alice, what="ask", now=noon) == "asking"
    assert await rows(tx) == {(alice, mallory, "blocked"), (mallory, alice, "asking")}
    with pytest.raises(FriendBlocked):
        await friends.act(tx, user_id=alice, friend_id=mallory, what="ask", now=noon)
    await friends.act(tx, user_id=alice, friend_id=mallory, what="remove", now=noon)
    assert await rows(tx) == set()


@pytest.mark.parametrize("what", ["ask", "block"])
async def test_nobody_who_is_not_there_is_asked_or_blocked(tx: Tx, noon: datetime, what: FriendAct) -> None:
    (alice,) = await people(tx, noon, "alice")
    for stranger in (UserId(new_id()), alice):
        with pytest.raises((identity.NoSuchUser, NotYourself)):
            await friends.act(tx, user_id=alice, friend_id=stranger, what=what, now=noon)
    assert await rows(tx) == set()


async def test_a_full_list_refuses_and_changes_nothing(tx: Tx, noon: datetime) -> None:
    alice, bob, *others = await people(tx, noon, "alice", "bob", *(f"other{n}" for n in range(100)))
    await sql.friends.upsert_friends(tx, [Friend(alice, other, "asking", noon) for other in others])
    before = await rows(tx)
    with pytest.raises(FriendsFull) as refused:
        await friends.act(tx, user_id=alice, friend_id=bob, what="ask", now=noon)
    assert refused.value.facts == {"limit": 100, "state": "asking"}
    assert await rows(tx) == before
    assert await friends.act(tx, user_id=bob, friend_id=alice, what="ask", now=noon) == "asking"
    assert await friends.act(tx, user_id=alice, friend_id=bob, what="accept", now=noon) == "accepted"


async def test_a_list_goes_on_behind_its_last_one(tx: Tx, noon: datetime) -> None:
    alice, *others = await people(tx, noon, "alice", *(f"other{n}" for n in range(7)))
    await sql.friends.upsert_friends(
        tx, [Friend(alice, other, "accepted", later(noon, minutes=n // 3)) for n, other in enumerate(others)]
    )
    read: list[UserId] = []
    part: Part[Dated] = Part(2)
    while found := await friends.list_friends(tx, user_id=alice, state="accepted", part=part):
        read += [one.user_id for one in found]
        part = Part(2, older_than=(found[-1].changed_at or noon, found[-1].user_id))
    assert read == await identity.friends(tx, user_id=alice)
    back = await friends.list_friends(tx, user_id=alice, state="accepted", part=Part(2, newer_than=(noon, read[-1])))
    assert [one.user_id for one in back] == read[4:6]
    assert sorted(read) == sorted(others)
    assert await friends.counts(tx, user_id=alice) == {"accepted": 7}


async def test_who_shows_a_whole_name_is_found_by_its_beginning_everybody_else_by_all_of_it(
    tx: Tx, noon: datetime
) -> None:
    names = ("alice", "alina_k", "alinaXk", "Al.masked", "alhidden", "bob")
    alice, alina, _, masked, hidden, _ = await people(tx, noon, *names)
    await identity.update_profile(tx, user_id=masked, board_name="masked")
    await identity.update_profile(tx, user_id=hidden, board_name="hidden")
    await identity.create(tx, username="alarm-bot", kind="service", now=noon)
    await friends.act(tx, user_id=alice, friend_id=alina, what="ask", now=noon)

    async def found(beginning: str) -> list[tuple[str, str | None]]:
        return [(one.name, one.state) for one in await friends.search(tx, user_id=alice, beginning=beginning)]

    assert await found("ali") == [("alina_k", "asking"), ("alinaXk", None)]
    assert await found("alina_") == [("alina_k", "asking")]
    assert await found("AL.MASKED") == [("Al.***", None)]
    assert await found("al.maske") == []
    assert await found("alhidden") == [(f"Player {hidden.int % 10_000:04}", None)]
    assert await found("alarm-bot") == []
    assert [await found(odd) for odd in ("al", "%%%", "a\x00b", "", "ali'; --")] == [[]] * 5


async def test_a_player_reads_his_own_side_only(world: World, noon: datetime) -> None:
    """Acceptance 21: row security hides what others are to each other."""
    alice, bob, carol = [await world.player(name, noon) for name in ("alice", "bob", "carol")]
    async with world.database.begin_system("a test") as tx:
        await friends.act(tx, user_id=alice.id, friend_id=bob.id, what="ask", now=noon)
        await friends.act(tx, user_id=carol.id, friend_id=alice.id, what="block", now=noon)
    statement = "select count(*) from identity.friends"
    for user, count in ((alice, 1), (bob, 1), (carol, 1)):
        async with world.database.begin(Actor("player", user.id, RequestId(new_id()))) as tx:
            assert await db.value(tx, statement) == count
            assert await identity.friends(tx, user_id=alice.id) == []
    async with world.database.begin(Actor("none", None, RequestId(new_id()))) as tx:
        assert await db.value(tx, statement) == 0
