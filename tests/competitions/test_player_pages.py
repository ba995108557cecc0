"""What players see of competitions: lists, a page each, the way in, the receipt, the archive, and frames elsewhere."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from palio import competitions, identity
from palio.competitions.types import Admission, CompetitionId, EntrantId, NewBoard, NewEntrant, Submission
from palio.infra import partitions
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.races.types import Race
from tests.conftest import SYSTEM
from tests.factories import races
from tests.factories.competitions import HOUR, THREE, balances, live, new, players, score, settle, withheld
from tests.ui.conftest import talk_to
from tests.ui.people import NOW, OURS, caller
from tests.ui.product import product

EARLIER = NOW - 3 * HOUR
STAFF = {"actor": SYSTEM, "reason": "the server was down"}


@dataclass
class Visit:
    """People before the pages of competitions."""

    client: httpx2.AsyncClient
    database: Database

    async def get(self, path: str, user: UserId | None = None) -> httpx2.Response:
        return await self.client.get(path, headers=caller("player", user) if user else {})

    async def page(self, path: str, user: UserId | None = None) -> str:
        """The words of a page that is there."""
        answer = await self.get(path, user)
        assert answer.status_code == 200, answer.text[:600]
        return words(answer.text)

    async def send(self, path: str, user: UserId, *, on: str, **fields: str) -> httpx2.Response:
        """Press the button of a form on a page."""
        page = (await self.get(on, user)).text
        assert f'action="{path}"' in page, f"{path} is not offered on {on}"
        form = page[page.index(f'action="{path}"') :]
        hidden = dict(re.findall(r'name="(csrf_token|idempotency_key)" value="([^"]*)"', form)[:2])
        return await self.client.post(path, data=hidden | fields, headers=caller("player", user) | OURS)


def words(html: str) -> str:
    """The text of a page, each gap one space."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", "<main" + (html.partition("<main")[2] or html)))
    return re.sub(r" ([.,:])", r"\1", text)


def path_of(competition_id: CompetitionId) -> str:
    return f"/competitions/{competition_id}"


@pytest.fixture
async def visit(database: Database) -> AsyncIterator[Visit]:
    async with database.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "competitions.receipts", NOW)
    async with talk_to(product(database)) as client:
        yield Visit(client, database)


async def named(tx: Any, *names: str) -> list[UserId]:
    """People whose names boards show in full."""
    users = []
    for name in names:
        user = await identity.create(tx, username=f"{name}-{new_id().hex[-8:]}", display_name=name, now=NOW)
        await identity.update_profile(tx, user_id=user.id, board_name="full")
        users.append(user.id)
    return users


async def begun(visit: Visit, *names: str, scores: list[int], **terms: object) -> tuple[CompetitionId, list[UserId]]:
    """A live competition in which these have so much."""
    async with visit.database.begin(SYSTEM) as tx:
        users = await named(tx, *names)
        competition_id = await live(tx, EARLIER, **terms)
        await score(tx, competition_id, await admitted(tx, competition_id, users), scores, EARLIER + HOUR)
    return competition_id, users


async def admitted(tx: Any, competition_id: CompetitionId, users: list[UserId]) -> list[EntrantId]:
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    return await competitions.admit_many(tx, items, now=EARLIER)


async def coming(visit: Visit, **terms: object) -> CompetitionId:
    """One that starts in an hour."""
    async with visit.database.begin(SYSTEM) as tx:
        competition_id = await competitions.create(tx, new=new(NOW + HOUR, **terms), created_by=None, now=NOW)
        await competitions.publish(tx, competition_id=competition_id, now=NOW)
    return competition_id


async def race_ahead(tx: Any) -> Race:
    """A race that starts in an hour."""
    source = await races.feed(tx)
    when = {"starts_at": NOW + HOUR, "ends_at": NOW + 5 * HOUR, "backdated_reason": None}
    return await races.race(tx, source, NOW, **when)


# lists


