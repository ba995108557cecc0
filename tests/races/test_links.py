"""Players who turn out to be somebody: prizes that wait for them, and their place in the races that run."""

import json
from datetime import datetime, timedelta

from palio import affiliates, competitions, identity, ledger, races
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.races import jobs
from palio.races.types import NewRace, Race
from tests.factories.races import DEFAULT, STAFF, T2, Feed, at, feed, linked, player, race, run, setup_r


async def told(tx: Tx, source: Feed, uid: str, user_id: UserId) -> None:
    """The job of the event, as often as the queue likes."""
    event = affiliates.AccountLinked(user_id, await player(tx, source, uid), source.programme_id)
    for _ in range(2):
        await jobs.claim(tx, event)


async def wallet(tx: Tx, user_id: UserId) -> int:
    return await ledger.balance(tx, address=f"user:{user_id}:main", asset="USD")


async def users(tx: Tx, made: Race) -> list[UserId | None]:
    board = await competitions.top(tx, competition_id=made.competition_id, limit=20)
    return [row.standing.user_id for row in board.rows]


async def test_a_link_pays_the_prize_that_waits_once(tx: Tx) -> None:
    """player0006 won 250.00 in R; a repeated event, and one whose link is gone, change nothing."""
    source, made = await setup_r(tx)
    await run(tx, at("20:30:00"))
    user_id = UserId(new_id())
    clock.use(lambda: at("21:00:00"))
    try:
        await told(tx, source, "player0006", user_id)
        assert await wallet(tx, user_id) == 0  # nobody is linked yet
        await linked(tx, source, "player0006", user_id)
        await told(tx, source, "player0006", user_id)
    finally:
        clock.use(clock.real)
    assert await wallet(tx, user_id) == 25_000
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 25_000
    statuses = [reward.status for reward in await competitions.rewards(tx, competition_id=made.competition_id)]
    assert statuses == ["paid"] + ["unclaimed"] * 9


async def test_whoever_is_taken_out_of_a_race_keeps_what_he_won_in_another(tx: Tx) -> None:
    """The next one moves up on the next read; the 250.00 of before are paid when he links."""
    source, _ = await setup_r(tx)
    await run(tx, at("20:30:00"))
    following = await race(tx, source, at("20:31:00"), starts_at=at("20:28:00"), ends_at=at("23:00:00"))
    body = json.loads(T2)
    for row in body["data"]:
        row["wagered"]["all_time"] += {"player0006": 9, "player0018": 8}.get(row["name"], 0)
    await source.take(tx, json.dumps(body).encode(), at("21:00:00"))
    await run(tx, at("21:00:00"))
    board = [(line.name, line.rank) for line in await races.lines(tx, number=following.number)]
    assert board == [("player0006", 1), ("player0018", 2)]
    best = await player(tx, source, "player0006")
    why = {"actor": STAFF, "reason": "excluded himself", "public_note": "takes no part"}
    await races.exclude(tx, number=following.number, player_id=best, now=at("21:01:00"), **why)  # type: ignore[arg-type]  # who, why, and the note
    board = [(line.name, line.rank) for line in await races.lines(tx, number=following.number)]
    assert board == [("player0018", 1)]

    user_id = UserId(new_id())
    await linked(tx, source, "player0006", user_id)
    clock.use(lambda: at("21:02:00"))
    try:
        await told(tx, source, "player0006", user_id)
    finally:
        clock.use(clock.real)
    assert await wallet(tx, user_id) == 25_000


async def test_after_thirty_days_a_prize_is_the_houses_and_a_link_pays_nothing(tx: Tx) -> None:
    source, made = await setup_r(tx)
    await run(tx, at("20:30:00"))
    due = at("20:30:00") + timedelta(days=30)
    await competitions.expire(tx, now=due)
    rewards = await competitions.rewards(tx, competition_id=made.competition_id)
    assert [reward.status for reward in rewards] == ["expired"] * 10
    user_id = UserId(new_id())
    await linked(tx, source, "player0006", user_id)
    clock.use(lambda: due)
    try:
        await told(tx, source, "player0006", user_id)
    finally:
        clock.use(clock.real)
    assert (await wallet(tx, user_id), await ledger.total(tx)) == (0, 0)
    assert await ledger.balance(tx, address=f"pool:{made.competition_id}", asset="USD") == 0


