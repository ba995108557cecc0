"""Statements of identity. Other people's rows are read through `identity.cards` alone."""

from collections.abc import Sequence
from datetime import datetime

from palio.identity.types import Application, BoardName, Card, NewUser, Residence, Standing, User
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

USER = (
    "select id, username, display_name, kind::text, status::text, registered_with::text, locale, time_zone, country,"
    " country_source::text, city, board_name::text, created_at, activated_at, version from identity.users"
)


async def find_by_id(tx: Tx, user_id: UserId) -> User | None:
    """The user of this id, or None."""
    return await db.find(tx, User, USER + " where id = %s", user_id)


async def find_by_key(tx: Tx, username_key: str) -> User | None:
    """The user of this name in lower case, or None."""
    return await db.find(tx, User, USER + " where username_key = %s", username_key)


async def list_by_names(tx: Tx, user_ids: Sequence[UserId], username_keys: Sequence[str]) -> list[User]:
    """The users who have one of these ids, or one of these names in lower case."""
    statement = USER + " where id = any (%s::uuid[]) or username_key = any (%s::text[])"
    return await db.rows(tx, User, statement, user_ids, username_keys)


async def list_named(tx: Tx, prefix: str, limit: int) -> list[User]:
    """The users whose name in lower case begins so, by name. The prefix holds no sign that `like` reads otherwise."""
    return await db.rows(
        tx, User, USER + " where username_key like %s || '%%' order by username_key limit %s", prefix, limit
    )


async def has_users(tx: Tx) -> bool:
    """Whether there is any user."""
    return bool(await db.value(tx, "select exists (select from identity.users)"))


