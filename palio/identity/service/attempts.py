"""Attempts to sign in: written down as failed before they are judged, so that a hundred at once are a hundred."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from palio.identity import personal, rules, sql
from palio.identity.errors import EmailInvalid
from palio.identity.sql.attempts import NewEvent
from palio.identity.types import (
    THROTTLE_PERCENT,
    Account,
    Attempt,
    AuthMethod,
    DeviceId,
    LogIn,
    LogInsWanted,
    Network,
    Outcome,
    SeenAddress,
    Visitor,
)
from palio.infra import crypto, settings
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.parts import Dated, Part

ANY_LOG_IN = LogInsWanted()
SOME: Part[Dated] = Part(50)


async def account_of(tx: Tx, *, identifier: str) -> Account | None:
    """Whose name or address this is; an address that is none is nobody's, and so is a strange name."""
    address = _address(identifier)
    if address is None:
        return await sql.credentials.find_account_by_name(tx, rules.names.key_of(identifier.strip()))
    return await sql.credentials.find_account_by_email(tx, personal.email_index(tx, address))


def _address(identifier: str) -> str | None:
    """The canonical address, however it is written; None for what is none."""
    try:
        return personal.canonical_email(identifier) if "@" in identifier else None
    except EmailInvalid:
        return None


async def knock(tx: Tx, *, identifier: str, visitor: Visitor, now: datetime) -> Attempt:
    """Write down that somebody tries a password for this name or address, and say whether it is judged.

    Unknown names are throttled exactly as known ones. Attempts for one name, or from one network, wait for each other.
    """
    account = await account_of(tx, identifier=identifier)
    subject = personal.account_index(tx, _address(identifier) or identifier)  # one count for all spellings
    network = personal.network_of(tx, visitor.ip)
    await sql.attempts.lock_subjects(tx, subject, network.net)
    device_id = await device_of(tx, account=account, visitor=visitor)
    wait = await _wait_for_password(tx, subject, network, device_id, now)
    return await _write_down(tx, account, subject, network, device_id, visitor, "bad_credentials", wait, now)


async def knock_with_factor(tx: Tx, *, account: Account, visitor: Visitor, now: datetime) -> Attempt:
    """Write down that this user tries a code, and say whether it is judged."""
    subject, network = personal.account_index(tx, str(account.user_id)), personal.network_of(tx, visitor.ip)
    await sql.attempts.lock_subjects(tx, subject, network.net)
    device_id = await device_of(tx, account=account, visitor=visitor)
    percent = settings.value(THROTTLE_PERCENT)
    waits = [
        rules.throttles.wait_after(
            await sql.attempts.failures_of_factor(tx, account.user_id, now - limit.window), limit, now, percent=percent
        )
        for limit in rules.throttles.FACTOR
    ]
    wait = rules.throttles.longest(waits)
    return await _write_down(tx, account, subject, network, device_id, visitor, "mfa_failed", wait, now)


async def knock_by(
    tx: Tx, *, method: AuthMethod, visitor: Visitor, now: datetime, account: Account | None = None
) -> Attempt:
    """Write down that somebody comes in by another way than a password, and say whether it is judged.

    What goes wrong counts for his network and for the house, not for an account that he may only have named.
    """
    subject, network = personal.account_index(tx, f"{method}|{new_id()}"), personal.network_of(tx, visitor.ip)
    await sql.attempts.lock_subjects(tx, subject, network.net)
    device_id = await device_of(tx, account=account, visitor=visitor)
    wait = await _wait_for_password(tx, subject, network, device_id, now)
    return await _write_down(
        tx, account, subject, network, device_id, visitor, "bad_credentials", wait, now, method=method
    )


async def note(
    tx: Tx,
    *,
    account: Account,
    method: AuthMethod,
    outcome: Outcome,
    visitor: Visitor,
    now: datetime,
    device_id: DeviceId | None = None,
) -> None:
    """Write down how an attempt ended of somebody who was only known at its end."""
    subject, network = personal.account_index(tx, account.username), personal.network_of(tx, visitor.ip)
    await _write_down(tx, account, subject, network, device_id, visitor, outcome, None, now, method=method)


async def conclude(tx: Tx, *, attempt: Attempt, outcome: Outcome, device_id: DeviceId | None = None) -> None:
    """Say how an attempt ended."""
    await sql.attempts.update_event(tx, attempt.at, attempt.id, outcome, device_id=device_id)