async def test_in_a_race_of_linked_players_whoever_links_ranks_with_all_that_he_has_wagered(tx: Tx) -> None:
    """ann is linked before, bob while it runs, cid never; bob leaves again before the end and has his score still."""
    source = await feed(tx)
    await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "100", "cid": "100"})
    made = await race(tx, source, at("08:25:00"), linked_only=True)
    ann, bob = UserId(new_id()), UserId(new_id())
    await linked(tx, source, "ann", ann)
    await run(tx, at("08:30:00"))
    await source.show(tx, at("10:00:00"), {"ann": "120", "bob": "110", "cid": "150"})
    await run(tx, at("10:00:00"))
    assert await board(tx, made) == [("ann", 1, 20)]
    assert (await races.recompute(tx, number=made.number)).differences == ()

    clock.use(lambda: at("11:00:00"))
    try:
        player_id = await linked(tx, source, "bob", bob)
        await source.show(tx, at("12:00:00"), {"ann": "120", "bob": "125", "cid": "160"})
        await told(tx, source, "bob", bob)  # before that snapshot is counted
        assert await board(tx, made) == [("ann", 1, 20), ("bob", 2, 10)]
        await run(tx, at("12:00:00"))
        assert await board(tx, made) == [("bob", 1, 25), ("ann", 2, 20)]
        rehearsed = await races.rehearse(tx, new=await spec_until(tx, source, at("11:40:00")))
        assert [(line.uid, line.rank) for line in rehearsed.lines] == [("bob", 1), ("ann", 2)]
        await db.run(tx, "update affiliates.links set state = 'unlinked' where player_id = %s", player_id)
        await jobs.let_go(tx, affiliates.AccountUnlinked(bob, player_id, source.programme_id))
    finally:
        clock.use(clock.real)
    assert await board(tx, made) == [("ann", 1, 20)]
    await source.show(tx, at("20:20:00"), {"ann": "121", "bob": "130", "cid": "160"})
    await run(tx, at("20:20:00"))
    assert await board(tx, made) == [("ann", 1, 21)]
    done = await competitions.get(tx, competition_id=made.competition_id)
    assert (done.status, await wallet(tx, ann), await wallet(tx, bob)) == ("completed", 25_000, 0)


async def board(tx: Tx, made: Race) -> list[tuple[str, int | None, int]]:
    return [(line.uid, line.rank, line.total_micro // 10**6) for line in await races.lines(tx, number=made.number)]


async def spec_until(tx: Tx, source: Feed, ends_at: datetime) -> NewRace:
    """The same race with this end."""
    return NewRace(
        *("Spring race", source.code, at("08:30:00"), ends_at, "USD", 50_000, races.by_place(DEFAULT)),
        min_wager_micro=0,
        linked_only=True,
    )


async def test_a_player_let_back_in_without_a_link_does_not_rank_among_linked_ones(tx: Tx) -> None:
    source = await feed(tx)
    await source.show(tx, at("08:25:00"), {"ann": "100"})
    made = await race(tx, source, at("08:25:00"), linked_only=True)
    await run(tx, at("08:30:00"))
    await source.show(tx, at("10:00:00"), {"ann": "120"})
    await run(tx, at("10:00:00"))
    ann = await player(tx, source, "ann")
    why = {"actor": STAFF, "reason": "his ticket", "public_note": "a mistake"}
    await races.exclude(tx, number=made.number, player_id=ann, now=at("10:01:00"), **why)  # type: ignore[arg-type]  # who, why, and the note
    await races.reinstate(tx, number=made.number, player_id=ann, now=at("10:02:00"), **why)  # type: ignore[arg-type]  # as above
    assert await board(tx, made) == []


async def test_a_running_race_knows_its_linked_players(tx: Tx) -> None:
    """Linked before he enters, linked while it runs, and let go again: the score stays with the player."""
    source = await feed(tx)
    await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "100"})
    made = await race(tx, source, at("08:25:00"))
    ann, bob = UserId(new_id()), UserId(new_id())
    await linked(tx, source, "ann", ann)
    await run(tx, at("08:30:00"))
    await source.show(tx, at("10:00:00"), {"ann": "120", "bob": "110"})
    await run(tx, at("10:00:00"))
    assert await users(tx, made) == [ann, None]

    player_id = await linked(tx, source, "bob", bob)
    await told(tx, source, "bob", bob)
    assert await users(tx, made) == [ann, bob]
    await db.run(tx, "update affiliates.links set state = 'unlinked' where player_id = %s", player_id)
    await jobs.let_go(tx, affiliates.AccountUnlinked(bob, player_id, source.programme_id))
    assert await users(tx, made) == [ann, None]


