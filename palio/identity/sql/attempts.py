"""Statements of attempts to sign in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import AuthMethod, DeviceId, Failures, LogInsWanted, Network, Outcome
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part

EVENTS = """
    select at, id, outcome::text, method::text, device_id, ip, country, city, user_agent from identity.login_events
    where user_id = %s and (at, id) > (%s, %s) and (at, id) < (%s, %s)
      and at >= coalesce(%s::timestamptz, '-infinity') and at < coalesce(%s::timestamptz, 'infinity')
      and (%s::text[] = '{}' or outcome::text = any (%s::text[]))"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An attempt as it is written down before it is judged."""

    at: datetime
    id: UUID
    user_id: UserId | None
    account_bidx: bytes
    outcome: Outcome
    method: AuthMethod
    device_id: DeviceId | None
    ip: bytes
    network: Network
    user_agent: str


@dataclass(frozen=True, slots=True)
class Event:
    """An attempt as it is listed, its address sealed."""

    at: datetime
    id: UUID
    outcome: Outcome
    method: AuthMethod
    device_id: DeviceId | None
    ip: bytes | None
    country: str | None
    city: str | None
    user_agent: str


async def lock_subjects(tx: Tx, first: bytes, second: bytes) -> None:
    """Let attempts that count for the same account or network come one after the other until the transaction ends."""
    keys = sorted(int.from_bytes(subject[:8], signed=True) for subject in (first, second))
    await db.run(tx, "select pg_advisory_xact_lock(k) from unnest(%s::bigint[]) as k", keys)


async def insert_event(tx: Tx, event: NewEvent) -> None:
    """Write an attempt down."""
    await db.run(
        tx,
        """insert into identity.login_events (at, id, user_id, account_bidx, outcome, method, device_id, ip, ip_bidx,
          net_bidx, country, city, user_agent)
        values (%s, %s, %s, %s, %s::identity.login_outcome, %s::identity.auth_method, %s, %s, %s, %s, %s, %s, %s)""",
        *(event.at, event.id, event.user_id, event.account_bidx, event.outcome, event.method, event.device_id),
        *(event.ip, event.network.ip, event.network.net, event.network.country, event.network.city, event.user_agent),
    )


async def update_event(tx: Tx, at: datetime, event_id: UUID, outcome: Outcome, *, device_id: DeviceId | None) -> None:
    """Say how an attempt ended."""
    await db.run(
        tx,
        """update identity.login_events set outcome = %s::identity.login_outcome, device_id = coalesce(%s, device_id)
        where at = %s and id = %s""",
        *(outcome, device_id, at, event_id),
    )


async def delete_event(tx: Tx, at: datetime, event_id: UUID) -> None:
    """Take back an attempt that could not be judged."""
    await db.run(tx, "delete from identity.login_events where at = %s and id = %s", at, event_id)


async def failures_of_account(tx: Tx, account_bidx: bytes, device_id: DeviceId | None, since: datetime) -> Failures:
    """Wrong passwords for a name or address since then, from this device, or from all that are not known."""
    found = await db.find(
        tx,
        Failures,
        """select count(*), max(at) as newest_at from identity.login_events
        where account_bidx = %s and device_id is not distinct from %s::uuid and at > %s
          and outcome = 'bad_credentials'""",
        *(account_bidx, device_id, since),
    )
    return found or Failures(0, None)


async def failures_of_network(tx: Tx, net_bidx: bytes, since: datetime) -> Failures:
    """Wrong passwords from a network since then."""
    found = await db.find(
        tx,
        Failures,
        """select count(*), max(at) as newest_at from identity.login_events
        where net_bidx = %s and at > %s and outcome = 'bad_credentials'""",
        *(net_bidx, since),
    )
    return found or Failures(0, None)


async def failures_of_house(tx: Tx, since: datetime, limit: int) -> Failures:
    """Wrong passwords of everybody since then; counting ends at the limit."""
    found = await db.find(
        tx,
        Failures,
        """select count(*), max(at) as newest_at from (select at from identity.login_events
          where at > %s and outcome = 'bad_credentials' order by at desc limit %s) as f""",
        *(since, limit),
    )
    return found or Failures(0, None)


async def failures_of_factor(tx: Tx, user_id: UserId, since: datetime) -> Failures:
    """Wrong codes of a user since then."""
    found = await db.find(
        tx,
        Failures,
        """select count(*), max(at) as newest_at from identity.login_events
        where user_id = %s and at > %s and outcome = 'mfa_failed'""",
        *(user_id, since),
    )
    return found or Failures(0, None)


async def list_events(tx: Tx, user_id: UserId, wanted: LogInsWanted, part: Part[Dated]) -> list[Event]:
    """A part of the attempts of a user that are wanted, the newest first."""
    low, high = part.between(*EVER)
    outcomes = list(wanted.outcomes)
    values = user_id, *low, *high, wanted.since, wanted.until, outcomes, outcomes, part.limit
    if part.is_back:
        return (await db.rows(tx, Event, EVENTS + " order by at, id limit %s", *values))[::-1]
    return await db.rows(tx, Event, EVENTS + " order by at desc, id desc limit %s", *values)


async def delete_old(tx: Tx, *, before: datetime, limit: int) -> int:
    """Remove attempts before an instant, the oldest first."""
    return await db.run(
        tx,
        """delete from identity.login_events where (at, id) in
          (select at, id from identity.login_events where at < %s order by at limit %s)""",
        before,
        limit,
    )


async def update_forgotten(tx: Tx, *, before: datetime) -> int:
    """Forget the addresses and programs of attempts before an instant."""
    return await db.run(
        tx,
        """update identity.login_events set ip = null, user_agent = ''
        where at < %s and (ip is not null or user_agent <> '')""",
        before,
    )