async def test_the_list_has_what_is_on_what_comes_and_what_is_settled(visit: Visit) -> None:
    ref = new_id().hex[-8:]
    competition_id, _ = await begun(visit, "anna", scores=[5], title=f"On {ref}", product="game")
    await coming(visit, title=f"Soon {ref}")
    async with visit.database.begin(SYSTEM) as tx:
        draft = await competitions.create(tx, new=new(NOW + HOUR, title=f"Draft {ref}"), created_by=None, now=NOW)

    page, games = await visit.page("/competitions"), await visit.page("/competitions?product=game")

    assert page.index(f"On {ref}") < page.index(f"Soon {ref}")
    assert f"Draft {ref}" not in page
    assert (f"On {ref}" in games, f"Soon {ref}" in games) == (True, False)
    assert f'href="{path_of(competition_id)}"' in (await visit.get("/competitions")).text
    assert (await visit.get(path_of(draft))).status_code == 404


async def test_a_state_is_a_list_of_its_own_with_parts(visit: Visit) -> None:
    page = await visit.page("/competitions?status=cancelled&product=steps")
    assert "None of this kind" in page


async def test_a_race_hangs_in_the_list_and_is_shown_by_its_own_page(visit: Visit) -> None:
    async with visit.database.begin(SYSTEM) as tx:
        race = await race_ahead(tx)
    path = path_of(CompetitionId(race.competition_id))

    listed = (await visit.get("/competitions?product=race&status=upcoming")).text
    shown = await visit.get(path)
    receipt = await visit.get(f"{path}/me/receipt", UserId(new_id()))

    assert f'href="/races/{race.number}"' in listed
    assert (shown.status_code, shown.headers["location"]) == (303, f"/races/{race.number}")
    assert receipt.headers["location"] == f"/races/{race.number}/me/receipt"


# the page


async def test_the_page_says_who_stands_where_what_is_paid_and_what_counts(visit: Visit) -> None:
    competition_id, users = await begun(
        visit,
        *("anna", "bert", "cleo", "dora", "emma"),
        scores=[1_250, 900, 900, 40, 3],
        title="Spring walk",
        description="Everybody walks.",
        rules_text="No trains.",
        min_score=10,
    )

    page = await visit.page(path_of(competition_id), users[3])
    guest = await visit.page(path_of(competition_id))

    assert "Spring walk Everybody walks. $100.00 for the first 3 places." in page
    assert (
        "Your place 4 of 5" in page
        and "Just above you 860 behind" in page
        and "Just below you 37 ahead of emma" in page
    )
    assert "$25.00 25" not in page and page.count("$25.00") == 2  # the two who share rank 2
    assert "Paid places end here." in page
    assert "Not ranked: at least 10 is needed." in page
    assert "From the house 1 contribution $100.00" in page
    assert "Whoever has at least 10 is ranked." in page and "No trains." in page
    assert "Your place" not in guest and "Friends" not in guest


BADGE = {"from": 1, "to": 2, "kind": "badge", "ref": "champion", "title": "Champion of spring"}


async def test_prizes_are_told_as_the_terms_mean_them(visit: Visit) -> None:
    """Shares of scores, a last band that everybody shares, what is no money: nobody reads of places that are none."""
    shares = {"kind": "proportional", "split": "occupants", "bands": [{"from": 1, "to": None, "value": 10_000}]}
    open_band = {
        "kind": "bps",
        "split": "occupants",
        "bands": [{"from": 1, "to": 1, "value": 6_000}, {"from": 2, "to": None, "value": 4_000}],
    }
    badges = {**THREE, "items": [BADGE]}
    found = []
    for raw, terms in ((shares, {}), (open_band, {}), (badges, {"guaranteed_pool": 0})):
        rule = competitions.read_prize_rule(raw)
        competition_id, users = await begun(visit, "anna", "bert", scores=[30, 20], prize_rule=rule, **terms)
        found.append(await visit.page(path_of(competition_id), users[1]))
    by_score, shared, won = found

    assert "$100.00 for everybody who qualifies." in by_score and "0 places" not in by_score
    assert "Everybody who qualifies shares the pool by the scores." in by_score
    assert "Paid places end here" not in by_score + shared
    assert "From place 2 on, together you now $40.00" in shared
    assert "No money is won here." in won and "Places 1 to 2, each Champion of spring" in won


