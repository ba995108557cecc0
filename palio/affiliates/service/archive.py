"""The raw archive: what a feed sent lies there as it came, before anybody judges it."""

import asyncio
import hashlib
import secrets
from datetime import datetime

from palio.affiliates import sql
from palio.affiliates.errors import BodyTooLarge
from palio.affiliates.types import MAX_BYTES, Attachment, Payload, SnapshotId, StoredPayload
from palio.infra import packing, settings
from palio.infra.db import Tx
from palio.infra.files import Picture
from palio.infra.storage import Storage, address_of

PICTURE_KEY_BYTES = 16


async def archive(
    storage: Storage, *, body: bytes, received_at: datetime, content_type: str = "application/json"
) -> Payload:
    """Store the bytes of a payload, outside any transaction; the same bytes are stored once.

    Refuses with BodyTooLarge.
    """
    size_max = settings.value(MAX_BYTES)
    if len(body) > size_max:
        raise BodyTooLarge(size=len(body), size_max=size_max)
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(body).digest())  # beside the loop: nobody waits for it
    key = address_of("payloads", sha256)
    if not await storage.has(key):
        await storage.put(key, await asyncio.to_thread(packing.pack, body))
    return Payload(sha256, len(body), content_type, key, received_at, body)


async def restore(storage: Storage, *, payload: StoredPayload) -> bytes:
    """The bytes of a payload, outside any transaction. Raises ValueError when they are not those that were stored."""
    body = packing.unpack(await storage.get(payload.storage_key), size_max=payload.size)
    if hashlib.sha256(body).digest() != payload.sha256:
        raise ValueError(f"{payload.storage_key} does not hold what its name says")
    return body


async def store_picture(storage: Storage, *, picture: Picture) -> str:
    """Store a picture under a key that nobody guesses, outside any transaction; answers the key."""
    key = f"proofs/{secrets.token_hex(PICTURE_KEY_BYTES)}"
    await storage.put(key, picture.content)
    return key


async def read_picture(storage: Storage, *, attachment: Attachment) -> bytes:
    """The bytes of a picture, outside any transaction."""
    return await storage.get(attachment.storage_key)


async def stored_payload(tx: Tx, *, snapshot_id: SnapshotId) -> StoredPayload:
    """Where the bytes of a snapshot lie. Refuses with NoSuchSnapshot."""
    return await sql.get_payload(tx, snapshot_id)
