"""What people ask of their own data: rows that nobody writes himself, written by the house."""

from datetime import datetime
from uuid import UUID

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.types import PrivacyRequest, Visitor
from palio.infra import crypto, files
from palio.kernel.ids import UserId


async def ask_for_export(house: House, *, user_id: UserId, now: datetime) -> PrivacyRequest:
    """Begin a copy of one's data, as `service.privacy.ask_for_export` does."""
    async with house.database.begin_system("a copy of one's data") as tx:
        return await service.privacy.ask_for_export(tx, user_id=user_id, now=now)


async def fetch_export(house: House, *, user_id: UserId, request_id: UUID, now: datetime) -> bytes:
    """A copy of one's own data that is ready. Refuses with NoSuchPrivacyRequest. Raises OSError."""
    async with house.database.begin_system("a copy of one's data") as tx:
        found, secret = await service.privacy.export_of(tx, user_id=user_id, request_id=request_id, now=now)
    key = found.file_key or ""
    return crypto.decrypted(await files.storage_of(house.database).get(key), secret, key)


async def ask_for_erasure(house: House, *, user_id: UserId, now: datetime) -> PrivacyRequest:
    """Ask to be erased, as `service.privacy.ask_for_erasure` does."""
    async with house.database.begin_system("somebody wants to be erased") as tx:
        return await service.privacy.ask_for_erasure(tx, user_id=user_id, now=now)


async def confirm_erasure(house: House, *, secret: str, now: datetime) -> PrivacyRequest:
    """Confirm it by the mailed link, as `service.privacy.confirm_erasure` does."""
    async with house.database.begin_system("somebody means to be erased") as tx:
        return await service.privacy.confirm_erasure(tx, secret=secret, now=now)


async def cancel_erasure(house: House, *, user_id: UserId, now: datetime) -> PrivacyRequest:
    """Change one's mind, as `service.privacy.cancel_erasure` does."""
    async with house.database.begin_system("somebody stays") as tx:
        return await service.privacy.cancel_erasure(tx, user_id=user_id, now=now)


async def give_consent(
    house: House, *, user_id: UserId, key: str, version: int, visitor: Visitor, now: datetime
) -> bool:
    """Accept a version of a document, as `service.documents.give_consent` does."""
    async with house.database.begin_system("a consent") as tx:
        return await service.documents.give_consent(
            tx, user_id=user_id, key=key, version=version, ip=visitor.ip, now=now
        )


async def withdraw_consent(house: House, *, user_id: UserId, key: str, now: datetime) -> bool:
    """Take a consent back, as `service.documents.withdraw_consent` does."""
    async with house.database.begin_system("a consent is taken back") as tx:
        return await service.documents.withdraw_consent(tx, user_id=user_id, key=key, now=now)
