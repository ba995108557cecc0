"""People who are vouched for by a provider: the code flow, tokens of apps, and everything that a token must not be."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from palio import identity
from palio.identity import doors, types
from palio.identity.types import Arrived
from palio.kernel.errors import Upstream
from palio.sim import CLIENT, Somebody, Telegram
from palio.sim import World as Outside
from tests.conftest import PATIENCE_S
from tests.factories.identity import PASSWORD, World, cookie
from tests.factories.numbers import says
from tests.factories.ways import METHODS, house_of, opened, outside_at, visitor

__all__ = ["Telegram"]
PROVIDERS = ("google", "apple", "oidc:club")
ADA, BEN, CLEO, DORA = (
    Somebody("1001", "ada@example.com"),
    Somebody("1002", "ben@example.com"),
    Somebody("1003", "cleo@example.com", is_verified=False),
    Somebody("1004", None),
)
WRONG = ("wrong_aud", "alg_none", "hs256", "old_nonce", "expired", "other_iss", "unsigned_key", "no_nonce", "wrong_azp")


@dataclass(frozen=True)
class Place:
    """A house, what is outside it, and an hour."""

    world: World
    outside: Outside
    house: doors.House
    now: datetime

    async def away(self, provider: str = "google", *, user_id: identity.User | None = None) -> types.Departure:
        return await doors.leave_for(
            self.house,
            provider=provider,
            browser_key=None,
            wanted="/races",
            user_id=user_id.id if user_id else None,
            now=self.now,
        )

    async def agree(self, departure: types.Departure, who: str = "ada") -> tuple[str, str | None]:
        """What comes back from the provider's page once somebody has said who he is: state, and code."""
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as browser:
            answer = await browser.get(departure.address, params={**_asked(departure), "as": who})
        if answer.status_code == 302:
            said = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        else:
            fields = [part.split('"')[1::2] for part in answer.text.split("<input")[1:]]
            said = {words[1]: words[2] for words in fields}
        return said["state"], said.get("code")

    async def back(
        self,
        departure: types.Departure,
        said: tuple[str, str | None],
        provider: str = "google",
        *,
        now: datetime | None = None,
        visitor_n: int = 1,
    ) -> Arrived:
        return await doors.come_back(
            self.house,
            provider=provider,
            state=said[0],
            code=said[1],
            browser_key=departure.browser_key,
            locale="en",
            visitor=visitor(visitor_n),
            now=now or self.now,
        )

    async def whole_way(self, who: str = "ada", provider: str = "google", *, visitor_n: int = 1) -> identity.SignedIn:
        departure = await self.away(provider)
        arrived = await self.back(departure, await self.agree(departure, who), provider, visitor_n=visitor_n)
        assert isinstance(arrived.entered, identity.SignedIn)
        assert arrived.return_path == "/races"
        return arrived.entered

    def token(self, person: Somebody, nonce: str = "n-1", provider: str = "google") -> str:
        here = self.outside.issuer_url(provider)
        return self.outside.oidc.id_token(provider, here, person, nonce=nonce, now=self.now)

    async def by_token(self, token: str, nonce: str = "n-1", *, n: int = 1) -> identity.SignedIn:
        found = await doors.enter_by_token(
            self.house,
            provider="google",
            id_token=token,
            nonce=nonce,
            kind="app",
            locale="en",
            visitor=visitor(n),
            now=self.now,
        )
        assert isinstance(found, identity.SignedIn)
        return found

    async def users(self) -> int:
        return await self.world.count("select count(*) from identity.users")

    async def user(self, session: identity.SignedIn) -> identity.User:
        async with self.world.database.begin_system("a test") as tx:
            return await identity.get(tx, name_or_id=session.user_id)


def _asked(departure: types.Departure) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(departure.address).query))


@pytest.fixture
async def place(world: World, noon: datetime) -> AsyncIterator[Place]:
    async with outside_at(noon) as outside:
        await opened(world, *METHODS)
        yield Place(world, outside, house_of(world, outside), noon)
        await opened(world)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_first_log_in_makes_an_account_and_the_next_opens_it(place: Place, provider: str) -> None:
    session = await place.whole_way("ada", provider)
    user = await place.user(session)
    assert user.username.startswith("player-")
    assert (user.status, user.registered_with) == ("active", "oidc" if provider == "oidc:club" else provider)
    async with place.world.database.begin_system("a test") as tx:
        me = await identity_me(tx, user.id, place.now)
    assert (me.email, me.is_email_verified) == ("ada@example.com", True)

    again = await place.whole_way("ada", provider)
    assert again.user_id == session.user_id
    assert await place.users() == 1
    assert await place.world.recognised(cookie(again), place.now)