async def test_what_was_won_besides_money_is_on_the_receipt(visit: Visit) -> None:
    rule = competitions.read_prize_rule({**THREE, "items": [BADGE]})
    competition_id, (anna, _) = await begun(visit, "anna", "bert", scores=[30, 20], prize_rule=rule, guaranteed_pool=0)
    async with visit.database.begin(SYSTEM) as tx:
        await settle(tx, competition_id, NOW + 3 * HOUR)

    receipt = await visit.page(f"{path_of(competition_id)}/me/receipt", anna)

    assert "Champion of spring" in receipt and "In the pool, set aside" not in receipt


async def test_the_terms_say_how_old_one_must_be_and_when_the_board_is_hidden(visit: Visit) -> None:
    competition_id = await coming(
        visit, join_mode="open", eligibility={"min_age": 21}, blackout_s=3_600, no_winner="refund"
    )
    async with visit.database.begin(SYSTEM) as tx:
        (user,) = await players(tx, 1, NOW)
    page = await visit.page(path_of(competition_id), user)

    assert "Only for players of 21 years or more." in page
    assert "on nobody sees the board, until everything is over." in page
    assert "If nobody qualifies, everybody has back what was put in." in page
    assert "What nobody wins stays with the house." in page


async def test_what_rests_shows_what_is_left_when_it_goes_on(visit: Visit) -> None:
    competition_id, _ = await begun(visit, "anna", scores=[5])
    async with visit.database.begin(SYSTEM) as tx:
        await competitions.pause(tx, competition_id=competition_id, actor=SYSTEM, reason="the hall is shut", now=NOW)

    text = (await visit.get(path_of(competition_id))).text

    assert ("Left when it goes on" in text, "It is paused" in text, "<count-down" in text) == (True, True, False)


async def test_whoever_is_not_ranked_sees_by_how_much(visit: Visit) -> None:
    competition_id, users = await begun(visit, "anna", "bert", scores=[50, 49], min_score=50)
    page = await visit.page(path_of(competition_id), users[1])
    assert "Your place \N{EN DASH} of 2" in page and "To be ranked 1 more are needed" in page


async def test_of_a_board_only_friends_or_those_of_a_country_can_be_seen(visit: Visit) -> None:
    competition_id, users = await begun(visit, "anna", "bert", "cleo", scores=[30, 20, 10])
    house = identity.House(visit.database)
    await identity.befriend(house, user_id=users[2], friend_id=users[0], what="ask", now=NOW)
    await identity.befriend(house, user_id=users[0], friend_id=users[2], what="accept", now=NOW)

    friends = await visit.page(f"{path_of(competition_id)}?only=friends", users[2])
    nobody = await visit.page(f"{path_of(competition_id)}?country=nz", users[2])
    stranger = await visit.get(f"{path_of(competition_id)}?only=friends")

    assert "1 anna" in friends and "bert" not in friends.partition("Standings")[2].partition("Prizes")[0]
    assert "2 cleo you place 3 of all" in friends
    assert "Places are those among you and your friends. " in friends and "2 players stand here." in friends
    assert "Nobody from there stands here" in nobody
    assert stranger.status_code == 401


@pytest.mark.parametrize("query", ["only=enemies", "country=NZL", "country=1", "cursor=x"])
async def test_what_means_nothing_in_an_address_is_refused(visit: Visit, query: str) -> None:
    competition_id = await coming(visit)
    assert (await visit.get(f"{path_of(competition_id)}?{query}")).status_code in (400, 422)


async def test_results_that_are_told_at_the_end_are_not_told_before(visit: Visit) -> None:
    competition_id, users = await begun(
        visit, "anna", "bert", scores=[30, 20], results_visible="after_end", review_h=24
    )
    async with visit.database.begin(SYSTEM) as tx:
        await settle(tx, competition_id, NOW + 3 * HOUR)

    page = await visit.page(path_of(competition_id), users[0])
    receipt = await visit.page(f"{path_of(competition_id)}/me/receipt", users[0])

    assert "Who wins what is told at the end" in page
    assert "Prize \N{EN DASH} " in page and "How your prize adds up" not in receipt
    assert "Who wins what is told when the competition is completed." in receipt


