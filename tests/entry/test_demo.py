"""The demo: filled in the order of time through the product's own doors, whole or not to be seen, then played on."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx2
import psycopg
import pytest
from psycopg import sql

from palio import affiliates, identity, ledger, races
from palio.affiliates.types import RequestState, Wanted
from palio.entry import calendar, cast, demo, first_start, moving, story, web, wiring
from palio.entry.wiring import Wiring
from palio.infra import clock as virtual
from palio.infra import db, embedded, keyring, marks, seals, settings
from palio.infra.addresses import Addresses
from palio.infra.db import Database, Tx
from palio.infra.settings import Environment
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.races.types import NewRace, RaceView
from palio.sim import CAST, World
from tests.conftest import PATIENCE_S
from tests.entry.conftest import address_of, run
from tests.factories.ledger import settled
from tests.journeys.browser.conftest import serve

CREATED_AT = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)  # a Friday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARKS = marks.Demo(CREATED_AT, 1, is_whole=False, has_own_time=True, every=6 * HOUR)  # as seldom as possible
FIRST = datetime(2026, 2, 23, tzinfo=UTC)
PATIENCE_SECONDS = 120
OURS = {"sec-fetch-site": "same-origin"}
ENDED = {"unlinked", "transferred"}


@dataclass(frozen=True, slots=True)
class Place:
    """A database of its own."""

    name: str
    addresses: Addresses
    data: Path

    def opened(self, **changes: object) -> AbstractAsyncContextManager[Wiring]:
        """A process over it."""
        keys = {"keyring_file": self.data / "keyring.json"}
        return wiring.opened(Environment(data=self.data, **(keys | changes)), self.addresses)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def places(cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    made: list[str] = []

    def make() -> Place:
        name = f"palio_demo_{worker_id}_{len(made)}"
        made.append(name)
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            admin.execute(sql.SQL("create database {} template palio").format(sql.Identifier(name)))
        dsn = cluster.dsn("palio_app", name)
        data = tmp_path_factory.mktemp("demo")
        keyring.load_or_make(data / "keyring.json")
        return Place(name, Addresses(app=dsn, direct=dsn, migrate=dsn), data)

    yield make
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
async def settings_are_those_of_the_suite_again(database: Database) -> AsyncIterator[None]:
    yield
    async with database.begin_system("no demo") as tx:
        await settings.snapshot.load(tx)


async def begin(wired: Wiring) -> None:
    async with wired.database.begin_system("a demo is begun") as tx:
        await marks.begin(tx, MARKS)
    await wiring.simulate(wired.database)


@asynccontextmanager
async def filling(wired: Wiring) -> AsyncIterator[asyncio.Task[demo.Filled]]:
    """The fill of a demo, which goes on in the block."""
    async with demo.playing(wired) as world:
        task = asyncio.create_task(demo.fill(wired, world))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def reaching(wired: Wiring, task: asyncio.Task[demo.Filled], done: int) -> None:
    """Wait until the fill is so far."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while wired.stage.done < done and not task.done():  # noqa: ASYNC110 - rows of the database ring no bell
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asked(place: Place) -> AsyncIterator[tuple[Wiring, httpx2.AsyncClient]]:
    """The application of one process, and who asks it."""
    async with (
        place.opened() as wired,
        serve(web.make(wired)) as base,
        httpx2.AsyncClient(base_url=base, timeout=PATIENCE_S) as client,
    ):
        yield wired, client


async def said(wired: Wiring) -> dict[str, Any]:
    """What a demo says, without ids and secrets."""
    async with wired.database.begin_system("what a demo says") as tx:
        return await demo.said(tx)


@dataclass(frozen=True, slots=True)
class Whole:
    """A demo that nothing interrupted, and what it said when it was whole."""

    place: Place
    done: demo.Filled
    said: dict[str, Any]


@pytest.fixture(scope="module")
async def whole(places) -> Whole:  # type: ignore[no-untyped-def]
    place = places()
    async with place.opened() as wired:
        await begin(wired)
        async with filling(wired) as task:
            done = await task
        return Whole(place, done, await said(wired))


