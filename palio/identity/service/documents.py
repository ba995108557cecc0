"""What people are asked to accept before they play, and who did."""

from collections.abc import Mapping
from datetime import datetime

from palio.identity import sql
from palio.identity.errors import NoSuchDocument
from palio.identity.messages import ConsentChanged
from palio.identity.types import Asked, Consent, Document
from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

CONSENTS_MAX = 200


async def publish_document(
    tx: Tx, *, key: str, texts: Mapping[str, str], acceptance_required: bool, now: datetime, reason: str = ""
) -> int:
    """Publish the next version of a document, a text for each language; answers its number. Audited.

    With `acceptance_required` nobody plays on before he has accepted it, or a later one; without, words are corrected
    and earlier consents stand.
    """
    await sql.play.lock_document(tx, key)
    version = await sql.play.find_newest_version(tx, key) + 1
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


async def give_consent(tx: Tx, *, user_id: UserId, key: str, version: int, now: datetime) -> bool:
    """Note that somebody accepts a version of a document; False if he has already. For the system.

    Refuses with NoSuchDocument.
    """
    if not await sql.play.has_document(tx, key, version):
        raise NoSuchDocument(key=key, version=version)
    is_new = await sql.play.insert_consent(tx, new_id(), user_id, key=key, version=version, now=now)
    if is_new:
        await outbox.send(tx, ConsentChanged(user_id, key))
    return is_new


async def withdraw_consent(tx: Tx, *, user_id: UserId, key: str, now: datetime) -> bool:
    """Note that somebody takes back what he accepted of a document; False if there was nothing. For the system."""
    is_changed = await sql.play.update_consents_withdrawn(tx, user_id, key, now=now) > 0
    if is_changed:
        await outbox.send(tx, ConsentChanged(user_id, key))
    return is_changed


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
