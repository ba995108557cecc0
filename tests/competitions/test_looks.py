"""The short way to boards of everybody: the same answers as the ordinary one, a quarter of a second old at most."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from palio import competitions
from palio.competitions import web
from palio.competitions.types import EntrantId, Look, NewBoard, NewEntrant, Submission
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, new_id
from palio.ui.edge import Served
from palio.ui.hot import HotRoutes
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.routes import Call
from palio.ui.site import assemble
from tests.conftest import PATIENCE_S
from tests.ui.house import SYSTEM

CURSORS = Cursors(bytes(32))


class Away(Database):
    """A database that can go away, or not answer until it is let."""

    is_away = False
    answers: asyncio.Event | None = None

    @asynccontextmanager
    async def begin(
        self, actor: Actor, *, seconds_max: int | None = None, generic_plans: bool = False
    ) -> AsyncIterator[Tx]:
        if self.is_away:
            raise Unavailable(retry_after_s=2)
        if self.answers:
            await self.answers.wait()
        async with super().begin(actor, seconds_max=seconds_max, generic_plans=generic_plans) as tx:
            yield tx

    @asynccontextmanager
    async def alone(self, reason: str) -> AsyncIterator[Tx]:
        if self.is_away:
            raise Unavailable(retry_after_s=2)
        if self.answers:
            await self.answers.wait()
        async with super().alone(reason) as tx:
            yield tx


class Counting(Database):
    """Another one's transactions and lone statements, counted."""

    def __init__(self, other: Database) -> None:
        super().__init__("", connections_max=1)
        self._other, self.begun, self.alones, self.ended = other, 0, 0, 0
        self.held: list[asyncio.Event] = []  # for these the next lone statements wait

    @asynccontextmanager
    async def begin(
        self, actor: Actor, *, seconds_max: int | None = None, generic_plans: bool = False
    ) -> AsyncIterator[Tx]:
        self.begun += 1
        async with self._other.begin(actor, seconds_max=seconds_max, generic_plans=generic_plans) as tx:
            yield tx

    @asynccontextmanager
    async def alone(self, reason: str) -> AsyncIterator[Tx]:
        self.alones += 1
        if self.held:
            await self.held.pop(0).wait()
        async with self._other.alone(reason) as tx:
            yield tx
        self.ended += 1

    async def until(self, *, alones: int, ended: int) -> None:
        """Wait until so many lone statements have begun, and so many are answered."""
        async with asyncio.timeout(PATIENCE_S):
            while (self.alones, self.ended) != (alones, ended):  # noqa: ASYNC110 - done beside us, and told to nobody
                await asyncio.sleep(0.01)


@dataclass
class House:
    """One process with its short way, the time in which its pages grow old, and what went the ordinary way."""

    database: Away
    seconds: float = 0
    ordinary: int = 0
    served: list[Served] = field(default_factory=list)

    def app(self) -> ASGIApp:
        looks = web.Looks(self.database, CURSORS, now=lambda: self.seconds, patience_s=0.2)

        async def nobody(*_: object) -> None:
            return None

        def in_front(edge: ASGIApp) -> ASGIApp:
            async def counted(scope: Scope, receive: Receive, send: Send) -> None:
                self.ordinary += 1
                await edge(scope, receive, send)

            return partial(
                HotRoutes,
                routes=looks.short_ways(),
                calls=[route for route in web.routes.all if isinstance(route, Call)],
                recognise=nobody,
                limiter=None,
                served=self.served.append,
            )(counted)

        state = {
            "database": self.database,
            "boards": (competitions.EVERYBODY,),
            "cursors": CURSORS,
            "pages": Pages(Languages()),
        }
        return assemble([web.routes], state=state, served=self.served.append, in_front=in_front)