async def identity_me(tx, user_id, now):  # type: ignore[no-untyped-def]
    from palio.identity import service  # noqa: PLC0415

    return await service.accounts.me(tx, user_id=user_id, now=now)


async def test_nothing_of_whom_a_provider_vouched_for_stands_in_clear(place: Place) -> None:
    await place.whole_way("ada")
    everything = place.world.everything()
    assert "ada@example.com" not in everything
    assert not says(everything, 1001)


async def test_an_address_that_somebody_has_proven_here_is_linked_by_himself(place: Place) -> None:
    """Acceptance 14: 409, no session, no new row; after linking, the log-in works."""
    ada = await place.world.player("ada", place.now)
    before = await place.users(), await place.world.count("select count(*) from identity.sessions")
    departure = await place.away()
    with pytest.raises(identity.LinkRequired):
        await place.back(departure, await place.agree(departure))
    assert (await place.users(), await place.world.count("select count(*) from identity.sessions")) == before
    assert await place.world.count("select count(*) from identity.external_identities") == 0

    departure = await place.away(user_id=ada)
    arrived = await place.back(departure, await place.agree(departure))
    assert arrived.entered is None
    session = await place.whole_way("ada")
    assert session.user_id == ada.id
    assert await place.users() == 1


async def test_an_address_that_the_provider_has_not_proven_is_nobodys(place: Place) -> None:
    """A token with somebody's address, not verified, neither meets his account nor gets the address."""
    await place.world.player("cleo", place.now)
    session = await place.whole_way("cleo")
    async with place.world.database.begin_system("a test") as tx:
        me = await identity_me(tx, session.user_id, place.now)
    assert (me.email, me.is_email_verified, await place.users()) == (None, False, 2)
    nobody = await place.whole_way("dora")
    assert nobody.user_id != session.user_id


async def test_who_waits_for_an_address_loses_it_to_whoever_has_proven_it(place: Place) -> None:
    application = identity.Application("squatter", "ada@example.com", PASSWORD)
    await identity.register(place.world.house, application=application, visitor=visitor(9), now=place.now)
    session = await place.whole_way("ada")
    assert await place.users() == 1
    assert (await place.user(session)).username != "squatter"


@pytest.mark.parametrize("flaw", WRONG)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_token_that_is_not_the_providers_word_for_us_lets_nobody_in(
    place: Place, flaw: str, provider: str
) -> None:
    """Acceptance 14: 401 for the `aud` of another client, for `alg=none`, for a nonce that is not of now."""
    departure = await place.away(provider)
    said = await place.agree(departure)
    place.outside.oidc.control("flaw", {"name": provider.removeprefix("oidc:"), "flaw": flaw})
    with pytest.raises(identity.ProviderProofInvalid):
        await place.back(departure, said, provider)
    assert await place.users() == 0
    assert await place.world.count("select count(*) from identity.login_events where outcome = 'bad_credentials'") == 1
    await place.whole_way("ada", provider)  # the flaw was in one token


@pytest.mark.parametrize("flaw", WRONG)
async def test_an_apps_token_is_judged_as_strictly(place: Place, flaw: str) -> None:
    place.outside.oidc.control("flaw", {"name": "google", "flaw": flaw})
    token = place.token(ADA)
    with pytest.raises(identity.ProviderProofInvalid):
        await place.by_token(token)
    assert await place.users() == 0


async def test_an_apps_token_opens_an_account_once(place: Place) -> None:
    token = place.token(ADA)
    session = await place.by_token(token)
    assert session.tokens
    with pytest.raises(identity.ProviderProofInvalid):  # a used nonce
        await place.by_token(token)
    with pytest.raises(identity.ProviderProofInvalid):
        await place.by_token(place.token(ADA, "n-1"), "n-1")  # also in another token
    with pytest.raises(identity.ProviderProofInvalid):
        await place.by_token(place.token(ADA, "n-2"), "another")
    assert (await place.by_token(place.token(ADA, "n-3"), "n-3")).user_id == session.user_id
    for odd in ("", "a", "a.b.c", "é.b.c", "." * 20_000):
        with pytest.raises(identity.ProviderProofInvalid):
            await place.by_token(odd, n=len(odd) % 200 + 2)