# the way in


async def test_a_player_joins_with_a_fee_and_leaves_with_it(visit: Visit) -> None:
    competition_id = await coming(visit, join_mode="open", entry_fee=99, max_participants=2)
    async with visit.database.begin(SYSTEM) as tx:
        user, poor = await players(tx, 2, NOW, each=100)
        [other] = await players(tx, 1, NOW, each=50)
    path = path_of(competition_id)

    guest = await visit.get(path)
    assert f'href="/sign-in?next={path}"' in guest.text and "0 of 2 places taken" in words(guest.text)
    before = await visit.page(path, user)
    assert "$0.99 from your wallet" in before and "You have $1.00, and $0.01 after it." in before
    assert "which is not enough" in await visit.page(path, other)
    answer = await visit.send(f"{path}/join", user, on=path)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    inside = await visit.page(path, user)
    assert "You take part" in inside and "1 of 2 places taken" in inside and "Entry fees 1 contribution" in inside
    assert f'href="{path}"' in (await visit.get("/wallet/USD/entries/2", user)).text
    async with visit.database.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main") == [1]
    assert "you take part" in await visit.page("/competitions", user)

    assert (await visit.send(f"{path}/leave", user, on=path)).status_code == 303
    assert "Take part" in await visit.page(path, user)
    async with visit.database.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main", f"user:{poor}:main") == [100, 100]


async def test_whoever_comes_too_late_is_told_so_on_the_page_and_pays_nothing(visit: Visit) -> None:
    """The page that is drawn again refreshes itself from its own address, not from that of the form."""
    competition_id = await coming(visit, join_mode="open", entry_fee=99, max_participants=1)
    async with visit.database.begin(SYSTEM) as tx:
        user, quick = await players(tx, 2, NOW, each=100)
    path = path_of(competition_id)
    page = (await visit.get(path, user)).text
    await visit.send(f"{path}/join", quick, on=path)
    hidden = dict(re.findall(r'name="(csrf_token|idempotency_key)" value="([^"]*)"', page))

    answer = await visit.client.post(f"{path}/join", data=hidden, headers=caller("player", user) | OURS)

    assert answer.status_code == 409 and "Every place is taken" in words(answer.text)
    assert 'role="alert"' in answer.text and f'hx-get="{path}"' in answer.text
    async with visit.database.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main") == [100]


async def test_an_invited_player_finds_it_and_accepts(visit: Visit) -> None:
    competition_id = await coming(visit, join_mode="invite", title="For the few")
    async with visit.database.begin(SYSTEM) as tx:
        guest, stranger = await players(tx, 2, NOW)
        await competitions.invite_many(tx, competition_id=competition_id, user_ids=[guest], actor=SYSTEM, now=NOW)
    path = path_of(competition_id)

    assert "You are invited For the few" in (await visit.page("/competitions", guest)).replace("Announced invited ", "")
    assert "You are invited For the few" in await visit.page("/", guest)
    assert "You are invited" not in await visit.page("/competitions", stranger) + await visit.page("/", stranger)
    assert "By invitation only" in await visit.page(path, stranger)
    assert "Accept and join" in await visit.page(path, guest)
    assert await states(visit, guest) == ["invited"]
    assert (await visit.send(f"{path}/join", guest, on=path)).status_code == 303
    assert "You take part" in await visit.page(path, guest)
    assert "You are invited" not in await visit.page("/competitions", guest)
    assert await states(visit, guest) == ["active"]


async def states(visit: Visit, user: UserId) -> list[str]:
    """How staff see what a player takes part in."""
    async with visit.database.begin(SYSTEM) as tx:
        return [one.state for one in await competitions.latest_of(tx, user_id=user, limit=5)]


# the receipt


