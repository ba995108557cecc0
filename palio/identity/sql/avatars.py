"""Statements of pictures of players: which one is shown, and the files there are."""

from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def insert_file(tx: Tx, key: str, user_id: UserId, *, now: datetime) -> None:
    """Note that a file is about to be stored for a user."""
    await db.run(
        tx, "insert into identity.avatar_files (key, user_id, created_at) values (%s, %s, %s)", *(key, user_id, now)
    )


async def update_avatar(tx: Tx, user_id: UserId, key: str | None, *, now: datetime) -> None:
    """Show this picture of a user, or none; the one that was shown has served."""
    await db.run(
        tx,
        """with before as (
          update identity.avatar_files f set dropped_at = greatest(%s, f.created_at)
          from identity.users u where u.id = %s and f.key = u.avatar_key and f.key is distinct from %s::text)
        update identity.users set avatar_key = %s where id = %s""",
        *(now, user_id, key, key, user_id),
    )


async def find_avatar(tx: Tx, user_id: UserId) -> str | None:
    """The key of the picture that is shown of a user."""
    found: str | None = await db.value(tx, "select avatar_key from identity.users where id = %s", user_id)
    return found


async def is_shown(tx: Tx, key: str) -> bool:
    """Is this the picture of somebody?"""
    return bool(
        await db.value(
            tx, "select exists (select from identity.users where avatar_key = %s and status <> 'erased')", key
        )
    )


async def list_keys(tx: Tx, user_id: UserId) -> list[str]:
    """The files there are of a user; at most 1,000."""
    found: list[str] = await db.column(
        tx, "select key from identity.avatar_files where user_id = %s order by key limit 1000", user_id
    )
    return found


async def list_unneeded(tx: Tx, *, unnamed_before: datetime, limit: int) -> list[str]:
    """Files that have served, and those that nobody was shown with and that lie since before an instant."""
    found: list[str] = await db.column(
        tx,
        """select f.key from identity.avatar_files f left join identity.users u on u.avatar_key = f.key
        where u.id is null and (f.dropped_at is not null or f.created_at < %s) order by f.key limit %s""",
        *(unnamed_before, limit),
    )
    return found


async def delete_files(tx: Tx, keys: list[str]) -> None:
    """Forget files that are stored no more."""
    await db.run(tx, "delete from identity.avatar_files where key = any (%s::text[])", keys)
