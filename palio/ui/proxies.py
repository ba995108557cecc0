"""Where a caller is: the other end of the socket, or what a proxy that we trust says of him."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Network: TypeAlias = IPv4Network | IPv6Network
SCHEMES = {"http", "https"}


class Proxies:
    """Puts the caller's own address and scheme into the scope; nobody but a trusted proxy is believed."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app, self._trusted = app, tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._trusted and scope["type"] in {"http", "websocket"} and self._is_trusted(_peer(scope)):
            scope = self._seen_through(scope)
        await self._app(scope, receive, send)

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def _seen_through(self, scope: Scope) -> Scope:
        """The first address from the right that is none of our proxies: what stands left of it anybody can write."""
        headers = Headers(scope=scope)
        chain = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",")]
        callers = [host for host in chain if host and not self._is_trusted(host)]
        scheme = headers.get("x-forwarded-proto", "").lower()
        return {
            **scope,
            "client": (callers[-1], 0) if callers and _is_address(callers[-1]) else scope.get("client"),
            "scheme": scheme if scheme in SCHEMES else scope["scheme"],
        }


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
