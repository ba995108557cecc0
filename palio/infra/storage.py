"""Objects, bytes under a key: stored outside any transaction, before the row that names them."""

from pathlib import Path


class Storage:
    """A folder of objects."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, content: bytes) -> None:
        """Store the bytes under the key; the same key again changes nothing."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    async def get(self, key: str) -> bytes:
        """The bytes under the key; raises FileNotFoundError."""
        return (self._folder / key).read_bytes()