async def lock_name(tx: Tx, username_key: str) -> None:
    """Let one taking of a name wait for the other, until the transaction ends."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('identity.users|' || %s, 0))", username_key)


async def find_renamed_at(tx: Tx, user_id: UserId) -> datetime | None:
    """When a user changed his name last, or None."""
    found: datetime | None = await db.value(tx, "select username_changed_at from identity.users where id = %s", user_id)
    return found


async def update_username(tx: Tx, user_id: UserId, username: str, *, now: datetime) -> None:
    """Give a user another name, which is locked and free."""
    await db.run(
        tx,
        "update identity.users set username = %s, username_changed_at = %s where id = %s",
        *(username, now, user_id),
    )


async def update_applicant(tx: Tx, user_id: UserId, said: Application, *, display_name: str) -> None:
    """Give an account that waits for its bearer what he says of himself; the name is locked and free."""
    await db.run(
        tx,
        """update identity.users set username = %s, display_name = %s, locale = %s, time_zone = %s where id = %s""",
        *(said.username, display_name, said.locale, said.time_zone, user_id),
    )


async def insert_user(tx: Tx, user: NewUser) -> bool:
    """Store the user; False if the name is taken, also by somebody who commits while we wait for him."""
    await lock_name(tx, user.username.lower())
    return bool(
        await db.run(
            tx,
            """
            insert into identity.users (id, username, display_name, kind, status, registered_with, locale, time_zone,
                                        board_name, created_at, activated_at, country, country_source, city)
            values (%s, %s, %s, %s::identity.user_kind, %s::identity.user_status, %s::identity.auth_method, %s, %s,
                    %s::identity.board_name, %s, %s, %s,
                    case when %s::text is not null then %s::identity.country_source end, %s)
            on conflict (username_key) do nothing""",
            user.id,
            user.username,
            user.display_name,
            user.kind,
            user.status,
            user.registered_with,
            user.locale,
            user.time_zone,
            user.board_name,
            user.created_at,
            user.activated_at,
            user.country,
            user.country,
            user.country_source,
            user.city,
        )
    )


async def list_cards(tx: Tx, user_ids: Sequence[UserId]) -> list[Card]:
    """What everybody may know of these users; unknown and pending ones are left out."""
    return await db.rows(
        tx,
        Card,
        """
        select id, username, display_name, board_name::text, status::text, created_at, avatar_key
        from identity.cards(%s::uuid[])""",
        list(user_ids),
    )


async def list_countries(tx: Tx, user_ids: Sequence[UserId]) -> list[Residence]:
    """Those of these users who have said where they live, each with the country."""
    return await db.rows(
        tx,
        Residence,
        "select id, country from identity.users where id = any(%s::uuid[]) and country is not null",
        list(user_ids),
    )


async def find_card(tx: Tx, username_key: str) -> Card | None:
    """What everybody may know of the user of this name in lower case."""
    return await db.find(
        tx,
        Card,
        """
        select id, username, display_name, board_name::text, status::text, created_at, avatar_key
        from identity.card_named(%s::text)""",
        username_key,
    )


async def update_profile(tx: Tx, user_id: UserId, *, display_name: str, board_name: BoardName, locale: str) -> None:
    """Write down what a user says of himself."""
    await db.run(
        tx,
        """update identity.users set display_name = %s, board_name = %s::identity.board_name, locale = %s
        where id = %s""",
        *(display_name, board_name, locale, user_id),
    )


async def update_country(tx: Tx, user_id: UserId, country: str, *, by_staff: bool = False) -> None:
    """Write down where a user lives, and who says so: himself, or staff."""
    await db.run(
        tx,
        """update identity.users set country = %s, city = null, country_source = %s::identity.country_source
        where id = %s""",
        *(country, "staff" if by_staff else "user", user_id),
    )


async def upsert_birth_date(tx: Tx, user_id: UserId, birth_date: bytes, *, now: datetime) -> None:
    """Store the sealed day on which a user says that he was born."""
    await db.run(
        tx,
        """insert into identity.user_pii (user_id, birth_date, created_at) values (%s, %s, %s)
        on conflict (user_id) do update set birth_date = excluded.birth_date""",
        *(user_id, birth_date, now),
    )


async def get_standing(tx: Tx, user_id: UserId, *, now: datetime) -> Standing:
    """What follows from the rows of a user; of a stranger, nothing."""
    found = await db.find(
        tx,
        Standing,
        """
        select e.id as email_id, e.address, e.verified_at, p.full_name, p.birth_date,
          exists (select from identity.role_grants g where g.user_id = u.id and g.role in ('owner', 'admin')
            and g.revoked_at is null and (g.expires_at is null or g.expires_at > %s)) as is_admin,
          exists (select from identity.passwords w where w.user_id = u.id) as has_password,
          exists (select from identity.totp_secrets t where t.user_id = u.id and t.confirmed_at is not null)
            as has_totp,
          exists (select from identity.passkeys k where k.user_id = u.id) as has_passkey,
          (select count(*) from identity.recovery_codes c where c.user_id = u.id and c.used_at is null)
            as recovery_codes_left,
          coalesce((select array_agg(z.zone order by z.valid_from) from identity.time_zone_changes z
            where z.user_id = u.id), '{}') as zones,
          coalesce((select array_agg(z.valid_from order by z.valid_from) from identity.time_zone_changes z
            where z.user_id = u.id), '{}') as zones_from,
          (select l.at from identity.login_events l where l.user_id = u.id and l.outcome = 'success'
            order by l.at desc limit 1) as last_login_at,
          (select t.telegram_id from identity.telegram_accounts t where t.user_id = u.id) as telegram_id,
          (select x.avatar_key from identity.users x where x.id = u.id) as avatar_key,
          exists (select from identity.passwords w where w.user_id = u.id and w.must_change) as must_change_password
        from (select %s::uuid as id) as u
          left join identity.emails e on e.user_id = u.id and e.is_primary
          left join identity.user_pii p on p.user_id = u.id""",
        *(now, user_id),
    )
    assert found  # noqa: S101 - a row of constants joined to what there is
    return found
