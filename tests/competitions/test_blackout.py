"""A board that is hidden at its end: nobody sees who stands where until all is over, and then everybody does."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import competitions
from palio.competitions import errors
from palio.competitions.service import mine, programs, showing
from palio.competitions.types import Admission, CompetitionId, Counted, EntrantId, ProgramScore, Submission
from palio.infra.db import Address, Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.parts import Part
from tests.factories.competitions import HOUR, live, players, settle
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import NOW, caller
from tests.ui.product import product

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
ACT: dict[str, object] = {"actor": STAFF, "reason": "the server was down"}
MINUTE = timedelta(minutes=1)


async def played(tx: Tx, noon: datetime, **changes: object) -> tuple[CompetitionId, list[UserId], list[EntrantId]]:
    """Three with 30, 20 and 10 points, and an hour of darkness."""
    users = await players(tx, 3, noon)
    competition_id = await live(tx, noon, blackout_s=3_600, **changes)
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    entrants = await competitions.admit_many(tx, items, now=noon)
    sent = [Submission(competition_id, each, 30 - 10 * n, "first", noon) for n, each in enumerate(entrants)]
    await competitions.submit_many(tx, sent, now=noon)
    return competition_id, users, entrants


async def seen(tx: Tx, competition_id: CompetitionId, now: datetime, *, is_staff: bool = False) -> list[int]:
    found = await showing.shown(tx, competition_id=competition_id, now=now, limit=10, is_staff=is_staff)
    return [row.standing.score for row in found.board.rows]


async def test_from_its_blackout_to_its_completion_only_staff_see_the_board(tx: Tx, noon: datetime) -> None:
    competition_id, (leader, *_), _ = await played(tx, noon, review_h=1)
    before, dark = noon + 4 * HOUR - MINUTE, noon + 4 * HOUR
    assert await seen(tx, competition_id, before) == [30, 20, 10]
    assert (await mine.my_rank(tx, competition_id=competition_id, user_id=leader, now=before)).row.standing.rank == 1

    for now in (dark, noon + 5 * HOUR, noon + 5 * HOUR + MINUTE):
        await competitions.advance(tx, competition_id=competition_id, now=now)
        assert await seen(tx, competition_id, now) == []
        assert await seen(tx, competition_id, now, is_staff=True) == [30, 20, 10]
        for ask in (mine.my_rank, mine.around):
            more = {"radius": 3} if ask is mine.around else {}
            with pytest.raises(competitions.BoardHidden):
                await ask(tx, competition_id=competition_id, user_id=leader, now=now, **more)  # type: ignore[operator]
        header = await competitions.get(tx, competition_id=competition_id)
        friends = await mine.of_friends(tx, competition=header, user_id=leader, now=now, limit=5, after=0)
        country = await mine.of_country(tx, competition=header, country="NP", now=now, limit=5, after=0)
        assert (friends.board.rows, country.board.rows, friends.is_dark) == ((), (), True)
        with pytest.raises(errors.ResultsHidden):
            await showing.results(tx, competition_id=competition_id, now=now, limit=10)

    await settle(tx, competition_id, noon + 6 * HOUR)
    assert await seen(tx, competition_id, noon + 6 * HOUR) == [30, 20, 10]
    won = await showing.results(tx, competition_id=competition_id, now=noon + 6 * HOUR, limit=10)
    assert [row.prize for row in won.board.rows] == [5_000, 3_000, 2_000]


async def test_in_the_dark_scores_count_and_no_rank_is_told(tx: Tx, noon: datetime) -> None:
    """Neither to programs nor to players whose rank has moved; one's own receipts are one's own."""
    heard = {**tx.equipment.addresses, competitions.RankChanged: (Address("tests:dark", "default", 0),)}
    tx.equipment = replace(tx.equipment, addresses=heard)
    competition_id, users, entrants = await played(tx, noon)
    await competitions.watch_ranks(tx, now=noon + HOUR)
    dark = noon + 4 * HOUR + MINUTE
    item = Submission(competition_id, entrants[2], 25, "late", dark)
    outcomes = await competitions.submit_many(tx, [item], now=dark)
    assert isinstance(outcomes[0], Counted)

    done = [(ProgramScore("user", str(users[2]), item), outcomes[0])]
    assert await programs.ranks_many(tx, done, now=dark) == [{}]
    assert list((await programs.ranks_many(tx, done, now=noon))[0].values()) == [1]
    assert await competitions.watch_ranks(tx, now=dark) == 0
    _, receipts = await mine.receipts(tx, competition_id=competition_id, user_id=users[2], part=Part(9))
    assert receipts[0].total == 35
    await settle(tx, competition_id, noon + 5 * HOUR)
    assert await seen(tx, competition_id, noon + 5 * HOUR) == [35, 30, 20]


async def test_a_rest_does_not_bring_the_dark_nearer_and_a_later_end_moves_it(tx: Tx, noon: datetime) -> None:
    competition_id, _, _ = await played(tx, noon)
    await competitions.pause(tx, competition_id=competition_id, now=noon + 3 * HOUR, **ACT)
    assert await seen(tx, competition_id, noon + 4 * HOUR) == [30, 20, 10]
    await competitions.resume(tx, competition_id=competition_id, now=noon + 4 * HOUR, **ACT)
    assert await seen(tx, competition_id, noon + 5 * HOUR - MINUTE) == [30, 20, 10]
    assert await seen(tx, competition_id, noon + 5 * HOUR) == []
    later = noon + 9 * HOUR
    await competitions.extend(tx, competition_id=competition_id, ends_at=later, now=noon + 5 * HOUR, **ACT)
    assert await seen(tx, competition_id, noon + 5 * HOUR) == [30, 20, 10]


async def test_the_dark_is_a_term(tx: Tx, noon: datetime) -> None:
    competition_id, _, _ = await played(tx, noon)
    with pytest.raises(competitions.TermsFrozen):
        await competitions.update(
            tx, competition_id=competition_id, changes={"blackout_s": 0}, actor=STAFF, now=noon + HOUR
        )


async def test_over_http_a_hidden_board_says_so_and_has_no_lines(database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id, (leader, *_), _ = await played(tx, NOW - HOUR, ends_at=NOW + HOUR - MINUTE)
    path = f"/api/v1/competitions/{competition_id}"
    async with talk_to(product(database)) as client:
        terms = (await client.get(path)).json()
        standings = (await client.get(f"{path}/standings?limit=1")).json()
        own = await client.get(f"{path}/standings/me", headers=caller("player", leader))
        shown = [
            await client.get(f"/competitions/{competition_id}{rest}", headers=caller("player", leader))
            for rest in ("", "/me/receipt")
        ]
        rewards = await client.get(f"{path}/rewards")
    assert (terms["hidden"], terms["blackout_s"], terms["entrants"]) == (True, 3_600, 3)
    assert (standings["hidden"], standings["items"], standings["of"], standings["next"]) == (True, [], 3, None)
    assert [page.status_code for page in shown] == [200, 200]
    assert "The board is hidden" in shown[0].text and "Nobody has a score yet" not in shown[0].text
    assert (own.status_code, own.json()["code"]) == (409, "competitions.board_hidden")
    assert (rewards.status_code, rewards.json()["code"]) == (404, "competitions.results_hidden")
