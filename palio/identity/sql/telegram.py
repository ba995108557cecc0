"""Statements of Telegram accounts, and of what became of their links."""

from datetime import datetime
from uuid import UUID

from palio.identity.types import LinkAction, TelegramRow, TelegramUser
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

ROW = "select id, telegram_id, telegram_username, user_id, verified_at from identity.telegram_accounts"


async def upsert_account(tx: Tx, row_id: UUID, user: TelegramUser, *, now: datetime) -> TelegramRow:
    """The account as Telegram has it now; its row is ours until the transaction ends."""
    found = await db.find(
        tx,
        TelegramRow,
        """insert into identity.telegram_accounts as a
          (id, telegram_id, telegram_username, language_code, last_active_at, created_at, updated_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (telegram_id) do update set telegram_username = excluded.telegram_username,
          language_code = coalesce(excluded.language_code, a.language_code), last_active_at = excluded.last_active_at,
          updated_at = case when (a.telegram_username, a.language_code)
              is distinct from (excluded.telegram_username, coalesce(excluded.language_code, a.language_code))
            then excluded.updated_at else a.updated_at end
        returning id, telegram_id, telegram_username, user_id, verified_at""",
        *(row_id, user.telegram_id, user.username, user.language, now, now, now),
    )
    assert found  # noqa: S101 - an upsert returns its row
    return found


async def update_blocked(tx: Tx, telegram_id: int, *, now: datetime) -> list[UserId | None]:
    """Note that an account has blocked the bot; answers whose it is, in a list that is empty if that is known."""
    return await db.column(
        tx,
        """update identity.telegram_accounts set bot_blocked_at = %s
        where telegram_id = %s and bot_blocked_at is null returning user_id""",
        *(now, telegram_id),
    )


async def update_unblocked(tx: Tx, telegram_id: int) -> bool:
    """Note that an account lets the bot write to it again; False if it always did."""
    return bool(
        await db.run(
            tx,
            """update identity.telegram_accounts set bot_blocked_at = null
            where telegram_id = %s and bot_blocked_at is not null""",
            telegram_id,
        )
    )


async def find_of(tx: Tx, user_id: UserId) -> TelegramRow | None:
    """The Telegram account of a user."""
    return await db.find(tx, TelegramRow, ROW + " where user_id = %s", user_id)


async def lock_account(tx: Tx, telegram_id: int) -> TelegramRow | None:
    """The account of this number, ours until the transaction ends."""
    return await db.find(tx, TelegramRow, ROW + " where telegram_id = %s for update", telegram_id)


async def update_linked(tx: Tx, telegram_id: int, user_id: UserId, *, now: datetime) -> bool:
    """Link an account to a user; False if it is somebody's."""
    return bool(
        await db.run(
            tx,
            """update identity.telegram_accounts set user_id = %s, verified_at = %s, updated_at = %s
            where telegram_id = %s and user_id is null""",
            *(user_id, now, now, telegram_id),
        )
    )


async def update_moved(tx: Tx, telegram_id: int, user_id: UserId, *, now: datetime) -> None:
    """Link an account that is somebody's to somebody else, who has none."""
    await db.run(
        tx,
        """update identity.telegram_accounts set user_id = %s, verified_at = %s, updated_at = %s
        where telegram_id = %s""",
        *(user_id, now, now, telegram_id),
    )


async def update_unlinked(tx: Tx, user_id: UserId, row_id: UUID, *, now: datetime) -> bool:
    """Unlink the account of a user; its row stays. False if he has it no more."""
    return bool(
        await db.run(
            tx,
            """update identity.telegram_accounts set user_id = null, verified_at = null, updated_at = %s
            where id = %s and user_id = %s""",
            *(now, row_id, user_id),
        )
    )


async def insert_event(
    tx: Tx,
    event_id: UUID,
    *,
    telegram_id: int,
    user_id: UserId | None,
    action: LinkAction,
    actor_id: UUID | None,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Write down what became of a link."""
    await db.run(
        tx,
        """insert into identity.telegram_link_events (id, telegram_id, user_id, action, actor_id, at, reason)
        values (%s, %s, %s, %s, %s, %s, %s)""",
        *(event_id, telegram_id, user_id, action, actor_id, now, reason),
    )
