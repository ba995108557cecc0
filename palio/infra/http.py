"""The only way out: calls of other machines, with limits, to addresses that were looked at before they were called.

A name is resolved once, every answer is checked, and the connection goes to the address that was checked, so that a
resolver that changes its answer cannot lead us inside. Redirects are answers like others; proxies of the environment
are not used.
"""

import asyncio
import socket
import ssl
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias

import httpx2

from palio.infra.targets import Target, UrlRefused, is_public, target_of

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
FailureKind: TypeAlias = Literal["address", "network", "timeout", "too_large", "encoding", "cut_short"]

CONNECT_SECONDS_MAX = 3
BROKEN = 500  # from this status on the fault is the other side's
CHUNK_BYTES = 65_536
DETAIL_CHARACTERS_MAX = 300
GZIP: Final = 16 + zlib.MAX_WBITS
ENCODINGS = {"", "identity", "gzip", "x-gzip"}


@dataclass(frozen=True, slots=True)
class Profile:
    """The limits of one integration, and by what name its failures are counted.

    `may_be_inside` takes private addresses, plain http and any port. With `is_excerpt` the body is read only as far as
    the limit, packed or not, and what goes on behind it is no failure: for whoever wants the status.
    """

    door: str = "untrusted"
    seconds_max: float = 20
    bytes_max: int = 5 * 1024 * 1024
    hosts: frozenset[str] | None = None
    methods: frozenset[str] = frozenset({"GET"})
    may_be_inside: bool = False
    is_excerpt: bool = False


