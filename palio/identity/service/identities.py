"""What opens an account from outside, of all kinds together: to be listed, and to be taken away but for the last."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import NoSuchIdentity
from palio.identity.messages import Change
from palio.identity.service import credentials
from palio.identity.types import AuthMethod, Identity
from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def identities_of(tx: Tx, *, user_id: UserId) -> list[Identity]:
    """What opens this account from outside: accounts at providers, the Telegram account, the telephone.

    Staff who look as him do not see whose they are.
    """
    found = [
        Identity(one.id, one.provider, "", one.linked_at, one.last_used_at)
        for one in await sql.external.list_of(tx, user_id)
    ]
    if (telegram := await sql.telegram.find_of(tx, user_id)) and telegram.verified_at:
        name = f"@{telegram.telegram_username}" if telegram.telegram_username else str(telegram.telegram_id)
        name = audit.SEALED if tx.actor.impersonator else name
        found.append(Identity(telegram.id, "telegram", name, telegram.verified_at, None))
    if (phone := await sql.phones.find_of(tx, user_id)) and phone.verified_at:
        (number,) = await personal.shown(tx, [(phone.number, personal.place_of_phone(phone.id, user_id))])
        name = number if tx.actor.impersonator else rules.phones.masked(number)
        found.append(Identity(phone.id, "phone", name, phone.verified_at, None))
    return found


async def ways_of(tx: Tx, *, user_id: UserId) -> list[AuthMethod]:
    """By which ways a user can prove who he is, open or not."""
    return await sql.methods.list_ways(tx, user_id)


async def unlink(
    tx: Tx, *, user_id: UserId, identity_id: UUID, opened: Collection[AuthMethod], now: datetime
) -> Identity:
    """Take away something that opens an account, if another way in is left that is `opened`. Audited.

    Of two at once, one may be the last and is refused. Refuses with NoSuchIdentity, LastLoginMethod.
    """
    await sql.credentials.lock_user(tx, user_id)
    found = next((one for one in await identities_of(tx, user_id=user_id) if one.id == identity_id), None)
    if found is None:
        raise NoSuchIdentity
    rules.methods.require_another(await sql.methods.list_ways(tx, user_id, but=identity_id), opened)
    if found.provider == "telegram":
        await credentials.unlink_telegram(tx, user_id=user_id, now=now)
    elif found.provider == "phone":
        await sql.phones.delete_phone(tx, user_id, identity_id)
    else:
        await sql.external.delete_identity(tx, user_id, identity_id)
    await tell(tx, user_id=user_id, provider=found.provider, is_linked=False)
    return found


async def tell(tx: Tx, *, user_id: UserId, provider: str, is_linked: bool) -> None:
    """Write down, and say, that a way in was added or taken away."""
    what: Change = "identity_linked" if is_linked else "identity_unlinked"
    await credentials.tell_of_change(tx, user_id=user_id, what=what, provider=provider)