async def named(tx: Tx, made: Race) -> list[str]:
    """Who ranks, from the first place on."""
    return [line.name for line in await races.lines(tx, number=made.number) if line.rank]


async def person(tx: Tx, name: str) -> UserId:
    return (await identity.create(tx, username=name, now=at("08:00:00"))).id


async def test_a_linked_player_who_excludes_himself_leaves_the_ranks_and_keeps_what_he_won(tx: Tx) -> None:
    """Acceptance 26: the next one moves up on the next read, and the prize of before is paid."""
    source, _ = await setup_r(tx)
    await run(tx, at("20:30:00"))
    following = await race(tx, source, at("20:31:00"), starts_at=at("20:28:00"), ends_at=at("23:00:00"))
    body = json.loads(T2)
    for row in body["data"]:
        row["wagered"]["all_time"] += {"player0006": 9, "player0018": 8}.get(row["name"], 0)
    await source.take(tx, json.dumps(body).encode(), at("21:00:00"))
    await run(tx, at("21:00:00"))
    ann = await person(tx, "ann")
    await linked(tx, source, "player0006", ann)
    assert await named(tx, following) == ["player0006", "player0018"]
    clock.use(lambda: at("21:02:00"))
    try:
        for length in ("24h", "6mo"):
            made = await identity.take_break(tx, user_id=ann, length=length, now=at("21:02:00"))  # type: ignore[arg-type]  # a length
            event = identity.PlayerExcluded(ann, made.kind, made.activities, made.ends_at)
            for _ in range(2):
                await jobs.leave_out(tx, event)
            assert await named(tx, following) == (["player0006", "player0018"] if length == "24h" else ["player0018"])
        await told(tx, source, "player0006", ann)
    finally:
        clock.use(clock.real)
    assert await named(tx, following) == ["player0018"]
    assert await wallet(tx, ann) == 25_000


async def test_whoever_has_excluded_himself_enters_no_race_by_his_player(tx: Tx) -> None:
    """Excluded before he enters, or before he links; a link that ends does not bring him in again."""
    source = await feed(tx)
    await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "100", "cid": "100"})
    made = await race(tx, source, at("08:25:00"))
    ann, bob = await person(tx, "ann"), await person(tx, "bob")
    await linked(tx, source, "ann", ann)
    for user_id in (ann, bob):
        await identity.take_break(tx, user_id=user_id, length="1y", now=at("08:20:00"))
    await run(tx, at("08:30:00"))
    await source.show(tx, at("10:00:00"), {"ann": "150", "bob": "120", "cid": "110"})
    await run(tx, at("10:00:00"))
    assert await board(tx, made) == [("bob", 1, 20), ("cid", 2, 10)]
    clock.use(lambda: at("10:05:00"))
    try:
        player_id = await linked(tx, source, "bob", bob)
        await told(tx, source, "bob", bob)
        assert await board(tx, made) == [("cid", 1, 10)]
        await db.run(tx, "update affiliates.links set state = 'unlinked' where player_id = %s", player_id)
        await jobs.let_go(tx, affiliates.AccountUnlinked(bob, player_id, source.programme_id))
    finally:
        clock.use(clock.real)
    assert await board(tx, made) == [("cid", 1, 10)]
    why = {"actor": STAFF, "reason": "his ticket", "public_note": "a mistake"}
    uid = await player(tx, source, "ann")
    await races.exclude(tx, number=made.number, player_id=uid, now=at("10:06:00"), **why)  # type: ignore[arg-type]  # who, why, and the note
    await races.reinstate(tx, number=made.number, player_id=uid, now=at("10:07:00"), **why)  # type: ignore[arg-type]  # as above
    assert await board(tx, made) == [("cid", 1, 10)]
