"""Links as staff meet them: the console over a database of its own, a programme with players, and users who ask."""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta

from PIL import Image, ImageDraw

from palio import affiliates, identity
from palio.affiliates import service, types
from palio.affiliates.types import LinkRequest
from palio.infra import files, partitions
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import Part
from tests.admin.house import Console
from tests.factories.affiliates import body, ingest, row
from tests.ui import people

READ, REVIEW = "affiliates.read", "affiliates.read affiliates.links.review"
UIDS = ("5XLJobqamfk6lZCvYKGR", "ben", "cleo", "dora")


@dataclass
class LinkDesk:
    """A programme with four players: NightHeron, Ben, one whose name is markup, and one with a long name."""

    console: Console
    programme: types.Programme

    @property
    def database(self) -> Database:
        return self.console.wiring.database

    async def somebody(self, name: str = "") -> UserId:
        """A new user."""
        async with self.console.begin() as tx:
            made = await identity.create(tx, username=name or f"u{new_id().hex[-12:]}", now=clock.now())
        people.SESSIONS[made.id] = new_id()
        return made.id

    async def ask(
        self, who: UserId, uid: str, *, note: str = "", proof: types.ProofShown = "screenshot"
    ) -> LinkRequest:
        """A request of somebody's."""
        async with self.console.begin() as tx:
            wish = types.LinkWish(who, proof, self.programme.code, uid, note=note)
            return await affiliates.request_link(tx, wish=wish, now=clock.now())

    async def prove(self, one: LinkRequest, words: str) -> None:
        """A picture beside a request."""
        picture = files.redraw(screenshot(words))
        key = await service.store_picture(files.storage_of(self.database), picture=picture)
        async with self.console.begin() as tx:
            await service.attach(
                tx, request_id=one.id, user_id=one.user_id, picture=picture, storage_key=key, now=clock.now()
            )

    async def link(self, who: UserId, uid: str) -> types.LinkRow:
        """A link that staff have made."""
        async with self.console.begin() as tx:
            return await affiliates.link(
                tx, programme_id=self.programme.id, uid=uid, user_id=who, reason="known to us", now=clock.now()
            )

    async def seen(self, one: LinkRequest) -> tuple[types.QueuedRequest, list[types.LinkStep]]:
        """A request as it stands."""
        async with self.console.begin() as tx:
            return await affiliates.request_card(tx, request_id=one.id)

    async def holders(self) -> dict[UserId, str]:
        """Who is linked to which uid."""
        async with self.console.begin() as tx:
            found = await service.list_links(tx, wanted=types.LinksFilter(self.programme.code), part=Part(50))
        return {one.user_id: one.uid for one in found}


async def furnished(console: Console, code: str, now: datetime | None = None) -> LinkDesk:
    """The desk of a new programme."""
    at = (now or clock.now()) - timedelta(hours=2)
    async with console.begin() as tx:
        await partitions.ensure(tx, "affiliates.stats", at)
        programme = await affiliates.ensure_programme(tx, code=code)
        listed = body(
            row(UIDS[0], "457433.951725", name="NightHeron"),
            row("ben", 7, name="Ben"),
            row("cleo", 8, name="<i>Cleo</i>"),
            row("dora", "12.5", name="DoraOfTheOuterHarbourWallAndTheTowersBehindIt"),
        )
        await ingest(tx, programme, listed, at, files.storage_of(console.wiring.database))
    return LinkDesk(console, programme)


def screenshot(words: str) -> bytes:
    """A picture like one of an account page."""
    image = Image.new("RGB", (960, 540), "#f4f1ea")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 960, 80), fill="#23406e")
    draw.rectangle((60, 150, 220, 310), fill="#8fb8de")
    draw.text((260, 190), words, fill="#1b1b1b", font_size=44)
    draw.rectangle((260, 270, 700, 290), fill="#c9c2b4")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
