"""Statements of e-mail addresses, names that are held, full names, and the networks a user was seen from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from palio.identity.types import EmailId, EmailRow, Invitation, Network, NetworkKind
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part

EMAIL = (
    "select e.id, e.user_id, e.address, e.bidx, e.bidx_next, e.verified_at, u.locale, u.username, u.status::text"
    " from identity.emails e join identity.users u on u.id = e.user_id"
)


@dataclass(frozen=True, slots=True)
class OwnEmail:
    """An address of a user, sealed."""

    id: EmailId
    address: bytes
    bidx: bytes
    is_primary: bool
    verified_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SeenSealed:
    """An address a user came from, sealed."""

    id: UUID
    ip: bytes | None
    country: str | None
    city: str | None
    first_kind: NetworkKind
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int


async def find_email(tx: Tx, email_id: EmailId) -> EmailRow | None:
    """The address of this id, or None."""
    return await db.find(tx, EmailRow, EMAIL + " where e.id = %s", email_id)


async def find_owner_of(tx: Tx, index: BlindIndex) -> EmailRow | None:
    """Whose address this is: the verified one, else that of the newest account that waits for it.

    An address that somebody with an account only adds to his opens nothing.
    """
    return await db.find(
        tx,
        EmailRow,
        EMAIL
        + """ where (e.bidx = any (%s::bytea[]) or e.bidx_next = any (%s::bytea[]))
          and (e.verified_at is not null or u.status = 'pending'
            or (e.is_primary and u.registered_with = 'password')) -- he came with it, and proves it later
        order by (e.verified_at is null), e.created_at desc limit 1""",
        *(index.known, index.known),
    )


async def find_by_index(tx: Tx, user_id: UserId, bidx: bytes) -> EmailRow | None:
    """The address of this user with that index, or None."""
    return await db.find(
        tx, EmailRow, EMAIL + " where e.user_id = %s and (e.bidx = %s or e.bidx_next = %s)", *(user_id, bidx, bidx)
    )


async def find_primary(tx: Tx, user_id: UserId) -> EmailRow | None:
    """The address a user is written to, or None."""
    return await db.find(tx, EmailRow, EMAIL + " where e.user_id = %s and e.is_primary", user_id)


async def lock_address(tx: Tx, known: Sequence[bytes]) -> None:
    """Let one claim to an address, by every index it may have, wait for the other."""
    locks = sorted(int.from_bytes(bidx[:8], signed=True) for bidx in known)
    await db.run(tx, "select pg_advisory_xact_lock(x) from unnest(%s::bigint[]) as x", locks)


async def is_verified(tx: Tx, known: Sequence[bytes]) -> bool:
    """Is the address of these indexes proven by somebody?"""
    found = await db.value(
        tx,
        """select exists (select from identity.emails
          where (bidx = any (%s::bytea[]) or bidx_next = any (%s::bytea[])) and verified_at is not null)""",
        *(list(known), list(known)),
    )
    return bool(found)


async def has_proven(tx: Tx, user_id: UserId) -> bool:
    """Has a user proven any contact?"""
    return bool(
        await db.value(
            tx,
            """select exists (select from identity.emails where user_id = %s and verified_at is not null)
              or exists (select from identity.phones where user_id = %s and verified_at is not null)
              or exists (select from identity.telegram_accounts where user_id = %s)""",
            *(user_id, user_id, user_id),
        )
    )


async def insert_email(
    tx: Tx, email_id: EmailId, user_id: UserId, *, address: bytes, index: BlindIndex, normal: BlindIndex, now: datetime
) -> None:
    """Store an address, not verified yet; the first one of a user is the primary one."""
    await db.run(
        tx,
        """insert into identity.emails (id, user_id, address, bidx, bidx_next, bidx_version, normal_bidx, normal_next,
          is_primary, created_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, not exists (select from identity.emails where user_id = %s), %s)""",
        *(email_id, user_id, address, index.digest, index.next, index.version, normal.digest, normal.next),
        *(user_id, now),
    )


async def list_emails(tx: Tx, user_id: UserId) -> list[OwnEmail]:
    """The addresses of a user, the primary one first; at most 10."""
    return await db.rows(
        tx,
        OwnEmail,
        """select id, address, bidx, is_primary, verified_at, created_at from identity.emails where user_id = %s
        order by is_primary desc, created_at, id limit 10""",
        user_id,
    )


async def update_primary(tx: Tx, user_id: UserId, email_id: EmailId) -> None:
    """Write to this address of a user from now on."""
    await db.run(tx, "update identity.emails set is_primary = false where user_id = %s and is_primary", user_id)
    await db.run(
        tx, "update identity.emails set is_primary = true where user_id = %s and id = %s", *(user_id, email_id)
    )


async def delete_email(tx: Tx, user_id: UserId, email_id: EmailId) -> None:
    """Remove an address of a user."""
    await db.run(tx, "delete from identity.emails where user_id = %s and id = %s", *(user_id, email_id))


async def update_verified(tx: Tx, user_id: UserId, known: Sequence[bytes], *, now: datetime) -> bool:
    """Note that the user's address is proven; False if he has it no more, or has proven it before."""
    return bool(
        await db.run(
            tx,
            """update identity.emails set verified_at = %s, bounced_at = null
            where user_id = %s and bidx = any (%s::bytea[]) and verified_at is null""",
            *(now, user_id, list(known)),
        )
    )


