"""Statements of passwords and of links that are mailed."""

from datetime import datetime
from uuid import UUID

from palio.identity.types import Account, PasswordHash, TokenPurpose, TokenRow
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId

ACCOUNT = """
select u.id as user_id, u.username, u.status::text, p.hash, p.pepper_id, p.changed_at,
  coalesce(p.must_change, false) as must_change,
  exists (select from identity.totp_secrets t where t.user_id = u.id and t.confirmed_at is not null)
    or exists (select from identity.passkeys k where k.user_id = u.id) as has_second_factor,
  exists (select from identity.role_grants g where g.user_id = u.id and g.revoked_at is null) as is_staff
from identity.users u left join identity.passwords p on p.user_id = u.id
"""
ROW = (
    "select id, user_id, purpose::text, target_bidx, expires_at, used_at, revoked_at from identity.verification_tokens"
)


async def find_account(tx: Tx, user_id: UserId) -> Account | None:
    """What is judged when this user proves who he is."""
    return await db.find(tx, Account, ACCOUNT + " where u.id = %s", user_id)


async def find_account_by_name(tx: Tx, username_key: str | None) -> Account | None:
    """The account of a user name; of nobody, if the name cannot be one."""
    return await db.find(tx, Account, ACCOUNT + " where u.username_key = %s", username_key)


async def find_account_by_email(tx: Tx, index: BlindIndex) -> Account | None:
    """The account of an address: the verified one, else the newest that waits for it.

    An address that somebody with an account only adds to his names nobody.
    """
    return await db.find(
        tx,
        Account,
        ACCOUNT
        + """ join identity.emails e on e.user_id = u.id
        where (e.bidx = any (%s::bytea[]) or e.bidx_next = any (%s::bytea[]))
          and (e.verified_at is not null or u.status = 'pending'
            or (e.is_primary and u.registered_with = 'password')) -- he came with it, and proves it later
        order by (e.verified_at is null), e.created_at desc limit 1""",
        *(index.known, index.known),
    )


async def upsert_password(tx: Tx, user_id: UserId, password: PasswordHash, *, now: datetime) -> None:
    """Set the password of a user, who has chosen it himself."""
    await db.run(
        tx,
        """insert into identity.passwords (user_id, hash, pepper_id, changed_at) values (%s, %s, %s, %s)
        on conflict (user_id) do update set hash = excluded.hash, pepper_id = excluded.pepper_id,
          changed_at = excluded.changed_at, must_change = false""",
        *(user_id, password.phc, password.pepper_id, now),
    )


async def update_password_if(tx: Tx, user_id: UserId, password: PasswordHash, *, was: str) -> bool:
    """Write the same password down by newer parameters, unless it was changed meanwhile."""
    return bool(
        await db.run(
            tx,
            "update identity.passwords set hash = %s, pepper_id = %s where user_id = %s and hash = %s",
            *(password.phc, password.pepper_id, user_id, was),
        )
    )


async def update_must_change(tx: Tx, user_id: UserId, *, must_change: bool) -> bool:
    """Say whether a user must choose another password; False if he has none, or it is so already."""
    return bool(
        await db.run(
            tx,
            "update identity.passwords set must_change = %s where user_id = %s and must_change <> %s",
            *(must_change, user_id, must_change),
        )
    )


async def list_peppers(tx: Tx) -> list[int]:
    """The peppers that passwords were mixed with, each found by one look into the index."""
    return await db.column(
        tx,
        """with recursive used as (
          (select pepper_id from identity.passwords where pepper_id is not null order by pepper_id limit 1)
          union all
          select (select p.pepper_id from identity.passwords p where p.pepper_id > u.pepper_id
            order by p.pepper_id limit 1) from used u where u.pepper_id is not null)
        select pepper_id from used where pepper_id is not null""",
    )


async def lock_user(tx: Tx, user_id: UserId) -> None:
    """Let one change of a user's proofs wait for the other."""
    await db.run(tx, "select from identity.users where id = %s for no key update", user_id)


async def count_tokens_since(tx: Tx, target_bidx: bytes, purpose: TokenPurpose, since: datetime) -> int:
    """How many links went to an address since then, whatever became of them."""
    count: int = await db.value(
        tx,
        """select count(*) from identity.verification_tokens
        where target_bidx = %s and purpose = %s::identity.token_purpose and created_at > %s""",
        *(target_bidx, purpose, since),
    )
    return count


async def update_revoked(tx: Tx, user_id: UserId, purpose: TokenPurpose, *, now: datetime) -> None:
    """Revoke the live link of this purpose."""
    await db.run(
        tx,
        """update identity.verification_tokens set revoked_at = %s
        where user_id = %s and purpose = %s::identity.token_purpose and used_at is null and revoked_at is null""",
        *(now, user_id, purpose),
    )


async def insert_token(tx: Tx, token: TokenRow, token_hash: bytes, *, now: datetime) -> bool:
    """Store a link; False if this very one is there already."""
    return bool(
        await db.run(
            tx,
            """insert into identity.verification_tokens
              (id, user_id, purpose, token_hash, target_bidx, created_at, expires_at)
            values (%s, %s, %s::identity.token_purpose, %s, %s, %s, %s) on conflict (id) do nothing""",
            *(token.id, token.user_id, token.purpose, token_hash, token.target_bidx, now, token.expires_at),
        )
    )


async def find_token(tx: Tx, token_hash: bytes, purpose: TokenPurpose) -> TokenRow | None:
    """The link of this secret, whatever became of it."""
    return await db.find(
        tx, TokenRow, ROW + " where token_hash = %s and purpose = %s::identity.token_purpose", token_hash, purpose
    )


async def has_token(tx: Tx, token_id: UUID) -> bool:
    """Is there a link of this id?"""
    return bool(await db.value(tx, "select true from identity.verification_tokens where id = %s", token_id))


async def update_used(tx: Tx, token_id: UUID, *, now: datetime) -> bool:
    """Use a link up; False if somebody was quicker, or it is no longer good. Where it was sent, letters arrive."""
    return bool(
        await db.value(
            tx,
            """with used as (
              update identity.verification_tokens set used_at = %s
              where id = %s and used_at is null and revoked_at is null and expires_at > %s
              returning user_id, target_bidx),
            arrived as (
              update identity.emails e set bounced_at = null from used u
              where e.user_id = u.user_id and (e.bidx = u.target_bidx or e.bidx_next = u.target_bidx)
                and e.bounced_at is not null)
            select count(*) from used""",
            *(now, token_id, now),
        )
    )


async def update_revoked_for(tx: Tx, user_id: UserId, target_bidx: bytes, *, now: datetime) -> None:
    """Revoke the live links of a user that were sent to an address."""
    await db.run(
        tx,
        """update identity.verification_tokens set revoked_at = %s
        where user_id = %s and target_bidx = %s and used_at is null and revoked_at is null""",
        *(now, user_id, target_bidx),
    )


async def delete_dead_tokens(tx: Tx, *, before: datetime) -> int:
    """Remove links that have been good for nothing since then."""
    return await db.run(tx, "delete from identity.verification_tokens where expires_at < %s", before)


async def update_active(tx: Tx, user_id: UserId, *, now: datetime) -> bool:
    """Make a pending account active; False if it is no longer pending."""
    return bool(
        await db.run(
            tx,
            "update identity.users set status = 'active', activated_at = %s where id = %s and status = 'pending'",
            *(now, user_id),
        )
    )