def test_the_calendar_hits_every_bound_exactly_and_ends_now() -> None:
    turns, readings = calendar.turns(MARKS, CREATED_AT), calendar.readings(MARKS, CREATED_AT)
    mondays = [FIRST + timedelta(weeks=week) for week in range(4)]

    assert readings[0] == datetime(2026, 2, 18, 12, tzinfo=UTC)
    assert readings[-1] == CREATED_AT and readings == sorted({*readings}) and turns <= {*readings}
    assert calendar.first_race(MARKS) == FIRST
    shortly_after, settled = mondays[3] + HOUR, mondays[3] + timedelta(hours=1, minutes=15)
    assert calendar.first_race(replace(MARKS, created_at=shortly_after)) == FIRST - timedelta(weeks=1)
    assert calendar.first_race(replace(MARKS, created_at=settled)) == FIRST
    final, paid = timedelta(minutes=15), timedelta(hours=1, minutes=15)
    assert {*mondays} | {monday + later for monday in mondays[1:] for later in (final, paid)} <= turns
    assert {*story.script(FIRST, CREATED_AT)} <= turns
    assert {plant.at for plant in calendar.planted(MARKS)} <= turns
    assert len(turns) < 170, "each costs about a tenth of a second"


def test_the_feed_of_the_past_is_read_as_often_as_is_asked_and_at_last_as_often_as_a_real_one() -> None:
    """Every two hours, if nobody asks; every quarter of one while it is away."""
    outage = next(plant.at for plant in calendar.planted(MARKS) if plant.name == "outage")
    for every, most, seldom in ((6 * HOUR, 300, 6 * HOUR), (2 * HOUR, 550, 2 * HOUR), (HOUR / 4, 3_000, HOUR / 4)):
        readings = calendar.readings(replace(MARKS, every=every), CREATED_AT)
        apart = {later - at for at, later in itertools.pairwise(readings)}
        assert max(apart) == seldom and len(readings) < most
        assert all(CREATED_AT - DAY + HOUR / 4 * number in {*readings} for number in range(96))
        assert all(outage + HOUR / 4 * number in {*readings} for number in range(13))


@pytest.mark.parametrize("created_at", [datetime(2026, 3, 16, 3, tzinfo=UTC), datetime(2026, 3, 31, 23, tzinfo=UTC)])
@pytest.mark.parametrize("days", [18, 30, 90])
def test_whenever_a_demo_is_made_its_races_begin_in_its_history(created_at: datetime, days: int) -> None:
    """Also on a Monday on which the weekend is not over yet in New York, and at the end of a long month."""
    asked = replace(MARKS, created_at=created_at, days=days)
    spans = calendar.spans(asked, created_at)
    over = Counter(span.rhythm.cadence for span in spans if span.ends_at + calendar.SETTLED_AFTER <= created_at)

    assert min(span.starts_at for span in spans) >= calendar.began(asked) + HOUR
    assert (over["weekly"], over["weekend"]) == (calendar.weeks_over(asked), 2)
    assert {18: 1, 30: 3, 90: 11}[days] == calendar.weeks_over(asked)
    assert [span.starts_at.weekday() for span in spans if span.rhythm.cadence == "weekend"][:2] == [5, 5]


WEEKLY, WEEKEND, MONTHLY, LIVE = (1, 2, 4), (5, 6), 3, 7


