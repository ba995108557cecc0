"""Statements of lists of domains that operators have loaded."""

from collections.abc import Sequence
from datetime import datetime

from palio.identity.types import DomainList, Listing
from palio.infra import db
from palio.infra.db import Tx

LIST = "select name, domains, loaded_at from identity.email_domain_lists"


async def find_list(tx: Tx, name: str) -> DomainList | None:
    """The list of this name, or None."""
    return await db.find(tx, DomainList, LIST + " where name = %s", name)


async def list_lists(tx: Tx) -> list[DomainList]:
    """Every list, by name; at most 1,000."""
    return await db.rows(tx, DomainList, LIST + " order by name limit 1000")


async def upsert_list(tx: Tx, name: str, domains: Sequence[str], *, now: datetime) -> None:
    """Put these domains in the place of all that the list has."""
    await db.run(
        tx,
        """insert into identity.email_domain_lists (name, domains, loaded_at) values (%s, %s, %s)
        on conflict (name) do update set domains = excluded.domains, loaded_at = excluded.loaded_at""",
        *(name, len(domains), now),
    )
    await db.run(tx, "delete from identity.email_domains where list = %s", name)
    await db.run(
        tx,
        "insert into identity.email_domains (list, domain) select %s, d from unnest(%s::text[]) as d",
        *(name, list(domains)),
    )


async def list_listings(tx: Tx, lists: Sequence[str], domains: Sequence[str]) -> list[Listing]:
    """Which of these domains stand in which of these lists."""
    return await db.rows(
        tx,
        Listing,
        "select list, domain from identity.email_domains where list = any (%s::text[]) and domain = any (%s::text[])",
        *(list(lists), list(domains)),
    )