async def test_the_word_of_one_provider_is_not_that_of_another(place: Place) -> None:
    token = place.token(ADA, provider="apple")
    with pytest.raises(identity.ProviderProofInvalid):
        await place.by_token(token)
    google = await place.whole_way("ada", "google")
    departure = await place.away("oidc:club")
    with pytest.raises(identity.LinkRequired):
        await place.back(departure, await place.agree(departure), "oidc:club")
    assert await place.users() == 1
    assert google.user_id


async def test_whoever_comes_back_is_in_the_browser_that_left_and_comes_once(place: Place) -> None:
    departure = await place.away()
    said = await place.agree(departure)
    thief = types.Departure(departure.address, "A" * 43)
    with pytest.raises(identity.FlowInvalid):
        await place.back(thief, said)
    with pytest.raises(identity.FlowInvalid):
        await place.back(departure, ("B" * 43, said[1]))
    with pytest.raises(identity.FlowInvalid):
        await place.back(departure, said, "apple")
    await place.back(departure, said)
    with pytest.raises(identity.FlowInvalid):  # the same state twice
        await place.back(departure, said)
    assert await place.users() == 1


async def test_who_stays_away_for_ten_minutes_begins_again(place: Place) -> None:
    departure = await place.away()
    said = await place.agree(departure)
    with pytest.raises(identity.FlowInvalid):
        await place.back(departure, said, now=place.now + timedelta(minutes=10))


async def test_who_is_turned_away_there_has_no_code(place: Place) -> None:
    departure = await place.away()
    with pytest.raises(identity.ProviderProofInvalid):
        await place.back(departure, await place.agree(departure, "nobody"))


async def test_a_code_of_somebody_else_is_of_no_use_without_his_verifier(place: Place) -> None:
    """PKCE: what was stolen on the way back cannot be redeemed in a flow of one's own."""
    victim, thief = await place.away(), await place.away()
    _, code = await place.agree(victim)
    state, _ = await place.agree(thief, "ben")
    with pytest.raises(identity.ProviderProofInvalid):
        await place.back(thief, (state, code))
    assert await place.users() == 0


async def test_keys_change_and_the_next_log_in_works(place: Place) -> None:
    session = await place.whole_way("ada")
    later = place.now + timedelta(seconds=11)
    place.outside.oidc.control("rotate", {"name": "google"})
    departure = await place.away()
    arrived = await place.back(departure, await place.agree(departure), now=later)
    assert isinstance(arrived.entered, identity.SignedIn)
    assert arrived.entered.user_id == session.user_id
    asked = [one.path for one in place.outside.journal if one.path.endswith("/jwks")]
    assert len(asked) == 2  # once at first, once for the key that was not known


async def test_forged_keys_do_not_have_us_ask_the_provider_each_time(place: Place) -> None:
    await place.whole_way("ada")
    for n in range(8):
        head = place.token(ADA, f"f-{n}").split(".")
        forged = place.outside.oidc.issuer("club").key.kid
        assert forged
        token = ".".join([_head_with(f"unknown-{n}"), *head[1:]])
        with pytest.raises(identity.ProviderProofInvalid):
            await place.by_token(token, f"f-{n}", n=20 + n)
    asked = [one.path for one in place.outside.journal if one.path.endswith("/jwks")]
    assert len(asked) <= 2


def _head_with(kid: str) -> str:
    from base64 import urlsafe_b64encode  # noqa: PLC0415

    return urlsafe_b64encode(f'{{"alg":"RS256","kid":"{kid}"}}'.encode()).rstrip(b"=").decode()


async def test_a_provider_that_is_down_can_be_tried_again_with_the_same_flow(place: Place) -> None:
    departure = await place.away()
    said = await place.agree(departure)
    place.outside.faults.add(fault("reset", path="/oidc/google/token", times=2))
    for _ in range(2):
        with pytest.raises(Upstream):
            await place.back(departure, said)
    assert await place.world.count("select count(*) from identity.login_events") == 0  # nobody's fault
    arrived = await place.back(departure, said)
    assert isinstance(arrived.entered, identity.SignedIn)


