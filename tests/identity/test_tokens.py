"""Tokens: of apps, which are renewed, and of programs, which have scopes."""

import base64
from dataclasses import replace
from datetime import datetime

import pytest

from palio import identity
from palio.identity import rules
from palio.kernel.errors import Refusal, Unauthenticated
from tests.factories.identity import HOME, World, later

APP = replace(HOME, device_key="a-random-id-of-the-app-0123456789")


def bearer(token: str, ip: str | None = None) -> identity.Presented:
    return identity.Presented("bearer", token, ip=ip)


async def app_of(world: World, now: datetime, name: str = "alice") -> identity.SignedIn:
    await world.player(name, now)
    return await world.signed_in(name, now, kind="app", visitor=APP)


async def refreshed(world: World, token: str, now: datetime, device: str | None = APP.device_key) -> tuple[str, str]:
    found = await identity.refresh(world.house, token=token, device_key=device, now=now)
    return found.access_token, found.refresh_token


async def test_an_app_that_never_rests_is_signed_out_after_ninety_days(world: World, noon: datetime) -> None:
    session = await app_of(world, noon)
    assert session.tokens
    token = session.tokens.refresh_token
    for day in range(6, 90, 6):
        access, token = await refreshed(world, token, later(noon, days=day))
    _, token = await refreshed(world, token, later(noon, days=89.99))

    assert not await world.recognised(bearer(access), later(noon, days=90))
    with pytest.raises(identity.TokenExpired):
        await refreshed(world, token, later(noon, days=90))


async def test_whatever_opens_a_session_is_256_bits_of_chance(world: World, noon: datetime) -> None:
    """And no two are alike, in what they are made of either."""
    app = await app_of(world, noon)
    assert app.tokens
    browsers = [await world.signed_in("alice", noon) for _ in range(20)]
    pairs = [await refreshed(world, app.tokens.refresh_token, noon)]
    found = [app.tokens.access_token, app.tokens.refresh_token, *pairs[0], *(one.cookie or "" for one in browsers)]
    found += [one.device_key for one in browsers]
    keys = [base64.urlsafe_b64decode(one + "=") for one in found]

    assert {len(key) for key in keys} == {32} and len({*keys}) == len(keys)
    bits = "".join(f"{byte:08b}" for key in keys for byte in key)
    assert 0.45 < bits.count("1") / len(bits) < 0.55


async def test_an_access_token_lives_a_quarter_of_an_hour_and_buys_its_successor(world: World, noon: datetime) -> None:
    session = await app_of(world, noon)
    assert session.tokens
    assert session.cookie is None
    assert await world.recognised(bearer(session.tokens.access_token), later(noon, minutes=14.9))
    assert not await world.recognised(bearer(session.tokens.access_token), later(noon, minutes=15))
    assert not await world.recognised(bearer(session.tokens.refresh_token), noon)

    access, refresh = await refreshed(world, session.tokens.refresh_token, later(noon, minutes=15))
    assert await world.recognised(bearer(access), later(noon, minutes=29.9))
    assert refresh != session.tokens.refresh_token


async def test_a_lost_answer_is_given_again_and_a_stolen_token_ends_the_session(world: World, noon: datetime) -> None:
    session = await app_of(world, noon)
    assert session.tokens
    first = await refreshed(world, session.tokens.refresh_token, noon)

    assert await refreshed(world, session.tokens.refresh_token, later(noon, seconds=10)) == first
    with pytest.raises(identity.RefreshReused):
        await refreshed(world, session.tokens.refresh_token, later(noon, seconds=11))
    assert not await world.recognised(bearer(first[0]), later(noon, seconds=11))
    with pytest.raises(identity.TokenRevoked):
        await refreshed(world, first[1], later(noon, seconds=11))


@pytest.mark.parametrize("device", [None, "another-random-id-of-an-app"])
async def test_another_device_gets_no_second_answer(world: World, noon: datetime, device: str | None) -> None:
    session = await app_of(world, noon)
    assert session.tokens
    await refreshed(world, session.tokens.refresh_token, noon)

    with pytest.raises(identity.RefreshReused):
        await refreshed(world, session.tokens.refresh_token, later(noon, seconds=1), device)


async def test_once_the_successor_was_used_the_token_is_stolen(world: World, noon: datetime) -> None:
    session = await app_of(world, noon)
    assert session.tokens
    _, refresh = await refreshed(world, session.tokens.refresh_token, noon)
    await refreshed(world, refresh, later(noon, seconds=2))

    with pytest.raises(identity.RefreshReused):
        await refreshed(world, session.tokens.refresh_token, later(noon, seconds=3))


async def test_staff_get_no_second_answer(world: World, noon: datetime) -> None:
    await app_of(world, noon)
    async with world.database.begin_system("a test") as tx:
        alice = await identity.get(tx, name_or_id="alice")
        await identity.grant_role(tx, user_id=alice.id, role="support", reason="helps players", now=noon)
    session = await world.signed_in("alice", noon, kind="app", visitor=APP)
    assert session.tokens
    await refreshed(world, session.tokens.refresh_token, noon)

    with pytest.raises(identity.RefreshReused):
        await refreshed(world, session.tokens.refresh_token, later(noon, seconds=1))


async def test_an_app_that_rests_a_week_is_signed_out(world: World, noon: datetime) -> None:
    session = await app_of(world, noon)
    assert session.tokens

    with pytest.raises(identity.TokenExpired):
        await refreshed(world, session.tokens.refresh_token, later(noon, days=7))
    with pytest.raises(Unauthenticated) as refused:
        await refreshed(world, "never given out", noon)
    assert refused.value.code == "unauthenticated"


