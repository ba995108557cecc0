"""Tickets: who got one in a request of his own opens a stream with it, once and soon, where he cannot show a cookie.

They live by real time, since they go over the network; of what a caller holds only a hash is stored.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, NamedTuple
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.errors import Unauthenticated

SECRET_BYTES = 32
TICKET_CHARACTERS_MAX = 64
SECONDS = 30
KEPT = timedelta(hours=1)


class TicketInvalid(Unauthenticated):
    """A ticket opens one stream, within 30 seconds, for whoever got it; ask for a new one."""

    code: ClassVar[str] = "ticket_invalid"


class Holder(NamedTuple):
    """Who got a ticket, and in which session or by which API token."""

    user_id: UUID
    session_id: UUID | None
    token_id: UUID | None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whose a ticket was, and at which page he got it; "" is no page."""

    holder: Holder
    origin: str


async def issue(tx: Tx, *, holder: Holder, origin: str, now: datetime) -> str:
    """Give somebody a ticket that counts for 30 seconds at that page."""
    ticket = secrets.token_urlsafe(SECRET_BYTES)
    await db.run(
        tx,
        """insert into infra.stream_tickets (ticket_hash, user_id, session_id, token_id, origin, expires_at)
        values (%s, %s, %s, %s, %s, %s)""",
        *(_hash_of(ticket), *holder, origin, now + timedelta(seconds=SECONDS)),
    )
    return ticket


async def redeem(tx: Tx, *, ticket: str, now: datetime) -> Redeemed | None:
    """Use a ticket up; None if it is unknown, used or too old. Of many who show it at once one has it."""
    found = await tx.execute(
        """update infra.stream_tickets set used_at = %s where ticket_hash = %s and used_at is null and expires_at > %s
        returning user_id, session_id, token_id, origin""",
        (now, _hash_of(ticket), now),
    )
    row = await found.fetchone()
    return Redeemed(Holder(*row[:3]), row[3]) if row else None


async def prune(tx: Tx, *, now: datetime, rows_max: int) -> int:
    """Forget tickets that were good for nothing an hour ago; answers how many."""
    return await db.run(
        tx,
        """delete from infra.stream_tickets where ticket_hash in (
          select ticket_hash from infra.stream_tickets where expires_at < %s order by expires_at limit %s)""",
        *(now - KEPT, rows_max),
    )


def _hash_of(ticket: str) -> bytes:
    return sha256(ticket.encode(errors="surrogatepass")).digest()
