"""The pictures of README: `PALIO_PICTURES=docs/images python3 run.py test tests/journeys/browser/test_pictures.py`."""

import io
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from palio import affiliates, competitions, identity, races
from palio.infra import embedded
from palio.infra.db import Tx
from palio.kernel import clock
from tests.factories.races import Feed, linked, race, run
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running
from tests.ui.house import SYSTEM

FOLDER = os.environ.get("PALIO_PICTURES")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not FOLDER, reason="PALIO_PICTURES names no folder")]

KNOWN = ("Nightjar", "osk4r", "tomasz_w", "Kestrel", "b3rna", "Ilse", "mara_l")  # players who linked their accounts
OTHERS = ("quietriver", "PadThai77", "lumen", "harrow", "tindra", "oakley", "vesper", "rook", "saffron", "birch")
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
COLOURS = 200


@pytest.fixture(scope="module")
async def product(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """Two races that are over, one in its fourth day, and the next one."""
    async with running(cluster, f"palio_pictures_{worker_id}", tmp_path_factory.mktemp("data")) as product:
        now = clock.now()
        monday = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=4)
        async with product.wiring.database.begin(SYSTEM) as tx:
            programme = await affiliates.ensure_programme(tx, code="northwind", coverage="full")
            source = Feed(programme.code, programme.id, programme.upload_feed_id)
            await show(tx, source, monday - 2 * WEEK - 20 * MINUTE)
            for name in KNOWN:
                user = await identity.create(tx, username=name, now=now)
                await linked(tx, source, name, user.id)
            for number, starts_at in ((36, monday - 2 * WEEK), (37, monday - WEEK)):
                await show(tx, source, starts_at - MINUTE)
                await make(tx, source, number, starts_at, now=starts_at - MINUTE)
                await run(tx, starts_at + MINUTE)
                for day in range(1, 7):
                    await show(tx, source, starts_at + timedelta(days=day) - 2 * MINUTE)
                await show(tx, source, starts_at + WEEK - 40 * MINUTE)
                await run(tx, starts_at + WEEK - 30 * MINUTE)
            await show(tx, source, monday - MINUTE)
            await make(tx, source, 38, monday, now=monday - MINUTE)
            await run(tx, monday + 30 * MINUTE)
            for hours in range(6, 91, 6):
                await show(tx, source, monday + timedelta(hours=hours))
                await follow(tx, source, monday + timedelta(hours=hours))
            await competitions.take_snapshots(tx, now=monday + timedelta(hours=91))
            await show(tx, source, now - 2 * MINUTE)
            await follow(tx, source, now)
            await make(tx, source, 39, monday + WEEK, now=now)
        yield product


async def make(tx: Tx, source: Feed, number: int, starts_at: datetime, *, now: datetime) -> None:
    await race(
        tx,
        source,
        now,
        title=f"Weekly wager race {number}",
        pool=100_000,
        starts_at=starts_at,
        ends_at=starts_at + WEEK - 60 * MINUTE,
        backdated_reason=None,
    )


async def show(tx: Tx, source: Feed, fetched_at: datetime) -> None:
    """What everybody has wagered by then, each at a pace of his own that changes from day to day."""
    days = (fetched_at - BEGINNING) / timedelta(days=1)
    rows = [
        {"uid": name, "name": name, "wagered": {"all_time": f"{days * pace(n) + swing(n, days):.2f}"}}
        for n, name in enumerate((*KNOWN, *OTHERS))
    ]
    await source.take(tx, json.dumps({"data": rows}).encode(), fetched_at)


def pace(n: int) -> float:
    return 7_310 / (1 + n * 0.31)


def swing(n: int, days: float) -> float:
    return pace(n) * 0.4 * (1 + sin(days * (1.1 + n % 4 * 0.3) + n))


async def follow(tx: Tx, source: Feed, now: datetime) -> None:
    await races.on_snapshot_many(tx, await races.open_of(tx, programme_id=source.programme_id), now=now)


@pytest.mark.parametrize(
    ("name", "path", "size", "theme"),
    [
        ("race", "/races/3", "desktop", "day"),
        ("race-night", "/races/3", "phone", "night"),
        ("home", "/", "phone", "day"),
        ("home-wide", "/", "desktop", "day"),
        ("leaderboard", "/leaderboard?period=W", "desktop", "day"),
        ("archive", "/races/history", "desktop", "day"),
        ("result", "/races/2", "phone", "day"),
        ("overlay", "/embed/races/3?overlay=1", "desktop", "night"),
        ("share", "/races/3/share", "desktop", "day"),
    ],
)
async def test_a_page_has_its_picture(
    browser: Browser, product: Product, name: str, path: str, size: str, theme: str
) -> None:
    """What is seen without scrolling, as a file small enough for a repository."""
    async with looking(browser, product.base, size=size, theme=theme) as (page, seen):
        await page.goto(product.base + path, wait_until="load")
        await expect(page.locator("h1")).to_be_visible()
        await page.evaluate("document.fonts.ready")
        picture = Image.open(io.BytesIO(await page.screenshot(scale="css"))).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(Path(FOLDER or "") / f"{name}.png", optimize=True)

        assert await seen.faults() == []


async def test_the_picture_of_a_link_is_kept_too(product: Product) -> None:
    async with httpx2.AsyncClient(base_url=product.base, timeout=10) as client:
        card = await client.get("/embed/races/3/card.png")

    assert card.status_code == 200
    (Path(FOLDER or "") / "card.png").write_bytes(card.content)
