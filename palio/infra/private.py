"""Files that only we may read: passwords, keys. Written whole or not at all."""

import os
from pathlib import Path
from pwd import struct_passwd


def write(path: Path, text: str, *, owner: struct_passwd | None = None) -> None:
    """Replace the file in one step, mode 0600. Its folder may belong to another account: no link there is followed."""
    write_bytes(path, text.encode(), owner=owner)


def write_bytes(path: Path, content: bytes, *, owner: struct_passwd | None = None) -> None:
    """The same for bytes."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        if owner and owner.pw_uid != os.geteuid():
            os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
