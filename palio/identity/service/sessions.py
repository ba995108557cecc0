"""Sessions: they begin, are recognised, renewed and ended. Of what a caller holds only hashes are stored."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from palio.identity import messages, personal, rules, sql
from palio.identity.errors import NoSuchSession, RefreshReused, TokenExpired, TokenRevoked
from palio.identity.messages import NewDeviceSeen, RefreshReuseDetected
from palio.identity.service import accounts
from palio.identity.types import (
    ACCESS_MINUTES,
    REFRESH_DAYS,
    SESSION_IDLE_DAYS,
    AuthMethod,
    Client,
    DeviceId,
    Found,
    NetworkKind,
    Presented,
    RefreshRow,
    Session,
    SessionEnd,
    SessionId,
    SessionKind,
    SessionRow,
    SignedIn,
    TokenId,
    Tokens,
    Visitor,
)
from palio.infra import approvals, audit, crypto, db, outbox, realtime, settings
from palio.infra.db import Tx
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId, new_id

REMEMBERED_MAX = 10_000
REMEMBERED_SECONDS = 1.0
ENDINGS = ":endings"  # between processes: somebody's session, token or right has ended
NOTICE = json.dumps({"topic": ENDINGS})


@dataclass(slots=True)
class Recognised:
    """Whom this process has recognised in the last second, by the hash of what they showed, and how they showed it.

    An ending bumps `endings`, so that a look-up that began before it is not remembered after it.
    """

    found: dict[tuple[str, bytes], tuple[Found, float]] = field(default_factory=dict)
    endings: int = 0

    def recall(self, presented: Presented) -> Found | None:
        """Who showed this a moment ago."""
        found, until = self.look(presented)
        return found if _real_time() < until else None

    def look(self, presented: Presented) -> tuple[Found | None, float]:
        """What is kept of this, and until when it counts."""
        return self.found.get((presented.kind, personal.hash_of(presented.token)), (None, 0.0))

    def stands(self, until: float, endings: int) -> bool:
        """Does an answer that was kept so long, when so many endings had been, still count?"""
        return endings == self.endings and _real_time() < until

    def remember(self, presented: Presented, found: Found, *, endings: int) -> None:
        """Keep the answer of a look-up that began when so many endings had been."""
        if endings != self.endings:
            return
        if len(self.found) >= REMEMBERED_MAX:
            self.found.clear()
        until = _real_time() + REMEMBERED_SECONDS
        self.found[(presented.kind, personal.hash_of(presented.token))] = (found, until)

    def forget(self) -> None:
        """Recognise everybody anew: somebody's rights have changed."""
        self.endings += 1
        self.found.clear()


def _real_time() -> float:
    return asyncio.get_running_loop().time()


def forget_after_commit(tx: Tx, *user_ids: UserId) -> None:
    """Let every process look everybody up again once the change is committed: this one at once, before anybody is told
    of it, the others as soon as they hear. Live streams of these users then ask again who they are.
    """
    db.after_commit(tx, db.memory(tx, Recognised).forget)
    db.after_commit(tx, partial(tx.equipment.tell, ENDINGS, NOTICE))
    for user_id in user_ids:
        realtime.judge_anew(tx, user_id=user_id)


