"""Statements of identity. Other people's rows are read through `identity.cards` alone."""

from collections.abc import Sequence

from palio.identity.types import BoardName, Card, NewUser, User
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

USER = (
    "select id, username, display_name, kind::text, status::text, registered_with::text, locale, time_zone, country,"
    " board_name::text, created_at, activated_at, version from identity.users"
)


async def find_by_id(tx: Tx, user_id: UserId) -> User | None:
    """The user of this id, or None."""
    return await db.find(tx, User, USER + " where id = %s", user_id)


async def find_by_key(tx: Tx, username_key: str) -> User | None:
    """The user of this name in lower case, or None."""
    return await db.find(tx, User, USER + " where username_key = %s", username_key)


async def has_users(tx: Tx) -> bool:
    """Whether there is any user."""
    return bool(await db.value(tx, "select exists (select from identity.users)"))


async def insert_user(tx: Tx, user: NewUser) -> bool:
    """Store the user; False if the name is taken, also by somebody who commits while we wait for him."""
    return bool(
        await db.run(
            tx,
            """
            insert into identity.users (id, username, display_name, kind, status, registered_with, locale, time_zone,
                                        board_name, created_at, activated_at)
            values (%s, %s, %s, %s::identity.user_kind, %s::identity.user_status, %s::identity.auth_method, %s, %s,
                    %s::identity.board_name, %s, %s)
            on conflict (username_key) do nothing""",
            user.id,
            user.username,
            user.display_name,
            user.kind,
            user.status,
            user.registered_with,
            user.locale,
            user.time_zone,
            user.board_name,
            user.created_at,
            user.activated_at,
        )
    )


async def list_cards(tx: Tx, user_ids: Sequence[UserId]) -> list[Card]:
    """What everybody may know of these users; unknown and pending ones are left out."""
    return await db.rows(
        tx,
        Card,
        """
        select id, username, display_name, board_name::text, status::text, created_at
        from identity.cards(%s::uuid[])""",
        list(user_ids),
    )


async def update_profile(tx: Tx, user_id: UserId, *, display_name: str, board_name: BoardName, locale: str) -> None:
    """Write down what a user says of himself."""
    await db.run(
        tx,
        """update identity.users set display_name = %s, board_name = %s::identity.board_name, locale = %s
        where id = %s""",
        *(display_name, board_name, locale, user_id),
    )
