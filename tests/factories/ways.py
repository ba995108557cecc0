"""A house whose other ways in are open, against simulators that speak their protocols."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from palio import identity
from palio.entry import vouching
from palio.identity import doors, types
from palio.infra import settings
from palio.infra.http import Client
from palio.infra.oidc import Issuers
from palio.infra.settings import environment
from palio.kernel import clock
from palio.kernel.settings import Catalogue
from palio.sim import Clock
from palio.sim import World as Outside
from tests.factories.identity import World

METHODS = ("password", "google", "apple", "oidc", "telegram", "phone_otp", "email_link")
ADA_NUMBER = "+4915123456789"


def visitor(n: int = 1) -> identity.Visitor:
    """Somebody on a network of his own: new accounts are few for each."""
    return identity.Visitor(f"192.0.{n}.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")


async def opened(world: World, *methods: str, **more: object) -> None:
    """Open these ways in, the usual ones without any; other settings by their names, the rest as they are declared."""
    named = {name if "." in name else getattr(types, name).key: value for name, value in more.items()}
    wanted = {setting: named.get(setting.key) for setting in types.SETTINGS}
    wanted[types.METHODS] = list(methods) or None
    async with world.database.begin_system("a test") as tx:
        await settings.declare(tx, Catalogue(types.SETTINGS))
        changes = [settings.Change(setting, value) for setting, value in wanted.items()]
        await settings.change(tx, tx.actor, changes, "a test")
        await settings.snapshot.load(tx)


def words_of(outside: Outside) -> dict[str, str]:
    """The fields of the environment that point at the outside, as a shell would set them."""
    words = dict(line.split("=", 1) for lines in outside.ways_in().values() for line in lines)
    return {name.removeprefix("PALIO_").lower(): value.strip("'") for name, value in words.items()}


def house_of(world: World, outside: Outside) -> doors.House:
    """The same house, as its environment would make it that points at the simulators."""
    made = environment.load(sim="on", **words_of(outside))
    equipment = world.database.equipment
    client = Client()
    world.database.equipment = replace(
        equipment, http=client, otp=vouching.sender_of(made, client, is_simulated=True), site="http://palio.test"
    )
    return replace(
        world.house,
        providers=vouching.providers_of(made),
        issuers=Issuers(client, is_simulated=True),
        bot=vouching.bot_of(made),
        has_otp=vouching.has_otp(made),
    )


@asynccontextmanager
async def outside_at(now: datetime) -> AsyncIterator[Outside]:
    """The outside, its clock standing at this instant, and ours with it."""
    async with Outside(start=now, clock=Clock(now, is_frozen=True)).serving() as outside:
        clock.use(outside.clock.now)
        yield outside
    clock.use(clock.real)