async def begin_session(
    tx: Tx,
    *,
    user_id: UserId,
    kind: SessionKind,
    method: AuthMethod,
    visitor: Visitor,
    with_factor: bool,
    is_fresh: bool = True,
    client: Client | None = None,
    now: datetime,
) -> SignedIn:
    """Begin a session and return what the caller must keep. A device that is new to the user is told of, but the first.

    Seen networks are counted. A session of the console is audited. Without `is_fresh` it begins with no proof that
    would do for what is dangerous. `client` is who holds it, where the kind leaves that open.
    """
    device_key = visitor.device_key or personal.new_secret()
    device_id = await _device(tx, user_id, device_key, visitor, now)
    holder = client or rules.sessions.client_of(kind)
    session_id, cookie = SessionId(new_id()), None if holder == "app" else personal.new_secret()
    lives = rules.sessions.lives_of(
        kind, now, idle_days=settings.value(SESSION_IDLE_DAYS), refresh_days=settings.value(REFRESH_DAYS)
    )
    sealed = await crypto.seal(tx, visitor.ip, personal.place_of_ip("sessions", session_id, user_id))
    network = personal.network_of(tx, visitor.ip)
    row = SessionRow(
        session_id,
        user_id,
        kind,
        personal.hash_of(cookie) if cookie else None,
        device_id,
        method,
        now,
        lives,
        now if is_fresh else None,
        now if with_factor else None,
        sealed,
        network,
        visitor.user_agent[: rules.sessions.AGENT_CHARACTERS_MAX],
    )
    await sql.sessions.insert_session(tx, row)
    tokens = None if cookie else await _first_tokens(tx, row, now)
    await note_network(tx, user_id=user_id, visitor=visitor, kind="login", now=now)
    await sql.sessions.upsert_active(tx, user_id, now=now, since=now)
    if kind == "console":
        await audit.record(
            tx,
            actor=tx.actor,
            action="session.begin",
            entity_type="session",
            entity_id=str(session_id),
            changes={"method": (None, method)},
            subject=user_id,
            via="web",
        )
    await outbox.send(tx, messages.SignedIn(user_id, session_id))
    return SignedIn(session_id, user_id, kind, lives.absolute_at, device_id, device_key, cookie, tokens)


async def note_network(tx: Tx, *, user_id: UserId, visitor: Visitor, kind: NetworkKind, now: datetime) -> None:
    """Count that the user came from this address."""
    row_id, network = new_id(), personal.network_of(tx, visitor.ip)
    sealed = await crypto.seal(tx, visitor.ip, personal.place_of_ip("ip_addresses", row_id, user_id))
    await sql.contacts.upsert_network(tx, row_id, user_id, ip=sealed, network=network, kind=kind, now=now)


async def authenticate(tx: Tx, *, presented: Presented, now: datetime) -> Found | None:
    """What is known of whoever shows this cookie or token, also one that has ended, or None.

    It is remembered for a second.

    An ended session is refused by the process that ended it at once, by others after that second.
    """
    memory = db.memory(tx, Recognised)
    endings = memory.endings
    found = await _look_up(tx, presented, personal.hash_of(presented.token), now)
    if found:
        await _touch(tx, found, presented, now)
        memory.remember(presented, found, endings=endings)
    return found


async def sessions_of(
    tx: Tx, *, user_id: UserId, current: SessionId | None, now: datetime, is_revealed: bool = True
) -> list[Session]:
    """The open sessions of a user, the last used first; addresses stay sealed unless `is_revealed`."""
    listed = await sql.sessions.list_open(tx, user_id, now=now)
    if not is_revealed or tx.actor.impersonator:
        listed = [replace(one, ip=None) for one in listed]
    sealed = [(one.ip, personal.place_of_ip("sessions", one.id, user_id)) for one in listed if one.ip is not None]
    opened = iter(await crypto.open_many(tx, sealed) if sealed else [])
    return [
        Session(
            one.id,
            one.kind,
            one.label,
            one.method,
            one.created_at,
            one.last_seen_at,
            one.expires_at,
            None if one.ip is None else next(opened),
            one.country,
            one.city,
            is_current=one.id == current,
        )
        for one in listed
    ]


async def end_for_staff(
    tx: Tx, *, user_id: UserId, session_id: SessionId | None = None, why: str, now: datetime
) -> int:
    """End an open session of somebody, or all of them, and return how many. Audited.

    Refuses with NoSuchUser, NoSuchSession, and with approvals.ReasonMissing.
    """
    user = await accounts.get(tx, name_or_id=user_id)
    ended = await end_sessions(
        tx,
        user_id=user.id,
        session_id=session_id,
        reason="revoked_by_staff",
        now=now,
        why=approvals.checked_reason(why),
    )
    if not ended:
        raise NoSuchSession(session_id=session_id)
    return ended


