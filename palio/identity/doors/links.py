"""A link that is mailed to whoever forgot the password, or has none: it opens the account once."""

from datetime import datetime

from palio.identity import service
from palio.identity.doors import arrival
from palio.identity.doors.house import House
from palio.identity.errors import TokenInvalid
from palio.identity.types import SecondFactorDue, SessionKind, SignedIn, Visitor


async def ask_for_login_link(house: House, *, email: str) -> None:
    """Have a link sent that opens the account of this address, if it is anybody's.

    Refuses with MethodClosed, EmailInvalid.
    """
    house.require_open("email_link")
    async with house.database.begin_system("a letter is asked for") as tx:
        await service.credentials.ask_for_letter(tx, letter="login_link", email=email)


async def enter_by_link(
    house: House, *, secret: str, kind: SessionKind, visitor: Visitor, now: datetime
) -> SignedIn | SecondFactorDue:
    """Begin a session by a mailed link; of two at once one is refused.

    Refuses with MethodClosed, TokenInvalid, TooManyAttempts, ContactUnverified.
    """
    attempt = await arrival.knock(house, method="email_link", visitor=visitor, now=now)
    async with house.database.begin_system("a mailed link") as tx:
        token = await service.credentials.open_link(tx, secret=secret, purpose="login_link", now=now)
        if not await service.credentials.use_link(tx, token=token, now=now):
            raise TokenInvalid
        entered = await arrival.enter(
            tx, attempt, token.user_id, method="email_link", kind=kind, visitor=visitor, now=now
        )
    return arrival.required(entered)