async def make(world: World, now: datetime, **terms: object) -> identity.NewApiToken:
    alice = await world.player("alice", now)
    async with world.database.begin_system("a test") as tx:
        return await identity.create_token(
            tx, user_id=alice.id, name="my bot", now=now, **{"scopes": ["games:read"], **terms}
        )


async def test_a_token_is_shown_once_and_its_hash_is_stored(world: World, noon: datetime) -> None:
    made = await make(world, noon, scopes=["games:write", "games:read", "games:read"])
    found = await world.doorman.recognise(bearer(made.secret), now=noon)

    assert found
    assert (found.session_id, found.scopes) == (None, ["games:read", "games:write"])
    assert made.secret.startswith(made.token.prefix + "_")
    assert made.secret.endswith(made.token.last4)
    assert made.secret not in world.everything()
    assert made.secret not in repr(made)


async def test_a_typing_error_costs_no_statement(world: World, noon: datetime) -> None:
    made = await make(world, noon)
    wrong = made.secret[:-1] + ("0" if made.secret[-1] != "0" else "1")
    stopped = identity.Doorman(world.database)

    assert rules.tokens.is_api_token(made.secret)
    assert not rules.tokens.is_api_token(wrong)
    before = world.database.pool.get_stats()["requests_num"]
    assert await stopped.recognise(bearer(wrong), now=noon) is None
    assert world.database.pool.get_stats()["requests_num"] == before


async def test_a_token_ends_when_it_is_revoked_found_or_old(world: World, noon: datetime) -> None:
    made = await make(world, noon, days=30)
    assert await world.recognised(bearer(made.secret), later(noon, days=29.9))
    assert not await world.recognised(bearer(made.secret), later(noon, days=30))

    async with world.database.begin_system("a test") as tx:
        await identity.revoke_leaked(tx, secret="palio_nonsense", now=noon)
        await identity.revoke_leaked(tx, secret=made.secret, now=noon)
    assert not await world.recognised(bearer(made.secret), noon)
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(identity.NoSuchToken):
            await identity.revoke_token(tx, user_id=made.token.user_id, token_id=made.token.id, now=noon)


async def test_whoever_shows_a_token_is_told_what_became_of_it(world: World, noon: datetime) -> None:
    made = await make(world, noon, days=30, ip_allow=["192.0.2.0/24"])
    session = await app_of(world, noon, name="bob")
    assert session.tokens
    unknown = rules.tokens.api_token("00000000", "x" * 43)
    shown = (
        (bearer(made.secret, "192.0.2.9"), noon, None),
        (bearer(made.secret, "192.0.3.9"), noon, "identity.token_elsewhere"),
        (bearer(made.secret, "192.0.2.9"), later(noon, days=30), "token_expired"),
        (bearer(session.tokens.access_token), later(noon, minutes=15), "token_expired"),
        *((bearer(secret), noon, "unauthenticated") for secret in ("nonsense", "palio_nonsense", unknown)),
    )
    assert [await told(world, one, at) for one, at, _ in shown] == [code for _, _, code in shown]

    async with world.database.begin_system("a test") as tx:
        await identity.revoke_leaked(tx, secret=made.secret, now=noon)
        await identity.end_sessions(tx, user_id=session.user_id, reason="logout", now=noon)
    ended = (bearer(made.secret, "192.0.2.9"), bearer(session.tokens.access_token))
    assert [await told(world, one, noon) for one in ended] == ["token_revoked"] * 2


async def told(world: World, presented: identity.Presented, now: datetime) -> str | None:
    try:
        await world.doorman.admit(presented, now=now)
    except Unauthenticated as refusal:
        return refusal.code
    return None


async def test_a_token_bound_to_networks_is_good_from_them_alone(world: World, noon: datetime) -> None:
    made = await make(world, noon, ip_allow=["192.0.2.0/24", "2001:db8::/48"])

    asked = ["192.0.2.9", "2001:db8::1", "192.0.3.9", "nonsense", None]
    assert [await world.recognised(bearer(made.secret, ip), noon) for ip in asked] == [True, True, False, False, False]


BAD = {
    "no name": ({"name": ""}, "identity.token_name_invalid"),
    "a long name": ({"name": "x" * 61}, "identity.token_name_invalid"),
    "a line in its name": ({"name": "a\nb"}, "identity.token_name_invalid"),
    "no scope": ({"scopes": []}, "identity.scope_unknown"),
    "an unknown scope": ({"scopes": ["games:read", "games:delete"]}, "identity.scope_unknown"),
    "no day": ({"days": 0}, "identity.lifetime_invalid"),
    "too many days": ({"days": 366}, "identity.lifetime_invalid"),
    "no network": ({"ip_allow": ["192.0.2.0/33"]}, "identity.network_invalid"),
    "too many networks": ({"ip_allow": ["192.0.2.1"] * 21}, "identity.network_invalid"),
}


@pytest.mark.parametrize(("change", "code"), BAD.values(), ids=BAD)
async def test_bad_terms_make_no_token(world: World, noon: datetime, change: dict[str, object], code: str) -> None:
    alice = await world.player("alice", noon)
    terms = {"name": "bot", "scopes": ["games:read"], **change}
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(Refusal) as refused:
            await identity.create_token(tx, user_id=alice.id, now=noon, **terms)
        assert await identity.tokens_of(tx, user_id=alice.id, now=noon) == []
    assert refused.value.code == code


async def test_twenty_tokens_are_enough(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        for number in range(20):
            await identity.create_token(tx, user_id=alice.id, name=f"bot {number}", scopes=["mcp:read"], now=noon)
        with pytest.raises(identity.TooManyTokens):
            await identity.create_token(tx, user_id=alice.id, name="one more", scopes=["mcp:read"], now=noon)
