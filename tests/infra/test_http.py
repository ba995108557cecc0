"""The way out: only to the public internet, never further than the limits, and every failure has a name."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from palio.infra import http, targets
from palio.infra.http import UNTRUSTED, Answer, Client, Failure, Profile
from palio.infra.targets import UrlRefused

INSIDE = replace(UNTRUSTED, may_be_inside=True, seconds_max=5)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass
class Listener:
    """Somebody who listens, and what came in."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/list?page=1"


@asynccontextmanager
async def listening(*chunks: bytes, pause_s: float = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Answers every connection with these bytes, and then closes it."""
    listener = Listener()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            listener.heard.append(await reader.readuntil(b"\r\n\r\n"))
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(pause_s)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def resolving_to(*answers: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that gives one answer after the other, and the last one from then on."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return resolve


def head(status: str = "200 OK", *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
INSIDE_ADDRESSES = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0", "0.1.2.3"),  # noqa: S104 - nobody binds to it
    *("169.254.169.254", "168.63.129.16", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.0.192"),
    *("192.0.2.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1"),
    *("2002:7f00:1::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.5", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "3fff::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert targets.is_public(ip_address(address))


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
def test_an_address_of_the_inside_is_not_in_whatever_form(address: str) -> None:
    assert not targets.is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("http://feed.example.com/", "ftp://feed.example.com/", "feed.example.com", "//feed.example.com", ""),
        *("https://feed.example.com:8443/", "https://feed.example.com:99999/", "https://feed.example.com:x/"),
        *("https://user@feed.example.com/", "https://user:key@feed.example.com/", "https://@127.0.0.1/"),
        *("https://localhost/", "https://intranet/", "https:///path", "https://./", "https://a..b/"),
        *("https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://0x7f.1/"),
        *("https://127.0.0.1/", "https://127.0.0.1./", "https://[::1]/", "https://[::ffff:127.0.0.1]/"),
        *("https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::7f00:1]/", "https://169.254.169.254/latest"),
        *("https://１２７.０.０.１/", "https://127。0。0。1/", "https://fe\u0301ed.example.com/"),  # noqa: RUF001 - as attackers write
        *("https://feed.example.com\\@127.0.0.1/", "https://feed.example.com/ x", "https://feed.example.com/\nHost: x"),
        *(
            "https://feed.example.com%2f127.0.0.1/",
            "https://feed.example.com/#key",
            "https://" + "a" * 64 + ".com/",
            "https://a.com/" + "x" * 2_000,
        ),
    ],
)
async def test_an_address_that_points_inside_or_is_disguised_is_refused_before_anybody_is_asked(url: str) -> None:
    """Also by a resolver that would take it."""
    async with listening(head()) as canary:
        client = Client(resolve=resolving_to("127.0.0.1"))
        with pytest.raises(UrlRefused):
            targets.target_of(url)
        outcome = await client.call(url, profile=UNTRUSTED)
        assert isinstance(outcome, Failure)
        assert (outcome.kind, canary.heard) == ("address", [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "::ffff:169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_name_that_points_inside_is_refused_without_a_connection(address: str) -> None:
    """Acceptance 26 of the feeds."""
    async with listening(head()) as canary:
        client = Client(resolve=resolving_to(address))
        outcome = await client.call("https://feed.example.com/", profile=UNTRUSTED)
        assert outcome == Failure("address", "it points inside, not to the public internet")
        with pytest.raises(UrlRefused):
            await client.require("https://feed.example.com/", profile=UNTRUSTED)
        assert canary.heard == []


async def test_one_answer_of_the_inside_among_public_ones_is_enough() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14", "127.0.0.1"]

    outcome = await Client(resolve=resolve).call("https://feed.example.com/", profile=UNTRUSTED)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "address"


async def test_a_name_is_asked_for_once_so_that_a_second_answer_leads_nowhere() -> None:
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with listening(head("200 OK", "Content-Length: 2") + b"{}") as listener:
        url = f"http://rebinding.example.com:{listener.port}/"
        outcome = await Client(resolve=resolve).call(url, profile=INSIDE)
    assert isinstance(outcome, Answer)
    assert (outcome.status, asked) == (200, ["rebinding.example.com"])
    assert f"host: rebinding.example.com:{listener.port}".encode() in listener.heard[0]


async def test_the_whole_answer_is_handed_over() -> None:
    answer = head("200 OK", "Content-Type: application/json", "Content-Length: 2") + b"[]"
    async with listening(answer) as listener:
        outcome = await Client().call(listener.url, profile=INSIDE, headers={"Authorization": "Bearer key"})
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.content_type, outcome.body) == (200, "application/json", b"[]")
    assert listener.heard[0].startswith(b"GET /list?page=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer key\r\n" in listener.heard[0]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listening(head()) as canary:
        to = f"Location: http://127.0.0.1:{canary.port}/"
        async with listening(head("302 Found", to, "Content-Length: 0")) as listener:
            outcome = await Client().call(listener.url, profile=INSIDE)
    assert isinstance(outcome, Answer)
    assert (outcome.status, canary.heard) == (302, [])


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 2000000"], b"x" * 2_000_000),
        ([], b"x" * 2_000_000),
        (["Content-Encoding: gzip"], gzip.compress(bytes(200_000_000))),  # 200 kB that become 200 MB
    ],
    ids=["announced", "endless", "bomb"],
)
async def test_a_body_over_the_limit_is_stopped_on_the_way(lines: list[str], body: bytes) -> None:
    async with listening(head("200 OK", *lines) + body) as listener:
        outcome = await Client().call(listener.url, profile=replace(INSIDE, bytes_max=1_000_000))
    assert outcome == Failure("too_large", "more than 1000000 bytes", 200)


@pytest.mark.parametrize("size", [1_000, 70_000, 1_000_000])
async def test_a_packed_body_is_unpacked(size: int) -> None:
    packed = gzip.compress(b"x" * size)
    async with listening(head("200 OK", "Content-Encoding: gzip"), packed[:9], packed[9:]) as listener:
        outcome = await Client().call(listener.url, profile=replace(INSIDE, bytes_max=1_000_000))
    assert isinstance(outcome, Answer)
    assert outcome.body == b"x" * size


@pytest.mark.parametrize(
    ("lines", "body", "kind"),
    [
        (["Content-Length: 10"], b"[]", "cut_short"),
        (["Content-Encoding: gzip"], gzip.compress(b"x" * 1_000, mtime=0)[:-9], "cut_short"),
        (["Transfer-Encoding: chunked"], b"5\r\nab", "cut_short"),
        (["Content-Encoding: gzip"], b"not packed", "encoding"),
        (["Content-Encoding: br"], b"", "encoding"),
    ],
)
async def test_a_body_that_is_not_whole_is_a_failure(lines: list[str], body: bytes, kind: str) -> None:
    async with listening(head("200 OK", *lines) + body) as listener:
        outcome = await Client().call(listener.url, profile=INSIDE)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.status) == (kind, 200)


async def test_a_slow_body_is_not_waited_for() -> None:
    """Each byte comes in time, the whole does not."""
    async with listening(head(), *[b"x"] * 100, pause_s=0.02) as listener:
        outcome = await Client().call(listener.url, profile=replace(INSIDE, seconds_max=0.2))
    assert outcome == Failure("timeout", "no whole answer within 0.2 s")


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y"])
async def test_what_is_no_answer_is_a_failure_of_the_network(answer: bytes) -> None:
    async with listening(answer) as listener:
        outcome = await Client().call(listener.url, profile=INSIDE)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "network"


async def test_nobody_there_and_an_unknown_name_are_failures_of_the_network() -> None:
    async with listening() as listener:
        pass
    outcome = await Client().call(listener.url, profile=INSIDE)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "network"

    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    outcome = await Client(resolve=unknown).call("https://feed.example.com/", profile=UNTRUSTED)
    assert outcome == Failure("network", "Name or service not known")


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(head()) as canary, listening(head("200 OK", "Content-Length: 0")) as listener:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        outcome = await Client().call(listener.url, profile=INSIDE)
    assert isinstance(outcome, Answer)
    assert canary.heard == []


async def test_an_integration_reaches_its_own_hosts_with_its_own_methods_only() -> None:
    profile = Profile(hosts=frozenset({"api.example.com"}))
    outcome = await Client(resolve=resolving_to("8.8.8.8")).call("https://feed.example.com/", profile=profile)
    assert outcome == Failure("address", "its host is none of those of this integration")
    with pytest.raises(ValueError, match="POST"):
        await Client().call("https://api.example.com/", profile=profile, method="POST")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shows that is called feed.example.com, and what believes it."""
    key, folder = ec.generate_private_key(ec.SECP256R1()), tmp_path_factory.mktemp("tls")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "feed.example.com")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=4_000))
        .not_valid_after(now + timedelta(days=40_000))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("feed.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file: Path = folder / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serving, believing = certificate
    async with listening(head("200 OK", "Content-Length: 0"), tls=serving) as listener:
        client = Client(resolve=resolving_to("127.0.0.1"), trusted=believing)
        right = await client.call(f"https://feed.example.com:{listener.port}/", profile=INSIDE)
        wrong = await client.call(f"https://other.example.com:{listener.port}/", profile=INSIDE)
        unknown = await Client(resolve=resolving_to("127.0.0.1")).call(
            f"https://feed.example.com:{listener.port}/", profile=INSIDE
        )
    assert isinstance(right, Answer)
    assert isinstance(wrong, Failure)
    assert isinstance(unknown, Failure)
    assert (wrong.kind, unknown.kind) == ("network", "network")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(("3", 3), ("0", 0), ("999999999999", 999_999_999), ("", None), ("soon", None), ("-1", None)),
        *(("Fri, 20 Mar 2026 12:01:00 GMT", 60), ("Fri, 20 Mar 2026 11:00:00 GMT", 0)),
    ],
)
def test_how_long_to_wait_is_read_as_seconds_or_as_a_date(written: str, seconds: int | None) -> None:
    assert http.Answer(429, {"retry-after": written}, b"").retry_after_s(NOON) == seconds
