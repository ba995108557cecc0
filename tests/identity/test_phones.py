"""Codes to a telephone: equal answers for everybody, five tries, limits, and what comes through the gateway."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import doors, jobs, rules, service
from palio.identity.messages import SendCode
from palio.identity.types import TelegramUser
from palio.infra import db
from palio.infra.outbox import Stored, shape_of
from palio.kernel.errors import Upstream
from palio.kernel.messages import Envelope
from palio.sim import World as Outside
from palio.sim import fault_of
from tests.conftest import PATIENCE_S
from tests.factories.identity import HOME, World, cookie
from tests.factories.ways import ADA_NUMBER, METHODS, house_of, opened, outside_at, visitor

BEN_NUMBER = "+12025550143"


class Phones:
    """A house with a gateway, and the telephones that it sends to."""

    def __init__(self, world: World, outside: Outside, house: doors.House, now: datetime) -> None:
        self.world, self.outside, self.house, self.now = world, outside, house, now

    async def ask(self, number: str = ADA_NUMBER, *, now: datetime | None = None, user: object = None) -> None:
        await doors.ask_for_code(
            self.house,
            number=number,
            user_id=user.id if user else None,  # type: ignore[attr-defined]  # a user
            locale="en",
            now=now or self.now,
        )

    async def send(self) -> int:
        """Do what waits in the queue of codes, and say how many were sent."""
        before = len(self.outside.otp.sent)
        with self.world.superuser() as server:
            waiting = server.execute(
                "delete from jobs.procrastinate_jobs where task_name like '%send_code' returning args"
            ).fetchall()
        for (args,) in waiting:
            stored = shape_of(Stored).validate_python(args)
            job = shape_of(SendCode).validate_python(stored.message)
            await jobs.send_code(self.world.database, job, Envelope(stored.event_id, stored.at, 1))
        return len(self.outside.otp.sent) - before

    async def code(self, number: str = ADA_NUMBER, *, now: datetime | None = None, user: object = None) -> str:
        await self.ask(number, now=now, user=user)
        await self.send()
        found = self.outside.otp.newest(number)
        assert found
        return found.code

    async def enter(
        self, code: str, number: str = ADA_NUMBER, *, n: int = 1, now: datetime | None = None
    ) -> identity.SignedIn | identity.SecondFactorDue:
        return await doors.enter_by_phone(
            self.house, number=number, code=code, kind="browser", locale="de", visitor=visitor(n), now=now or self.now
        )


@pytest.fixture
async def phones(world: World, noon: datetime) -> AsyncIterator[Phones]:
    async with outside_at(noon) as outside:
        await opened(world, *METHODS)
        yield Phones(world, outside, house_of(world, outside), noon)
        await opened(world)


async def test_the_first_code_makes_an_account_and_the_next_opens_it(phones: Phones) -> None:
    first = await phones.enter(await phones.code())
    assert isinstance(first, identity.SignedIn)
    async with phones.world.database.begin_system("a test") as tx:
        user = await identity.get(tx, name_or_id=first.user_id)
        told = await identity.log_ins(tx, user_id=user.id)
    assert (user.status, user.registered_with, user.locale) == ("active", "phone_otp", "de")
    assert [(one.outcome, one.method) for one in told] == [("success", "phone_otp")]
    assert await phones.world.recognised(cookie(first), phones.now)
    again = await phones.enter(await phones.code())
    assert isinstance(again, identity.SignedIn)
    assert again.user_id == first.user_id


async def test_a_new_account_begins_in_the_country_of_its_address(phones: Phones) -> None:
    code = await phones.code()
    found = await doors.enter_by_phone(
        phones.house, number=ADA_NUMBER, code=code, kind="app", locale="de", visitor=HOME, now=phones.now
    )
    async with phones.world.database.begin_system("a test") as tx:
        assert isinstance(found, identity.SignedIn)
        user = await identity.get(tx, name_or_id=found.user_id)
    assert (user.country, user.country_source, user.city) == ("DE", "geo", "Berlin")


async def test_what_the_gateway_gets_is_signed_and_says_all_that_a_provider_needs(phones: Phones) -> None:
    code = await phones.code()
    (sent,) = phones.outside.otp.sent
    assert (sent.to, sent.code) == (ADA_NUMBER, code)
    assert sent.text.startswith(f"{code} is your code.")
    assert len(code) == 6
    assert [one.status for one in phones.outside.journal if one.path == "/otp"] == [202]


async def test_neither_number_nor_code_stands_anywhere_in_clear(phones: Phones) -> None:
    await phones.ask()
    everything = phones.world.everything()
    code = await phones.send()
    assert code == 1
    sent = phones.outside.otp.newest(ADA_NUMBER)
    assert sent
    await phones.enter(sent.code)
    for text in (everything, phones.world.everything()):
        assert ADA_NUMBER not in text
        assert ADA_NUMBER[1:] not in text
        assert f"'{sent.code}'" not in text
        assert f",{sent.code}," not in text
    left = await phones.world.count("select count(*) from identity.otp_challenges where target is not null")
    assert left == 0  # where it went is forgotten once it has gone


async def test_a_known_and_an_unknown_number_are_answered_and_worked_for_alike(phones: Phones) -> None:
    """Acceptance 17: whether somebody has the number, neither the answer nor what is written down tells."""
    await phones.enter(await phones.code())
    before = await phones.world.count("select count(*) from identity.otp_challenges")
    assert await phones.ask(ADA_NUMBER) == await phones.ask(BEN_NUMBER)
    assert await phones.world.count("select count(*) from identity.otp_challenges") == before + 2
    assert await phones.send() == 2
    for number in (ADA_NUMBER, BEN_NUMBER, "+33123456789"):  # the last one has asked for nothing
        with pytest.raises(identity.CodeWrong) as refused:
            await phones.enter("000000" if number != ADA_NUMBER else "999999", number, n=5)
        assert refused.value.facts == {}


async def test_five_wrong_tries_kill_a_code_and_the_right_one_then_fails(phones: Phones) -> None:
    """Acceptance 17."""
    code = await phones.code()
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for n in range(5):
        with pytest.raises(identity.CodeWrong):
            await phones.enter(wrong, n=n + 1)
    with pytest.raises(identity.CodeWrong):
        await phones.enter(code, n=9)
    assert await phones.world.count("select count(*) from identity.users") == 0
    assert isinstance(await phones.enter(await phones.code(), n=9), identity.SignedIn)


async def test_the_fifth_try_may_be_the_right_one(phones: Phones) -> None:
    code = await phones.code()
    for n, odd in enumerate(("", "12345", "1234567", "abcdef")):
        with pytest.raises(identity.CodeWrong):
            await phones.enter(odd, n=n + 1)
    assert isinstance(await phones.enter(f" {code[:3]} {code[3:]} ", n=9), identity.SignedIn)


async def test_a_code_is_good_once_for_ten_minutes_and_until_the_next(phones: Phones) -> None:
    code = await phones.code()
    with pytest.raises(identity.CodeWrong):
        await phones.enter(code, now=phones.now + timedelta(minutes=10))
    newer = await phones.code(now=phones.now + timedelta(minutes=1))
    if newer != code:
        with pytest.raises(identity.CodeWrong):
            await phones.enter(code, n=2, now=phones.now + timedelta(minutes=2))
    assert await phones.enter(newer, n=3, now=phones.now + timedelta(minutes=2))
    with pytest.raises(identity.CodeWrong):
        await phones.enter(newer, n=4, now=phones.now + timedelta(minutes=2))


async def test_a_number_gets_three_codes_an_hour_and_five_a_day(phones: Phones) -> None:
    at = phones.now
    for minutes in (0, 10, 20):
        await phones.ask(now=at + timedelta(minutes=minutes))
    with pytest.raises(identity.TooManyAttempts) as refused:
        await phones.ask(now=at + timedelta(minutes=30))
    assert refused.value.facts["retry_after_s"] == 30 * 60 + 1
    await phones.ask(BEN_NUMBER, now=at + timedelta(minutes=30))
    for minutes in (61, 71):
        await phones.ask(now=at + timedelta(minutes=minutes))
    with pytest.raises(identity.TooManyAttempts) as refused:
        await phones.ask(now=at + timedelta(hours=5))
    assert refused.value.facts["retry_after_s"] == 19 * 3_600 + 1
    await phones.ask(now=at + timedelta(days=1, seconds=1))


async def test_the_house_sends_thirty_codes_a_minute(phones: Phones) -> None:
    for n in range(30):
        await phones.ask(f"+4915110000{n:03}")
    with pytest.raises(identity.TooManyAttempts):
        await phones.ask(BEN_NUMBER)
    await phones.ask(BEN_NUMBER, now=phones.now + timedelta(seconds=61))


async def test_a_gateway_that_fails_has_the_code_sent_later_and_once(phones: Phones) -> None:
    await phones.ask()
    with phones.world.superuser() as server:
        statement = "select args from jobs.procrastinate_jobs where task_name like '%send_code'"
        (args,) = server.execute(statement).fetchone() or ({},)
    stored = shape_of(Stored).validate_python(args)
    job = shape_of(SendCode).validate_python(stored.message)
    envelope = Envelope(stored.event_id, stored.at, 1)
    phones.outside.faults.add(fault_of({"sim": "otp", "effect": {"name": "status", "code": 500}, "times": 1}))
    with pytest.raises(Upstream):
        await jobs.send_code(phones.world.database, job, envelope)
    phones.outside.otp.sent.clear()  # it took the code and answered that it did not
    await jobs.send_code(phones.world.database, job, envelope)
    await jobs.send_code(phones.world.database, job, envelope)
    assert len(phones.outside.otp.sent) == 1


async def test_a_forged_call_is_not_taken_by_the_gateway(phones: Phones) -> None:
    import httpx2  # noqa: PLC0415

    headers = {"webhook-id": "x", "webhook-timestamp": str(int(phones.now.timestamp())), "webhook-signature": "v1,AA=="}
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as stranger:
        answer = await stranger.post(phones.outside.otp_url, json={"to": "+1"}, headers=headers)
    assert answer.status_code == 401


async def test_a_closed_house_sends_codes_only_to_those_who_are_here(phones: Phones) -> None:
    await phones.enter(await phones.code())
    await opened(phones.world, *METHODS, REGISTRATION="closed")
    assert await phones.ask(ADA_NUMBER) == await phones.ask(BEN_NUMBER)
    assert await phones.send() == 1


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+49 151 2345-6789", ADA_NUMBER),
        ("0049 (151) 23456789", ADA_NUMBER),
        ("+1 202.555.0143", BEN_NUMBER),
        ("\u00a0+49\u00a015123456789 ", ADA_NUMBER),
        ("+0123456789", None),
        ("0151 23456789", None),
        ("+49", None),
        ("+491512345678901234", None),
        ("+49 151 ²³45678", None),
        ("+49\n15123456789", None),
        ("tel:+4915123456789", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, number: str | None) -> None:
    if number is None:
        with pytest.raises(identity.PhoneInvalid):
            rules.phones.require_number(written, countries=())
    else:
        assert rules.phones.require_number(written, countries=()) == number


def test_a_country_is_told_by_its_longest_beginning() -> None:
    of = rules.phones.country_of
    assert [of(one) for one in ("+4915123456789", "+12025550143", "+14165550143", "+18765550143", "+77011234567")] == [
        *("DE", "US", "CA", "JM", "KZ")
    ]
    assert (of("+79161234567"), of("+441534123456"), of("+999123456")) == ("RU", "JE", None)


async def test_codes_go_to_the_countries_that_are_listed(phones: Phones) -> None:
    await opened(phones.world, *METHODS, PHONE_COUNTRIES=["DE", "AT"])
    await phones.ask(ADA_NUMBER)
    with pytest.raises(identity.PhoneCountryBlocked):
        await phones.ask(BEN_NUMBER)
    with pytest.raises(identity.PhoneCountryBlocked):
        await phones.ask("+999123456")


async def test_a_number_is_added_to_an_account_and_belongs_to_it_alone(phones: Phones) -> None:
    ada, ben = await phones.world.player("adam", phones.now), await phones.world.player("benno", phones.now)
    code = await phones.code(user=ada)
    with pytest.raises(identity.CodeWrong):  # a code to add a number opens no account
        await phones.enter(code)
    with pytest.raises(identity.CodeWrong):  # and is his who asked
        await doors.link_phone(phones.house, user_id=ben.id, number=ADA_NUMBER, code=code, now=phones.now)
    await doors.link_phone(phones.house, user_id=ada.id, number=ADA_NUMBER, code=code, now=phones.now)
    entered = await phones.enter(await phones.code())
    assert isinstance(entered, identity.SignedIn)
    assert entered.user_id == ada.id
    code = await phones.code(user=ben)
    with pytest.raises(identity.PhoneTaken):
        await doors.link_phone(phones.house, user_id=ben.id, number=ADA_NUMBER, code=code, now=phones.now)
    code = await phones.code(BEN_NUMBER, user=ada)
    with pytest.raises(identity.PhoneTaken):
        await doors.link_phone(phones.house, user_id=ada.id, number=BEN_NUMBER, code=code, now=phones.now)
    async with phones.world.database.begin_system("a test") as tx:
        assert await db.value(tx, "select country from identity.phones") == "DE"


async def test_without_a_gateway_there_is_no_such_way(phones: Phones) -> None:
    with pytest.raises(identity.MethodClosed):
        await doors.ask_for_code(phones.world.house, number=ADA_NUMBER, locale="en", now=phones.now)


async def test_staff_find_somebody_by_his_whole_number_and_telegram_id_and_by_nothing_less(phones: Phones) -> None:
    ada, ben = await phones.world.player("ada", phones.now), await phones.world.player("7000000001x", phones.now)
    async with phones.world.database.begin_system("a test") as tx:
        await service.phones.link(tx, user_id=ada.id, number=ADA_NUMBER, now=phones.now)
        await service.telegram.link(tx, user_id=ada.id, user=TelegramUser(7_000_000_001), now=phones.now)
        found = {
            text: [one.username for one in await identity.search(tx, text=text)]
            for text in (ADA_NUMBER, "+49 151 2345-6789", ADA_NUMBER[:-1], BEN_NUMBER, "+", "7000000001", "7000000002")
        }
    assert found == {
        ADA_NUMBER: ["ada"],
        "+49 151 2345-6789": ["ada"],
        ADA_NUMBER[:-1]: [],
        BEN_NUMBER: [],
        "+": [],
        "7000000001": ["ada", ben.username],
        "7000000002": [],
    }