async def delete_rivals(tx: Tx, user_id: UserId, known: Sequence[bytes]) -> int:
    """Remove accounts of others that wait for this address to be proven: the first to prove it owns it.

    Who has an account already and only said that it was his has it no more.
    """
    await db.run(
        tx,
        """delete from identity.emails e using identity.users u
        where u.id = e.user_id and (e.bidx = any (%s::bytea[]) or e.bidx_next = any (%s::bytea[]))
          and e.verified_at is null and u.id <> %s and u.status <> 'pending'""",
        *(list(known), list(known), user_id),
    )
    return await db.run(
        tx,
        """delete from identity.users u using identity.emails e
        where e.user_id = u.id and (e.bidx = any (%s::bytea[]) or e.bidx_next = any (%s::bytea[]))
          and e.verified_at is null and u.id <> %s and u.status = 'pending'""",
        *(list(known), list(known), user_id),
    )


async def insert_full_name(tx: Tx, user_id: UserId, full_name: bytes, *, now: datetime) -> None:
    """Store the sealed full name of a new user."""
    await db.run(
        tx,
        "insert into identity.user_pii (user_id, full_name, created_at) values (%s, %s, %s)",
        *(user_id, full_name, now),
    )


async def is_held(tx: Tx, username_key: str, *, now: datetime) -> bool:
    """Is the name kept free for a while?"""
    found = await db.value(
        tx, "select true from identity.username_holds where username_key = %s and until > %s", username_key, now
    )
    return bool(found)


async def upsert_hold(tx: Tx, username_key: str, *, now: datetime, until: datetime) -> None:
    """Keep a name free."""
    await db.run(
        tx,
        """insert into identity.username_holds (username_key, held_at, until) values (%s, %s, %s)
        on conflict (username_key) do update set held_at = excluded.held_at, until = excluded.until""",
        *(username_key, now, until),
    )


async def upsert_network(
    tx: Tx, row_id: UUID, user_id: UserId, *, ip: bytes, network: Network, kind: str, now: datetime
) -> None:
    """Note that a user came from an address: its first and last time, how often, and where it is today.

    One that was forgotten is kept again under the new id, to which it is sealed.
    """
    await db.run(
        tx,
        """insert into identity.ip_addresses as a
          (id, user_id, ip_bidx, ip, net_bidx, country, city, first_kind, first_seen_at, last_seen_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (user_id, ip_bidx) do update set last_seen_at = excluded.last_seen_at,
          country = excluded.country, city = excluded.city, seen_count = a.seen_count + 1,
          id = case when a.ip is null then excluded.id else a.id end, ip = coalesce(a.ip, excluded.ip)""",
        *(row_id, user_id, network.ip, ip, network.net, network.country, network.city, kind, now, now),
    )


SEEN = """
    select id, ip, country, city, first_kind, first_seen_at, last_seen_at, seen_count from identity.ip_addresses
    where user_id = %s and (last_seen_at, id) > (%s, %s) and (last_seen_at, id) < (%s, %s)
      and last_seen_at >= coalesce(%s::timestamptz, '-infinity')
      and last_seen_at < coalesce(%s::timestamptz, 'infinity')"""


async def list_networks(
    tx: Tx,
    user_id: UserId,
    *,
    since: datetime | None,
    until: datetime | None,
    part: Part[Dated],
) -> list[SeenSealed]:
    """A part of the addresses a user came from, the last used first: in `[since, until)` at last."""
    low, high = part.between(*EVER)
    values = user_id, *low, *high, since, until, part.limit
    if part.is_back:
        return (await db.rows(tx, SeenSealed, SEEN + " order by last_seen_at, id limit %s", *values))[::-1]
    return await db.rows(tx, SeenSealed, SEEN + " order by last_seen_at desc, id desc limit %s", *values)


async def count_registrations(tx: Tx, net_bidx: bytes, *, since: datetime) -> int:
    """How many accounts were made from a network since then."""
    count: int = await db.value(
        tx,
        """select count(*) from identity.ip_addresses
        where net_bidx = %s and first_seen_at > %s and first_kind = 'registration'""",
        *(net_bidx, since),
    )
    return count


async def list_stale_pending(tx: Tx, *, now: datetime, age: timedelta, limit: int) -> list[UserId]:
    """Users who never proved a contact, the oldest first."""
    return await db.column(
        tx,
        "select id from identity.users where status = 'pending' and created_at < %s order by created_at limit %s",
        *(now - age, limit),
    )


async def list_invited(tx: Tx, limit: int) -> list[Invitation]:
    """Pending accounts with a live invitation, the newest first."""
    return await db.rows(
        tx,
        Invitation,
        """select u.id as user_id, u.username, u.created_at as invited_at
        from identity.verification_tokens t join identity.users u on u.id = t.user_id
        where t.purpose = 'invite' and t.used_at is null and t.revoked_at is null and u.status = 'pending'
        order by u.created_at desc, u.id desc limit %s""",
        limit,
    )


async def delete_users(tx: Tx, user_ids: Sequence[UserId]) -> int:
    """Remove pending users with all that is theirs."""
    return await db.run(
        tx, "delete from identity.users where id = any (%s::uuid[]) and status = 'pending'", list(user_ids)
    )


async def delete_holds(tx: Tx, *, now: datetime) -> int:
    """Set names free whose time is over."""
    return await db.run(tx, "delete from identity.username_holds where until <= %s", now)


async def update_forgotten(tx: Tx, *, before: datetime) -> int:
    """Forget addresses that nobody has come from since then; their index stays."""
    return await db.run(
        tx, "update identity.ip_addresses set ip = null where last_seen_at < %s and ip is not null", before
    )
