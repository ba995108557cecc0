"""What modules above ask of many people at once: where they are written to, what they accepted, who they are about."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta

from palio.identity import personal, rules, sql
from palio.identity.service import play
from palio.identity.service.accounts import USERS_OF_A_CALL_MAX
from palio.identity.types import Consent, FactName, Facts, Reach, Signal
from palio.infra import crypto
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import UserId
from palio.kernel.providers import Act, Activity

LOG_IN = Act("log_in", is_passive=True)
ACTS = (LOG_IN,)


def _require_few(given: int) -> None:
    if given > USERS_OF_A_CALL_MAX:
        raise TooLarge(limit=USERS_OF_A_CALL_MAX, given=given)


async def contacts_many(tx: Tx, *, ids: Collection[UserId]) -> dict[UserId, Reach]:
    """Where at most 10,000 users can be written to, in clear, for whoever sends; who has nothing proven is absent.

    Addresses that bounce and Telegram accounts that have blocked the bot are left out. For the system. Refuses with
    TooLarge.
    """
    _require_few(len(ids))
    rows = await sql.facts.list_contacts(tx, list(ids)) if ids else []
    place = {"email": personal.place_of_email, "phone": personal.place_of_phone}
    sealed = [(row.sealed, place[row.kind](row.row_id, row.user_id)) for row in rows if row.sealed is not None]
    opened = iter(await crypto.open_many(tx, sealed) if sealed else [])
    emails: dict[UserId, list[str]] = {}
    phones: dict[UserId, str] = {}
    telegrams: dict[UserId, int] = {}
    for row in rows:
        if row.telegram_id is not None:
            telegrams[row.user_id] = row.telegram_id
        elif row.kind == "phone":
            phones[row.user_id] = next(opened)
        else:
            emails.setdefault(row.user_id, []).append(next(opened))
    return {
        user_id: Reach(tuple(emails.get(user_id, ())), phones.get(user_id), telegrams.get(user_id))
        for user_id in dict.fromkeys(row.user_id for row in rows)
    }


async def mark_bounced(tx: Tx, *, address_bidx: bytes, now: datetime) -> bool:
    """Note that nothing arrives at a proven address, named by its index. For the system.

    Nobody is written to there until a link that was mailed to it is opened. Answers False where it is nobody's, or
    noted already.
    """
    return await sql.facts.update_bounced(tx, address_bidx, now=now) > 0


async def consents_many(
    tx: Tx, *, ids: Collection[UserId], document_keys: Collection[str]
) -> dict[tuple[UserId, str], Consent | None]:
    """What each of at most 10,000 users accepts now of each of these documents, in its newest version; None: nothing,
    or taken back. Refuses with TooLarge.
    """
    _require_few(len(ids))
    rows = await sql.facts.list_consents(tx, list(ids), list(document_keys)) if ids and document_keys else []
    found = {
        (row.user_id, row.document_key): Consent(row.document_key, row.version, row.given_at, None, row.source)
        for row in rows
    }
    return {(user_id, key): found.get((user_id, key)) for user_id in ids for key in document_keys}


async def user_ids(tx: Tx, *, after: UserId | None = None, limit: int = USERS_OF_A_CALL_MAX) -> list[UserId]:
    """Everybody behind a user, by id, but for pending and erased ones; at most 10,000. Refuses with TooLarge."""
    _require_few(limit)
    return await sql.facts.list_ids(tx, after, limit)


async def facts_many(
    tx: Tx, *, ids: Collection[UserId], names: Collection[FactName], now: datetime
) -> dict[UserId, Facts]:
    """These facts of at most 10,000 users, for whoever counts people; unknown users are absent. When somebody was born
    is opened only for `age_band`. Refuses with TooLarge.
    """
    _require_few(len(ids))
    rows = await sql.facts.list_profiles(tx, list(ids)) if ids else []
    born = await play.born_many(tx, rows) if "age_band" in names else {}
    today = now.astimezone(UTC).date()
    told: dict[UserId, Facts] = {}
    for row in rows:
        known: Facts = {
            "country": row.country,
            "locale": row.locale,
            "time_zone": row.time_zone,
            "registered_at": row.registered_at,
            "last_active_at": row.last_active_at,
            "age_band": rules.facts.age_band(born.get(row.user_id), today),
        }
        told[row.user_id] = {name: known[name] for name in names}
    return told


async def daily_activity(
    tx: Tx, *, day: date, after: UserId | None = None, limit: int = USERS_OF_A_CALL_MAX
) -> list[Activity]:
    """How often players behind one of them signed in on a day of UTC, by user; at most 10,000.

    Refuses with TooLarge.
    """
    _require_few(limit)
    begins = datetime.combine(day, time(), UTC)
    return await sql.facts.list_log_ins(
        tx, LOG_IN.name, since=begins, until=begins + timedelta(days=1), after=after, limit=limit
    )


async def signals_many(tx: Tx, *, ids: Collection[UserId]) -> list[Signal]:
    """What accounts of one person may have in common, of at most 10,000 users, keyed: networks, devices, mailboxes
    however they are written. For the system. Refuses with TooLarge.
    """
    _require_few(len(ids))
    return await sql.facts.list_signals(tx, list(ids)) if ids else []


async def find_by_legacy(tx: Tx, *, source: str, legacy_id: str) -> UserId | None:
    """Whom a system that was there before called so, or None."""
    return await sql.facts.find_legacy(tx, source, legacy_id)


async def note_legacy(tx: Tx, *, source: str, ids: Sequence[tuple[str, UserId]], now: datetime) -> int:
    """Note what a system that was there before called at most 10,000 users; what is noted already stays.

    Answers how many are new. For the system. Refuses with TooLarge.
    """
    _require_few(len(ids))
    return await sql.facts.insert_legacy(tx, source, ids, now=now)
