"""Which ways in a page offers: those that are open here, as somebody presses them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from palio.identity import rules
from palio.identity.doors import House

TELEGRAM = "https://oauth.telegram.org/auth"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to press: to whom, and where that is."""

    key: str
    title: str
    address: str


@dataclass(frozen=True, slots=True)
class Ways:
    """What a page offers. `others` leave for somebody who vouches; a number and a mailbox are asked for here."""

    others: tuple[Way, ...] = ()
    has_password: bool = True
    has_phone: bool = False
    has_link: bool = False


def ways_of(request: Request, wanted: str = "/", is_console: bool = False) -> Ways:
    """The ways in of players; staff come into their console by the password and a second factor alone."""
    house: House | None = getattr(request.app.state, "house", None)
    if house is None or is_console:
        return Ways()
    opened = house.opened()
    return Ways(
        (*providers_of(house, wanted), *telegram_of(house, "/sign-in/telegram")),
        "password" in opened,
        "phone_otp" in opened,
        "email_link" in opened,
    )


def providers_of(house: House, wanted: str, *, to_link: bool = False) -> tuple[Way, ...]:
    """Those who vouch for people here."""
    opened, more = house.opened(), {"link": "true"} if to_link else {}
    query = urlencode({"next": wanted, **more})
    return tuple(
        Way(key, provider.title, f"/api/v1/auth/{key}/start?{query}")
        for key, provider in house.providers.items()
        if rules.methods.method_of(key) in opened
    )


def telegram_of(house: House, back: str) -> tuple[Way, ...]:
    """Telegram's own page, which asks whoever comes whether he wants to be known to us, and leads him back."""
    if house.bot is None or "telegram" not in house.opened():
        return ()
    site, number = house.database.equipment.site, house.bot.token.partition(":")[0]
    asked = {"bot_id": number, "origin": site, "return_to": f"{site}{back}", "request_access": "write"}
    return (Way("telegram", "Telegram", f"{TELEGRAM}?{urlencode(asked)}"),)