async def end_session(tx: Tx, *, user_id: UserId, session_id: SessionId, reason: SessionEnd, now: datetime) -> None:
    """End one open session of a user. Refuses with NoSuchSession. What staff end is audited."""
    if not await end_sessions(tx, user_id=user_id, session_id=session_id, reason=reason, now=now):
        raise NoSuchSession(session_id=session_id)


async def end_sessions(
    tx: Tx,
    *,
    user_id: UserId,
    session_id: SessionId | None = None,
    device_id: DeviceId | None = None,
    but: SessionId | None = None,
    reason: SessionEnd,
    now: datetime,
    why: str = "",
) -> int:
    """End the open sessions of a user, all `but` one, and return how many. What staff end is audited, with why.

    With an id of a session or a device only that one, or those on it.
    """
    ended = await sql.sessions.update_ended(
        tx, user_id, session_id=session_id, device_id=device_id, but=but, reason=reason, now=now
    )
    forget_after_commit(tx, user_id)
    if ended and reason == "revoked_by_staff":
        await audit.record(
            tx,
            actor=tx.actor,
            action="session.end",
            entity_type="user",
            entity_id=str(user_id),
            changes={"sessions": (len(ended), 0)} if session_id is None else {"session": (session_id, None)},
            reason=why,
            subject=user_id,
        )
    return len(ended)