UNTRUSTED: Final = Profile()  # for addresses that somebody else wrote down; narrower limits by `dataclasses.replace`


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    def retry_after_s(self, now: datetime) -> int | None:
        """How many seconds the other side wants us to wait; None if it does not say, or not in a way that is known."""
        written = self.headers.get("retry-after", "").strip()
        if written.isascii() and written.isdecimal():
            return int(written[:9])
        try:
            at = parsedate_to_datetime(written)
        except ValueError:
            return None
        return max(0, round((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()))


@dataclass(frozen=True, slots=True)
class Failure:
    """Nothing that could be used came back. `status` is known when only the body was at fault."""

    kind: FailureKind
    detail: str
    status: int | None = None


class _BodyError(Exception):
    """The body cannot be taken as it comes."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@cache
def _trusted() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # the machine's authorities, or those of SSL_CERT_FILE


class Client:
    """Calls others, and counts by door how often nothing usable came back.

    `resolve` and `trusted` are the system's own unless a test plays them.
    """

    def __init__(self, *, resolve: Resolve = _resolve, trusted: ssl.SSLContext | None = None) -> None:
        self._resolve, self._trusted = resolve, trusted
        self.failures: Counter[str] = Counter()

    async def require(self, url: str, *, profile: Profile) -> None:
        """See that an address may be called now, without calling it. Refuses with UrlRefused."""
        target = target_of(url, may_be_inside=profile.may_be_inside)
        try:
            async with asyncio.timeout(profile.seconds_max):
                await self._address_of(target, profile)
        except (OSError, TimeoutError):
            raise UrlRefused(problem="its host is not known") from None

    async def call(
        self,
        url: str,
        *,
        profile: Profile,
        headers: Mapping[str, str] = {},
        method: str = "GET",
        content: bytes | None = None,
    ) -> Answer | Failure:
        """Call an address once, with a body if there is one, and read what it answers, within the profile's limits.

        Raises ValueError for a method that the profile does not have.
        """
        if method not in profile.methods:
            raise ValueError(f"{method} is not among {sorted(profile.methods)}")
        outcome = await self._outcome(_Sent(url, method, headers, content), profile)
        if isinstance(outcome, Failure) or outcome.status >= BROKEN:
            self.failures[profile.door] += 1
        return outcome

    async def _outcome(self, sent: "_Sent", profile: Profile) -> Answer | Failure:
        try:
            async with asyncio.timeout(profile.seconds_max):
                target = target_of(sent.url, may_be_inside=profile.may_be_inside)
                address = await self._address_of(target, profile)
                return await self._exchange(target, address, profile, sent)
        except UrlRefused as refusal:
            return Failure("address", str(refusal.facts["problem"]))
        except (TimeoutError, httpx2.TimeoutException):
            return Failure("timeout", f"no whole answer within {profile.seconds_max:g} s")
        except (OSError, httpx2.TransportError, httpx2.InvalidURL) as failure:
            return Failure("network", _words(failure))

    async def _address_of(self, target: Target, profile: Profile) -> str:
        """The address to connect to: one of those the name has now, all of which must be allowed."""
        if profile.hosts is not None and target.host not in profile.hosts:
            raise UrlRefused(problem="its host is none of those of this integration")
        found = await self._resolve(target.host, target.port)
        if not found:
            raise OSError("the name has no address")
        if not profile.may_be_inside and not all(is_public(ip_address(address)) for address in found):
            raise UrlRefused(problem="it points inside, not to the public internet")
        return found[0]

    async def _exchange(self, target: Target, address: str, profile: Profile, sent: "_Sent") -> Answer | Failure:
        """One exchange over a connection of its own: kept ones would be shared by all names of an address."""
        place = f"[{address}]" if ":" in address else address
        request = httpx2.Request(
            sent.method,
            f"{target.scheme}://{place}:{target.port}{target.path}",
            headers={"accept-encoding": "gzip", "user-agent": "Palio", **sent.headers, "host": target.authority},
            content=sent.content,
            extensions={
                "sni_hostname": target.host,
                "timeout": httpx2.Timeout(profile.seconds_max, connect=CONNECT_SECONDS_MAX).as_dict(),
            },
        )
        transport = httpx2.AsyncHTTPTransport(verify=self._trusted or _trusted(), trust_env=False)
        async with transport, aclosing(await transport.handle_async_request(request)) as response:
            given = {name.lower(): value for name, value in response.headers.items()}
            chunks = response.aiter_raw(CHUNK_BYTES)
            try:
                if profile.is_excerpt:
                    return Answer(response.status_code, given, await _beginning(chunks, profile.bytes_max))
                found = await _read(chunks, given, profile.bytes_max)
            except _BodyError as failure:
                return Failure(failure.kind, str(failure), response.status_code)
            except httpx2.RemoteProtocolError as failure:
                return Failure("cut_short", _words(failure), response.status_code)
            return Answer(response.status_code, given, found)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is asked of whom."""

    url: str
    method: str
    headers: Mapping[str, str]
    content: bytes | None = field(repr=False)


async def _beginning(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    """As much of the body as is wanted; the rest is left where it is."""
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        if len(begun) >= bytes_max:
            break
    return bytes(begun[:bytes_max])


async def _read(chunks: AsyncIterator[bytes], headers: Mapping[str, str], bytes_max: int) -> bytes:
    """The body, inflated where it is packed, and never more of it in memory than is allowed. Raises _BodyError."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise _BodyError("encoding", f"it is packed as {encoding!r}"[:DETAIL_CHARACTERS_MAX])
    unpack = _Inflated(bytes_max) if encoding.endswith("gzip") else _Plain(bytes_max)
    async for chunk in chunks:
        unpack.take(chunk)
    return unpack.whole()


class _Plain:
    """A body as it comes."""

    def __init__(self, bytes_max: int) -> None:
        self._body, self._bytes_max = bytearray(), bytes_max

    def take(self, chunk: bytes) -> None:
        self._body += chunk
        if len(self._body) > self._bytes_max:
            raise _BodyError("too_large", f"more than {self._bytes_max} bytes")

    def whole(self) -> bytes:
        return bytes(self._body)


class _Inflated(_Plain):
    """A packed body: it is unpacked at most as far as the limit, however much is in it."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(bytes_max)
        self._inflating = zlib.decompressobj(GZIP)

    def take(self, chunk: bytes) -> None:
        if self._inflating.eof:
            raise _BodyError("encoding", "it goes on behind its end")
        left = self._bytes_max + 1 - len(self._body)
        try:
            super().take(self._inflating.decompress(chunk, left))
        except zlib.error:
            raise _BodyError("encoding", "it is not packed as it says") from None

    def whole(self) -> bytes:
        if not self._inflating.eof:
            raise _BodyError("cut_short", "the packed body ends in the middle")
        return super().whole()


def _words(failure: Exception) -> str:
    """What went wrong, in few words and without the address, which may hold a key."""
    return (str(failure).partition("http")[0].strip() or type(failure).__name__)[:DETAIL_CHARACTERS_MAX]
