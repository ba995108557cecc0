"""The pages for who builds on the API: tokens, limits left, what goes away and who still calls it, live topics."""

from collections.abc import AsyncIterator
from datetime import date
from functools import partial

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.entry import web
from palio.infra import deprecations
from palio.infra.deprecations import Deprecations
from palio.infra.ratelimit import Limiter, Policy
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ui.going import Deprecation
from palio.ui.routes import Routes
from palio.ui.site import assemble
from tests.admin.house import Console, identify
from tests.ui import people
from tests.ui.conftest import talk_to

HERE = "/console/developers"
OLD = Deprecation(date(2026, 3, 1), date(2026, 9, 1), "/api/docs#old")
old = Routes("old")


@old.get("/old/things", access="public", example={"n": 1}, deprecation=OLD)
async def list_old_things() -> dict[str, int]:
    """List what goes away."""
    return {"n": 1}


@old.post("/old/things", access="public", example={"n": 1}, deprecation=OLD)
async def make_old_thing() -> dict[str, int]:
    """Make what goes away."""
    return {"n": 1}


def app_of(console: Console) -> ASGIApp:
    """The product with two calls that go away, and somebody who counts."""
    state = {**web.parts(console.wiring), "deprecations": Deprecations(console.wiring.database)}
    return assemble(
        (*web.MODULES, old),
        state=state,
        served=partial(web.tell, console.wiring.metrics),
        identify=identify,
        limiter=Limiter(console.wiring.database, bytes(32)),
        key=bytes(32),
    )


@pytest.fixture
async def staff(console: Console) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(app_of(console)) as client:
        client.headers.update({**console.staff(console.noor), **people.OURS})
        yield client


async def test_a_call_that_goes_away_says_so_and_who_uses_it_is_known(
    console: Console, staff: httpx2.AsyncClient
) -> None:
    """`Deprecation`, `Sunset` and `Link` on every answer; in the console the calls with their callers."""
    await staff.get("/api/v1/old/things")
    answers = [await staff.get("/api/v1/old/things"), await staff.post("/api/v1/old/things")]
    plain = await staff.get("/api/v1/status")
    listed = (await staff.get("/api/v1/console/deprecated-calls")).json()["calls"]
    page = (await staff.get(HERE)).text

    for answer in answers:
        assert answer.headers["deprecation"] == "@1772323200"
        assert answer.headers["sunset"] == "Tue, 01 Sep 2026 00:00:00 GMT"
        assert answer.headers["link"] == '</api/docs#old>; rel="deprecation"'
    assert "deprecation" not in plain.headers
    assert {one["call"]: [use["count"] for use in one["uses"]] for one in listed} == {
        "old_list_old_things": [2],
        "old_make_old_thing": [1],
    }
    assert "/api/v1/old/things" in page


async def test_uses_are_known_by_token(console: Console, staff: httpx2.AsyncClient) -> None:
    """Many uses at once are all counted, and the console names whose token it was."""
    pia = await console.player()
    async with console.wiring.database.begin(Actor("player", pia, RequestId(new_id()))) as tx:
        made = await identity.create_token(tx, user_id=pia, name="bot", scopes=["identity:read"], now=clock.now())
    counting = Deprecations(console.wiring.database)
    for _ in range(3):
        await counting.note("old_make_old_thing", made.token.id)
    listed = (await staff.get("/api/v1/console/deprecated-calls")).json()["calls"]
    (use,) = [use for one in listed for use in one["uses"] if use["key_id"] == str(made.token.id)]
    page = (await staff.get(HERE)).text
    async with console.begin() as tx:
        used = await deprecations.list_used(tx, since=clock.now().date())

    assert (use["owner"], use["count"]) == ("Pia Lund", 3)
    assert "identity:read" in page and "bot" in page and "Pia Lund" in page
    assert sum(one.count for one in used if one.token_id == made.token.id) == 3


def test_a_call_is_announced_180_days_ahead() -> None:
    with pytest.raises(ValueError, match="180 days"):
        Deprecation(date(2026, 3, 1), date(2026, 8, 27), "/")


async def test_what_is_left_is_shown_without_taking_it(console: Console, staff: httpx2.AsyncClient) -> None:
    """On the pages of staff and of players, with nothing of it used by looking."""
    limiter = Limiter(console.wiring.database, bytes(32))
    policy = Policy("player", 1_000, 3_600)
    async with console.begin() as tx:
        one = await limiter.look(tx, [(policy, "user:nobody"), (policy, "user:other")])
    await limiter.take([(policy, "user:nobody")])
    async with console.begin() as tx:
        other = await limiter.look(tx, [(policy, "user:nobody"), (policy, "user:other")])

    assert [left.remaining for left in one] == [1_000, 1_000]
    assert [left.remaining for left in other] == [999, 1_000]
    assert "calls left of 5,000" in (await staff.get(HERE)).text


async def test_the_inspector_shows_what_one_may_hear(console: Console, staff: httpx2.AsyncClient) -> None:
    """Topics that one may not hear are named with their code; the others are told live."""
    page = (await staff.get(f"{HERE}/stream?topics=races,nonsense:1,me:operations")).text

    assert 'data-topic="races me:operations"' in page and "nonsense:1" in page
    assert '<live-topics src="/api/v1/console/stream"' in page
    async with console.talk(console.staff(console.sana, permissions="admin.home.read")) as sana:
        assert (await sana.get(f"{HERE}/stream")).status_code == 403


async def test_a_player_sees_a_quick_start_and_what_he_has_left(console: Console) -> None:
    pia = await console.player()
    async with talk_to(app_of(console)) as client:
        client.headers.update(console.player_headers(pia))
        page = (await client.get("/account/tokens")).text

    assert "X-API-Token: $PALIO_TOKEN" in page and "/api/v1/me" in page
    assert "of 1,000 calls left" in page