async def test_a_receipt_ends_at_the_shown_score_and_says_who_changed_it(visit: Visit) -> None:
    competition_id, (anna, bert) = await begun(visit, "anna", "bert", scores=[30, 20])
    async with visit.database.begin(SYSTEM) as tx:
        entrants = await competitions.entered_by(tx, user_id=anna, competition_ids=[competition_id])
        await competitions.adjust_score(
            tx,
            adjustment_id=new_id(),
            competition_id=competition_id,
            entrant_id=entrants[competition_id],
            delta=-4,
            **STAFF,
            now=EARLIER + 2 * HOUR,
        )

    page = await visit.page(f"{path_of(competition_id)}/me/receipt", anna)
    table = await visit.get(f"/api/v1/competitions/{competition_id}/receipts/me.csv", anna)

    assert "Your score 26" in page and "adjusted the server was down" in page and "\N{MINUS SIGN}4" in page
    assert "If it ended now you would be paid $50.00." in page
    assert len(table.text.splitlines()) == 3
    assert "$30.00" in await visit.page(f"{path_of(competition_id)}/me/receipt", bert)
    assert (await visit.get(f"{path_of(competition_id)}/me/receipt", UserId(new_id()))).status_code == 404


async def test_a_winner_reads_what_became_of_a_prize_that_his_wallet_refused(visit: Visit) -> None:
    async with visit.database.begin(SYSTEM) as tx:
        competition_id, [entrant], [anna] = await withheld(tx, NOW - 7 * HOUR)
    receipt = f"{path_of(competition_id)}/me/receipt"
    assert "the staff of this house look at it" in await visit.page(receipt, anna)
    assert "withheld" in await visit.page(path_of(competition_id), anna)
    async with visit.database.begin(SYSTEM) as tx:
        await competitions.forfeit(
            tx,
            competition_id=competition_id,
            entrant_id=entrant,
            actor=SYSTEM,
            reason="nobody answered for a year",
            now=NOW,
            approved_by=UserId(new_id()),
        )
    told = await visit.page(receipt, anna)
    assert "went back to the house: nobody answered for a year" in told
    assert "It is paid when the review is over" not in told
    assert "not paid" in await visit.page(path_of(competition_id), anna)


async def test_a_result_is_doubted_and_answered_on_the_receipt(visit: Visit) -> None:
    competition_id, (anna, bert) = await begun(visit, "anna", "bert", scores=[30, 20], review_h=24)
    path = f"{path_of(competition_id)}/me/receipt"
    assert "Doubt the result" not in await visit.page(path, anna)
    async with visit.database.begin(SYSTEM) as tx:
        await settle(tx, competition_id, NOW + 3 * HOUR)

    short = await visit.send(f"{path_of(competition_id)}/appeals", bert, on=path, text="No.")
    assert short.status_code == 422 and ">No.</textarea>" in short.text and f'hx-get="{path}"' in short.text
    sent = await visit.send(f"{path_of(competition_id)}/appeals", bert, on=path, text="My last walk is missing.")
    assert (sent.status_code, sent.headers["location"]) == (303, path)
    page = await visit.page(path, bert)
    assert "not answered yet" in page and "My last walk is missing." in page and "What is wrong?" not in page
    assert "My last walk" not in await visit.page(path, anna)


async def test_what_was_paid_is_explained_and_the_wallet_leads_to_it(visit: Visit) -> None:
    competition_id, (anna, bert, cleo) = await begun(visit, "anna", "bert", "cleo", scores=[30, 20, 20], title="Paid")
    async with visit.database.begin(SYSTEM) as tx:
        await settle(tx, competition_id, NOW + 3 * HOUR)

    receipt = await visit.page(f"{path_of(competition_id)}/me/receipt", bert)
    page = await visit.page(path_of(competition_id), cleo)
    wallet = (await visit.get("/wallet/USD/entries/1", anna)).text

    assert "Your places together, shared by 2 $50.00" in receipt and "Your prize $25.00" in receipt
    assert "shared with one other" in page and "$25.00" in page and "Fingerprint of the result" in page
    assert f'href="{path_of(competition_id)}/me/receipt"' in wallet


# what was


