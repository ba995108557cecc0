"""What answers say about limits, whose a request is, and what becomes of one too many."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx2
import pytest

from palio.infra import embedded
from palio.infra.db import Database
from palio.infra.ratelimit import Limiter
from palio.kernel.ids import UserId, new_id
from palio.ui.proxies import Proxies
from tests.ui import people, till
from tests.ui.people import caller


@pytest.fixture
async def database(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    database = Database(cluster.dsn("palio_app", database_name))
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


def at(address: str, database: Database) -> httpx2.AsyncClient:
    """Somebody who calls from an address; each test counts under keys of its own."""
    limiter = Limiter(database, KEYS.setdefault(id(database), new_id().bytes * 2))
    transport = httpx2.ASGITransport(till.app(database, limiter=limiter), client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://palio.test")


KEYS: dict[int, bytes] = {}


async def test_an_answer_says_what_is_left_the_tightest_first(database: Database) -> None:
    async with at("203.0.113.1", database) as client:
        answers = [await client.get("/api/v1/prices") for _ in range(4)]

    first, last = answers[0], answers[3]
    assert first.headers["ratelimit-policy"] == '"looks";q=3;w=60, "anonymous";q=100;w=60'
    assert first.headers["ratelimit"] == '"looks";r=2;t=20, "anonymous";r=99;t=1'
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert last.json()["facts"] == {"policy": "looks", "limit": 3, "window_s": 60}
    assert (last.headers["retry-after"], last.headers["ratelimit"].split(",")[0]) == ("20", '"looks";r=0;t=60')


async def test_an_address_of_ipv6_counts_with_its_network(database: Database) -> None:
    """Whoever has a /64 has one limit; the next network has its own; IPv4 in IPv6 is IPv4."""

    async def statuses(*addresses: str) -> list[int]:
        found = []
        for address in addresses:
            async with at(address, database) as client:
                found.append((await client.get("/api/v1/prices")).status_code)
        return found

    assert await statuses("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8::3") == [200, 200, 200, 429]
    assert await statuses("2001:db8:0:1::1") == [200]
    assert await statuses("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.7", "198.51.100.7") == [200] * 3 + [429]


async def test_a_player_is_counted_wherever_he_calls_from(database: Database) -> None:
    """His changes by themselves too; staff have a limit of their own."""
    alice, stella = UserId(new_id()), UserId(new_id())
    people.SESSIONS |= {alice: new_id(), stella: new_id()}
    async with at("203.0.113.2", database) as client:
        read = await client.get("/api/v1/me/sales", headers=caller("player", alice))
        staff = await client.get("/api/v1/prices", headers=caller("staff", stella))
    async with at("203.0.113.3", database) as client:
        refused = await client.post("/api/v1/sales", json={"amount": "x"}, headers=caller("player", alice))

    assert read.headers["ratelimit"] == '"player-minute";r=119;t=1, "player";r=999;t=4'
    assert staff.headers["ratelimit"].split(", ")[1] == '"staff";r=4999;t=1'
    assert refused.status_code == 422
    assert '"player-writes";q=60;w=60' in refused.headers["ratelimit-policy"].split(", ")
    assert '"player-writes";r=59;t=1' in refused.headers["ratelimit"].split(", ")


async def test_who_is_turned_away_is_counted_too(database: Database) -> None:
    """Or knocking would cost nothing; and the answer says so."""
    async with at("203.0.113.6", database) as client:
        answers = [await client.get("/api/v1/me/sales") for _ in range(2)]
        stella = caller("staff", people.STELLA)
        denied = await client.post("/api/v1/sales", json={"amount": 1}, headers=stella)

    assert [(one.status_code, one.headers["ratelimit"].partition(";t=")[0]) for one in answers] == [
        (401, '"anonymous";r=99'),
        (401, '"anonymous";r=98'),
    ]
    assert (denied.status_code, denied.headers["ratelimit-policy"]) == (401, '"staff";q=5000;w=3600')


async def test_without_the_database_reads_go_on_and_money_does_not(database: Database) -> None:
    await database.pool.close()
    async with at("203.0.113.4", database) as client:
        read = await client.get("/api/v1/prices")
        money = await client.post("/api/v1/money", json={"amount": 1}, headers=caller("player", people.ALICE))

    assert (read.status_code, money.status_code, money.headers["retry-after"]) == (200, 503, "2")


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.2", "203.0.113.5"),  # what stands further left is anybody's word
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # a stranger is no proxy
    ],
)
async def test_only_a_trusted_proxy_says_where_a_caller_is(peer: str, forwarded: str, seen: str) -> None:
    found = {}

    async def app(scope, receive, send) -> None:
        found.update(scope)

    headers = [(b"x-forwarded-for", forwarded.encode()), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    await Proxies(app, [ip_network("10.0.0.0/8")])(scope, None, None)

    assert (found["client"][0], found["scheme"]) == (seen, "https" if peer == "10.0.0.1" else "http")
