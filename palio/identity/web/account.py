"""The pages of one's own account: profile, tokens for programs."""

import re
from functools import cache
from operator import itemgetter
from typing import Annotated
from zoneinfo import available_timezones

from babel import Locale
from fastapi import Form, Query, Request
from starlette.responses import Response

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.rules.names import COUNTRY
from palio.identity.types import BLOCKED_COUNTRIES, MIN_AGE, Me, TokenId
from palio.identity.web.reception import InHouse, me_of
from palio.identity.web.showing import go, is_proven, show
from palio.infra import settings
from palio.infra.db import Tx
from palio.ui import limits
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.pages import languages_of
from palio.ui.routes import Call, Filled, Routes

routes = Routes("identity")
FOR_EVERYBODY = frozenset({"public", "player", "owner"})
PLACE = re.compile(r"(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/")
Saved = Annotated[bool, Query()]


@routes.page("/account", access="owner")
async def profile(request: Request, ask: Ask, tx: InTx, saved: Saved = False) -> Response:
    """Who one is here."""
    return await profile_again(request, ask, tx, is_saved=saved)


async def profile_again(
    request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, is_saved: bool = False
) -> Response:
    """The page of the profile, also with a form of it that was refused."""
    me = await service.accounts.me(tx, user_id=me_of(ask), now=ask.now)
    tags = {*languages_of(request), me.user.locale}
    named = [(tag, Locale.parse(tag, sep="-").get_display_name(tag)) for tag in sorted(tags)]
    values = {
        "present": "profile",
        "me": me,
        "languages": named,
        "is_saved": is_saved,
        "is_proven": is_proven(ask),
        "zones": [(zone, zone.replace("_", " ")) for zone in _zones()],
        "min_age": settings.value(MIN_AGE) if me.born is None else 0,
        "countries": _countries(me) if _may_say_country(me) else [],
    }
    return show(request, "profile", values, filled)


@cache
def _zones() -> list[str]:
    """The zones that are named after places, and UTC."""
    return ["UTC", *sorted(zone for zone in available_timezones() if PLACE.match(zone))]


def _may_say_country(me: Me) -> bool:
    """Does the house ask where its players live, and has this one not said it yet?"""
    return bool(settings.value(BLOCKED_COUNTRIES)) and me.user.country_source in {None, "geo"}


def _countries(me: Me) -> list[tuple[str, str]]:
    """Every country by its name in the language of whoever reads it."""
    names = Locale.parse(me.user.locale, sep="-").territories
    return sorted(((code, name) for code, name in names.items() if COUNTRY.fullmatch(code)), key=itemgetter(1))


@routes.form("/account/about", access="owner", again=profile_again, idempotency="none")
async def say_about(form: Annotated[say.AboutForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Say when one was born and where one lives, where the house asks for it."""
    await doors.update_profile(
        house,
        user_id=me_of(ask),
        display_name=None,
        board_name=None,
        locale=None,
        version=form.version,
        born=form.birth_date,
        country=form.country,
        now=ask.now,
    )
    return go("/account?saved=true")


@routes.form("/account", access="owner", again=profile_again, idempotency="none")
async def save_profile(form: Annotated[say.ProfileForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Change the shown name and the language."""
    await doors.update_profile(
        house,
        user_id=me_of(ask),
        display_name=form.display_name,
        board_name=None,
        locale=form.locale,
        version=form.version,
        now=ask.now,
    )
    return go("/account?saved=true")


# tokens for programs


@routes.page("/account/tokens", access="owner")
async def tokens(request: Request, ask: Ask, tx: InTx) -> Response:
    """One's tokens, never their secrets, and the form of a new one."""
    return await _tokens(request, ask, tx)


async def _tokens(
    request: Request, ask: Asking, tx: Tx, filled: Filled | None = None, *, secret: str | None = None
) -> Response:
    found = await service.tokens.tokens_of(tx, user_id=me_of(ask), now=ask.now)
    values = {
        "present": "tokens",
        "tokens": found,
        "scopes": _scopes(request, ask),
        "is_proven": is_proven(ask),
        "factors": await service.factors.factors_of(tx, user_id=me_of(ask)),
        "secret": secret,
        "left": (await limits.left_of(request, tx, [ask]))[0],
        "origin": str(request.base_url).rstrip("/"),
        "now": ask.now,
    }
    return show(request, "tokens", values, filled)


def _scopes(request: Request, ask: Asking) -> list[str]:
    """The scopes that some call asks for which whoever asks may use; others would be good for nothing."""
    calls: list[Call] = request.app.state.calls
    asked = {call.rules.terms.scope for call in calls if call.access in FOR_EVERYBODY | ask.permissions}
    return sorted(asked & rules.tokens.SCOPES)


@routes.form("/account/tokens", access="owner", again=_tokens, step_up=True, idempotency="none")
async def make_token(request: Request, form: Annotated[say.TokenForm, Form()], ask: Ask, tx: InTx) -> Response:
    """Make a token; the page that answers is the only one to show its secret."""
    made = await service.tokens.create_token(
        tx, user_id=me_of(ask), name=form.name, scopes=form.scopes, days=form.days, now=ask.now
    )
    return await _tokens(request, ask, tx, secret=made.secret)


@routes.form("/account/tokens/revoke", access="owner", again=_tokens)
async def revoke_token(form: Annotated[say.RevokeForm, Form()], ask: Ask, tx: InTx) -> Response:
    """End one of one's tokens."""
    await service.tokens.revoke_token(tx, user_id=me_of(ask), token_id=TokenId(form.token_id), now=ask.now)
    return go("/account/tokens")