def test_races_of_three_rhythms_are_settled_and_paid_or_on_and_the_next_are_there(whole: Whole) -> None:
    numbered = {line[0]: line for line in whole.said["races"]}
    rows = {number: {row.place: row for row in line[7]} for number, line in numbered.items()}
    wallets = {one["about"][0]: one["moves"] for one in whole.said["people"]}

    assert {number: (line[1], line[2]) for number, line in numbered.items()} == {
        1: ("Weekly race 2026-W09", "completed"),
        2: ("Weekly race 2026-W10", "completed"),
        3: ("Monthly race 2026-03", "live"),
        4: ("Weekly race 2026-W11", "completed"),
        5: ("Weekend race 2026-W10", "completed"),
        6: ("Weekend race 2026-W11", "completed"),
        7: ("Weekly race 2026-W12", "live"),
        8: ("Weekend race 2026-W12", "upcoming"),
        9: ("Weekly race 2026-W13", "upcoming"),
    }
    assert [rows[1][place].reward_status for place in (1, 2, 3)] == ["paid", "unclaimed", "paid"]
    over = (*WEEKLY, *WEEKEND)
    assert [sum(row.prize for row in rows[number].values()) for number in over] == [50_000] * 3 + [20_000] * 2
    won = [row.prize for number in over for row in rows[number].values() if row.uid == rows[1][1].uid]
    prizes = [move for move in wallets["chen"] if move[2] == "competitions.prize"]
    paid = [move[3] for move in prizes if move[0] == "USD"]
    assert [move[3] for move in prizes if move[0] == "COIN"] == [750], "half of the second and third prize of a contest"
    assert len(won) == 5 and sum(paid) == sum(won)
    assert wallets["emil"] == []
    assert whole.said["ledger"] == whole.done.ledger_sum == 0, "the ledger sums to zero"


async def test_a_week_that_begins_inside_a_weekend_race_changes_nothing_in_it(whole: Whole) -> None:
    """Its totals are what the all-time counters rose by, whatever the column of the week says."""
    reset = next(plant.at for plant in whole.done.plants if plant.name == "week reset")
    weekend = next(line for line in whole.said["races"] if line[3] < reset < line[4] and line[1].startswith("Weekend"))
    async with whole.place.opened() as wired, wired.database.begin_system("what the feed said") as tx:
        pictures = await db.rows(
            tx,
            Summed,
            "select fetched_at, sum_week_micro, sum_all_time_micro from affiliates.snapshots"
            " where status = 'applied' and fetched_at between %s and %s order by fetched_at",
            *(weekend[3], weekend[4] + timedelta(minutes=15)),
        )
    before = max(one.sum_week_micro for one in pictures if one.fetched_at < reset)
    after = next(one.sum_week_micro for one in pictures if one.fetched_at >= reset)

    assert after < before / 10, "the week of the feed began anew"
    risen = pictures[-1].sum_all_time_micro - pictures[0].sum_all_time_micro
    assert sum(row.total_micro for row in weekend[7]) == risen > 0
    assert weekend[2] == "completed"


@dataclass(frozen=True, slots=True)
class Summed:
    """The sums of a picture."""

    fetched_at: datetime
    sum_week_micro: int
    sum_all_time_micro: int


def test_two_players_share_a_paid_place_and_a_prize_of_it_is_unclaimed(whole: Whole) -> None:
    tied = [row for row in whole.said["races"][1][7] if row.rank == 3]

    assert [row.place for row in tied] == [3, 4]
    assert tied[0].total_micro == tied[1].total_micro > 0
    assert [row.prize for row in tied] == [3_750, 3_750], "a tenth and a twentieth of the pool, halved"
    assert {row.reward_status for row in tied} == {"paid", "unclaimed"}


async def test_requests_links_and_proposals_are_in_every_state(whole: Whole) -> None:
    async with whole.place.opened() as wired, wired.database.begin_system("what waits") as tx:
        users = {one.username: await identity.get(tx, name_or_id=one.username) for one in CAST}
        requests = {name: await affiliates.requests_of(tx, user_id=user.id) for name, user in users.items()}
        waiting = await affiliates.queue(tx)
        linked = await affiliates.links_many(tx, user_ids=[user.id for user in users.values()])
        steps = {name: await affiliates.history_of(tx, user_id=user.id) for name, user in users.items()}
    states = {name: [one.state for one in found] for name, found in requests.items() if found}

    assert states == {
        "ada": ["under_review"],
        "chen": ["approved"],
        "gina": ["approved", "rejected"],
        "hugo": ["pending", "expired"],
        "ines": ["pending", "superseded"],
        "jona": ["pending", "cancelled"],
    }
    assert {*itertools.chain(*states.values())} == {*get_args(RequestState)}
    assert [(one.username, one.is_contested) for one in waiting] == [
        ("ada", True),
        ("hugo", True),
        ("ines", False),
        ("jona", False),
    ]
    names = {user.id: name for name, user in users.items()}
    assert {names[link.user_id] for link in linked} == {"bela", "chen", "gina", "leon", "salma"}
    ends = {name: one.to_state for name, found in steps.items() for one in found if one.to_state in ENDED}
    assert ends == {"dara": "unlinked", "kaja": "transferred"}
    assert steps["emil"] == []
    assert Counter(one[4] for one in whole.said["approvals"]) == {"open": 3, "executed": 1, "rejected": 1, "expired": 1}


