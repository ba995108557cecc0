"""A whole product in front of a browser: real letters, passwords, second factors and cookies, and a clock to move."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import psycopg
from playwright.async_api import Browser, Page, expect
from psycopg import sql

from palio import identity
from palio.entry import moving, wiring
from palio.infra import clock as virtual
from palio.infra import embedded, marks, partitions, totp
from palio.infra.mail import Smtp
from palio.infra.messages import KeepPartitions
from palio.kernel import clock
from palio.sim import Clock, World
from tests.entry.conftest import address_of
from tests.factories import races
from tests.factories.identity import HOME, PASSWORD, quick_hasher
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running
from tests.operations.processes import ROOT

FOCUS_SECONDS_MAX = 15
COMMAND_SECONDS_MAX = 60
CODE_EVERY = timedelta(seconds=30)
TABLES = """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any (%s) order by 1, 2"""
SCHEMAS = ["affiliates", "competitions", "identity", "infra", "jobs", "ledger", "races"]
TRACES = {  # what merely asking leaves behind: who is there, how often he asked, what he failed at, what was shown
    *(
        "identity.login_events",
        "identity.ip_addresses",
        "identity.user_activity",
        "infra.clock",
        "infra.clusters",
        "infra.instances",
        "infra.stream_listeners",
    ),
    *("infra.job_runs", "infra.rate_buckets", "infra.schedules", "jobs.procrastinate_workers"),
    *("infra.stream_marks", "infra.stream_states"),
}
TOUCHED = ["last_seen_at", "idle_expires_at"]

Books = Mapping[str, list[str]]


@dataclass
class Authenticator:
    """What somebody's telephone shows; each code is good once, so that time passes before there is another."""

    secret: str
    used: int = 0

    async def code(self, place: "Place") -> str:
        """A code that nobody has used yet."""
        while self.used > totp.step_of(clock.now()):
            await place.jump(CODE_EVERY)
        self.used = max(self.used + 1, totp.step_of(clock.now()))
        return totp.code_at(self.secret, self.used)


