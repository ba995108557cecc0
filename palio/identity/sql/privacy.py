"""Statements of what people ask of their own data: requests, their steps, and what this module knows of somebody."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from palio.identity.types import PrivacyKind, PrivacyRequest, PrivacyState, PrivacyStep
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part

REQUEST = (
    "select id, user_id, kind::text, state::text, requested_at, confirmed_at, due_at, finished_at,"
    " status_before::text, file_key, file_secret, file_bytes, sha256, expires_at"
    " from identity.privacy_requests"
)
STEP = "select request_id, section, position, attempts, rows, error_code, finished_at from identity.privacy_steps"


async def find_request(tx: Tx, request_id: UUID) -> PrivacyRequest | None:
    """The request of this id, or None."""
    return await db.find(tx, PrivacyRequest, REQUEST + " where id = %s", request_id)


async def lock_request(tx: Tx, request_id: UUID) -> PrivacyRequest | None:
    """The request of this id, ours until the transaction ends, or None."""
    return await db.find(tx, PrivacyRequest, REQUEST + " where id = %s for update", request_id)


async def find_open(tx: Tx, user_id: UserId, kind: PrivacyKind) -> PrivacyRequest | None:
    """What somebody asks for and has not got yet, or None."""
    return await db.find(
        tx,
        PrivacyRequest,
        REQUEST
        + " where user_id = %s and kind = %s::identity.privacy_kind and state in ('requested', 'confirmed', 'running')",
        *(user_id, kind),
    )


async def find_newest(tx: Tx, user_id: UserId, kind: PrivacyKind) -> PrivacyRequest | None:
    """What somebody asked for last, or None."""
    return await db.find(
        tx,
        PrivacyRequest,
        REQUEST + " where user_id = %s and kind = %s::identity.privacy_kind order by requested_at desc limit 1",
        *(user_id, kind),
    )


async def list_requests(tx: Tx, user_id: UserId, kind: PrivacyKind, limit: int) -> list[PrivacyRequest]:
    """What somebody asked for, the newest first."""
    return await db.rows(
        tx,
        PrivacyRequest,
        REQUEST + " where user_id = %s and kind = %s::identity.privacy_kind order by requested_at desc limit %s",
        *(user_id, kind, limit),
    )


ASKED = """
    where (%s::text[] = '{}' or state::text = any (%s::text[]))
      and (requested_at, id) > (%s, %s) and (requested_at, id) < (%s, %s)"""


async def list_all(tx: Tx, states: Sequence[PrivacyState], part: Part[Dated]) -> list[PrivacyRequest]:
    """A part of what people ask for, the newest first: of these states, or of all without any."""
    low, high = part.between(*EVER)
    values = list(states), list(states), *low, *high, part.limit
    if part.is_back:
        found = await db.rows(tx, PrivacyRequest, REQUEST + ASKED + " order by requested_at, id limit %s", *values)
        return found[::-1]
    return await db.rows(tx, PrivacyRequest, REQUEST + ASKED + " order by requested_at desc, id desc limit %s", *values)


async def list_steps(tx: Tx, request_ids: Sequence[UUID]) -> list[PrivacyStep]:
    """The steps of these requests, in their order."""
    return await db.rows(
        tx, PrivacyStep, STEP + " where request_id = any (%s::uuid[]) order by request_id, position", list(request_ids)
    )


async def insert_request(tx: Tx, one: PrivacyRequest) -> bool:
    """Store a request; False where one of its kind is open."""
    return bool(
        await db.run(
            tx,
            """
            insert into identity.privacy_requests (id, user_id, kind, state, requested_at, confirmed_at, due_at,
              file_key, file_secret)
            values (%s, %s, %s::identity.privacy_kind, %s::identity.privacy_state, %s, %s, %s, %s, %s)
            on conflict (user_id, kind) where state in ('requested', 'confirmed', 'running') do nothing""",
            *(one.id, one.user_id, one.kind, one.state, one.requested_at, one.confirmed_at, one.due_at),
            *(one.file_key, one.file_secret),
        )
    )


async def insert_steps(tx: Tx, request: PrivacyRequest, sections: Sequence[str], *, now: datetime) -> None:
    """Store the steps of a request, in their order; those that are there stay."""
    await db.run(
        tx,
        """
        insert into identity.privacy_steps (request_id, user_id, section, position, created_at)
        select %s, %s, section, position, %s from unnest(%s::text[]) with ordinality as x (section, position)
        on conflict (request_id, section) do nothing""",
        *(request.id, request.user_id, now, list(sections)),
    )


async def update_confirmed(
    tx: Tx, request_id: UUID, *, due_at: datetime, now: datetime, status_before: str | None
) -> None:
    """Note that somebody means it, when it begins, and what his account goes back to if he changes his mind."""
    await db.run(
        tx,
        """update identity.privacy_requests
        set state = 'confirmed', confirmed_at = %s, due_at = %s, status_before = %s::identity.user_status
        where id = %s""",
        *(now, due_at, status_before, request_id),
    )


async def update_state(tx: Tx, request_id: UUID, state: PrivacyState, *, finished_at: datetime | None) -> None:
    """Move a request on."""
    await db.run(
        tx,
        """update identity.privacy_requests set state = %s::identity.privacy_state, finished_at = %s where id = %s""",
        *(state, finished_at, request_id),
    )


async def update_ready(
    tx: Tx, request_id: UUID, *, size: int, sha256: bytes, expires_at: datetime, now: datetime
) -> None:
    """Note that a copy can be fetched, and until when."""
    await db.run(
        tx,
        """update identity.privacy_requests
        set state = 'done', finished_at = %s, file_bytes = %s, sha256 = %s, expires_at = %s where id = %s""",
        *(now, size, sha256, expires_at, request_id),
    )


async def update_file_gone(tx: Tx, request_ids: Sequence[UUID]) -> None:
    """Note that copies are no longer kept; what they were encrypted with goes too."""
    await db.run(
        tx,
        "update identity.privacy_requests set file_key = null, file_secret = null where id = any (%s::uuid[])",
        list(request_ids),
    )


async def update_step_tried(tx: Tx, request_id: UUID, section: str) -> None:
    """Count a try of a step."""
    await db.run(
        tx,
        "update identity.privacy_steps set attempts = attempts + 1 where request_id = %s and section = %s",
        *(request_id, section),
    )


async def update_step_failed(tx: Tx, request_id: UUID, section: str, code: str) -> None:
    """Note what went wrong with a step."""
    await db.run(
        tx,
        "update identity.privacy_steps set error_code = %s where request_id = %s and section = %s",
        *(code[:100], request_id, section),
    )


async def update_step_done(tx: Tx, request_id: UUID, section: str, *, rows: int | None, now: datetime) -> None:
    """Note that a step is done."""
    await db.run(
        tx,
        """update identity.privacy_steps set finished_at = %s, rows = %s, error_code = null
        where request_id = %s and section = %s and finished_at is null""",
        *(now, rows, request_id, section),
    )


async def list_due(tx: Tx, *, now: datetime, limit: int) -> list[PrivacyRequest]:
    """What is confirmed and has to begin, the longest due first."""
    return await db.rows(
        tx,
        PrivacyRequest,
        REQUEST + " where state = 'confirmed' and due_at <= %s order by due_at, id limit %s",
        *(now, limit),
    )


async def list_running(tx: Tx, limit: int) -> list[UUID]:
    """What has begun and is not done."""
    return await db.column(
        tx, "select id from identity.privacy_requests where state = 'running' order by due_at, id limit %s", limit
    )


async def list_expired(tx: Tx, *, now: datetime, limit: int) -> list[PrivacyRequest]:
    """Copies whose time is over."""
    return await db.rows(
        tx,
        PrivacyRequest,
        REQUEST + " where file_key is not null and expires_at <= %s order by expires_at limit %s",
        *(now, limit),
    )


async def list_unconfirmed(tx: Tx, *, before: datetime, limit: int) -> list[UUID]:
    """Erasures that were asked for before an instant and never confirmed."""
    return await db.column(
        tx,
        """select id from identity.privacy_requests where state = 'requested' and kind = 'erase' and requested_at < %s
        order by requested_at limit %s""",
        *(before, limit),
    )


# forgetting


async def update_status(tx: Tx, user_id: UserId, status: str) -> None:
    """Move an account to a status, and let go of what belongs to the one before."""
    await db.run(
        tx,
        """update identity.users set status = %s::identity.user_status where id = %s""",
        *(status, user_id),
    )


async def update_erased(tx: Tx, user_id: UserId, name: str) -> None:
    """Leave of an account its id and a name that is nobody's."""
    await db.run(
        tx,
        """
        update identity.users set username = %s, display_name = %s, status = 'erased', suspended_until = null,
          suspension_reason = null, country = null, country_source = null, city = null, locale = 'en',
          time_zone = 'UTC', board_name = 'hidden', avatar_key = null
        where id = %s""",
        *(name, name, user_id),
    )