COINS_OF_STEPS = [84, 100, 61, 100, 43, 90, 77, 100, 39, 88, 96, 52, 100, 71, 80, 66]


def test_wallets_have_a_bit_of_everything(whole: Whole) -> None:
    """What programs, players and staff did with them is there to the coin, and nobody has what only others did."""
    people = {one["about"][0]: one for one in whole.said["people"]}
    coins = {name: [move for move in one["moves"] if move[0] == "COIN"] for name, one in people.items()}
    others = [1_500, -250, 80, -80, 25, -120, 50]  # opening, order, a part of it back, bet, code, gift, daily bonus

    assert [move[3] for move in coins["bela"] if move[2] == "steps.award"] == COINS_OF_STEPS
    assert [move[3] for move in coins["bela"] if move[2] != "steps.award"] == others
    assert next(one for one in people["bela"]["has"] if one[0] == "COIN") == (
        *("COIN", sum(COINS_OF_STEPS) + sum(others)),
        *(120 + 600, 0),
    )
    assert [move[3] for move in coins["ada"]] == [500, -480, 120, -140], "the reward was taken back, and was gone"
    assert people["ada"]["has"] == [("COIN", 0, 0, -360)]
    assert (people["emil"]["has"], people["emil"]["limits"]) == ([], [])
    corrected = [move[3] for move in people["chen"]["moves"] if move[2] == "ledger.adjustment"]
    assert corrected == [1_250, 12_000]
    assert Counter(one[2] for one in whole.said["corrections"]) == {"posted": 2, "rejected": 1, "pending": 1}


async def test_what_wallets_promise_and_keep_aside_is_there_too(whole: Whole) -> None:
    """Holds of three ends, a hidden line, limits of which one rises, coins that expire, and books that are sealed."""
    async with whole.place.opened() as wired:
        await settled(wired.database)
        while await seals.keep(wired.database, ledger.CHAIN):
            pass
        async with wired.database.begin_system("what wallets have") as tx:
            bela = (await identity.get(tx, name_or_id="bela")).id
            holds = await db.column(tx, "select state from ledger.holds order by id")
            lines = await ledger.statement(tx, owner_id=bela, asset="COIN", limit=100)
            everything = ledger.Filter(with_hidden=True)
            full = await ledger.statement(tx, owner_id=bela, asset="COIN", wanted=everything, limit=100)
            ends = await db.column(
                tx, "select expires_at from ledger.lots where remaining > held and expires_at is not null order by 1"
            )
            sealed = await ledger.seal_of(tx, transfer_id=full.lines[0].transfer_id)
            sound = await ledger.verify(tx)
            seals_are = await ledger.check_seals(tx)
    limits = next(one["limits"] for one in whole.said["people"] if one["about"][0] == "bela")

    assert Counter(holds) == {"open": 2, "captured": 1, "voided": 1}
    assert [line.kind for line in full.lines if line not in lines.lines] == ["bonuses.code"]
    pending = ledger.PendingLimit(1_000, CREATED_AT + DAY)
    assert limits == [("COIN", "stake", "day", 500, pending), ("COIN", "spend", "week", 1_500, None)]
    assert DAY < ends[0] - CREATED_AT < 4 * DAY, "soon, and not before somebody has looked"
    assert sealed is not None and sound.is_sound
    assert seals_are.flaws == ()


