"""Statements by which staff look through attempts to sign in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import AuthMethod, Outcome
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


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
    outcome: Outcome | None = None


async def list_entries(
    tx: Tx, wanted: EntriesWanted, *, behind: tuple[datetime, UUID] | None, limit: int
) -> list[Entry]:
    """Attempts behind one of them, or all, the newest first."""
    at, row_id = behind or (None, None)
    return await db.rows(
        tx,
        Entry,
        """select l.at, l.id, l.user_id, u.username, l.outcome::text, l.method::text, l.user_agent,
          l.device_id is not null as is_known_device
        from identity.login_events l left join identity.users u on u.id = l.user_id
        where l.at >= %s and l.at < %s
          and (%s::uuid is null or l.user_id = %s::uuid)
          and (%s::bytea is null or l.net_bidx = %s::bytea)
          and (%s::bytea is null or l.ip_bidx = %s::bytea)
          and (%s::text is null or l.outcome = %s::text::identity.login_outcome)
          and (%s::timestamptz is null or (l.at, l.id) < (%s::timestamptz, %s::uuid))
        order by l.at desc, l.id desc limit %s""",
        *(wanted.since, wanted.until, wanted.user_id, wanted.user_id, wanted.net_bidx, wanted.net_bidx),
        *(wanted.ip_bidx, wanted.ip_bidx, wanted.outcome, wanted.outcome, at, at, row_id, limit),
    )