@pytest.fixture(scope="module")
async def away(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Away]:
    database = Away(cluster.dsn("palio_app", database_name))
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@pytest.fixture
async def house(away: Away) -> AsyncIterator[House]:
    yield House(away)
    away.is_away, away.answers = False, None


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(house.app(), client=("198.51.100.7", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://palio.test") as client:
        yield client


@pytest.fixture
async def board(away: Away) -> tuple[str, list[EntrantId]]:
    """Seven people with 70, 60, … 10 points."""
    code = f"test.{new_id().hex[-12:]}"
    async with away.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(code, "Test", "points", score_scale=1, periods=("ALL",)))
        crowd = await competitions.enter_many(
            tx, [NewEntrant("player", f"{code}:{n}", None, f"Walker {n}") for n in range(7)]
        )
        await add(tx, code, crowd, [70 - 10 * n for n in range(7)])
    return code, crowd


async def add(tx: Tx, code: str, crowd: list[EntrantId], points: list[int]) -> None:
    now = clock.now()
    items = [
        Submission(None, who, delta, str(new_id()), now - timedelta(minutes=5), board=code)
        for who, delta in zip(crowd, points, strict=False)
    ]
    await competitions.submit_many(tx, items, now=now)


SOMEBODY = {"cookie": "theme=night"}  # whose request goes the ordinary way
OF_ONE_REQUEST = {"x-request-id", "content-length"}


@pytest.mark.parametrize("path", ["all", "all?limit=3", "ALL?limit=200", "all/around?entrant={2}&radius=1"])
async def test_both_ways_answer_alike(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]], path: str
) -> None:
    code, crowd = board
    address = f"/api/v1/boards/{code}/{path.replace('{2}', str(crowd[2]))}"

    short = await client.get(address)
    ordinary = await client.get(
        address, headers={**SOMEBODY, "accept-encoding": "identity"}
    )  # the short way packs nothing

    assert (short.status_code, house.ordinary) == (200, 1), short.text
    assert list(json.loads(short.text)) == list(json.loads(ordinary.text))
    assert short.json() | {"as_of": ""} == ordinary.json() | {"as_of": ""}
    told = [
        {name: answer.headers[name] for name in answer.headers if name not in OF_ONE_REQUEST}
        for answer in (short, ordinary)
    ]
    if "around" in path:
        told[1].pop("etag")  # the ordinary way has one of its bytes
    told[1]["vary"] = told[1]["vary"].removesuffix(", Accept-Encoding")
    assert told[0] == told[1]
    assert [one.route for one in house.served] == [house.served[0].route] * 2


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("boards/nothing/all", "competitions.no_such_board"),
        ("boards/{0}/yesterday", "competitions.no_such_board"),
        ("boards/nothing/all/around?entrant=5", "competitions.no_such_board"),
        ("boards/{0}/all/around?entrant=999999999", "competitions.not_on_board"),
        ("boards/{0}/all?limit=0", "validation_failed"),
        ("boards/{0}/all?limit=3&limit=4", "unknown_parameter"),
        ("boards/{0}/all?page=2", "unknown_parameter"),
        ("boards/{0}/all/around?entrant=5&radius=26", "validation_failed"),
    ],
)
async def test_both_ways_refuse_alike(
    client: httpx2.AsyncClient, board: tuple[str, list[EntrantId]], path: str, code: str
) -> None:
    address = f"/api/v1/{path.replace('{0}', board[0])}"

    short = await client.get(address)
    ordinary = await client.get(address, headers=SOMEBODY)

    assert short.json()["code"] == code
    assert short.status_code == ordinary.status_code
    assert short.json() | {"request_id": ""} == ordinary.json() | {"request_id": ""}