async def test_what_was_planted_is_found(whole: Whole) -> None:
    plants = {plant.name: plant for plant in whole.done.plants}
    pictures = {at: (status, reason) for at, status, reason, *_ in whole.said["pictures"]}
    outage = plants["outage"].at
    async with whole.place.opened() as wired, wired.database.begin_system("what was planted") as tx:
        failed = await db.column(tx, "select due_at from affiliates.cycles where state = 'failed' order by due_at")
        corrections = await db.column(tx, "select fetched_at from affiliates.snapshots where corrections > 0")
        listed = {"lucky\N{GAME DIE}dice", "\u0646\u0648\u0631", "once_another"}
        names = {name: await found(tx, name) for name in listed}

    assert failed == [outage + timedelta(minutes=15) * number for number in range(12)]
    assert not any(outage <= at < outage + timedelta(hours=3) for at in pictures)
    assert pictures[outage + timedelta(hours=3)] == ("applied", None)
    assert [at for at, (status, _) in pictures.items() if status != "applied"] == [plants["short list"].at]
    assert pictures[plants["short list"].at] == ("suspicious", "shrink")
    assert corrections == [plants["correction"].at]
    assert names == {name: [name] for name in listed}
    assert {*plants} == {
        *("emoji name", "right-to-left name", "outage", "short list", "correction", "rename", "tie"),
        "week reset",
    }


async def found(tx: Tx, name: str) -> list[str]:
    """How those are called who are found by a name."""
    board = await affiliates.find_players(tx, wanted=Wanted(), text=name, now=CREATED_AT)
    return [row.name for row in board.rows]


async def test_everybody_of_the_cast_can_sign_in(whole: Whole) -> None:
    """Players by their password; staff into the console, by the code that their authenticator shows."""
    told = {one.username: one for one in whole.done.people}
    assert [*told] == [one.username for one in CAST if one.signs_in]
    data = whole.place.data
    async with asked(whole.place) as (wired, plain):
        assert (await demo.filled(wired)).people == [], "they are told once"
        assert cast.kept(data) == whole.done.people
        assert cast.path_of(data).stat().st_mode & 0o777 == 0o600
        for one in whole.done.people:
            async with httpx2.AsyncClient(base_url=plain.base_url, timeout=PATIENCE_S, headers=OURS) as client:
                if one.role is None:
                    entered = await sent(client, "/sign-in", identifier=one.username, password=one.password)
                    assert (entered.status_code, entered.headers["location"]) == (303, "/"), one.username
                    assert one.display_name in (await client.get("/account")).text
                    continue
                asks = await sent(client, "/console/sign-in", identifier=one.email, password=one.password)
                ticket = re.findall(r'name="ticket" value="([^"]+)"', asks.text)[0]
                code = cast.code_of(data, one.username, clock.now())
                wrong = await client.post("/console/sign-in/code", data={"ticket": ticket, "code": "000000"})
                assert wrong.status_code != 303, one.username
                entered = await client.post(
                    "/console/sign-in/code", data={"ticket": ticket, "code": code, "next": "/console"}
                )
                assert (entered.status_code, entered.headers["location"]) == (303, "/console"), one.username
                assert (await client.get("/console")).status_code == 200, one.username
    with pytest.raises(cast.NobodyOfTheCast):
        cast.code_of(data, "ada", CREATED_AT)


async def sent(client: httpx2.AsyncClient, path: str, **fields: str) -> httpx2.Response:
    """What a form is answered, sent with the hidden fields that its page has drawn."""
    shown = (await client.get(path)).text
    hidden = dict(re.findall(r'name="(csrf_token|idempotency_key)" value="([^"]*)"', shown))
    return await client.post(path, data={**hidden, **fields})


async def test_a_fill_that_was_killed_ends_as_one_that_was_not(places, whole: Whole) -> None:  # type: ignore[no-untyped-def]
    """Each time in another process: while people come in, and when somebody is linked and has not been paid yet."""
    place = places()
    async with place.opened() as wired:
        await begin(wired)
        async with filling(wired) as task:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not any(one.otpauth for one in cast.kept(place.data)):  # noqa: ASYNC110 - a file rings no bell
                    await asyncio.sleep(0.001)
    kept = cast.kept(place.data)
    async with place.opened() as wired:
        assert await first_start.begin_demo(wired, asked=None), "it goes on by itself"
        async with filling(wired) as task:
            await reaching(wired, task, 30)
    async with place.opened() as wired, filling(wired):
        await somebody_linked(wired)
    async with place.opened() as wired:
        assert marks.state() == "begun"
        async with filling(wired) as task:
            done = await task
        assert marks.state() == "whole" and not await first_start.begin_demo(wired, asked=None)
        assert await said(wired) == whole.said
        assert done.digest == whole.done.digest
    assert [one.password for one in done.people] == [one.password for one in kept], "nobody's password has changed"


