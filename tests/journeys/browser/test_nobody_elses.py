"""What is somebody else's is not there, and a session that was ended is out: with the cookies of a real sign-in."""

import io
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from palio import affiliates, races
from palio.entry import web
from palio.infra import embedded, ratelimit, settings
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.factories.identity import PASSWORD
from tests.factories.numbers import says
from tests.journeys.browser.conftest import looking
from tests.journeys.browser.house import Place, become_owner, enter_console, opened, sign_in
from tests.ui.house import SYSTEM

pytestmark = pytest.mark.browser

SAME_SITE = {"sec-fetch-site": "same-origin"}
EXAMPLES = {"uuid": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", "int": "1", "": "x", "path": "x"}
CONSOLE = sorted(
    {
        (
            next(iter(route.methods or ())),
            re.sub(r"\{\w+(?::(\w+))?\}", lambda found: EXAMPLES[found[1] or ""], route.path),
        )
        for module in web.MODULES
        for route in module.all
        if "/console" in route.path and route.access != "public"
    }
)


@dataclass
class Neighbours:
    """A product with an owner, mara, who has won and been paid, and bruno, who has nothing."""

    place: Place
    number: int
    other: str  # a programme in which nobody is linked


@pytest.fixture(scope="module")
async def neighbours(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Neighbours]:
    async with opened(cluster, f"palio_nobody_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        await become_owner(browser, place, "olivia")
        async with place.product.wiring.database.begin(SYSTEM) as tx:
            many = [settings.Change(limit, limit.high) for limit in ratelimit.SETTINGS]
            await settings.change(tx, SYSTEM, many, "these tests knock at every door in a minute")
            await settings.snapshot.load(tx)
        mara = (await place.person("mara")).id
        await place.person("bruno")
        yield Neighbours(place, await paid(place, mara), (await place.feed(zoe="5")).code)


async def paid(place: Place, user_id: UserId) -> int:
    """The number of a race that is over, and whose only prize this user was paid."""
    source = await place.feed(ann="100", bob="100")
    async with place.product.wiring.database.begin_system("a link") as tx:
        terms = {"programme_id": source.programme_id, "uid": "ann", "user_id": user_id}
        await affiliates.link(tx, **terms, reason="known to us", now=clock.now())
    return await place.race_over(source, {"ann": "130", "bob": "120"}, prize_rule=races.by_place((10_000,)))


async def asked(page: Page, path: str, *, method: str = "GET", data: object = None) -> Any:
    """What somebody is answered with the cookie of his browser."""
    answer = await page.request.fetch(
        f"{page.url.partition('/account')[0]}{path}", method=method, data=data, headers=SAME_SITE
    )
    assert answer.ok, await answer.text()
    return await answer.json()


def picture() -> str:
    """A small picture, as a call takes it."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "#1d4ed8").save(out, "PNG")
    return b64encode(out.getvalue()).decode()


async def belongings(page: Page, other: str) -> dict[str, str]:
    """Ids of what somebody has: made where nothing is there yet."""
    wish = {"programme": other, "uid": "zoe", "proof": "screenshot"}
    request = await asked(page, "/api/v1/affiliates/link-requests", method="POST", data=wish)
    sent = await asked(
        page,
        f"/api/v1/affiliates/link-requests/{request['id']}/pictures",
        method="POST",
        data={"picture": picture()},
    )
    terms = {"name": "bot", "scopes": ["identity:read"]}
    token = await asked(page, "/api/v1/me/api-tokens", method="POST", data=terms)
    lines = (await asked(page, "/api/v1/wallet/USD/transactions"))["items"]
    mine = (await asked(page, "/api/v1/affiliates/me"))["items"]
    return {
        "request": request["id"],
        "picture": sent["pictures"][0],
        "token": token["item"]["id"],
        "session": (await asked(page, "/api/v1/me/sessions"))["items"][0]["id"],
        "transfer": lines[0]["id"],
        "link": next(one["link_id"] for one in mine if one["link_id"]),
    }


READS = (
    "/wallet/USD/entries/1",
    "/api/v1/wallet/transactions/{transfer}",
    "/races/{number}/me/receipt",
    "/api/v1/races/{number}/me",
    "/api/v1/races/{number}/me/receipt",
    "/api/v1/races/{number}/me/history",
    "/account/link/pictures/{picture}",
)
ACTS: tuple[tuple[str, str, dict[str, str] | None], ...] = (
    ("DELETE", "/api/v1/affiliates/link-requests/{request}", None),
    ("POST", "/api/v1/affiliates/link-requests/{request}/answer", {"note": "it is mine"}),
    ("POST", "/api/v1/affiliates/link-requests/{request}/pictures", {"picture": picture()}),
    ("DELETE", "/api/v1/affiliates/links/{link}", None),
    ("DELETE", "/api/v1/me/sessions/{session}", None),
    ("DELETE", "/api/v1/me/api-tokens/{token}", None),
    ("POST", "/api/v1/wallet/transactions/{transfer}/hide", None),
    ("POST", "/api/v1/wallet/transactions/{transfer}/unhide", None),
)


async def test_what_is_hers_is_not_there_for_anybody_else(browser: Browser, neighbours: Neighbours) -> None:
    place = neighbours.place
    async with looking(browser, place.base) as (hers, _), looking(browser, place.base) as (his, _seen):
        for page, name in ((hers, "mara"), (his, "bruno")):
            await sign_in(page, place.base, name)
            await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        words = {**await belongings(hers, neighbours.other), "number": str(neighbours.number)}
        for path in READS:
            assert (await hers.request.get(place.base + path.format(**words))).status == 200, path
        before = place.books()

        for path in READS:
            answer = await his.request.get(place.base + path.format(**words))
            assert (path, answer.status) == (path, 404)
            assert not says(await answer.text(), 130)
        for method, path, data in ACTS:
            answer = await his.request.fetch(
                place.base + path.format(**words), method=method, data=data, headers=SAME_SITE
            )
            assert (method, path, answer.status) == (method, path, 404)
        await his.goto(f"{place.base}/account/link?programme={neighbours.other}")
        form = await his.locator("form[action^='/account/link'] input[type=hidden]").evaluate_all(
            "all => Object.fromEntries(all.map((one) => [one.name, one.value]))"
        )
        form.pop("programme")
        for path in (f"requests/{words['request']}/cancel", f"links/{words['link']}/end"):
            answer = await his.request.post(f"{place.base}/account/link/{path}", form=form, headers=SAME_SITE)
            assert (path, answer.status) == (path, 404)
        await his.goto(f"{place.base}/wallet")
        await expect(his.get_by_text("Nothing in your wallet yet")).to_be_visible()
        after = place.books()
        assert [name for name in after if after[name] != before[name]] == []


async def test_the_console_is_closed_to_players_however_they_come(browser: Browser, neighbours: Neighbours) -> None:
    """His cookie opens nothing there, whatever it is called, and leads to the other sign-in; his token is forbidden."""
    place = neighbours.place
    async with looking(browser, place.base) as (page, _), looking(browser, place.base) as (app, _seen):
        await sign_in(page, place.base, "bruno")
        await expect(page.get_by_role("heading", level=1)).to_have_text("bruno")
        (cookie,) = [one for one in await page.context.cookies() if one["name"] == "palio_session"]
        begun = await app.request.post(
            f"{place.base}/api/v1/auth/login",
            data={"identifier": "bruno", "password": PASSWORD, "client": "app"},
            headers={**SAME_SITE, "palio-device": "a-random-id-of-the-app-0123456789"},
        )
        assert begun.ok, await begun.text()
        token = (await begun.json())["tokens"]["access_token"]
        before = place.books()
        both = {"cookie": f"palio_session={cookie['value']}; palio_console={cookie['value']}"}
        for method, path in CONSOLE:
            answer = await page.request.fetch(
                place.base + path, method=method, headers={**SAME_SITE, **both}, max_redirects=0
            )
            led = answer.headers.get("location", "").startswith("/console/sign-in")
            assert answer.status == 401 or (answer.status == 303 and led), (method, path, answer.status)
        for method, path in CONSOLE:
            bearer = {"authorization": f"Bearer {token}", "idempotency-key": str(new_id())}
            answer = await app.request.fetch(place.base + path, method=method, headers=bearer, max_redirects=0)
            assert (method, path, answer.status) == (method, path, 403)
        after = place.books()
        assert [name for name in after if after[name] != before[name]] == []


async def test_a_session_of_the_console_that_is_ended_at_the_terminal_is_out_with_its_next_click(
    browser: Browser, neighbours: Neighbours
) -> None:
    place = neighbours.place
    async with looking(browser, place.base) as (page, _):
        await enter_console(page, place, "olivia", to="/console/races")
        await place.command("identity", "sessions", "olivia", "--end")
        before = place.books()
        await page.get_by_role("link", name="New race").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to the console")
        assert place.books() == before