async def delete_person(tx: Tx, user_id: UserId) -> None:
    """Remove every row of somebody in this schema but what says that he was erased."""
    await db.run(tx, "select identity.forget(%s)", user_id)


async def update_grants_revoked(tx: Tx, user_id: UserId, *, now: datetime) -> None:
    """Take every role of somebody."""
    await db.run(
        tx, "update identity.role_grants set revoked_at = %s where user_id = %s and revoked_at is null", now, user_id
    )


# telling


@dataclass(frozen=True, slots=True)
class Known:
    """One thing we know of somebody: facts in clear, and up to two sealed ones with the row and column they lie in."""

    kind: str
    facts: dict[str, Any]
    row_id: UUID | None
    place: str | None
    sealed: bytes | None


KNOWN = """
with me as (select %s::uuid as id)
select 'account' as kind, jsonb_build_object('id', id, 'username', username, 'display_name', display_name,
    'kind', kind, 'status', status, 'registered_with', registered_with, 'locale', locale,
    'time_zone', time_zone, 'country', country, 'city', city, 'board_name', board_name, 'avatar', avatar_key,
    'created_at', created_at, 'activated_at', activated_at, 'suspended_until', suspended_until,
    'suspension_reason', suspension_reason) as facts,
  null::uuid as row_id, null as place, null::bytea as sealed
from identity.users where id = (select id from me)
union all
select 'full_name', '{}', user_id, 'user_pii.full_name', full_name from identity.user_pii
where user_id = (select id from me) and full_name is not null
union all
select 'birth_date', '{}', user_id, 'user_pii.birth_date', birth_date from identity.user_pii
where user_id = (select id from me) and birth_date is not null
union all
select 'email', jsonb_build_object('is_primary', is_primary, 'verified_at', verified_at,
    'created_at', created_at), id, 'emails.address', address
from identity.emails where user_id = (select id from me)
union all
select 'password', jsonb_build_object('changed_at', changed_at), null, null, null
from identity.passwords where user_id = (select id from me)
union all
select 'second_factor', jsonb_build_object('created_at', created_at, 'confirmed_at', confirmed_at), null, null,
  null
from identity.totp_secrets where user_id = (select id from me)
union all
select 'device', jsonb_build_object('label', label, 'platform', platform, 'first_seen_at', first_seen_at,
    'last_seen_at', last_seen_at, 'mfa_trusted_until', mfa_trusted_until), null, null, null
from identity.devices where user_id = (select id from me)
union all
select 'session', jsonb_build_object('kind', kind, 'method', method, 'created_at', created_at,
    'last_seen_at', last_seen_at, 'country', country, 'city', city, 'user_agent', user_agent,
    'ended_at', ended_at, 'end_reason', end_reason),
  id, 'sessions.ip', ip
from identity.sessions where user_id = (select id from me)
union all
select 'sign_in', jsonb_build_object('at', at, 'outcome', outcome, 'method', method,
    'country', country, 'city', city, 'user_agent', user_agent), id, 'login_events.ip', ip
from identity.login_events where user_id = (select id from me)
union all
select 'ip_address', jsonb_build_object('first_kind', first_kind, 'first_seen_at', first_seen_at,
    'last_seen_at', last_seen_at, 'seen_count', seen_count, 'country', country, 'city', city),
  id, 'ip_addresses.ip', ip
from identity.ip_addresses where user_id = (select id from me)
union all
select 'api_token', jsonb_build_object('name', name, 'prefix', prefix, 'last4', last4, 'scopes', scopes,
    'created_at', created_at, 'expires_at', expires_at, 'last_used_at', last_used_at,
    'revoked_at', revoked_at), null, null, null
from identity.api_tokens where user_id = (select id from me)
union all
select 'role', jsonb_build_object('role', role, 'object_kind', object_kind, 'object_id', object_id,
    'granted_at', granted_at, 'expires_at', expires_at,
    'revoked_at', revoked_at), null, null, null
from identity.role_grants where user_id = (select id from me)
union all
select 'consent', jsonb_build_object('document', document_key, 'version', version, 'given_at', given_at,
    'withdrawn_at', withdrawn_at, 'source', source), null, null, null
from identity.consents where user_id = (select id from me)
union all
select 'break_from_playing', jsonb_build_object('kind', kind, 'activities', activities,
    'starts_at', starts_at, 'ends_at', ends_at, 'return_requested_at', return_requested_at,
    'lifted_at', lifted_at), null, null, null
from identity.play_exclusions where user_id = (select id from me)
union all
select 'friend', jsonb_build_object('user_id', friend_id, 'state', state, 'changed_at', changed_at), null,
  null, null
from identity.friends where user_id = (select id from me)
union all
select 'privacy_request', jsonb_build_object('kind', kind, 'state', state, 'requested_at', requested_at,
    'finished_at', finished_at), null, null, null
from identity.privacy_requests where user_id = (select id from me)
union all
select 'phone', jsonb_build_object('country', country, 'verified_at', verified_at, 'created_at', created_at), id,
  'phones.number', number
from identity.phones where user_id = (select id from me)
union all
select 'telegram', jsonb_build_object('telegram_id', telegram_id::text, 'telegram_username', telegram_username,
    'language_code', language_code, 'verified_at', verified_at, 'bot_blocked_at', bot_blocked_at,
    'last_active_at', last_active_at, 'created_at', created_at, 'updated_at', updated_at), null, null, null
from identity.telegram_accounts where user_id = (select id from me)
union all
select 'telegram_link', jsonb_build_object('telegram_id', telegram_id::text, 'action', action, 'at', at), null, null,
  null
from identity.telegram_link_events where user_id = (select id from me)
union all
select 'external_identity', jsonb_build_object('provider', provider, 'linked_at', linked_at,
    'last_used_at', last_used_at), id, 'external_identities.subject', subject
from identity.external_identities where user_id = (select id from me)
union all
select 'passkey', jsonb_build_object('name', name, 'created_at', created_at, 'last_used_at', last_used_at), null, null,
  null
from identity.passkeys where user_id = (select id from me)
union all
select 'time_zone_change', jsonb_build_object('zone', zone, 'asked_at', asked_at, 'valid_from', valid_from), null,
  null, null
from identity.time_zone_changes where user_id = (select id from me)
union all
select 'activity', jsonb_build_object('last_active_at', last_active_at), null, null, null
from identity.user_activity where user_id = (select id from me)
union all
select 'factor_reset', jsonb_build_object('created_at', created_at, 'due_at', due_at, 'cancelled_at', cancelled_at,
    'done_at', done_at), null, null, null
from identity.factor_resets where user_id = (select id from me)
union all
select 'read_by_staff', jsonb_build_object('what', name, 'at', at), null, null, null
from identity.reveals where user_id = (select id from me)
union all
select 'earlier_id', jsonb_build_object('source', source, 'id', legacy_id), null, null, null
from identity.legacy_ids where user_id = (select id from me)"""


def stream_known(tx: Tx, user_id: UserId) -> AsyncIterator[Known]:
    """All that stands of somebody in this schema but for secrets and what finds him; each sealed value has its line."""
    return db.stream(tx, Known, KNOWN, user_id)
