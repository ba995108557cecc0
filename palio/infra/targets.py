"""Which addresses outside may be called when somebody else wrote them down: those of the public internet, by name."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from palio.kernel.errors import Invalid

URL_CHARACTERS_MAX = 2_000
HTTPS_PORT, HTTP_PORT = 443, 80
WRITTEN_PLAINLY = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blanks and without the backslash
NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)")  # what a resolver may read as a number: decimal, octal or hexadecimal

NOT_PUBLIC_V4 = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # here, private
            *("100.64.0.0/10", "169.254.0.0/16", "168.63.129.16/32"),  # carriers, link-local, metadata of a cloud
            *("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),  # protocols, relays, benchmarks
            *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),  # documentation
            *("224.0.0.0/4", "240.0.0.0/4"),  # multicast, reserved
        ),
    )
)
GLOBAL_V6 = ip_network("2000::/3")  # nothing outside it is given to anybody
NOT_PUBLIC_V6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
TRANSLATED_V6 = ip_network("64:ff9b::/96")  # the last 32 bits are an address of the other kind (RFC 6052)


class UrlRefused(Invalid):
    """The address cannot be called: `problem`. Give one of the public internet, like https://feed.example.com/list."""

    code = "url_refused"
    blames = "url"


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart. `host` is a name in small letters or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the header Host names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (HTTPS_PORT if self.scheme == "https" else HTTP_PORT) else f"{host}:{self.port}"


def target_of(url: str, *, may_be_inside: bool = False) -> Target:
    """Take an address apart; only where it may be inside, plain http, other ports and short names are taken.

    Refuses with UrlRefused.
    """
    if len(url) > URL_CHARACTERS_MAX or not WRITTEN_PLAINLY.fullmatch(url):
        raise UrlRefused(problem="it is too long, or holds blanks or other characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefused(problem="it is no address") from None
    if parts.fragment:
        raise UrlRefused(problem="it ends in a fragment (#), which is never sent")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused(problem="it holds a user name or password; give the key of the feed by itself")
    if parts.scheme != "https" and not (may_be_inside and parts.scheme == "http"):
        raise UrlRefused(problem="it must begin with https://")
    port = port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    if port != HTTPS_PORT and not may_be_inside:
        raise UrlRefused(problem="only port 443 is called")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _host((parts.hostname or "").removesuffix("."), may_be_inside), port, path)


def _host(host: str, may_be_inside: bool) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return _name(host, may_be_inside)
    if not (may_be_inside or is_public(address)):
        raise UrlRefused(problem="it points inside, not to the public internet")
    return host


def _name(host: str, may_be_inside: bool) -> str:
    if not NAME.fullmatch(host):
        raise UrlRefused(problem="its host is no name; write foreign letters as xn--")
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        raise UrlRefused(problem="its host is a number in disguise")
    if "." not in host and not may_be_inside:
        raise UrlRefused(problem="its host is a name of the inside, without a dot")
    return host


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Does the address belong to the public internet, also the one that is wrapped in it?"""
    if isinstance(address, IPv6Address):
        if inner := _wrapped(address):
            return is_public(inner)
        return address in GLOBAL_V6 and not any(address in network for network in NOT_PUBLIC_V6)
    return not any(address in network for network in NOT_PUBLIC_V4)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in TRANSLATED_V6:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped
