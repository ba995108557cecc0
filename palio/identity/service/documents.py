"""What people are asked to accept before they play, and who did."""

from collections.abc import Mapping
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import NoSuchDocument
from palio.identity.messages import ConsentChanged
from palio.identity.types import Asked, Consent, ConsentSource, Document, Needed, Version
from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

CONSENTS_MAX = 200
VERSIONS_MAX = 500


async def publish_document(
    tx: Tx, *, key: str, texts: Mapping[str, str], acceptance_required: bool, now: datetime, reason: str = ""
) -> int:
    """Publish the next version of a document, a text for each language; answers its number. Audited.

    With `acceptance_required` nobody plays on before he has accepted it, or a later one; without, words are corrected
    and earlier consents stand. The newest version once more publishes nothing, and answers its number.
    Refuses with TextLanguageInvalid.
    """
    rules.documents.require_languages(texts)
    await sql.play.lock_document(tx, key)
    newest = await sql.play.find_newest_version(tx, key)
    known = await sql.play.list_texts(tx, key, newest)
    if known and rules.documents.is_the_same(known, texts, acceptance_required=acceptance_required):
        return newest
    version = newest + 1
    await sql.play.insert_document(
        tx, key=key, version=version, texts=texts, acceptance_required=acceptance_required, now=now
    )
    await audit.record(
        tx,
        actor=tx.actor,
        action="document.publish",
        entity_type="document",
        entity_id=key,
        changes={"version": (version - 1 or None, version), "acceptance_required": (None, acceptance_required)},
        reason=reason,
    )
    return version


async def give_consent(
    tx: Tx, *, user_id: UserId, key: str, version: int, ip: str | None = None, now: datetime
) -> bool:
    """Note that somebody accepts a version of a document, and from which address; False if he has already.

    For the system. Refuses with NoSuchDocument.
    """
    if not await sql.play.has_document(tx, key, version):
        raise NoSuchDocument(key=key, version=version)
    return await _give(tx, user_id, {key: version}, "account", ip, now)


async def give_all(tx: Tx, *, user_id: UserId, given: Mapping[str, int], locale: str, ip: str, now: datetime) -> None:
    """Note what somebody who registers accepts of what he is asked to; whatever else he names is left out.

    For the system.
    """
    asked = {one.key: one for one in await needed(tx, locale=locale, now=now)}
    accepted = {key: version for key, version in given.items() if key in asked and 0 < version <= asked[key].version}
    if accepted:
        await _give(tx, user_id, accepted, "registration", ip, now)


async def _give(
    tx: Tx, user_id: UserId, given: Mapping[str, int], source: ConsentSource, ip: str | None, now: datetime
) -> bool:
    row_ids, ip_bidx = [new_id() for _ in given], personal.network_of(tx, ip).ip if ip else None
    if not await sql.play.insert_consents(tx, row_ids, user_id, given, source=source, ip_bidx=ip_bidx, now=now):
        return False
    await outbox.send(tx, *(ConsentChanged(user_id, key) for key in sorted(given)))
    return True


async def withdraw_consent(tx: Tx, *, user_id: UserId, key: str, now: datetime) -> bool:
    """Note that somebody takes back what he accepted of a document; False if there was nothing. For the system."""
    is_changed = await sql.play.update_consents_withdrawn(tx, user_id, key, now=now) > 0
    if is_changed:
        await outbox.send(tx, ConsentChanged(user_id, key))
    return is_changed


async def versions(tx: Tx) -> list[Version]:
    """The versions of all documents for staff, by name, the newest first; at most 500."""
    return await sql.play.list_versions(tx, VERSIONS_MAX)


async def texts_of(tx: Tx, *, key: str) -> list[Document]:
    """The newest version of a document in every language; none where there is no such document."""
    return await sql.play.list_texts(tx, key, await sql.play.find_newest_version(tx, key))


async def needed(tx: Tx, *, locale: str, now: datetime) -> list[Needed]:
    """What whoever registers must accept, with a title in a language or one that there is."""
    return await sql.play.list_needed(tx, locale, now=now)


async def document(tx: Tx, *, key: str, locale: str, version: int | None = None, now: datetime) -> Document:
    """A version of a document, the newest if none is named, in a language or one that there is.

    Refuses with NoSuchDocument.
    """
    found = await sql.play.find_document(tx, key, version, locale, now=now)
    if found is None:
        raise NoSuchDocument(key=key, version=version)
    return found


async def asked_of(tx: Tx, *, user_id: UserId, now: datetime) -> list[Asked]:
    """What somebody is asked to accept, by its name, and which version of it he has."""
    return await sql.play.list_asked(tx, user_id, now=now)


async def consents_of(tx: Tx, *, user_id: UserId) -> list[Consent]:
    """What somebody accepted and took back, the newest first; at most 200."""
    return await sql.play.list_consents(tx, user_id, CONSENTS_MAX)