async def test_the_archive_has_the_winners_by_month_and_kind(visit: Visit) -> None:
    competition_id, _ = await begun(visit, "anna", "bert", scores=[30, 20], title="Long ago", product="custom")
    async with visit.database.begin(SYSTEM) as tx:
        await settle(tx, competition_id, NOW + 3 * HOUR)

    march = await visit.page("/competitions/archive?year=2026&month=3&product=custom")
    assert "Long ago" in march and "anna 2 $100.00" in march
    assert "Nothing ended then" in await visit.page("/competitions/archive?year=2001")
    assert "Won by anna" in await visit.page("/competitions?status=completed&product=custom")


async def test_the_archive_goes_by_the_end_whatever_was_made_first(visit: Visit) -> None:
    """Over the call too, from page to page and back."""
    ends = {"first": 9, "second": 5, "third": 7}
    async with visit.database.begin(SYSTEM) as tx:
        for name, hours in ends.items():
            made = await live(tx, EARLIER, title=f"Ended {name}", product="steps", ends_at=EARLIER + hours * HOUR)
            await competitions.close(tx, competition_id=made, now=EARLIER + 10 * HOUR)
            await competitions.freeze(tx, competition_id=made, evidence={}, now=EARLIER + 10 * HOUR)
    page = await visit.page("/competitions/archive?product=steps")
    path = "/api/v1/competitions/archive?product=steps&limit=2"
    first = (await visit.get(path)).json()
    rest = (await visit.get(f"{path}&cursor={first['next']}")).json()
    back = (await visit.get(f"{path}&cursor={rest['prev']}")).json()

    assert page.index("Ended first") < page.index("Ended third") < page.index("Ended second")
    assert [one["title"] for part in (first, rest) for one in part["items"]] == [
        *("Ended first", "Ended third", "Ended second"),
    ]
    assert (first["prev"], rest["next"], back["items"]) == (None, None, first["items"])


# elsewhere


async def test_a_list_stands_in_a_frame_of_another_page(visit: Visit) -> None:
    competition_id, _ = await begun(visit, "anna", "bert", scores=[30, 20], title="Framed")
    async with visit.database.begin(SYSTEM) as tx:
        found = await competitions.get(tx, competition_id=competition_id)
        race = await race_ahead(tx)
        of_race = (await competitions.get(tx, competition_id=CompetitionId(race.competition_id))).list_id
    path = f"/embed/list/{found.list_id}"

    frame = await visit.get(f"{path}?theme=night&rows=1")
    shown = words(frame.text)

    assert frame.status_code == 200 and 'data-theme="night"' in frame.text
    assert "set-cookie" not in frame.headers and "frame-ancestors" in frame.headers["content-security-policy"]
    assert "anna" in shown and "bert" not in shown and f'data-topic="competition:{competition_id}"' in frame.text
    assert (await visit.get(f"{path}?colour=red")).status_code == 422
    elsewhere = (await visit.get(f"/embed/list/{of_race}?rows=3")).headers["location"]
    assert elsewhere == f"/embed/races/{race.number}?rows=3"
    assert (await visit.get("/embed/list/987654321")).status_code == 404


async def test_a_period_of_a_board_stands_in_a_frame(visit: Visit) -> None:
    async with visit.database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard("test.framed", "Framed steps", "steps"))
        users = await named(tx, "anna", "bert")
        crowd = await competitions.enter_many(tx, [NewEntrant("user", str(user), user, country="PT") for user in users])
        items = [Submission(None, who, 10 * (n + 1), "k", NOW, board="test.framed") for n, who in enumerate(crowd)]
        await competitions.submit_many(tx, items, now=NOW)
    page = (await visit.get("/boards/test.framed?period=all", users[0])).text
    [path] = set(re.findall(r'href="(/embed/list/\d+)"', page))

    shown = await visit.page(path)
    mine = words(page)
    country = await visit.page("/boards/test.framed?period=all&country=pt")
    friends = await visit.page("/boards/test.framed?period=all&only=friends", users[0])

    assert "Framed steps" in shown and shown.index("bert") < shown.index("anna")
    assert "My rank 2 of 2" in mine and "10 to the next rank" in mine and "Just above you 10 behind bert" in mine
    assert "2 players stand here." in country and "1 player stands here." in friends