async def renew_proof(tx: Tx, *, session_id: SessionId, with_factor: bool, now: datetime) -> str | None:
    """Note a fresh proof of who acts in this session and return its new cookie; an app has none.

    Refuses with NoSuchSession.
    """
    has_cookie = await sql.sessions.has_cookie(tx, session_id)
    cookie = personal.new_secret() if has_cookie else None
    token_hash = personal.hash_of(cookie) if cookie else None
    if not await sql.sessions.update_proven(tx, session_id, now=now, with_factor=with_factor, token_hash=token_hash):
        raise NoSuchSession(session_id=session_id)
    forget_after_commit(tx)
    return cookie


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The next pair of tokens, or what is wrong with the one that was shown."""

    tokens: Tokens | None
    refusal: type[Unauthenticated] = TokenRevoked


async def refresh(tx: Tx, *, token: str, device_key: str | None, now: datetime) -> Refreshed:
    """Exchange a refresh token for the next pair. The same token again within ten seconds gets the same pair.

    Any other repeat ends the session, which must be committed, so the refusal is returned and not raised.
    """
    row = await sql.sessions.lock_refresh(tx, personal.hash_of(token))
    if row is None:
        return Refreshed(None, Unauthenticated)
    if row.ended_at is not None and row.ended_at >= row.expires_at:
        return Refreshed(None, TokenExpired)
    if row.ended_at is not None or row.status not in {"active", "suspended", "closing"}:
        return Refreshed(None)
    if row.used_at is None:
        if now >= row.expires_at or now >= row.absolute_expires_at:
            return Refreshed(None, TokenExpired)
        return Refreshed(await _successor(tx, row, token, now))
    device_hash = personal.hash_of(device_key) if device_key else None
    if rules.sessions.is_repeat(row, now, device_hash=device_hash) and row.successor_access_expires_at:
        refresh_token, access_token = _pair(tx, row, token)
        return Refreshed(Tokens(access_token, refresh_token, row.successor_access_expires_at))
    await end_sessions(tx, user_id=row.user_id, session_id=row.session_id, reason="refresh_reused", now=now)
    await outbox.send(tx, RefreshReuseDetected(row.user_id, row.session_id))
    return Refreshed(None, RefreshReused)


async def _device(tx: Tx, user_id: UserId, device_key: str, visitor: Visitor, now: datetime) -> DeviceId:
    is_first = not await sql.devices.has_devices(tx, user_id)
    label = rules.sessions.label_of(visitor.user_agent)
    key_hash = personal.hash_of(device_key)
    platform = rules.sessions.platform_of(visitor.user_agent)
    device = await sql.devices.upsert_device(
        tx, DeviceId(new_id()), user_id, key_hash=key_hash, label=label, platform=platform, now=now
    )
    if device.is_new and not is_first:
        await outbox.send(tx, NewDeviceSeen(user_id, device.id))
    return device.id


async def _first_tokens(tx: Tx, row: SessionRow, now: datetime) -> Tokens:
    refresh_token, access_token = personal.new_secret(), personal.new_secret()
    access_until = await _store_pair(
        tx, row.id, row.user_id, 1, refresh_token, access_token, row.lives.absolute_at, now
    )
    return Tokens(access_token, refresh_token, access_until)


async def _successor(tx: Tx, row: RefreshRow, token: str, now: datetime) -> Tokens:
    refresh_token, access_token = _pair(tx, row, token)
    await sql.sessions.update_refresh_used(tx, row.id, now=now)
    access_until = await _store_pair(
        tx,
        row.session_id,
        row.user_id,
        row.generation + 1,
        refresh_token,
        access_token,
        row.absolute_expires_at,
        now,
    )
    return Tokens(access_token, refresh_token, access_until)


def _pair(tx: Tx, row: RefreshRow, token: str) -> tuple[str, str]:
    return personal.derived(tx, "refresh", row.id, token), personal.derived(tx, "access", row.id, token)


async def _store_pair(
    tx: Tx,
    session_id: SessionId,
    user_id: UserId,
    generation: int,
    refresh_token: str,
    access_token: str,
    absolute_at: datetime,
    now: datetime,
) -> datetime:
    access_until = min(now + timedelta(minutes=settings.value(ACCESS_MINUTES)), absolute_at)
    refresh_until = min(now + timedelta(days=settings.value(REFRESH_DAYS)), absolute_at)
    await sql.sessions.insert_refresh(
        tx,
        new_id(),
        session_id=session_id,
        user_id=user_id,
        generation=generation,
        token_hash=personal.hash_of(refresh_token),
        access_hash=personal.hash_of(access_token),
        access_expires_at=access_until,
        expires_at=refresh_until,
        now=now,
    )
    await sql.sessions.update_seen(tx, session_id, now=now, idle_at=refresh_until)
    return access_until


async def _look_up(tx: Tx, presented: Presented, token_hash: bytes, now: datetime) -> Found | None:
    if presented.kind == "cookie":
        return await sql.sessions.find_by_cookie(tx, token_hash, now=now)
    if presented.kind == "session":
        return await sql.sessions.find_by_id(tx, SessionId(UUID(presented.token)), now=now)
    if presented.kind == "api_token":
        return await sql.tokens.find_by_id(tx, TokenId(UUID(presented.token)), now=now)
    if presented.token.startswith("palio_"):
        return await sql.tokens.find_by_secret(tx, token_hash, now=now)
    return await sql.sessions.find_by_access_token(tx, token_hash, now=now)


async def _touch(tx: Tx, found: Found, presented: Presented, now: datetime) -> None:
    if not rules.sessions.needs_touch(found, now) or rules.sessions.refusal_of(found, presented, now):
        return
    await sql.sessions.upsert_active(tx, found.user_id, now=now, since=now - rules.sessions.ACTIVE_EVERY)
    if found.token_id:
        ip = presented.ip
        ip_bidx = personal.network_of(tx, ip).ip if ip else None
        if await sql.tokens.update_used(tx, found.token_id, now=now, ip_bidx=ip_bidx) and ip:
            await note_network(tx, user_id=found.user_id, visitor=Visitor(ip), kind="api", now=now)
    elif found.session_id:
        idle_at = rules.sessions.idle_until(
            found.kind,
            now,
            found.absolute_expires_at,
            idle_days=settings.value(SESSION_IDLE_DAYS),
            refresh_days=settings.value(REFRESH_DAYS),
        )
        await sql.sessions.update_seen(tx, found.session_id, now=now, idle_at=idle_at)
