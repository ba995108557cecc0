"""How long a session lives, and what ends it."""

import hmac
import re
from datetime import datetime, timedelta
from typing import TypeAlias

from palio.identity.errors import TokenElsewhere, TokenExpired, TokenRevoked
from palio.identity.rules.tokens import comes_from
from palio.identity.types import Client, Found, Lives, Platform, Presented, RefreshRow, SessionKind
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import Actor, RequestId

ABSOLUTE = timedelta(days=90)
CONSOLE_IDLE, CONSOLE_ABSOLUTE = timedelta(minutes=30), timedelta(hours=12)
IMPERSONATION = timedelta(minutes=30)
GRACE = timedelta(seconds=10)
TOUCH_EVERY = timedelta(seconds=60)
ACTIVE_EVERY = timedelta(minutes=5)
DEVICE_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
LABEL_CHARACTERS_MAX = 80
AGENT_CHARACTERS_MAX = 256

Derived: TypeAlias = tuple[str, str]  # a refresh token and its access token

BROWSERS = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS: tuple[tuple[str, str, Platform], ...] = (
    ("Android", "Android", "android"),
    ("iPhone", "iPhone", "ios"),
    ("iPad", "iPad", "ios"),
    ("Windows", "Windows", "windows"),
    ("Mac OS", "macOS", "macos"),
    ("Linux", "Linux", "linux"),
)


def client_of(kind: SessionKind) -> Client:
    """What holds a session of this kind unless it says otherwise: a Mini App may be refused its cookie in a frame."""
    return "app" if kind in {"app", "mini_app"} else "browser"


def lives_of(kind: SessionKind, now: datetime, *, idle_days: int, refresh_days: int) -> Lives:
    """Until when a session of this kind lives if nobody uses it, and at most.

    A Mini App lives as an app does, also with a cookie: whoever opens it again brings a fresh proof.
    """
    if kind == "console":
        return Lives(now + CONSOLE_IDLE, now + CONSOLE_ABSOLUTE)
    if kind == "impersonation":
        return Lives(now + IMPERSONATION, now + IMPERSONATION)
    idle = timedelta(days=refresh_days if client_of(kind) == "app" else idle_days)
    return Lives(now + min(idle, ABSOLUTE), now + ABSOLUTE)


def idle_until(kind: SessionKind, now: datetime, absolute: datetime, *, idle_days: int, refresh_days: int) -> datetime:
    """Until when a session that is used at this moment lives if it is not used again."""
    return min(lives_of(kind, now, idle_days=idle_days, refresh_days=refresh_days).idle_at, absolute)


def needs_touch(found: Found, now: datetime) -> bool:
    """Is it time to write down that the session is in use?"""
    return now - found.last_seen_at >= TOUCH_EVERY


def actor_of(found: Found, request_id: RequestId, *, may_act: bool = False) -> Actor:
    """Who acts in this session or by this token. Who looks as a player only looks, and so does a
    suspended player, unless in the few acts left to him.
    """
    if found.impersonator_id is not None:
        return Actor("viewer", found.user_id, request_id, found.impersonator_id)
    if found.status == "suspended":
        return Actor("player" if may_act else "viewer", found.user_id, request_id)
    return Actor("staff" if found.kind == "console" else "player", found.user_id, request_id)


def refusal_of(found: Found | None, presented: Presented, now: datetime) -> type[Unauthenticated] | None:
    """Why what is shown does not count here and now, or None: it does.

    A console cookie opens the console alone, and a player's cookie everything else; tokens that are bound to networks
    must come from one of them.
    """
    if found is None or (presented.kind == "cookie" and (found.kind == "console") != presented.is_console):
        return Unauthenticated
    runs_out_at = min(found.idle_expires_at, found.absolute_expires_at)
    if found.ended_at is not None:
        return TokenRevoked if found.ended_at < runs_out_at else TokenExpired
    if found.status not in {"active", "suspended", "closing"}:
        return TokenRevoked  # a pending or erased account has no session
    if now >= min(runs_out_at, found.token_expires_at):
        return TokenExpired
    return None if comes_from(found.ip_allow, presented.ip) else TokenElsewhere


def is_repeat(row: RefreshRow, now: datetime, *, device_hash: bytes | None) -> bool:
    """Is a used refresh token only asked again, because the answer was lost?

    Within ten seconds, from the same device, before its successor was used, and never by staff.
    """
    if row.used_at is None or row.is_staff or row.is_successor_used:
        return False
    if device_hash is None or row.device_hash is None:
        return False
    return now - row.used_at <= GRACE and hmac.compare_digest(row.device_hash, device_hash)


def label_of(user_agent: str) -> str:
    """What a person calls the program he used: Firefox on Linux."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), None)
    system = next((name for mark, name, _ in SYSTEMS if mark in user_agent), None)
    if browser and system:
        return f"{browser} on {system}"
    program = re.sub(r"[^\x20-\x7e]", "", user_agent).split("/")[0].strip()
    return browser or system or program[:LABEL_CHARACTERS_MAX] or "Unknown program"


def platform_of(user_agent: str) -> Platform | None:
    """What system a program says it runs on, or None: it does not say."""
    return next((platform for mark, _, platform in SYSTEMS if mark in user_agent), None)
