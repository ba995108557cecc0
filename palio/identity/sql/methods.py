"""Statements of the ways by which somebody comes in, and of proofs that are good once."""

from datetime import datetime
from uuid import UUID

from palio.identity.types import AuthMethod, EmailId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def list_ways(tx: Tx, user_id: UserId, *, but: UUID | None = None) -> list[AuthMethod]:
    """By which ways a user can prove who he is, each once, open or not; the row `but` is left out."""
    return await db.column(
        tx,
        """
        with mine as (select %s::uuid as user_id, %s::uuid as but)
        select 'password' as way from mine join identity.passwords using (user_id)
        union select 'passkey' from mine join identity.passkeys k using (user_id) where k.id is distinct from but
        union select case when e.provider like 'oidc:%%' then 'oidc' else e.provider end
          from mine join identity.external_identities e using (user_id) where e.id is distinct from but
        union select 'telegram' from mine join identity.telegram_accounts t using (user_id)
          where t.id is distinct from but
        union select 'phone_otp' from mine join identity.phones p using (user_id)
          where p.verified_at is not null and p.id is distinct from but
        union select 'email_link' from mine join identity.emails e using (user_id)
          where e.verified_at is not null and e.id is distinct from but
        order by way""",
        *(user_id, but),
    )


async def insert_proof(tx: Tx, kind: str, proof_hash: bytes, *, now: datetime, expires_at: datetime) -> bool:
    """Use a proof up; False if it was used before."""
    return bool(
        await db.run(
            tx,
            """insert into identity.used_proofs (kind, proof_hash, used_at, expires_at) values (%s, %s, %s, %s)
            on conflict do nothing""",
            *(kind, proof_hash, now, expires_at),
        )
    )


async def delete_dead_proofs(tx: Tx, *, before: datetime) -> int:
    """Forget proofs that are too old to be shown again."""
    return await db.run(tx, "delete from identity.used_proofs where expires_at < %s", before)


async def delete_others(tx: Tx, user_id: UserId, email_id: EmailId) -> None:
    """Remove every account elsewhere, number and address of a user but one address."""
    await db.run(tx, "delete from identity.external_identities where user_id = %s", user_id)
    await db.run(tx, "delete from identity.phones where user_id = %s", user_id)
    await db.run(tx, "delete from identity.emails where user_id = %s and id <> %s", *(user_id, email_id))