def fault(name: str, *, path: str, times: int | None = None, **more: object):  # type: ignore[no-untyped-def]
    from palio.sim import fault_of  # noqa: PLC0415

    return fault_of({"sim": "oidc", "effect": {"name": name, **more}, "match": {"path": path}, "times": times})


@pytest.mark.parametrize("effect", ["reset", "garbage", "wrong_type", "truncate", "redirect", "expired_credentials"])
async def test_whatever_a_provider_answers_instead_nobody_comes_in(place: Place, effect: str) -> None:
    more = {"url": "http://127.0.0.1:1/"} if effect == "redirect" else {"at": 20} if effect == "truncate" else {}
    for path in ("/oidc/google/.well-known", "/oidc/google/token", "/oidc/google/jwks"):
        place.outside.faults.clear()
        house = house_of(place.world, place.outside)  # remembers nothing
        fresh = Place(place.world, place.outside, house, place.now)
        if "well-known" in path:
            place.outside.faults.add(fault(effect, path=path, **more))
            with pytest.raises(Upstream):
                await fresh.away()
            continue
        departure = await fresh.away()
        said = await fresh.agree(departure)
        place.outside.faults.add(fault(effect, path=path, **more))
        with pytest.raises(Upstream):
            await fresh.back(departure, said)
    assert await place.users() == 0


async def test_a_second_factor_is_asked_for_whoever_vouches(place: Place) -> None:
    session = await place.whole_way("ada")
    await place.world.with_factor(session, place.now)
    departure = await place.away()
    arrived = await place.back(departure, await place.agree(departure))
    assert isinstance(arrived.entered, identity.SecondFactorDue)


async def test_the_email_policy_holds_for_who_is_vouched_for(place: Place) -> None:
    await opened(place.world, *METHODS, EMAIL_DEFAULT="deny")
    for who in ("ada", "cleo", "dora"):
        departure = await place.away()
        with pytest.raises(identity.EmailNotAllowed):
            await place.back(departure, await place.agree(departure, who))
    async with place.world.database.begin_system("a test") as tx:
        await identity.add_rule(
            tx, action="allow", kind="domain", pattern="example.com", note="", reason="ours", now=place.now
        )
    await place.whole_way("ada")
    assert await place.users() == 1


async def test_where_registration_is_closed_only_those_who_are_here_come_in(place: Place) -> None:
    session = await place.whole_way("ada")
    await opened(place.world, *METHODS, REGISTRATION="closed")
    assert (await place.whole_way("ada")).user_id == session.user_id
    departure = await place.away()
    with pytest.raises(identity.RegistrationClosed):
        await place.back(departure, await place.agree(departure, "ben"))


async def test_a_network_makes_three_accounts_an_hour(place: Place) -> None:
    for n in range(3):
        place.outside.oidc.control("person", {"name": f"p{n}", "subject": f"p{n}", "email": f"p{n}@example.com"})
        await place.whole_way(f"p{n}")
    departure = await place.away()
    with pytest.raises(identity.TooManyAttempts):
        await place.back(departure, await place.agree(departure, "ada"))
    await place.whole_way("ada", visitor_n=2)


async def test_a_way_that_is_closed_is_no_way(place: Place) -> None:
    await opened(place.world, "google")
    with pytest.raises(identity.MethodClosed):
        await place.away("apple")
    with pytest.raises(identity.NoSuchProvider):
        await place.away("oidc:other")
    with pytest.raises(identity.MethodClosed):
        await place.world.signed_in("ada", place.now)
    await place.whole_way("ada")


async def test_an_account_of_a_provider_belongs_to_one_user_and_he_has_one_of_each(place: Place) -> None:
    ada, ben = await place.world.player("adam", place.now), await place.world.player("benno", place.now)
    departure = await place.away(user_id=ada)
    await place.back(departure, await place.agree(departure))
    departure = await place.away(user_id=ada)
    await place.back(departure, await place.agree(departure))  # the same again changes nothing
    for who, person in ((ben, "ada"), (ada, "ben")):
        departure = await place.away(user_id=who)
        with pytest.raises(identity.IdentityTaken):
            await place.back(departure, await place.agree(departure, person))
    assert await place.world.count("select count(*) from identity.external_identities") == 1
    assert CLIENT
