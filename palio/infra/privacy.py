"""What the doors know of somebody: what he did and what was done about him, answers to his requests, live notices."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import Obstacle, PersonalRow, PrivacySection


def _export(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    return db.stream(
        tx,
        PersonalRow,
        """
        select 'act' as kind, jsonb_build_object('at', at, 'action', action, 'entity', entity_type,
            'entity_id', entity_id, 'by', case when actor_id = %s then 'you' else actor_kind end) as facts
        from infra.audit_rows where actor_id = %s or subject_user_id = %s
        union all
        select 'webhook_endpoint', jsonb_build_object('host', host, 'description', description, 'types', types,
            'state', state, 'created_at', created_at)
        from infra.webhook_endpoints where created_by = %s""",
        *(user_id, user_id, user_id, user_id),
    )


async def _blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
    return ()


async def _files(tx: Tx, user_id: UserId) -> Sequence[str]:
    return ()


async def _erase(tx: Tx, user_id: UserId, now: datetime) -> None:
    """Answers that were kept, notices and tickets go; the audit log keeps his id."""
    await db.run(tx, "delete from infra.idempotency_keys where user_id = %s", user_id)
    await db.run(tx, "delete from infra.stream_events where user_id = %s", user_id)
    await db.run(tx, "delete from infra.stream_tickets where user_id = %s", user_id)


PRIVACY = PrivacySection("infra", _export, _blocks, _files, _erase)
