"""Staff who look as a player: each page is written down, in a transaction of its own, for theirs may only read."""

from palio.identity import service
from palio.infra.db import Database
from palio.kernel.ids import Actor


async def note_page(database: Database, *, actor: Actor, path: str, reason: str) -> None:
    """Write down that somebody of the staff looks at a page as a player."""
    async with database.begin_system("a page is looked at as a player") as tx:
        await service.looks.note_page(tx, actor=actor, path=path, reason=reason)
