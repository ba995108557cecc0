"""Where people are led who must first say, or prove anew, who they are; and back to what they wanted."""

import re
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from palio.kernel.errors import Refusal, Unauthenticated
from palio.ui.edge import SAFE_METHODS
from palio.ui.refusals import StepUpRequired

SIGN_IN, PROVE = "/sign-in", "/account/prove"
CONSOLE = "/console"
OURS = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,290}")  # an address of this site, and of no other


def lead(request: Request, refusal: Refusal) -> Response | None:
    """The way to a page where somebody signs in or proves anew who he is; None for what that does not help against.

    What was sent by a form leads back to the page of the form, and the sign-in says that it was not taken.
    """
    is_lost = False
    if type(refusal) is Unauthenticated:
        path, is_lost = SIGN_IN, request.method not in SAFE_METHODS
    elif isinstance(refusal, StepUpRequired):
        path = PROVE
    else:
        return None
    if request.url.path.startswith(CONSOLE):
        path = CONSOLE + path.removeprefix("/account")
    told = {"told": "unsent"} if is_lost else {}
    address = f"{path}?{urlencode({'next': _wanted(request), **told})}"
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": address, "Cache-Control": "no-store"})
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def ours(address: str, otherwise: str = "/") -> str:
    """An address to go to that somebody has handed in, if it lies within this site."""
    return address if OURS.fullmatch(address) else otherwise


def _wanted(request: Request) -> str:
    """The page somebody is on, or wants to see."""
    if request.method in SAFE_METHODS and "HX-Request" not in request.headers:
        return ours(f"{request.url.path}?{request.url.query}".rstrip("?"))
    found = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer", ""))
    return ours(f"{found.path}?{found.query}".rstrip("?")) if found.netloc == request.url.netloc else "/"
