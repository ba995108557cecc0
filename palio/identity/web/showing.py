"""What the pages of identity have in common: they are kept nowhere, and say at each field what is wrong with it."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from palio.ui import pages
from palio.ui.access import is_fresh
from palio.ui.actor import Asking
from palio.ui.problems import FieldProblem, Problem
from palio.ui.routes import Filled

WORDS = {
    "missing": "Fill this in.",
    "string_too_long": "This is too long.",
    "identity.bad_credentials": "That is not the password of this account.",
}
WEAK = {  # why a password is refused, what most helps first
    "unreadable": "This holds something that is no character.",
    "too_short": "This has fewer than 8 characters.",
    "too_long": "This has more than 256 characters.",
    "contains_own_name": "Your name, your address or the name of this house is in it; leave it out.",
    "leaked": "Others know this one: it stood in a leak. Take another.",
    "common": "Many people take this or something like it; a sentence is harder to guess.",
}


class _Words(dict[str, str]):
    """Words by field; of a field that is not there, none."""

    def __missing__(self, field: str) -> str:
        return ""


def show(request: Request, name: str, values: Mapping[str, object], filled: Filled | None = None) -> HTMLResponse:
    """A page of identity. With `filled` a form of it was refused: it shows what was typed, and why."""
    wrong = _wrong_of(filled.problem) if filled else {}
    around = {
        "typed": _Words(filled.values if filled else {}),
        "wrong": _Words(wrong),
        "problem": filled.problem if filled and not wrong else None,
        "code": filled.problem.code if filled else "",
    }
    return pages.render(request, f"identity/{name}.html", {**around, **values}, headers={"Cache-Control": "no-store"})


def _wrong_of(problem: Problem) -> dict[str, str]:
    """What is wrong, by field, in the words of these pages."""
    return {place.root: _words_of(problem, place) for place in problem.errors}


def _words_of(problem: Problem, place: FieldProblem) -> str:
    reasons = problem.facts.get("reasons")
    if place.code == "identity.password_too_weak" and isinstance(reasons, list):
        return next((words for reason, words in WEAK.items() if reason in reasons), place.detail)
    return WORDS.get(place.code, place.detail)


def go(address: str) -> RedirectResponse:
    """On to another page, once a form has had its effect."""
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def is_proven(ask: Asking) -> bool:
    """Has somebody shown a fresh proof in this session?"""
    return is_fresh(ask)


def mailbox_of(request: Request) -> str | None:
    """Where letters of a simulation can be read; None where they go to people."""
    found: Callable[[], str | None] = getattr(request.app.state, "mailbox", lambda: None)
    return found()
