"""The browser edge: the same security headers on every answer, defects, redirects and files too."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palio.infra import settings
from palio.ui.types import EMBED_ORIGINS

POLICY = (
    b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" object-src 'none'; base-uri 'none'"
)
PAGES = (b"content-security-policy", POLICY + b"; form-action 'self'; frame-ancestors 'none'")
EMBEDS = "/embed/"  # what lies below may stand in frames of others: it has no cookie and no form
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
SEND = "palio.send"  # the server's own, in the scope
OVER_TLS_SCHEMES = frozenset({"https", "wss"})
OVER_TLS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class SecurityHeaders:
    """Wraps the finished application, so that the answer to a defect has them too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        scope[SEND] = send
        is_over_tls = scope["scheme"] in OVER_TLS_SCHEMES
        extra = OF_PAGES[is_over_tls]
        if scope["path"].startswith(EMBEDS):
            extra = of_every_answer(_embed_policy(), is_over_tls=is_over_tls)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def of_every_answer(policy: tuple[bytes, bytes] = PAGES, *, is_over_tls: bool = False) -> list[tuple[bytes, bytes]]:
    """The security headers, for whoever writes an answer past all others."""
    return [policy, *HEADERS, OVER_TLS] if is_over_tls else [policy, *HEADERS]


OF_PAGES = {is_over_tls: of_every_answer(is_over_tls=is_over_tls) for is_over_tls in (False, True)}


def unwrapped(scope: Scope, send: Send) -> Send:
    """How to go on with an answer that has begun: past all who only look at its beginning; `send` where none stands."""
    found: Send = scope.get(SEND, send)
    return found


def _embed_policy() -> tuple[bytes, bytes]:
    """Our own pages show embeds, and the operator's list of sites."""
    origins = " ".join(("'self'", *settings.value(EMBED_ORIGINS)))
    return b"content-security-policy", POLICY + b"; form-action 'none'; frame-ancestors " + origins.encode()
