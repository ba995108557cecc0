"""Registration, and the link that proves an address."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import doors, errors, service
from palio.identity.rules import emails
from palio.identity.types import TelegramUser
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId
from tests.factories.identity import ELSEWHERE, HOME, PASSWORD, World, cookie, later, secret_in, subjects
from tests.factories.ways import opened
from tests.identity.test_web import application, browser

DAY = timedelta(hours=24)
ALICE = identity.Application("Alice", " Alice@Example.COM ", PASSWORD, full_name="Alice Liddell")


async def register(world: World, now: datetime, application: identity.Application = ALICE) -> str:
    return (await identity.register(world.house, application=application, visitor=HOME, now=now)).told


async def verify(world: World, secret: str, now: datetime, **proof: str) -> None:
    await identity.verify_email(world.house, secret=secret, visitor=ELSEWHERE, now=now, **proof)


async def status(world: World, name: str = "alice") -> str | None:
    async with world.database.begin_system("a test") as tx:
        user = await identity.find(tx, name_or_id=name)
    return user and user.status


async def test_who_registers_is_written_to_and_active_once_he_opens_the_link(world: World, noon: datetime) -> None:
    registration = await register(world, noon)
    (letter,) = await world.deliver()

    assert (letter.to, letter.subject) == ("alice@example.com", "Confirm your e-mail address")
    assert "Welcome, Alice!" in letter.text
    assert await status(world) == "pending"
    await verify(world, secret_in(letter), noon, registration=registration)
    assert await status(world) == "active"


async def test_nothing_personal_stands_in_any_table_or_in_the_queue(world: World, noon: datetime) -> None:
    registration = await register(world, noon)
    stored = world.everything()
    (letter,) = await world.deliver()
    text = (stored + world.everything()).lower()
    secrets = ["alice@example.com", "liddell", PASSWORD, HOME.ip, secret_in(letter).lower(), registration.lower()]

    hexadecimal = [secret.encode().hex() for secret in secrets]
    assert [secret for secret in (*secrets, *hexadecimal) if secret in text] == []


async def test_a_strangers_click_does_not_arm_the_account(world: World, noon: datetime) -> None:
    await register(world, noon)
    secret = secret_in((await world.deliver())[0])

    with pytest.raises(identity.ProofRequired):
        await verify(world, secret, noon)
    with pytest.raises(identity.ProofRequired):
        await verify(world, secret, noon, registration="x" * 43)
    with pytest.raises(identity.BadCredentials):
        await verify(world, secret, noon, password="not his password")
    assert await status(world) == "pending"

    await verify(world, secret, noon, password=PASSWORD)
    assert await status(world) == "active"
    with pytest.raises(identity.TokenInvalid):
        await verify(world, secret, noon, password=PASSWORD)


@pytest.mark.parametrize(
    ("age", "is_good"), [(timedelta(hours=24) - timedelta(seconds=1), True), (timedelta(hours=24), False)]
)
async def test_a_link_lives_a_day(world: World, noon: datetime, age: timedelta, is_good: bool) -> None:
    registration = await register(world, noon)
    secret = secret_in((await world.deliver())[0])
    made = await world.count("select extract(epoch from created_at)::bigint from identity.verification_tokens")
    sent = datetime.fromtimestamp(made, noon.tzinfo)
    with world.superuser() as server:
        server.execute(
            "update identity.verification_tokens set created_at = %s, expires_at = %s",
            (sent, sent + timedelta(hours=24)),
        )

    if is_good:
        await verify(world, secret, sent + age, registration=registration)
    else:
        with pytest.raises(identity.TokenInvalid):
            await verify(world, secret, sent + age, registration=registration)
    assert await status(world) == ("active" if is_good else "pending")


async def test_a_newer_link_takes_the_place_of_the_older_and_letters_are_counted(world: World, noon: datetime) -> None:
    registration = await register(world, noon)
    (first,) = await world.deliver()
    for _ in range(3):
        async with world.database.begin_system("a test") as tx:
            await identity.ask_for_letter(tx, letter="email_verification", email="ALICE@example.com")
    (second,) = await world.deliver()  # the third within an hour is not sent

    with pytest.raises(identity.TokenInvalid):
        await verify(world, secret_in(first), noon, registration=registration)
    await verify(world, secret_in(second), noon, registration=registration)


async def test_a_known_address_gets_a_letter_and_nobody_learns_of_it(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    for name in ("bob", "carol"):
        told = await register(world, noon, replace(ALICE, username=name, email="alice@example.com"))
        assert len(told) == 43

    assert subjects(await world.deliver()) == ["You already have an account"] * 2
    assert await world.count("select count(*) from identity.users") == 1
    for name in ("bob", "Carol"):
        with pytest.raises(identity.UsernameTaken):
            await register(world, noon, replace(ALICE, username=name, email=f"{name}@example.org"))
    await register(world, later(noon, days=7), replace(ALICE, username="bob", email="bob@example.org"))


async def test_the_first_to_prove_an_address_owns_it_and_the_others_go(world: World, noon: datetime) -> None:
    his = await register(world, noon)
    (first,) = await world.deliver()
    await register(world, noon, replace(ALICE, username="mallory"))
    await world.deliver()

    await verify(world, secret_in(first), noon, registration=his)
    assert (await status(world), await status(world, "mallory")) == ("active", None)


async def test_a_letter_that_is_sent_twice_holds_the_same_link(world: World, noon: datetime) -> None:
    await register(world, noon)
    with world.superuser() as server:
        server.execute("create table if not exists public.copies as select * from jobs.procrastinate_jobs with no data")
        server.execute("insert into public.copies select * from jobs.procrastinate_jobs")
    (first,) = await world.deliver()
    with world.superuser() as server:
        server.execute("insert into jobs.procrastinate_jobs overriding system value select * from public.copies")
        server.execute("drop table public.copies")
    (again,) = await world.deliver()

    assert secret_in(again) == secret_in(first)
    assert again.number == first.number


BAD = {
    "no address": ({"email": "alice"}, "identity.email_invalid"),
    "a trailing newline": ({"email": "alice@example.com\n"}, "identity.email_invalid"),
    "a zero-width space in it": ({"email": "al\u200bice@example.com"}, "identity.email_invalid"),
    "a local part in Cyrillic": ({"email": "аlice@example.com"}, "identity.email_invalid"),  # noqa: RUF001 - the attack
    "two addresses": ({"email": "a@example.com,b@example.com"}, "identity.email_invalid"),
    "an address of 260 characters": (
        {"email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example.com"},
        "identity.email_invalid",
    ),
    "a short password": ({"password": "1x3y5z7"}, "identity.password_too_weak"),
    "an empty password": ({"password": ""}, "identity.password_too_weak"),
    "a common password": ({"password": "Password123!"}, "identity.password_too_weak"),
    "keys in a row": ({"password": "qwertyuiop"}, "identity.password_too_weak"),
    "digits alone": ({"password": "19840229"}, "identity.password_too_weak"),
    "one letter": ({"password": "zzzzzzzzzzzz"}, "identity.password_too_weak"),
    "his own name": ({"password": "xx-ALICE-2026"}, "identity.password_too_weak"),
    "the name of the site": ({"password": "my palio pass"}, "identity.password_too_weak"),
    "257 characters": ({"password": "correct horse " * 19}, "identity.password_too_weak"),
    "half a character": ({"password": "correct horse \ud800"}, "identity.password_too_weak"),
    "a short name": ({"username": "al"}, "identity.username_invalid"),
    "a name in Cyrillic": ({"username": "аlice"}, "identity.username_invalid"),  # noqa: RUF001 - the attack
    "a reserved name": ({"username": "Support"}, "identity.username_reserved"),
    "a name of an erased one": ({"username": "erased-12345678"}, "identity.username_reserved"),
    "a shown name turned round": ({"display_name": "\u202eecila"}, "identity.character_not_allowed"),
    "a shown name of nothing": ({"display_name": "\u200b" * 15}, "identity.character_not_allowed"),
    "a full name with a bell": ({"full_name": "Alice\a"}, "identity.character_not_allowed"),
    "a full name of blanks": ({"full_name": "   "}, "identity.full_name_invalid"),
    "no language": ({"locale": "../etc"}, "identity.locale_invalid"),
    "no time zone": ({"time_zone": "../../etc/passwd"}, "identity.time_zone_invalid"),
    "a zone that is not": ({"time_zone": "Europe/Atlantis"}, "identity.time_zone_invalid"),
}


@pytest.mark.parametrize(("change", "code"), BAD.values(), ids=BAD)
async def test_bad_input_is_refused_by_name_and_leaves_nothing(
    world: World, noon: datetime, change: dict[str, str], code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await register(world, noon, replace(ALICE, **change))

    assert refused.value.code == code
    assert await world.count("select count(*) from identity.users") == 0
    assert await world.deliver() == []


async def test_a_taken_name_is_refused_in_any_case_and_an_imitation_too(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    for change, code in (
        ({"username": "ALICE"}, "identity.username_taken"),
        ({"username": "mallory", "display_name": "аӏісе"}, "identity.name_imitates"),  # noqa: RUF001 - the attack
    ):
        with pytest.raises(Refusal) as refused:
            await register(world, noon, replace(ALICE, email="new@example.org", **change))
        assert refused.value.code == code


IITM = {
    "21f1006194@ds.study.iitm.ac.in": True,
    "21F1006194@DS.study.iitm.ac.in": True,
    "21f100619@ds.study.iitm.ac.in": False,
    "21g1006194@ds.study.iitm.ac.in": False,
    "21f1006194@gmail.com": False,
    "x21f1006194@ds.study.iitm.ac.in": False,
    "21f1006194@ds.study.iitm.ac.in.example.com": False,
}


@pytest.mark.parametrize(("address", "is_allowed"), IITM.items())
def test_the_preset_of_the_institute_knows_its_students(address: str, is_allowed: bool) -> None:
    policy = [identity.EmailRule(None, 1, action, kind, pattern, note) for action, kind, pattern, note in identity.IITM]  # type: ignore[arg-type]  # no id is needed
    canonical = identity.canonical_email(address)

    assert canonical == address.lower()
    if is_allowed:
        emails.decide_email(canonical, policy, "deny")
    else:
        with pytest.raises(identity.EmailNotAllowed):
            emails.decide_email(canonical, policy, "deny")


async def test_an_address_that_the_policy_refuses_does_not_register(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.add_rule(tx, action="deny", kind="domain", pattern=".example.com", now=noon)
        await identity.add_rule(tx, action="allow", kind="address", pattern="alice@example.com", position=1, now=noon)

    await register(world, noon)
    with pytest.raises(identity.EmailNotAllowed):
        await register(world, noon, replace(ALICE, username="bob", email="bob@mail.example.com"))


THROWAWAY = """
# those that live for ten minutes
Mailinator.com
mailinator.com   # twice
.trash.example
"""


async def loaded(world: World, text: str, now: datetime, name: str = "throwaway") -> int:
    async with world.database.begin_system("a test") as tx:
        _, after = await identity.load_domains(tx, name=name, lines=text.splitlines(), now=now, reason="a test")
    return after.domains


async def test_a_rule_names_a_whole_list_of_domains(world: World, noon: datetime) -> None:
    """The list may be loaded anew, and rules in front of it decide first."""
    assert await loaded(world, THROWAWAY, noon) == 2
    async with world.database.begin_system("a test") as tx:
        await identity.add_rule(tx, action="deny", kind="domain_file", pattern="throwaway", now=noon)
        await identity.add_rule(
            tx, action="allow", kind="address", pattern="alice@mailinator.com", position=1, now=noon
        )

    async def verdicts(*addresses: str) -> list[str]:
        async with world.database.begin_system("a test") as tx:
            return [one.verdict for one in await identity.try_addresses(tx, addresses=addresses)]

    no, yes = "identity.email_not_allowed", "allowed"
    assert await verdicts("bob@mailinator.com", "bob@MAILINATOR.com", "bob@x.mailinator.com") == [no, no, yes]
    assert await verdicts("b@trash.example", "b@a.b.trash.example", "b@xtrash.example") == [no, no, yes]
    assert await verdicts("alice@mailinator.com", "bob@example.com", "nobody") == [yes, yes, "identity.email_invalid"]
    await register(world, noon, replace(ALICE, email="alice@mailinator.com"))
    with pytest.raises(identity.EmailNotAllowed):
        await register(world, noon, replace(ALICE, username="bob", email="bob@mailinator.com"))

    assert await loaded(world, "other.example", later(noon, days=1)) == 1
    assert await verdicts("bob@mailinator.com", "bob@other.example") == [yes, no]
    async with world.database.begin_system("a test") as tx:
        assert [(one.name, one.domains) for one in await identity.domain_lists(tx)] == [("throwaway", 1)]


@pytest.mark.parametrize(
    ("text", "line"), [("fine.example\nno domain", 2), ("@example.com", 1), ("localhost", 1), ("ex\u00e4mple.com", 1)]
)
async def test_a_file_of_domains_is_loaded_whole_or_not_at_all(
    world: World, noon: datetime, text: str, line: int
) -> None:
    await loaded(world, "kept.example", noon)
    with pytest.raises(identity.PatternInvalid) as refused:
        await loaded(world, text, noon)
    assert refused.value.facts["line"] == line
    assert await world.count("select count(*) from identity.email_domains where domain = 'kept.example'") == 1


@pytest.mark.parametrize("name", ["nowhere", "No Name", "../etc", ""])
async def test_a_rule_names_a_list_that_there_is(world: World, noon: datetime, name: str) -> None:
    with pytest.raises(identity.PatternInvalid):
        async with world.database.begin_system("a test") as tx:
            await identity.add_rule(tx, action="deny", kind="domain_file", pattern=name, now=noon)
    assert await world.count("select count(*) from identity.email_rules") == 0


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a*)*",
        "(?:a|aa)+",
        "([a-z]+)*x",
        "(a)\\1",
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?P<n>a)",
        "(a{1,50}){2,}",
        ".*.*.*.*x",
        "((a+))+",
        "(a+){5}",
        "(?i)x",
    ],
)
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(identity.PatternUnsafe):
        emails.require_pattern("regex", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        identity.IITM[0][2],
        r"[a-z.]+@x\.org",
        r"(?:a|b)@x\.org",
        r"a{3}@(x|y)\.org",
        r".*@x\.org",
    ],
)
def test_an_honest_pattern_is_taken(pattern: str) -> None:
    assert emails.require_pattern("regex", pattern) == pattern


async def test_who_says_where_he_lives_is_not_guessed_and_has_said_it_once(world: World, noon: datetime) -> None:
    with pytest.raises(errors.CountryInvalid):
        await register(world, noon, replace(ALICE, country="Sweden"))
    await register(world, noon, replace(ALICE, country="SE"))
    await register(world, noon, replace(ALICE, username="bob", email="bob@example.com"))
    async with world.database.begin_system("a test") as tx:
        alice, bob = [await identity.get(tx, name_or_id=name) for name in ("alice", "bob")]
        with pytest.raises(errors.SaidAlready):
            await service.accounts.say_once(tx, user_id=alice.id, country="NO", now=noon)
    assert (alice.country, alice.country_source, alice.city) == ("SE", "user", None)
    assert (bob.country, bob.country_source, bob.city) == ("DE", "geo", "Berlin")


# where the proof of the address may wait


@pytest.fixture
async def deferred(world: World) -> AsyncIterator[None]:
    await opened(world, EMAIL_VERIFICATION="deferred")
    yield
    await opened(world)


async def made(world: World, now: datetime, application: identity.Application = ALICE) -> identity.SignedIn:
    found = await identity.register(world.house, application=application, visitor=HOME, now=now)
    assert found.session
    return found.session


async def may(world: World, user_id: UserId, now: datetime) -> list[str | None]:
    activities = ("compete", "bonus", "stake", "pay_in", "redeem", "withdraw")
    async with world.database.begin_system("a test") as tx:
        found = await identity.require_play_many(tx, [(user_id, activity) for activity in activities], now=now)
    return [refusal and refusal.code for refusal in found]


@pytest.mark.usefixtures("deferred")
async def test_who_proves_his_address_later_is_in_at_once_and_pays_nothing_before(world: World, noon: datetime) -> None:
    session = await made(world, noon)
    assert await world.recognised(cookie(session), noon)
    assert await status(world) == "active"
    assert await may(world, session.user_id, noon) == [None, None, *["identity.contact_unverified"] * 4]
    assert (await world.signed_in("Alice@example.com", noon)).user_id == session.user_id

    (letter,) = await world.deliver()
    await verify(world, secret_in(letter), noon, password=PASSWORD)
    assert await may(world, session.user_id, noon) == [None] * 6
    with world.superuser() as server:
        told = server.execute(
            "select args->'message' from jobs.procrastinate_jobs where args::text like '%ContactVerified%'"
        ).fetchall()
    assert all(one["first"] for (one,) in told)


@pytest.mark.usefixtures("deferred")
async def test_an_address_that_is_proven_is_never_a_second_ones_and_both_answers_look_alike(
    world: World, noon: datetime
) -> None:
    alice = await made(world, noon)
    (letter,) = await world.deliver()
    await verify(world, secret_in(letter), noon, password=PASSWORD)
    second = await made(world, noon, replace(ALICE, username="second"))
    (note,) = await world.deliver()
    assert (note.to, "has an account already" in note.subject) == ("alice@example.com", True)
    assert "/verify-email/" not in note.text
    assert (await world.signed_in("alice@example.com", noon)).user_id == alice.user_id
    assert await may(world, second.user_id, noon) == [None, None, *["identity.contact_unverified"] * 4]


@pytest.mark.usefixtures("deferred")
async def test_who_gets_a_letter_for_an_account_he_did_not_make_takes_it_over_by_a_new_password(
    world: World, noon: datetime
) -> None:
    stranger = await made(world, noon)
    await world.deliver()
    async with world.database.begin_system("a test") as tx:
        await service.telegram.link(tx, user_id=stranger.user_id, user=TelegramUser(7_000_000_001, None), now=noon)
        await service.phones.link(tx, user_id=stranger.user_id, number="+4915112345689", now=noon)
    await doors.add_email(world.house, user_id=stranger.user_id, text="stranger@example.com", now=noon)
    await world.deliver()
    await doors.ask_for_letter(world.house, letter="password_reset", email="alice@example.com")
    (letter,) = await world.deliver()
    await identity.reset_password(world.house, secret=secret_in(letter), new="another good secret", now=noon)
    assert not await world.recognised(cookie(stranger), noon)
    with pytest.raises(identity.BadCredentials):
        await world.signed_in("alice", noon)
    async with world.database.begin_system("a test") as tx:
        assert await service.identities.identities_of(tx, user_id=stranger.user_id) == []
        assert [one.address for one in await service.contacts.emails_of(tx, user_id=stranger.user_id)] == [
            "alice@example.com"
        ]


@pytest.mark.usefixtures("deferred")
async def test_over_http_it_is_created_with_a_session(world: World) -> None:
    async with browser(application(world)) as client:
        said = {"username": "alice", "email": "alice@example.com", "password": PASSWORD}
        answer = await client.post("/auth/register", json=said)
        assert (answer.status_code, answer.json()["session"]["kind"]) == (201, "browser")
        assert (await client.get("/me")).json()["email_verified"] is False
    async with browser(application(world)) as client:
        form = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
        done = await client.post("https://palio.test/sign-up", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        assert (await client.get("https://palio.test/account")).status_code == 200


async def test_a_device_asks_for_three_accounts_in_an_hour_and_ten_in_a_day(world: World, noon: datetime) -> None:
    """Whatever the network, and whether an account is made: a proven address of somebody counts as any other."""
    await world.player("owner", noon)
    asked = iter(range(1_000))

    async def ask(now: datetime, *, device: str | None = "a-device-that-moves", email: str | None = None) -> str | None:
        n = next(asked)
        visitor = identity.Visitor(f"192.0.2.{n}", "curl/8.5", device)
        application = identity.Application(f"name{n}", email or f"name{n}@example.com", PASSWORD)
        try:
            await identity.register(world.house, application=application, visitor=visitor, now=now)
        except Refusal as refusal:
            assert await status(world, application.username) is None
            return refusal.code
        return None

    full = "identity.too_many_attempts"
    assert [await ask(noon, email=email) for email in (None, "owner@example.com", None)] == [None] * 3
    assert [await ask(noon), await ask(noon, email="owner@example.com")] == [full] * 2
    assert [await ask(noon, device=device) for device in ("another-device-it-is", None)] == [None] * 2
    for hours in (1, 2):
        at = noon + timedelta(hours=hours)
        assert [await ask(at) for _ in range(4)] == [None] * 3 + [full]
    at = noon + timedelta(hours=3)
    assert [await ask(at) for _ in range(2)] == [None, full]  # the eleventh of the day
    assert await ask(noon + DAY) is None


async def test_a_browser_is_one_device_from_its_first_sign_up_on(world: World) -> None:
    """Its cookie comes with the first answer. An app names itself in a header; without one it is a new device."""

    def form(n: int, client: str) -> dict[str, str]:
        name = f"u-{client}{n}"
        return {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "client": client}

    app = application(world)
    async with browser(app) as client:
        answers = [await client.post("/auth/register", json=form(n, "browser")) for n in range(4)]
        assert [one.status_code for one in answers] == [202, 202, 202, 429]
        assert answers[3].json()["code"] == "identity.too_many_attempts"
        assert int(answers[3].headers["retry-after"]) == 3_600
        assert "__Host-palio_device" in client.cookies
    async with browser(app) as client:
        loose = [(await client.post("/auth/register", json=form(n, "app"))).status_code for n in range(4)]
        assert loose == [202] * 4
        client.headers["palio-device"] = "a-random-id-of-the-app-0123456789"
        named = [(await client.post("/auth/register", json=form(n, "app"))).status_code for n in range(4, 8)]
        assert named == [202, 202, 202, 429]
    assert await world.count("select count(*) from identity.sign_ups") == 10
