"""Statements of second factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import FactorKind
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


@dataclass(frozen=True, slots=True)
class Totp:
    """The authenticator of a user, its secret sealed; `last_step` is the newest whose code was used."""

    secret: bytes
    confirmed_at: datetime | None
    last_step: int


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A recovery code that was not used yet."""

    id: UUID
    code_hash: str


async def find_totp(tx: Tx, user_id: UserId) -> Totp | None:
    """The authenticator of a user, or None."""
    return await db.find(
        tx, Totp, "select secret, confirmed_at, last_step from identity.totp_secrets where user_id = %s", user_id
    )


async def upsert_totp(tx: Tx, user_id: UserId, secret: bytes, *, now: datetime) -> bool:
    """Store an authenticator that waits for its first code; False if a confirmed one is there."""
    return bool(
        await db.run(
            tx,
            """insert into identity.totp_secrets as t (user_id, secret, created_at) values (%s, %s, %s)
            on conflict (user_id) do update
              set secret = excluded.secret, created_at = excluded.created_at, last_step = 0
            where t.confirmed_at is null""",
            *(user_id, secret, now),
        )
    )


async def update_step(tx: Tx, user_id: UserId, step: int) -> bool:
    """Use the code of a step up; False if it, or a later one, was used before."""
    return bool(
        await db.run(
            tx,
            """update identity.totp_secrets set last_step = %s
            where user_id = %s and last_step < %s and confirmed_at is not null""",
            *(step, user_id, step),
        )
    )


async def update_confirmed(tx: Tx, user_id: UserId, step: int, *, now: datetime) -> bool:
    """Confirm an authenticator by the code of a step; False if it is confirmed already."""
    return bool(
        await db.run(
            tx,
            """update identity.totp_secrets set confirmed_at = %s, last_step = %s
            where user_id = %s and confirmed_at is null""",
            *(now, step, user_id),
        )
    )


async def delete_totp(tx: Tx, user_id: UserId) -> bool:
    """Remove the authenticator of a user; False if he has none."""
    return bool(await db.run(tx, "delete from identity.totp_secrets where user_id = %s", user_id))


async def delete_factors(tx: Tx, user_id: UserId) -> None:
    """Remove every second factor of a user."""
    await db.run(tx, "delete from identity.totp_secrets where user_id = %s", user_id)
    await db.run(tx, "delete from identity.passkeys where user_id = %s", user_id)
    await delete_spare_codes(tx, user_id)


async def delete_spare_codes(tx: Tx, user_id: UserId) -> None:
    """Remove the recovery codes of a user who has no second factor left that they could stand for."""
    await db.run(
        tx,
        """delete from identity.recovery_codes c where c.user_id = %s
          and not exists (select from identity.totp_secrets t
            where t.user_id = c.user_id and t.confirmed_at is not null)
          and not exists (select from identity.passkeys k where k.user_id = c.user_id)""",
        user_id,
    )


async def list_kinds(tx: Tx, user_id: UserId) -> list[FactorKind]:
    """What a user may show as a second factor, the usual first."""
    return await db.column(
        tx,
        """with mine as (select %s::uuid as user_id)
        select kind from (
          select 1, 'totp' from mine join identity.totp_secrets t using (user_id) where t.confirmed_at is not null
          union select 2, 'passkey' from mine join identity.passkeys using (user_id)
          union select 3, 'recovery_code' from mine join identity.recovery_codes c using (user_id)
            where c.used_at is null
        ) as k (place, kind) order by place""",
        user_id,
    )


async def replace_codes(tx: Tx, user_id: UserId, ids: Sequence[UUID], hashes: Sequence[str], *, now: datetime) -> None:
    """Put a new set of recovery codes in the place of the old one; they are numbered from 1."""
    await db.run(tx, "delete from identity.recovery_codes where user_id = %s", user_id)
    await db.run(
        tx,
        """insert into identity.recovery_codes (id, user_id, number, code_hash, created_at)
        select c.id, %s, c.number, c.hash, %s
        from unnest(%s::uuid[], %s::text[]) with ordinality as c (id, hash, number)""",
        *(user_id, now, list(ids), list(hashes)),
    )


async def find_code(tx: Tx, user_id: UserId, number: int) -> RecoveryCode | None:
    """The recovery code of this number, unless it was used."""
    return await db.find(
        tx,
        RecoveryCode,
        "select id, code_hash from identity.recovery_codes where user_id = %s and number = %s and used_at is null",
        *(user_id, number),
    )


async def update_code_used(tx: Tx, code_id: UUID, *, now: datetime) -> bool:
    """Use a recovery code up; False if somebody was quicker."""
    return bool(
        await db.run(
            tx, "update identity.recovery_codes set used_at = %s where id = %s and used_at is null", now, code_id
        )
    )
