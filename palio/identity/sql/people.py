"""Statements by which staff find people, and of what they see of one."""

from palio.identity.types import Born, Contact, Network, SeenFrom, User
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId
from palio.kernel.parts import Part

FOUND = (
    "select u.id, u.username, u.display_name, u.kind::text, u.status::text, u.registered_with::text, u.locale,"
    " u.time_zone, u.country, u.country_source::text, u.city, u.board_name::text, u.created_at, u.activated_at,"
    " u.version from identity.users u"
)
SEEN_FROM_MAX = 50
AFTER_ALL = ("infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff")


async def list_newest(tx: Tx, part: Part[Born]) -> list[User]:
    """Users by when they came, the newest first; `part` says which."""
    if part.newer_than is None:
        return await db.rows(
            tx,
            User,
            FOUND
            + """ where (u.created_at, u.id) < (%s::timestamptz, %s::uuid)
            order by u.created_at desc, u.id desc limit %s""",
            *(*(part.older_than or AFTER_ALL), part.limit),
        )
    found = await db.rows(
        tx,
        User,
        FOUND + " where (u.created_at, u.id) > (%s::timestamptz, %s::uuid) order by u.created_at, u.id limit %s",
        *(*part.newer_than, part.limit),
    )
    return found[::-1]


async def list_by_email(tx: Tx, index: BlindIndex, limit: int) -> list[User]:
    """Whose address this is: whoever has proven it first, then those who wait for it."""
    return await db.rows(
        tx,
        User,
        FOUND
        + """ join identity.emails e on e.user_id = u.id
        where e.bidx = any (%s::bytea[]) or e.bidx_next = any (%s::bytea[])
        order by (e.verified_at is null), e.created_at desc limit %s""",
        *(index.known, index.known, limit),
    )


async def list_by_phone(tx: Tx, index: BlindIndex, limit: int) -> list[User]:
    """Whose number this is."""
    return await db.rows(
        tx,
        User,
        FOUND
        + """ join identity.phones p on p.user_id = u.id
        where p.bidx = any (%s::bytea[]) or p.bidx_next = any (%s::bytea[]) limit %s""",
        *(index.known, index.known, limit),
    )


async def list_by_telegram(tx: Tx, telegram_id: int) -> list[User]:
    """Whose Telegram account this is."""
    return await db.rows(
        tx,
        User,
        FOUND + " join identity.telegram_accounts t on t.user_id = u.id where t.telegram_id = %s",
        telegram_id,
    )


async def list_by_network(tx: Tx, network: Network, limit: int) -> list[User]:
    """Who came from this very address, the last one first."""
    return await db.rows(
        tx,
        User,
        FOUND
        + """ join identity.ip_addresses a on a.user_id = u.id where a.net_bidx = %s and a.ip_bidx = %s
        order by a.last_seen_at desc limit %s""",
        *(network.net, network.ip, limit),
    )


async def list_contacts(tx: Tx, user_id: UserId) -> list[Contact]:
    """The addresses of a user, the primary one first; at most 20."""
    return await db.rows(
        tx,
        Contact,
        """select id, is_primary, verified_at, created_at from identity.emails
        where user_id = %s order by is_primary desc, created_at limit 20""",
        user_id,
    )


async def list_phones(tx: Tx, user_id: UserId) -> list[Contact]:
    """The numbers of a user, the proven one first; at most 20."""
    return await db.rows(
        tx,
        Contact,
        """select id, verified_at is not null as is_primary, verified_at, created_at from identity.phones
        where user_id = %s order by is_primary desc, created_at limit 20""",
        user_id,
    )


async def list_seen_from(tx: Tx, user_id: UserId) -> list[SeenFrom]:
    """From where a user came, the newest first; at most 50. What has served its time is not kept."""
    return await db.rows(
        tx,
        SeenFrom,
        """select id, first_kind, first_seen_at, last_seen_at, seen_count, ip is not null as is_kept
        from identity.ip_addresses where user_id = %s order by last_seen_at desc, id limit %s""",
        *(user_id, SEEN_FROM_MAX),
    )