@dataclass
class Place:
    """A product whose letters can be read, and in which people sign up, prove who they are and get roles."""

    product: Product
    world: World
    superuser: str
    application: str
    phones: dict[str, Authenticator] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.product.base

    # time

    async def jump(self, by: timedelta) -> None:
        """Let it be so much later at once."""
        async with self.product.wiring.database.begin_system("the clock is turned") as tx:
            await virtual.advance(tx, by=by)
        async with self.product.wiring.database.begin_system("the clock is read") as tx:
            await virtual.virtual.look(tx)

    async def live(self, *, minutes: float) -> None:
        """Live through a while, with everything that is due in it."""
        await moving.advance(self.product.wiring, by=timedelta(minutes=minutes), tick=timedelta(minutes=15))

    async def deliver(self) -> None:
        """Do what waits: letters are written and arrive, approvals are carried out, prizes are paid."""
        async with self.product.wiring.queue.working_off() as work_off:
            await work_off()

    # what was sent, and what is stored

    def link(self, kind: str, to: str) -> str:
        """The secret of the link in the newest letter to somebody."""
        letters = [letter for letter in self.world.mailbox.letters if to in letter.to]
        found = re.search(rf"/{kind}/([\w-]{{43}})", letters[-1].text)
        assert found
        return found[1]

    def books(self) -> Books:
        """Every row of every table, but for what merely asking leaves behind."""
        with psycopg.connect(self.superuser) as conn:
            tables = [table for table in conn.execute(TABLES, [SCHEMAS]) if ".".join(table) not in TRACES]
            return {
                ".".join(table): sorted(
                    str(row[0])
                    for row in conn.execute(
                        sql.SQL("select (to_jsonb(t) - %s::text[])::text from {} t").format(sql.Identifier(*table)),
                        [TOUCHED],
                    )
                )
                for table in tables
            }

    # people

    async def person(self, username: str) -> identity.User:
        """Somebody who has registered and proved his address."""
        database = self.product.wiring.database
        house = identity.House(database, quick_hasher())
        application = identity.Application(username, f"{username}@example.com", PASSWORD)
        made = await identity.register(house, application=application, visitor=HOME, now=clock.now())
        await self.deliver()
        secret = self.link("verify-email", f"{username}@example.com")
        await identity.verify_email(house, secret=secret, registration=made.told, visitor=HOME, now=clock.now())
        async with database.begin_system("a test") as tx:
            return await identity.get(tx, name_or_id=username)

    async def command(self, *words: str) -> str:
        """What the operator sees who types `palio WORDS` into the terminal of this deployment."""
        data = self.product.wiring.environment.data
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "palio", *words),
            cwd=ROOT,
            env={
                **os.environ,
                "PALIO_DATABASE_URL": address_of(self.application),
                "PALIO_DATA": str(data),
                "PALIO_KEYRING_FILE": str(data / "secrets/keyring.json"),
                "PALIO_SIM": "on",
                "PALIO_PUBLIC_URL": self.base,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            out, err = await child.communicate()
        assert child.returncode == 0, err.decode()
        return out.decode()

    # races

    async def feed(self, **totals: str) -> races.Feed:
        """A programme whose players have wagered so much."""
        async with self.product.wiring.database.begin_system("a test") as tx:
            source = await races.feed(tx)
            await source.show(tx, clock.now(), totals)
        return source

    async def show(self, source: races.Feed, **totals: str) -> None:
        """Take a new snapshot of a programme, and let everybody hear of it."""
        async with self.product.wiring.database.begin_system("a test") as tx:
            await source.show(tx, clock.now(), totals)
        await self.deliver()

    async def race_over(self, source: races.Feed, totals: Mapping[str, str], **changes: object) -> int:
        """The number of a race of eleven minutes that was lived through, and in which the totals became these."""
        now = clock.now()
        times = {"starts_at": now + timedelta(minutes=1), "ends_at": now + timedelta(minutes=12)}
        async with self.product.wiring.database.begin_system("a race") as tx:
            made = await races.race(tx, source, now, **{**times, "backdated_reason": None, "grace_s": 0, **changes})
        await self.live(minutes=2)
        await self.show(source, **totals)
        await self.live(minutes=11)
        await self.show(source, **totals)
        await self.live(minutes=1)
        return made.number


@asynccontextmanager
async def opened(cluster: embedded.Cluster, name: str, data: Path) -> AsyncIterator[Place]:
    """A product over a database of its own, which believes that it is a demo: its time and its letters are played."""
    async with running(cluster, name, data) as product, World(clock=Clock()).serving(smtp_port=0) as world:
        wired = product.wiring
        await partitions.keep(wired.database, KeepPartitions())
        async with wired.database.begin_system("a demo is there") as tx:
            await marks.begin(tx, marks.Demo(clock.now(), 1, is_whole=False))
            await marks.complete(tx)
        await wiring.simulate(wired.database)
        mail = Smtp(world.smtp_url, "Palio <palio@localhost>")
        wired.database.equipment = replace(wired.database.equipment, mail=mail, site=product.base)
        wired.stage.mailbox = world.mailbox
        yield Place(product, world, cluster.dsn("postgres", name), cluster.dsn("palio_app", name))
        async with wired.database.begin_system("the suite knows of no demo") as tx:
            await marks.decline(tx)


async def sign_in(page: Page, base: str, username: str, password: str = PASSWORD, *, to: str = "/account") -> None:
    """Fill in the form of players."""
    await page.goto(f"{base}/sign-in?next={to}")
    await page.get_by_label("User name or e-mail").fill(username)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def _set_up_factor(page: Page, place: Place, username: str) -> None:
    await page.wait_for_url(f"{place.base}/account/authenticator")
    await page.get_by_role("button", name="Begin").click()
    secret = (await page.get_by_role("group", name="Key").locator("code").text_content() or "").strip()
    place.phones[username] = Authenticator(secret)
    await page.get_by_label("First code").fill(await place.phones[username].code(place))
    await page.get_by_role("button", name="Switch it on").click()
    await expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()


async def enter_console(page: Page, place: Place, username: str, *, to: str = "/console") -> None:
    """Sign in to the console by password and code."""
    await page.goto(f"{place.base}/console/sign-in?next={to}")
    await page.get_by_label("User name or e-mail").fill(username)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Code").fill(await place.phones[username].code(place))
    await page.get_by_role("button", name="Go on").click()
    await page.wait_for_url(f"{place.base}{to}")


async def become_owner(browser: Browser, place: Place, username: str) -> None:
    """Somebody owns the house by the link that a command prints, and sets a second factor up."""
    told = await place.command("identity", "first-owner", f"{username}@example.com")
    (link,) = re.findall(rf"^{re.escape(place.base)}/first-owner/[\w-]{{43}}$", told, re.MULTILINE)
    async with looking(browser, place.base) as (page, _):
        await page.goto(link)
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.get_by_role("status")).to_contain_text("You own this house.")
        await sign_in(page, place.base, f"{username}@example.com", to="/account/authenticator")
        await _set_up_factor(page, place, username)


async def become_staff(browser: Browser, place: Place, username: str, role: str) -> None:
    """Somebody registers, is given a role by the operator, and sets a second factor up."""
    await place.person(username)
    await place.command("identity", "grant", username, role, "--reason", "hired for the race")
    async with looking(browser, place.base) as (page, _):
        await sign_in(page, place.base, username, to="/account/authenticator")
        await _set_up_factor(page, place, username)


async def prove(page: Page, place: Place, username: str) -> None:
    """Answer the question of the console whether it is still the same person."""
    await page.get_by_label("Code").fill(await place.phones[username].code(place))
    await page.get_by_role("button", name="Prove it").click()


# by keyboard


async def focused(page: Page, name: str) -> None:
    """Wait until the field has the focus."""
    await until(page, f"document.activeElement.id == {name!r}")


async def until(page: Page, what: str, key: str | None = None) -> None:
    """Wait until something is so, pressing a key meanwhile or not."""
    async with asyncio.timeout(FOCUS_SECONDS_MAX):
        while not await page.evaluate(what):
            await (page.keyboard.press(key) if key else page.wait_for_timeout(50))


async def tab_to(page: Page, text: str) -> None:
    """Press Tab until what has the focus is called so, by its label or its words."""
    await until(
        page,
        """() => { const it = document.activeElement;
        const words = [it.getAttribute('aria-label'), it.labels?.[0]?.textContent, it.textContent].find((one) => one);
        return (words || '').replace(/\\s+/g, ' ').trim().startsWith(TEXT) }""".replace("TEXT", repr(text)),
        "Tab",
    )


async def type_into(page: Page, label: str, text: str) -> None:
    """Go to a field with Tab and fill it."""
    await tab_to(page, label)
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type(text)


async def press(page: Page, label: str) -> None:
    """Go to a link or a button with Tab and press it."""
    await tab_to(page, label)
    await page.keyboard.press("Enter")
