"""Statements of accounts at providers, and of people who are away at one."""

import json
from datetime import datetime
from uuid import UUID

from palio.identity.types import ExternalRow, Flow
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import BlindIndex
from palio.kernel.ids import UserId

EXTERNAL = "select id, user_id, provider, linked_at, last_used_at from identity.external_identities"


async def find_identity(tx: Tx, provider: str, index: BlindIndex) -> ExternalRow | None:
    """Whom an account at a provider is linked to."""
    return await db.find(
        tx,
        ExternalRow,
        EXTERNAL
        + """ where provider = %s and (subject_bidx = any (%s::bytea[]) or bidx_next = any (%s::bytea[])) limit 1""",
        *(provider, index.known, index.known),
    )


async def list_of(tx: Tx, user_id: UserId) -> list[ExternalRow]:
    """What a user has linked, by provider; there is one of each."""
    return await db.rows(tx, ExternalRow, EXTERNAL + " where user_id = %s order by provider", user_id)


async def insert_identity(
    tx: Tx, row_id: UUID, user_id: UserId, *, provider: str, subject: bytes, index: BlindIndex, now: datetime
) -> bool:
    """Link an account at a provider; False if it is somebody's, or the user has one of this provider."""
    return bool(
        await db.run(
            tx,
            """insert into identity.external_identities
              (id, user_id, provider, subject, subject_bidx, bidx_next, bidx_version, linked_at, last_used_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
            *(row_id, user_id, provider, subject, index.digest, index.next, index.version, now, now),
        )
    )


async def update_last_used(tx: Tx, row_id: UUID, *, now: datetime) -> None:
    """Note that somebody came in by it."""
    await db.run(tx, "update identity.external_identities set last_used_at = %s where id = %s", now, row_id)


async def delete_identity(tx: Tx, user_id: UserId, row_id: UUID) -> bool:
    """Unlink an account; False if the user has it no more."""
    return bool(
        await db.run(tx, "delete from identity.external_identities where id = %s and user_id = %s", row_id, user_id)
    )


# away at a provider


async def insert_flow(tx: Tx, flow: Flow, *, state_hash: bytes, now: datetime, expires_at: datetime) -> None:
    """Note down that somebody leaves."""
    await db.run(
        tx,
        """insert into identity.auth_flows (id, state_hash, provider, nonce, pkce_verifier, browser_hash, return_path,
          intent, user_id, consents, created_at, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)""",
        *(flow.id, state_hash, flow.provider, flow.nonce, flow.pkce_verifier, flow.browser_hash, flow.return_path),
        *(flow.intent, flow.user_id, json.dumps(flow.consents), now, expires_at),
    )


async def take_flow(tx: Tx, state_hash: bytes, provider: str, browser_hash: bytes, *, now: datetime) -> Flow | None:
    """Whoever comes back, once: in the browser that he left in. None for everybody else."""
    return await db.find(
        tx,
        Flow,
        """update identity.auth_flows set used_at = %s
        where state_hash = %s and provider = %s and browser_hash = %s and used_at is null and expires_at > %s
        returning id, provider, nonce, pkce_verifier, browser_hash, return_path, intent, user_id, consents""",
        *(now, state_hash, provider, browser_hash, now),
    )


async def give_flow_back(tx: Tx, flow_id: UUID) -> None:
    """Let somebody come back once more: his provider did not answer."""
    await db.run(tx, "update identity.auth_flows set used_at = null where id = %s", flow_id)


async def delete_dead_flows(tx: Tx, *, before: datetime) -> int:
    """Remove flows that were over by then."""
    return await db.run(tx, "delete from identity.auth_flows where expires_at < %s", before)