async def test_a_first_page_is_told_for_a_quarter_of_a_second_and_then_looked_at_again(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    code, crowd = board
    path = f"/api/v1/boards/{code}/all?limit=2"
    first = await client.get(path)
    async with house.database.begin(SYSTEM) as tx:
        await add(tx, code, crowd[6:], [100])
    house.seconds += 0.24
    kept = await client.get(path)
    house.seconds += 0.02
    renewed = await client.get(path)

    assert kept.content == first.content
    assert [item["score"] for item in renewed.json()["items"]] == [110, 70]
    assert renewed.json()["version"] > first.json()["version"]
    assert renewed.headers["etag"] != first.headers["etag"]


async def test_a_transaction_that_began_earlier_and_commits_later_changes_the_tag(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    """The version of a board is that of its newest transaction, and was told before the older one committed."""
    code, crowd = board
    path = f"/api/v1/boards/{code}/all"
    async with house.database.begin(SYSTEM) as late:
        await add(late, code, crowd[1:2], [5])
        async with house.database.begin(SYSTEM) as newer:
            await add(newer, code, crowd[:1], [5])
        first = await client.get(path)
    house.seconds += 0.3
    told = {"if-none-match": first.headers["etag"]}
    again, ordinary = await client.get(path), await client.get(path, headers={**SOMEBODY, **told})
    house.seconds += 0.3
    same = await client.get(path, headers={**SOMEBODY, "if-none-match": again.headers["etag"]})

    assert [item["score"] for item in first.json()["items"]][:2] == [75, 60]
    assert [item["score"] for item in again.json()["items"]][:2] == [75, 65]
    assert (again.json()["version"], again.json()["of"]) == (first.json()["version"], first.json()["of"])
    assert again.headers["etag"] != first.headers["etag"]
    assert (ordinary.status_code, ordinary.headers["etag"]) == (200, again.headers["etag"])
    assert same.status_code == 304


async def test_a_page_is_told_as_it_was_while_the_database_is_away_and_says_when_it_is_stale(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    code, crowd = board
    path, unknown = f"/api/v1/boards/{code}/all", "/api/v1/boards/quest_points/all"
    around = f"{path}/around?entrant={crowd[2]}&radius=1"
    first, beside = await client.get(path), await client.get(around)
    house.database.is_away = True
    house.seconds += 9
    lately = await client.get(path)
    house.seconds += 2
    stale, stale_beside, shorter = await client.get(path), await client.get(around), await client.get(f"{path}?limit=3")
    nothing = await client.get(unknown)
    house.database.is_away = False
    house.seconds += 0.3
    back = await client.get(path)

    assert lately.content == first.content
    assert stale.json() == first.json() | {"stale": True}
    assert stale_beside.json() == beside.json() | {"stale": True}
    assert shorter.json()["items"] == first.json()["items"][:3]
    assert "etag" not in stale.headers
    assert (nothing.status_code, nothing.json()["code"]) == (503, "db.unavailable")
    assert back.json()["stale"] is False


async def test_a_look_that_is_blocked_keeps_nobody_waiting(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    """After ten seconds of it a board says that it is stale; when the way is free it is right again at once."""
    code, crowd = board
    path = f"/api/v1/boards/{code}/all/around?entrant={crowd[6]}&radius=1"
    first = await client.get(path)
    async with house.database.begin(SYSTEM) as tx:
        await add(tx, code, crowd[6:], [100])
    house.database.answers = asyncio.Event()
    house.seconds += 9
    lately = await client.get(path)
    house.seconds += 1.5
    stale = await client.get(path)
    house.database.answers.set()
    house.seconds += 0.3
    back = await client.get(path)

    assert lately.content == first.content
    assert stale.json() == first.json() | {"stale": True}
    assert [(line["rank"], line["score"]) for line in back.json()["items"]] == [(1, 110), (2, 70)]
    assert back.json()["stale"] is False


async def test_a_name_is_told_for_five_seconds_and_then_read_again(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    code, crowd = board
    path = f"/api/v1/boards/{code}/all/around?entrant={crowd[0]}&radius=0"

    async def name() -> str:
        return str((await client.get(path)).json()["items"][0]["name"])

    before = await name()
    async with house.database.begin(SYSTEM) as tx:
        await tx.execute("update competitions.entrants set label = 'Runner' where id = %s", [crowd[0]])
    house.seconds += 4.9
    kept = await name()
    house.seconds += 0.2

    assert (before, kept, await name()) == ("Walker 0", "Walker 0", "Runner")


async def test_names_are_read_again_together_before_they_are_too_old(
    away: Away, board: tuple[str, list[EntrantId]]
) -> None:
    """Whoever asks meanwhile is told what they were, and afterwards nobody has to read one."""
    code, crowd = board
    reading = Counting(away)
    seconds = 0.0
    looks = web.Looks(reading, CURSORS, now=lambda: seconds)

    async def names() -> list[str]:
        told = [await looks.around(Look(code, "all", 0, entrant=str(entrant))) for entrant in crowd[:2]]
        return [line["name"] for answer in told for line in json.loads(answer.body)["items"]]

    before = await names()
    async with away.begin(SYSTEM) as tx:
        await tx.execute("update competitions.entrants set label = 'Runner' where id = %s", [crowd[1]])
    assert await names() == before == ["Walker 0", "Walker 1"]
    reading.alones = 0
    seconds = 2.6
    meanwhile = await names()
    async with asyncio.timeout(PATIENCE_S):
        while (now := await names()) == before:  # noqa: ASYNC110 - names are read beside us, and tell nobody
            await asyncio.sleep(0.01)
    seconds = 5.05  # as old as they may not be, had they not been read since

    assert (meanwhile, now, await names()) == (before, ["Walker 0", "Runner"], ["Walker 0", "Runner"])
    assert reading.alones == 1


async def test_a_name_that_is_forgotten_while_others_are_read_is_read_too(
    away: Away, board: tuple[str, list[EntrantId]]
) -> None:
    code, crowd = board
    reading = Counting(away)
    seconds = 0.0
    looks = web.Looks(reading, CURSORS, now=lambda: seconds)

    async def names(entrant: EntrantId, radius: int) -> list[str]:
        told = await looks.around(Look(code, "all", radius, entrant=str(entrant)))
        return [line["name"] for line in json.loads(told.body)["items"]]

    assert await names(crowd[0], 1) == ["Walker 0", "Walker 1"]
    seconds = 2.6
    await names(crowd[0], 0)
    await reading.until(alones=2, ended=2)
    renewal, others = asyncio.Event(), asyncio.Event()
    reading.held = [renewal, others]
    await names(crowd[0], 0)
    seconds = 5.3
    await names(crowd[0], 0)
    await reading.until(alones=3, ended=2)
    asking = asyncio.create_task(names(crowd[2], 1))
    await reading.until(alones=4, ended=2)
    renewal.set()
    await reading.until(alones=4, ended=3)
    others.set()

    assert await asking == ["Walker 1", "Walker 2", "Walker 3"]


async def test_lines_are_told_as_they_were_written_until_something_of_them_changes(
    client: httpx2.AsyncClient, house: House, board: tuple[str, list[EntrantId]]
) -> None:
    """A control keeps them by the version, and misses a change that began before another one and is committed after."""
    code, crowd = board
    path = f"/api/v1/boards/{code}/all/around?entrant={crowd[1]}&radius=1"
    told: dict[int, list[int]] = {}

    async def scores() -> list[int]:
        house.seconds += 1
        answer = (await client.get(path)).json()
        found = [line["score"] for line in answer["items"]]
        naive = told.setdefault(answer["version"], found)
        assert (await client.get(path)).json()["items"] == answer["items"]
        ordinary = await client.get(path, headers=SOMEBODY)
        assert found == [line["score"] for line in ordinary.json()["items"]]
        return [found[0], naive[0]]

    assert await scores() == await scores() == [70, 70]
    async with house.database.begin(SYSTEM) as early:
        await add(early, code, crowd, [5])
        async with house.database.begin(SYSTEM) as late:
            await add(late, code, crowd[1:], [1])
        assert await scores() == [70, 70]
    assert await scores() == [75, 70]
    assert await scores() == [75, 70]


async def test_who_asks_at_once_is_served_by_one_look(away: Away, board: tuple[str, list[EntrantId]]) -> None:
    """Thirty readers around different people: there is one look at the order, and one at the names."""
    code, crowd = board

    counting = Counting(away)
    looks = web.Looks(counting, CURSORS)

    told = await asyncio.gather(*(looks.around(Look(code, "all", 1, entrant=str(crowd[n % 7]))) for n in range(30)))

    assert counting.begun + counting.alones == 2
    assert {len(json.loads(one.body)["items"]) for one in told} == {2, 3}
