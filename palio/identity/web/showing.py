"""What the pages of identity have in common: they are kept nowhere, and say at each field what is wrong with it."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from palio.ui import pages
from palio.ui.access import STEP_UP_MINUTES_MAX
from palio.ui.actor import Asking
from palio.ui.problems import Problem
from palio.ui.routes import Filled

FIELD_OF = {  # a code of identity -> the field it speaks of
    "identity.username_invalid": "username",
    "identity.username_reserved": "username",
    "identity.username_taken": "username",
    "identity.email_invalid": "email",
    "identity.email_not_allowed": "email",
    "identity.password_too_weak": "password",
    "identity.display_name_invalid": "display_name",
    "identity.character_not_allowed": "display_name",
    "identity.mixed_scripts": "display_name",
    "identity.name_imitates": "display_name",
    "identity.locale_invalid": "locale",
    "identity.token_name_invalid": "name",
    "identity.scope_unknown": "scopes",
    "identity.lifetime_invalid": "days",
}
WORDS = {"missing": "Fill this in.", "string_too_long": "This is too long."}


class _Words(dict[str, str]):
    """Words by field; of a field that is not there, none."""

    def __missing__(self, field: str) -> str:
        return ""


def show(request: Request, name: str, values: Mapping[str, object], filled: Filled | None = None) -> HTMLResponse:
    """A page of identity. With `filled` a form of it was refused: it shows what was typed, and why."""
    wrong = wrong_of(filled.problem) if filled else {}
    around = {
        "typed": _Words(filled.values if filled else {}),
        "wrong": _Words(wrong),
        "problem": filled.problem if filled and not wrong else None,
        "code": filled.problem.code if filled else "",
    }
    return pages.render(request, f"identity/{name}.html", {**around, **values}, headers={"Cache-Control": "no-store"})


def wrong_of(problem: Problem) -> dict[str, str]:
    """What is wrong, by field; nothing where it is no field's fault."""
    if field := FIELD_OF.get(problem.code):
        return {field: problem.detail}
    return {place.pointer.split("/")[1]: WORDS.get(place.code, place.detail) for place in problem.errors}


def go(address: str) -> RedirectResponse:
    """On to another page, once a form has had its effect."""
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def is_proven(ask: Asking) -> bool:
    """Has somebody shown a fresh proof in this session?"""
    return ask.step_up_at is not None and ask.now - ask.step_up_at <= timedelta(minutes=STEP_UP_MINUTES_MAX)


def mailbox_of(request: Request) -> str | None:
    """Where letters of a simulation can be read; None where they go to people."""
    found: Callable[[], str | None] = getattr(request.app.state, "mailbox", lambda: None)
    return found()
