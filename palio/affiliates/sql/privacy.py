"""Statements of what links to players of programmes tell of somebody."""

from collections.abc import AsyncIterator
from datetime import datetime

from palio.affiliates.types import LinkId, LinkRequestId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import PersonalRow


def stream_known(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    """Links, requests with what was sent as proof, and every step of them."""
    return db.stream(
        tx,
        PersonalRow,
        """
        select 'link' as kind, jsonb_build_object('player', p.uid, 'name', p.name, 'state', l.state, 'proof', l.proof,
            'linked_at', l.linked_at, 'unlinked_at', l.unlinked_at) as facts
        from affiliates.links l join affiliates.players p on p.id = l.player_id where l.user_id = %s
        union all
        select 'link_request', jsonb_build_object('ref', ref, 'player', uid, 'name', name_at_request,
            'telegram_id', telegram_id::text, 'telegram_name', telegram_name, 'proof', proof, 'note', note,
            'state', state, 'told', player_note, 'created_at', created_at, 'decided_at', decided_at)
        from affiliates.link_requests where user_id = %s
        union all
        select 'attachment', jsonb_build_object('sha256', encode(sha256, 'hex'), 'bytes', bytes, 'width', width,
            'height', height, 'created_at', created_at)
        from affiliates.attachments where user_id = %s
        union all
        select 'link_step', jsonb_build_object('player', uid, 'name', name, 'from', from_state, 'to', to_state,
            'at', at)
        from affiliates.link_events where user_id = %s""",
        *(user_id, user_id, user_id, user_id),
    )


async def list_open_requests(tx: Tx, user_id: UserId) -> list[LinkRequestId]:
    """The requests of somebody that are open; at most one for each programme."""
    return await db.column(
        tx,
        """select id from affiliates.link_requests where user_id = %s and state in ('pending', 'under_review')
        order by id limit 1000""",
        user_id,
    )


async def list_active_links(tx: Tx, user_id: UserId) -> list[LinkId]:
    """The links of somebody that hold; at most one for each programme."""
    return await db.column(
        tx, "select id from affiliates.links where user_id = %s and state = 'active' order by id limit 1000", user_id
    )


async def list_own_objects(tx: Tx, user_id: UserId) -> list[str]:
    """Where pictures lie that nobody else has sent too."""
    return await db.column(
        tx,
        """
        select distinct a.storage_key from affiliates.attachments a
        where a.user_id = %s and not exists (
          select from affiliates.attachments o where o.storage_key = a.storage_key and o.user_id <> a.user_id)
        limit 10000""",
        user_id,
    )


async def delete_known(tx: Tx, user_id: UserId, *, now: datetime) -> None:
    """Remove the pictures somebody sent, what he and staff wrote into his requests, and what names him in their steps.

    Requests and steps stay, with ids alone.
    """
    await db.run(tx, "delete from affiliates.attachments where user_id = %s", user_id)
    await db.run(
        tx,
        """update affiliates.link_requests set note = '', staff_notes = '', player_note = '', attachments = '{}',
          name_at_request = null, telegram_id = null, telegram_name = null, updated_at = %s
        where user_id = %s""",
        *(now, user_id),
    )
    await db.run(
        tx,
        """update affiliates.link_events set name = null, telegram_id = null, note = ''
        where user_id = %s and (name is not null or telegram_id is not null or note <> '')""",
        user_id,
    )
