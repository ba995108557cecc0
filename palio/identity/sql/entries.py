"""Statements by which staff look through attempts to sign in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import AuthMethod, Outcome
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part


@dataclass(frozen=True, slots=True)
class Entry:
    """An attempt as staff look through them; where it came from stays sealed."""

    at: datetime
    id: UUID
    user_id: UserId | None
    username: str | None
    outcome: Outcome
    method: AuthMethod | None
    user_agent: str
    is_known_device: bool


@dataclass(frozen=True, slots=True)
class EntriesWanted:
    """Which attempts are wanted, within `[since, until)`; None means all."""

    since: datetime
    until: datetime
    user_id: UserId | None = None
    net_bidx: bytes | None = None
    ip_bidx: bytes | None = None
    outcomes: Sequence[Outcome] = ()


ENTRIES = """
    select l.at, l.id, l.user_id, u.username, l.outcome::text, l.method::text, l.user_agent,
      l.device_id is not null as is_known_device
    from identity.login_events l left join identity.users u on u.id = l.user_id
    where l.at >= %s and l.at < %s
      and (%s::uuid is null or l.user_id = %s::uuid)
      and (%s::bytea is null or l.net_bidx = %s::bytea)
      and (%s::bytea is null or l.ip_bidx = %s::bytea)
      and (%s::text[] = '{}' or l.outcome::text = any (%s::text[]))
      and (l.at, l.id) > (%s, %s) and (l.at, l.id) < (%s, %s)"""


async def list_entries(tx: Tx, wanted: EntriesWanted, part: Part[Dated]) -> list[Entry]:
    """A part of the attempts that are wanted, the newest first."""
    low, high = part.between(*EVER)
    outcomes = list(wanted.outcomes)
    values = (
        *(wanted.since, wanted.until, wanted.user_id, wanted.user_id, wanted.net_bidx, wanted.net_bidx),
        *(wanted.ip_bidx, wanted.ip_bidx, outcomes, outcomes, *low, *high, part.limit),
    )
    if part.is_back:
        return (await db.rows(tx, Entry, ENTRIES + " order by l.at, l.id limit %s", *values))[::-1]
    return await db.rows(tx, Entry, ENTRIES + " order by l.at desc, l.id desc limit %s", *values)