async def somebody_linked(wired: Wiring) -> None:
    """Wait until somebody is linked, and no longer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with wired.database.begin_system("is anybody linked") as tx:
                if await db.value(tx, "select count(*) from affiliates.links"):
                    return
            await asyncio.sleep(0.005)


def test_the_command_tells_what_is_there(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    place = whole.place
    for name, value in (
        ("PALIO_DATABASE_URL", address_of(place.addresses.app)),
        ("PALIO_DATA", str(place.data)),
        ("PALIO_KEYRING_FILE", str(place.data / "keyring.json")),
    ):
        monkeypatch.setenv(name, value)

    told = run("demo", "--json").answer
    assert (told["digest"], told["races"], told["users"], told["people"]) == (whole.done.digest, 9, len(CAST), [])
    assert run("demo", "--digest", "--end", "2026-03-20T12:30:00Z").out == f"{whole.done.digest}\n"
    plants = run("demo", "--plants").out.splitlines()
    assert len(plants) == 1 + len(whole.done.plants) and plants[-1].startswith("tie  ")
    assert re.fullmatch(r"[0-9]{6}\n", run("demo", "--code", "sam").out)
    nobody = run("demo", "--code", "ada")
    assert (nobody.status, "[entry.not_of_the_cast]" in nobody.err) == (1, True)
    for words in (
        ("--seed", "9"),
        ("--end", "2026-03-20T12:31:00Z"),
        ("--days", "31"),
        ("--players", "200"),
        ("--every", "2h"),
        ("--reset",),  # which is for a database of our own
    ):
        refused = run("demo", *words)
        assert (refused.status, "[demo.refused]" in refused.err) == (78, True), words


async def test_half_a_demo_is_never_shown(places) -> None:  # type: ignore[no-untyped-def]
    """The home page says how far it is, programs are told to come later, and it changes by itself."""
    async with asked(places()) as (wired, client):
        await begin(wired)
        async with filling(wired) as task:
            await reaching(wired, task, 3)
            page = await client.get("/", headers={"accept": "text/html"})
            block = await client.get("/preparing", headers={"hx-request": "true"})
            others = await client.get("/races", headers={"accept": "text/html"})
            call = await client.get("/api/v1/races")
            ready = await client.get("/readyz")
        assert "Preparing the demo" in page.text and page.status_code == 200
        assert "<progress" in block.text and "<html" not in block.text
        assert (others.status_code, others.headers["location"]) == (307, "/")
        assert (call.status_code, call.json()["code"]) == (503, "entry.demo_preparing")
        assert call.headers["retry-after"] == "2"
        assert ready.status_code == 200

        async with wired.database.begin_system("pretend") as tx:
            await marks.complete(tx)
        done = await client.get("/preparing", headers={"hx-request": "true"})
        assert done.headers["hx-redirect"] == "/"
        assert "Preparing" not in (await client.get("/")).text


async def test_every_page_of_a_demo_wears_a_ribbon(whole) -> None:  # type: ignore[no-untyped-def]
    """With the tick of its feed, and the speed of its clock when that is not real."""
    async with asked(whole.place) as (wired, client):
        watching = asyncio.create_task(first_start.watch(wired))
        async with asyncio.timeout(PATIENCE_S):
            while wired.stage.feed_interval_s is None:  # noqa: ASYNC110 - rows of the database ring no bell
                await asyncio.sleep(0.01)
        watching.cancel()
        for path in ("/", "/races", "/races/1", "/nowhere", "/sim"):
            text = (await client.get(path, headers={"accept": "text/html"})).text
            assert 'aria-label="Demo"' in text and "The feed ticks every 20 s." in text, path
            assert "The clock runs" not in text
        await client.post("/sim/speed", headers=OURS, data={"speed": "60"})
        assert "The clock runs 60 times as fast." in (await client.get("/races")).text
        await client.post("/sim/speed", headers=OURS, data={"speed": "1"})


async def test_the_clock_is_turned_by_our_own_page_only_and_is_nowhere_else(places, whole) -> None:  # type: ignore[no-untyped-def]
    async with asked(places()) as (_, client):
        assert (await client.get("/sim")).status_code == 404, "time is real there"
        for path, data in (("/sim/advance", {"by": "900"}), ("/sim/speed", {"speed": "60"})):
            assert (await client.post(path, headers=OURS, data=data)).status_code == 404
        assert "Demo" not in (await client.get("/")).text

    async with asked(whole.place) as (wired, client), demo.playing(wired) as world:
        await read_from(wired, world)
        before = clock.now()
        for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            answer = await client.post("/sim/advance", headers=headers, data={"by": "900"})
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_rejected")
        odd = await client.post("/sim/advance", headers=OURS, data={"by": "77"})
        assert (odd.status_code, odd.json()["code"]) == (422, "entry.turn_invalid")
        assert clock.now() - before < timedelta(seconds=20)

        done = await client.post("/sim/advance", headers=OURS, data={"by": "900"})
        assert (done.status_code, done.headers["location"]) == (303, "/sim")
        assert wired.stage.moving
        await wired.stage.moving
        assert timedelta(minutes=15) <= clock.now() - before < timedelta(minutes=16)


async def test_an_advance_lives_through_each_tick_and_every_end(whole) -> None:  # type: ignore[no-untyped-def]
    """The race that ends in between closes by a picture of its own, and its prizes are paid, as by the clock."""
    async with whole.place.opened() as wired, demo.playing(wired) as world:
        await read_from(wired, world)
        async with wired.database.begin_system("a race between two ticks") as tx:
            now = clock.now().replace(second=0, microsecond=0)
            starts_at, ends_at = now + timedelta(minutes=11), now + timedelta(minutes=47)
            made = await races.create_race(
                tx,
                new=NewRace(
                    title="Between ticks",
                    programme="default",
                    starts_at=starts_at,
                    ends_at=ends_at,
                    pool_asset="USD",
                    pool=1_000,
                    prize_rule=races.by_place([10_000]),
                    min_wager_micro=0,
                    grace_s=0,
                    review_h=0,
                ),
                actor=tx.actor,
                now=clock.now(),
            )
        moved = await moving.advance(wired, by=timedelta(hours=2), tick=timedelta(hours=1))

        async with wired.database.begin_system("how it ended") as tx:
            view = await races.view(tx, number=made.number, now=clock.now(), rows_max=5)
        assert moved.until - moved.since == timedelta(hours=2)
        assert moved.instants in {5, 6}, "whole hours, the start, the end, and where it goes on"
        assert view.status == "completed"
        assert view.start_state == "exact" and view.start and now <= view.start.fetched_at <= starts_at
        assert view.final and view.final.fetched_at == ends_at
        with pytest.raises(ValueError, match="forward"):
            await moving.advance(wired, by=timedelta())


async def test_a_demo_that_was_off_for_days_shows_a_living_board_again(whole: Whole) -> None:
    """The race that ended meanwhile got its final picture late; nobody but staff of the demo releases it."""
    async with whole.place.opened() as wired, demo.playing(wired) as world:
        async with wired.database.begin_system("eight days later") as tx:
            await virtual.reset(tx, at=CREATED_AT + timedelta(days=8))
            await virtual.virtual.look(tx)
        await read_from(wired, world)
        async with wired.database.begin_system("which feed") as tx:
            feed_id = (await affiliates.pull_feed(tx, code="default")).id
        async with moving.moving(wired) as mover:
            await affiliates.fetch(wired.database, feed_id=feed_id, due_at=clock.now(), trigger="schedule")
            await mover.live()
        late = await view(wired, LIVE)
        assert (late.status, late.final_state, late.phase) == ("settling", "late", "review")

        standing_in = asyncio.create_task(demo._stand_in_for_staff(wired))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await view(wired, LIVE)).status != "completed":  # noqa: ASYNC110 - rows of the database ring no bell
                await asyncio.sleep(0.01)
        standing_in.cancel()
        async with wired.database.begin_system("who did it") as tx:
            adam = await identity.get(tx, name_or_id="adam")
            released = await db.rows(
                tx, Released, "select actor_id, reason from infra.audit_rows where action = 'competition.release'"
            )
            newest = {line.number: line.status for line in await races.recent(tx)}
        assert released == [Released(adam.id, story.RELEASED)] * 2, "the week, and the weekend in it"
        assert newest[LIVE + 2] == "live"
        assert (await view(wired, LIVE + 2)).start_state == "chained", "by the final picture of the one before"


@dataclass(frozen=True, slots=True)
class Released:
    """Who released a race, and why."""

    actor_id: UserId
    reason: str


async def view(wired: Wiring, number: int) -> RaceView:
    """A race as its page shows it."""
    async with wired.database.begin_system("a race") as tx:
        return await races.view(tx, number=number, now=clock.now(), rows_max=5)


async def read_from(wired: Wiring, world: World) -> None:
    """Point the feed to a world that lives in this test."""
    reading = asyncio.create_task(demo._keep_reading(wired, world))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with wired.database.begin_system("where does it read") as tx:
                if (await affiliates.pull_feed(tx, code="default")).url == world.feed_url:
                    break
            await asyncio.sleep(0.01)
    reading.cancel()


async def test_where_there_must_be_no_demo_it_is_refused_and_nothing_is_written(places) -> None:  # type: ignore[no-untyped-def]
    place = places()
    for changes, words in (
        ({"public_url": "https://play.example.com"}, "from outside"),
        ({"sim": "off"}, "PALIO_SIM"),
    ):
        async with place.opened(**changes) as wired:
            with pytest.raises(first_start.DemoRefusedError, match=words):
                await first_start.begin_demo(wired, asked=True)
            assert not await first_start.begin_demo(wired, asked=None)
    async with place.opened(keyring_file=None) as wired:
        with pytest.raises(first_start.DemoRefusedError, match="PALIO_KEYRING_FILE"):
            await first_start.begin_demo(wired, asked=True)
    async with place.opened() as wired:
        with pytest.raises(first_start.DemoRefusedError, match="in the future"):
            await first_start.begin_demo(wired, asked=True, wish=first_start.Wish(end=clock.real() + DAY))
        async with wired.database.begin_system("somebody real") as tx:
            await identity.create(tx, username="anna", now=clock.now())
        with pytest.raises(first_start.DemoRefusedError, match="not empty"):
            await first_start.begin_demo(wired, asked=True)
        assert not await first_start.begin_demo(wired, asked=None)
        assert marks.state() == "none" and not wired.is_simulated
        with pytest.raises(virtual.NoClock):
            await moving.advance(wired, by=timedelta(hours=1))


async def test_who_left_it_out_once_is_not_given_it_later(places) -> None:  # type: ignore[no-untyped-def]
    """Without being asked only the start of an empty place that nothing else is planned for fills one."""
    place = places()
    async with place.opened() as wired:
        assert not await first_start.begin_demo(wired, asked=False)
    async with place.opened() as wired:
        assert marks.state() == "declined"
        assert not await first_start.begin_demo(wired, asked=None)
        assert await first_start.begin_demo(wired, asked=True, wish=first_start.Wish(seed=7))
        with pytest.raises(first_start.DemoRefusedError, match="of seed 7"):
            await first_start.begin_demo(wired, asked=True, wish=first_start.Wish(seed=8))
        with pytest.raises(first_start.DemoRefusedError, match="PALIO_DATA"):
            await first_start.begin_demo(wired, asked=False)
    with pytest.raises(Exception, match="from outside"):
        async with place.opened(public_url="https://play.example.com"):
            raise AssertionError
    async with places().opened(feed_url="https://feed.example.com/list") as wired:
        assert not await first_start.begin_demo(wired, asked=None)
