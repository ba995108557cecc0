"""The page of one's own player: with and without script, for every eye and thumb, in each of its states."""

import io
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from palio import affiliates, identity
from palio.affiliates import types, web
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.topics import TOPICS
from palio.infra import embedded, jobs
from palio.infra.db import Database, Equipment
from palio.infra.realtime import Hub
from palio.infra.storage import Storage
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ui import assets, streams
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.site import assemble
from palio.ui.streams import Streams
from tests.factories.affiliates import T1, body, ingest, row
from tests.factories.databases import own_database
from tests.journeys.browser.conftest import looking, serve
from tests.ui import people
from tests.ui.house import SYSTEM
from tests.ui.people import NOW, caller

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Shown:
    """The page on a socket, and a programme that has players."""

    base: str
    database: Database
    programme: types.Programme

    @property
    def address(self) -> str:
        return f"{self.base}/account/link?programme={self.programme.code}"

    async def somebody(self) -> UserId:
        async with self.database.begin(SYSTEM) as tx:
            made = await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=T1)
        people.SESSIONS[made.id] = new_id()
        return made.id


@pytest.fixture(scope="module")
async def shown(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS), storage=Storage(tmp_path_factory.mktemp("proofs")))
    async with own_database(cluster, f"palio_link_page_{worker_id}", equipment=equipment) as database:
        async with database.begin(SYSTEM) as tx:
            programme = await affiliates.ensure_programme(tx, code="harbour-club")
            long = row("5XLJobqamfk6lZCvYKGR5XLJobqamfk6lZCvYKGR", "457433.95", name="NightHeronOfTheOuterHarbourWall")
            listed = body(long, row("b", 7, name="Ben"), row("c", 8))
            await ingest(tx, programme, listed, T1, Storage(tmp_path_factory.mktemp("files")))
        app = assemble(
            [web.linking.routes, streams.routes, assets.routes],
            state={
                "database": database,
                "pages": Pages(Languages()),
                "files": Files(DIST.parent),
                "streams": Streams(Hub(""), None, topics=TOPICS),
            },
            served=lambda served: None,
            identify=people.identify,
            key=bytes(32),
        )
        async with serve(app) as base:
            yield Shown(base, database, programme)


async def as_player(page: Page, user_id: UserId) -> None:
    await page.set_extra_http_headers(caller("player", user_id))


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), "#8fb8de").save(out, "PNG")
    return out.getvalue()


async def decide(shown: Shown, user_id: UserId, act: str) -> None:
    """What staff do with the request that is open."""
    judge = Actor("staff", await shown.somebody(), RequestId(new_id()))
    async with shown.database.begin(SYSTEM) as tx:
        (request, *_) = await affiliates.requests_of(tx, user_id=user_id)
        if act == "ask":
            note = "The picture is cut off. Please send one on which the whole name can be seen, of today."
            await affiliates.ask_more(tx, request_id=request.id, actor=judge, note=note, now=NOW)
            return
        later = NOW + timedelta(hours=2)
        await affiliates.decide(
            tx,
            request_id=request.id,
            actor=judge,
            decision="approve" if act == "approve" else "reject",
            note="" if act == "approve" else "The picture shows another name.",
            now=later,
        )


@pytest.mark.parametrize(
    ("size", "theme", "locale"),
    [("desktop", "day", "en"), ("phone", "night", "en"), ("small", "day", "en"), ("phone", "day", "ar")],
)
async def test_nothing_is_wrong_with_the_page_in_any_state(
    browser: Browser, shown: Shown, size: str, theme: str, locale: str
) -> None:
    player = await shown.somebody()
    async with looking(browser, shown.base, size=size, theme=theme, locale=locale) as (page, seen):
        await as_player(page, player)

        async def look(state: str) -> None:
            await page.goto(shown.address, wait_until="load")
            await check(state)

        async def check(state: str) -> None:
            await expect(page.locator("h1")).to_be_visible()
            if locale == "ar":
                await page.evaluate("document.documentElement.dir = 'rtl'")
            if folder := os.environ.get("PALIO_PICTURES"):
                path = Path(folder) / f"link-{state}.{size}.{theme}.{locale}.png"
                await page.screenshot(path=path, full_page=True)
            expected = [one for one in seen.complaints if "422" in one]  # the browser says so of a refused form
            faults = [one for one in await seen.faults() if one not in expected]
            assert (state, [*await seen.barriers(), *faults]) == (state, [])

        await look("ask")
        await page.get_by_label("Your name or uid there").fill("nobody of that name")
        await page.get_by_role("button", name="Ask to be linked").click()
        await check("refused")
        await page.get_by_label("Your name or uid there").fill("nightheronoftheouterharbourwall")
        await page.get_by_role("button", name="Ask to be linked").click()
        await expect(page.locator("#request")).to_be_visible()
        await look("waiting")
        await page.locator("#picture").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
        await page.get_by_role("button", name="Send picture").click()
        await expect(page.get_by_role("img", name="Picture 1")).to_be_visible()
        await decide(shown, player, "ask")
        await look("asked")
        await decide(shown, player, "reject")
        await look("rejected")
        await page.get_by_label("Your name or uid there").fill("5XLJobqamfk6lZCvYKGR5XLJobqamfk6lZCvYKGR")
        await page.get_by_role("button", name="Ask to be linked").click()
        await decide(shown, player, "approve")
        await look("linked")
        await page.get_by_text("End this link").click()
        await check("ending")
        async with shown.database.begin(SYSTEM) as tx:  # for the next one
            await affiliates.unlink(
                tx,
                programme_id=shown.programme.id,
                uid="5XLJobqamfk6lZCvYKGR5XLJobqamfk6lZCvYKGR",
                reason="the test is over",
                now=NOW - timedelta(days=40),
            )


async def test_a_player_asks_answers_and_takes_back_without_script(browser: Browser, shown: Shown) -> None:
    player = await shown.somebody()
    async with looking(browser, shown.base, size="phone", script=False) as (page, _):
        await as_player(page, player)
        await page.goto(shown.address)
        await page.get_by_label("Your name or uid there").fill("BEN")
        await page.get_by_label("A picture of my account page").check()
        await page.get_by_label("What staff should know").fill("taken today")
        await page.get_by_role("button", name="Ask to be linked").click()
        await expect(page.get_by_text("You asked")).to_be_visible()
        await decide(shown, player, "ask")
        await page.reload()
        await expect(page.locator(".note-warning")).to_contain_text("The picture is cut off")
        await page.get_by_label("A picture of your account page").set_input_files(
            {"name": "proof.png", "mimeType": "image/png", "buffer": png()}
        )
        await page.get_by_role("button", name="Send picture").click()
        await expect(page.get_by_role("img", name="Picture 1")).to_be_visible()
        await page.get_by_label("Your answer").fill("here is the whole of it")
        await page.get_by_role("button", name="Send answer").click()
        await expect(page.locator("#request")).to_contain_text("here is the whole of it")
        await page.get_by_text("Take the request back").click()
        await page.get_by_role("button", name="Take request back").click()
        await expect(page.get_by_role("heading", name="Which player are you?")).to_be_visible()
        await expect(page.locator("#past")).to_contain_text("Taken back")


async def test_the_keyboard_alone_is_enough(browser: Browser, shown: Shown) -> None:
    player = await shown.somebody()
    async with looking(browser, shown.base) as (page, seen):
        await as_player(page, player)
        await page.goto(shown.address)
        await page.get_by_label("Your name or uid there").focus()
        await page.keyboard.type("c")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Tab")
        await page.keyboard.type("it is me")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#request")).to_contain_text("A picture of my account page")
        assert seen.complaints == []
