"""People who are vouched for by a provider: away to it and back, or with the token that an app has got."""

from datetime import datetime, timedelta

from palio.identity import personal, rules, service
from palio.identity.doors import arrival
from palio.identity.doors.house import House
from palio.identity.errors import NoSuchProvider, ProviderProofInvalid
from palio.identity.types import (
    Arrived,
    Consents,
    Departure,
    Flow,
    SecondFactorDue,
    SessionKind,
    SignedIn,
    Visitor,
    Vouching,
)
from palio.infra.oidc import Issuers, Leaving, Provider, TokenRefusedError, Vouched
from palio.kernel.errors import Upstream
from palio.kernel.ids import UserId, new_id

FLOW_LIFE = timedelta(minutes=10)


async def leave_for(
    house: House,
    *,
    provider: str,
    browser_key: str | None,
    wanted: str,
    user_id: UserId | None = None,
    consents: Consents = (),
    now: datetime,
) -> Departure:
    """Where a provider vouches for somebody, who comes back within ten minutes in the same browser.

    With `user_id` he wants his account there linked to the one here; `consents` is what he accepts if he turns out to
    be new. Refuses with NoSuchProvider, MethodClosed,
    Upstream.
    """
    known, key = house.provider(provider), browser_key or personal.new_secret()
    leaving = Leaving(personal.new_secret(), personal.new_secret(), personal.new_secret(), _back(house, known))
    address = await _issuers(house).address(known, leaving, now=now)
    flow = Flow(
        new_id(),
        known.key,
        leaving.nonce,
        b"",
        personal.hash_of(key),
        wanted,
        "link" if user_id else "login",
        user_id,
        dict(consents),
    )
    async with house.database.begin_system("away to a provider") as tx:
        await service.external.begin_flow(
            tx, flow=flow, verifier=leaving.verifier, state=leaving.state, now=now, expires_at=now + FLOW_LIFE
        )
    return Departure(address, key)


async def come_back(
    house: House,
    *,
    provider: str,
    state: str,
    code: str | None,
    browser_key: str,
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> Arrived:
    """Let in whoever comes back from a provider, or link his account there; he comes back once.

    Where the provider does not answer he may try again within his ten minutes. Without a code he was turned away there.
    Refuses with NoSuchProvider, MethodClosed, FlowInvalid, ProviderProofInvalid, LinkRequired, IdentityTaken,
    EmailNotAllowed, RegistrationClosed, ConsentRequired, RegistrationRefused, ContactUnverified, TooManyAttempts,
    Upstream.
    """
    known = house.provider(provider)
    method = rules.methods.method_of(provider)
    attempt = await arrival.knock(house, method=method, visitor=visitor, now=now)
    async with house.database.begin_system("back from a provider") as tx:
        flow, verifier = await service.external.take_flow(
            tx, provider=provider, state=state, browser_key=browser_key, now=now
        )
    if code is None:
        raise ProviderProofInvalid
    leaving = Leaving(state, flow.nonce, verifier, _back(house, known))
    try:
        vouched = await _issuers(house).exchange(known, leaving, code=code, now=now)
    except TokenRefusedError:
        raise ProviderProofInvalid from None
    except Upstream:
        async with house.database.begin_system("a provider does not answer") as tx:
            await service.external.give_flow_back(tx, flow=flow)
            await service.attempts.take_back(tx, attempt=attempt)
        raise
    async with arrival.beginning(house, attempt, "back from a provider") as tx:
        if flow.user_id:
            await service.external.link(tx, user_id=flow.user_id, who=_vouching(vouched), now=now)
            await service.attempts.take_back(tx, attempt=attempt)
            return Arrived(None, flow.return_path)
        user_id = await service.external.arrive(
            tx,
            who=_vouching(vouched),
            consents=tuple(flow.consents.items()),
            locale=locale,
            visitor=visitor,
            now=now,
        )
        entered = await arrival.enter(tx, attempt, user_id, method=method, kind="browser", visitor=visitor, now=now)
    return Arrived(arrival.required(entered), flow.return_path)


async def enter_by_token(
    house: House,
    *,
    provider: str,
    id_token: str,
    nonce: str,
    kind: SessionKind,
    consents: Consents = (),
    locale: str,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue:
    """Begin a session by the ID token that an app got from a provider, with the nonce that it asked for. Good once.

    Refuses with NoSuchProvider, MethodClosed, ProviderProofInvalid, LinkRequired, EmailNotAllowed, RegistrationClosed,
    ConsentRequired, RegistrationRefused, ContactUnverified, TooManyAttempts, Upstream.
    """
    known = house.provider(provider)
    method = rules.methods.method_of(provider)
    attempt = await arrival.knock(house, method=method, visitor=visitor, now=now)
    try:
        vouched = await _issuers(house).vouched(known, id_token=id_token, nonce=nonce, now=now)
    except TokenRefusedError:
        raise ProviderProofInvalid from None
    except Upstream:
        await arrival.take_back(house, attempt)
        raise
    async with arrival.beginning(house, attempt, "a token of a provider") as tx:
        user_id = await service.external.arrive(
            tx, who=_vouching(vouched), consents=consents, locale=locale, visitor=visitor, now=now
        )
        entered = await arrival.enter(tx, attempt, user_id, method=method, kind=kind, visitor=visitor, now=now)
    return arrival.required(entered)


async def link_by_token(
    house: House, *, user_id: UserId, provider: str, id_token: str, nonce: str, now: datetime
) -> None:
    """Link the account at a provider whose ID token an app has got, with the nonce that it asked for. Good once.

    Refuses with NoSuchProvider, MethodClosed, ProviderProofInvalid, IdentityTaken, Upstream.
    """
    known = house.provider(provider)
    try:
        vouched = await _issuers(house).vouched(known, id_token=id_token, nonce=nonce, now=now)
    except TokenRefusedError:
        raise ProviderProofInvalid from None
    async with house.database.begin_system("a token of a provider") as tx:
        await service.external.link(tx, user_id=user_id, who=_vouching(vouched), now=now)


def _issuers(house: House) -> Issuers:
    if house.issuers is None:
        raise NoSuchProvider
    return house.issuers


def _back(house: House, provider: Provider) -> str:
    """Where a provider sends people back to; it knows exactly this address."""
    return f"{house.database.equipment.site}/api/v1/auth/{provider.key}/callback"


def _vouching(vouched: Vouched) -> Vouching:
    return Vouching(
        vouched.provider,
        vouched.subject,
        vouched.email,
        vouched.is_email_verified,
        vouched.nonce,
        vouched.expires_at,
    )