async def take_back(tx: Tx, *, attempt: Attempt) -> None:
    """Forget an attempt that could not be judged for want of time of ours."""
    await sql.attempts.delete_event(tx, attempt.at, attempt.id)


async def log_ins(
    tx: Tx,
    *,
    user_id: UserId,
    wanted: LogInsWanted = ANY_LOG_IN,
    part: Part[Dated] = SOME,
) -> list[LogIn]:
    """A part of the attempts to sign in as this user that are wanted, the newest first."""
    events = await sql.attempts.list_events(tx, user_id, wanted, part)
    if tx.actor.impersonator:
        events = [replace(event, ip=None) for event in events]
    sealed = [
        (event.ip, personal.place_of_ip("login_events", event.id, user_id)) for event in events if event.ip is not None
    ]
    opened = iter(await crypto.open_many(tx, sealed) if sealed else [])
    return [
        LogIn(
            event.at,
            event.id,
            event.outcome,
            event.method,
            rules.sessions.label_of(event.user_agent),
            None if event.ip is None else next(opened),
            event.country,
            event.city,
            is_known_device=event.device_id is not None,
        )
        for event in events
    ]


async def addresses_of(
    tx: Tx,
    *,
    user_id: UserId,
    since: datetime | None = None,
    until: datetime | None = None,
    part: Part[Dated] = SOME,
) -> list[SeenAddress]:
    """A part of the addresses this user came from, the last used first: in `[since, until)` at last.

    Staff who look as him see that there are some.
    """
    rows = await sql.contacts.list_networks(tx, user_id, since=since, until=until, part=part)
    if tx.actor.impersonator:
        rows = [replace(row, ip=None) for row in rows]
    sealed = [(row.ip, personal.place_of_ip("ip_addresses", row.id, user_id)) for row in rows if row.ip is not None]
    opened = iter(await crypto.open_many(tx, sealed) if sealed else [])
    return [
        SeenAddress(
            row.id,
            None if row.ip is None else next(opened),
            row.country,
            row.city,
            row.first_kind,
            row.first_seen_at,
            row.last_seen_at,
            row.seen_count,
        )
        for row in rows
    ]


async def device_of(tx: Tx, *, account: Account | None, visitor: Visitor) -> DeviceId | None:
    """The device somebody comes on, if this account has signed in on it."""
    key_hash = personal.hash_of(visitor.device_key) if visitor.device_key else None
    return await sql.devices.find_device(tx, account.user_id if account else None, key_hash)


async def _wait_for_password(
    tx: Tx, subject: bytes, network: Network, device_id: DeviceId | None, now: datetime
) -> timedelta | None:
    throttles, percent = rules.throttles, settings.value(THROTTLE_PERCENT)
    own = throttles.KNOWN_DEVICE if device_id else throttles.STRANGER
    found = [(await sql.attempts.failures_of_account(tx, subject, device_id, now - own.window), own)]
    if device_id is None:  # who comes on a device of his own is not kept out by what strangers do elsewhere
        network_failures = await sql.attempts.failures_of_network(tx, network.net, now - throttles.NETWORK.window)
        counted_max = throttles.free_of(throttles.HOUSE, percent)
        house_failures = await sql.attempts.failures_of_house(tx, now - throttles.HOUSE.window, counted_max)
        found += [(network_failures, throttles.NETWORK), (house_failures, throttles.HOUSE)]
    return throttles.longest([throttles.wait_after(failures, limit, now, percent=percent) for failures, limit in found])


async def _write_down(
    tx: Tx,
    account: Account | None,
    subject: bytes,
    network: Network,
    device_id: DeviceId | None,
    visitor: Visitor,
    outcome: Outcome,
    wait: timedelta | None,
    now: datetime,
    *,
    method: AuthMethod = "password",
) -> Attempt:
    event_id, user_id = new_id(), account.user_id if account else None
    ip = await crypto.seal(tx, visitor.ip, personal.place_of_ip("login_events", event_id, user_id))
    agent = _printable(visitor.user_agent)
    written: Outcome = "throttled" if wait else outcome
    await sql.attempts.insert_event(
        tx, NewEvent(now, event_id, user_id, subject, written, method, device_id, ip, network, agent)
    )
    wait_s = math.ceil(wait.total_seconds()) if wait else None
    return Attempt(now, event_id, account, device_id, wait_s)


def _printable(user_agent: str) -> str:
    return "".join(filter(str.isprintable, user_agent))[: rules.sessions.AGENT_CHARACTERS_MAX]
