"""Objects, bytes under a key: stored outside any transaction, before the row that names them.

A folder of ours, or an address of an object store (`s3://bucket/prefix`, `gs://`, `az://`), whose credentials come from
the environment. What is stored under a key appears there whole or not at all.
"""

import asyncio
import re
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
KEY_CHARACTERS_MAX = 500
OPERATION_SECONDS_MAX = 60


def address_of(prefix: str, sha256: bytes) -> str:
    """The key of content named by its hash: `prefix/ab/cdef…`, so that the same bytes are stored once."""
    digest = sha256.hex()
    return f"{prefix}/{digest[:2]}/{digest[2:]}"


class Storage:
    """The objects of a deployment."""

    def __init__(self, place: Path | str) -> None:
        """`place` is a folder, which is made, or the address of an object store. Raises OSError if it is none."""
        try:
            self._store: ObjectStore = LocalStore(place, mkdir=True) if isinstance(place, Path) else from_url(place)
        except (BaseError, ValueError) as failure:
            raise OSError(f"there is no such object store: {type(failure).__name__}") from failure

    async def put(self, key: str, content: bytes) -> None:
        """Store the bytes under the key; the same key again replaces them. Raises OSError."""
        async with asyncio.timeout(OPERATION_SECONDS_MAX):
            try:
                await obstore.put_async(self._store, _checked(key), content)
            except BaseError as failure:
                raise OSError(f"the object store has not taken {key}: {type(failure).__name__}") from failure

    async def keep(self, key: str, content: bytes) -> bool:
        """Store the bytes unless there is something under the key, which then stays, and answers False. Of several at
        once one stores. Raises OSError.
        """
        async with asyncio.timeout(OPERATION_SECONDS_MAX):
            try:
                await obstore.put_async(self._store, _checked(key), content, mode="create")
            except AlreadyExistsError:
                return False
            except BaseError as failure:
                raise OSError(f"the object store has not taken {key}: {type(failure).__name__}") from failure
        return True

    async def get(self, key: str) -> bytes:
        """The bytes under the key; raises FileNotFoundError."""
        async with asyncio.timeout(OPERATION_SECONDS_MAX):
            answer = await obstore.get_async(self._store, _checked(key))
            return bytes(await answer.bytes_async())

    async def has(self, key: str) -> bool:
        """Is there an object under the key?"""
        async with asyncio.timeout(OPERATION_SECONDS_MAX):
            try:
                await obstore.head_async(self._store, _checked(key))
            except FileNotFoundError:
                return False
        return True

    async def delete(self, key: str) -> None:
        """Remove what is under the key; nothing there is no error."""
        async with asyncio.timeout(OPERATION_SECONDS_MAX):
            try:
                await obstore.delete_async(self._store, _checked(key))
            except FileNotFoundError:
                return


def _checked(key: str) -> str:
    """Keys are made by us; one that could leave the folder, or that stores spell differently, is a bug."""
    if len(key) > KEY_CHARACTERS_MAX or not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an object")
    return key
