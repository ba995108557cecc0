"""People: found by name, and shown with what each module knows of them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from palio import identity
from palio.admin.service.desk import Desk
from palio.admin.service.today import alone
from palio.admin.types import Card, CardPanel, Person
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Cut, Part
from palio.kernel.providers import Panel


async def find_people(tx: Tx, *, text: str) -> list[Person]:
    """Whose user name begins so, or whose id, whole address, number or Telegram id it is; at most 20."""
    return [_person(user) for user in await identity.search(tx, text=text.strip())]


async def newest_people(tx: Tx, *, part: Part[tuple[datetime, UserId]]) -> Cut[Person]:
    """A part of everybody who has an account, those who came last first."""
    found = await identity.newest(tx, part=part)
    return Cut([_person(user) for user in found.rows], found.has_newer, found.has_older)


async def card(tx: Tx, *, desk: Desk, held: Collection[str], user_id: UUID, now: datetime) -> Card:
    """Somebody with the panels that the reader may see. Refuses with identity.NoSuchUser."""
    user = await identity.get(tx, name_or_id=user_id)
    panels = [await _panel(tx, panel, held, user_id, now) for panel in desk.panels if panel.permission in held]
    return Card(_person(user), panels)


async def _panel(tx: Tx, panel: Panel[Tx], held: Collection[str], user_id: UUID, now: datetime) -> CardPanel:
    facts = await alone(tx, part=f"card of {panel.module}", read=lambda: panel.load(tx, user_id, now))
    acts = [(act.label, act.path.format(user=user_id)) for act in panel.acts if act.permission in held]
    return CardPanel(panel.module, panel.title, facts, acts)


def _person(user: identity.User) -> Person:
    return Person(user.id, user.username, user.display_name, user.kind, user.status, user.created_at)
