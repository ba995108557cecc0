"""What Telegram signs: proofs that are good once, the links that they make, and everything that is no proof."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import doors, service
from palio.identity.types import Client, Presented, TelegramUser
from palio.infra import db, totp
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.sim import Telegram
from palio.sim import World as Outside
from tests.factories.identity import World, cookie, later
from tests.factories.ways import METHODS, house_of, opened, outside_at, visitor
from tests.identity.test_looks import desk, employed
from tests.ui.repeats import sent

BIG = 7_000_000_001
ADA = {"id": BIG, "first_name": "Ada", "username": "ada_l", "language_code": "en"}
WHY = "he has lost that account"
NAMELESS = {"id": 9_007_199_254_740_993, "first_name": "Ben"}  # what a float cannot hold, and without a user name


class Chat:
    """A house with a bot."""

    def __init__(self, world: World, outside: Outside, house: doors.House, now: datetime) -> None:
        self.world, self.outside, self.house, self.now = world, outside, house, now
        self.telegram: Telegram = outside.telegram

    async def come_by_app(self, data: str, client: Client, visitor: identity.Visitor, now: datetime) -> object:
        return await doors.enter_by_mini_app(
            self.house, init_data=data, client=client, locale="en", visitor=visitor, now=now
        )

    async def open_app(
        self, data: str, *, n: int = 1, now: datetime | None = None, client: Client = "app"
    ) -> identity.SignedIn:
        found = await self.come_by_app(data, client, visitor(n), now or self.now)
        assert isinstance(found, identity.SignedIn)
        return found

    async def by_widget(self, fields: dict[str, str | int], *, n: int = 1) -> identity.SignedIn:
        found = await doors.enter_by_widget(
            self.house, fields=fields, kind="browser", locale="en", visitor=visitor(n), now=self.now
        )
        assert isinstance(found, identity.SignedIn)
        return found

    async def rows(self) -> list[tuple[object, ...]]:
        with self.world.superuser() as server:
            return server.execute(
                "select telegram_id, telegram_username, user_id, verified_at from identity.telegram_accounts order by 1"
            ).fetchall()


@pytest.fixture
async def chat(world: World, noon: datetime) -> AsyncIterator[Chat]:
    async with outside_at(noon) as outside:
        await opened(world, *METHODS)
        yield Chat(world, outside, house_of(world, outside), noon)
        await opened(world)


async def test_a_mini_app_opens_an_account_and_the_long_id_is_kept(chat: Chat) -> None:
    """Acceptance 15: valid → in; 7,000,000,001 is stored exactly."""
    session = await chat.open_app(chat.telegram.init_data(ADA, at=chat.now))
    assert session.tokens
    ((telegram_id, name, user_id, _),) = await chat.rows()
    assert (telegram_id, name, user_id) == (BIG, "ada_l", session.user_id)
    again = await chat.open_app(chat.telegram.init_data(ADA, at=chat.now + timedelta(seconds=1)), n=2)
    assert again.user_id == session.user_id
    nameless = await chat.open_app(chat.telegram.init_data(NAMELESS, at=chat.now), n=3)
    assert nameless.user_id != session.user_id
    assert (await chat.rows())[1][:2] == (9_007_199_254_740_993, None)


async def test_a_mini_app_has_a_session_of_its_own_kind_that_lives_as_an_app_does(chat: Chat) -> None:
    """Seven days unused, ninety at most, whether a cookie holds it or tokens; and it opens no console."""
    now, days = chat.now, timedelta(days=1)
    by_cookie = await chat.open_app(chat.telegram.init_data(ADA, at=now), client="browser")
    by_tokens = await chat.open_app(chat.telegram.init_data(ADA, at=now + timedelta(seconds=1)), n=2)
    assert by_cookie.cookie
    assert by_tokens.tokens
    assert (by_cookie.tokens, by_tokens.cookie) == (None, None)
    assert {by_cookie.kind, by_tokens.kind} == {"mini_app"}

    found = await chat.world.doorman.recognise(cookie(by_cookie), now=now)
    assert found
    assert (found.kind, found.idle_expires_at, found.absolute_expires_at) == (
        "mini_app",
        now + 7 * days,
        now + 90 * days,
    )
    assert not await chat.world.recognised(replace(cookie(by_cookie), is_console=True), now)
    for day, is_known in ((6, True), (12, True), (19, False)):
        chat.world.doorman.forget()
        assert await chat.world.recognised(cookie(by_cookie), now + day * days) is is_known

    renewed = await doors.refresh(chat.house, token=by_tokens.tokens.refresh_token, device_key=None, now=now + 6 * days)
    assert await chat.world.recognised(Presented("bearer", renewed.access_token), now + 6 * days)
    async with chat.world.database.begin_system("a test") as tx:
        fresh = await service.sessions.renew_proof(tx, session_id=by_cookie.session_id, with_factor=False, now=now)
        none = await service.sessions.renew_proof(tx, session_id=by_tokens.session_id, with_factor=False, now=now)
    assert fresh
    assert none is None


@pytest.mark.parametrize("client", ["browser", "app"])
async def test_who_holds_a_mini_app_is_known_after_the_second_factor(chat: Chat, client: Client) -> None:
    """The ticket says what is opened and who holds it; changed, it is none."""
    now = chat.now
    session = await chat.open_app(chat.telegram.init_data(ADA, at=now))
    secret = await chat.world.with_factor(session, now)
    at = now + timedelta(minutes=1)
    due = await chat.come_by_app(chat.telegram.init_data(ADA, at=at), client, visitor(2), at)
    assert isinstance(due, identity.SecondFactorDue)
    code = totp.code_at(secret, totp.step_of(at))
    other = "app" if client == "browser" else "browser"
    forged = due.ticket.replace(f".mini_app.{client}.", f".mini_app.{other}.")
    with pytest.raises(identity.TicketExpired):
        await doors.second_factor(chat.house, ticket=forged, code=code, visitor=visitor(2), now=at)
    opened = await doors.second_factor(chat.house, ticket=due.ticket, code=code, visitor=visitor(2), now=at)
    assert (opened.kind, opened.cookie is None, opened.tokens is None) == ("mini_app", client == "app", client != "app")


async def test_any_byte_that_is_changed_makes_it_no_proof(chat: Chat) -> None:
    """Acceptance 15, for every byte and every kind of change: nobody comes in, and nothing is written but that."""
    from palio.identity.doors.telegram import _fields  # noqa: PLC0415
    from palio.identity.rules.telegram import read_init_data  # noqa: PLC0415

    def judged(text: str) -> None:
        read_init_data(_fields(text), bot_token=chat.telegram.token, now=chat.now, age_s_max=300)

    data = chat.telegram.init_data(ADA, at=chat.now)
    judged(data)
    for place in range(len(data)):
        for change in (1, 2, 4, 32):
            changed = data[:place] + chr(ord(data[place]) ^ change) + data[place + 1 :]
            with pytest.raises(identity.TelegramProofInvalid):
                judged(changed)
        with pytest.raises(identity.TelegramProofInvalid):
            judged(data[:place] + data[place + 1 :])
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.open_app(data.replace("Ada", "Adb"))
    assert await chat.world.count("select count(*) from identity.users") == 0
    assert await chat.world.count("select count(*) from identity.login_events where method = 'telegram'") == 1


@pytest.mark.parametrize("flaw", ["tampered", "expired", "widget"])
async def test_data_with_a_flaw_lets_nobody_in(chat: Chat, flaw: str) -> None:
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.open_app(chat.telegram.init_data(ADA, at=chat.now, flaw=flaw))


async def test_the_same_data_again_lets_nobody_in(chat: Chat) -> None:
    data = chat.telegram.init_data(ADA, at=chat.now)
    await chat.open_app(data)
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.open_app(chat.telegram.init_data(ADA, at=chat.now, flaw="reused"), n=2)
    fields = chat.telegram.widget({"id": BIG, "first_name": "Ada"}, at=chat.now)
    await chat.by_widget(fields, n=3)
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.by_widget(fields, n=4)


async def test_data_is_good_for_300_seconds_and_30_ahead(chat: Chat) -> None:
    def signed(seconds: int) -> str:
        return chat.telegram.init_data(ADA, at=chat.now + timedelta(seconds=seconds))

    await chat.open_app(signed(-300))
    await chat.open_app(signed(30), n=2)
    for n, seconds in enumerate((-301, 31, -86_400)):
        with pytest.raises(identity.TelegramProofInvalid):
            await chat.open_app(signed(seconds), n=3 + n)


@pytest.mark.parametrize(
    "user",
    [
        {"id": "7000000001"},
        {"id": True},
        {"id": 1.5},
        {"id": 0},
        {"id": -1},
        {"id": 2**63},
        {"id": None},
        {"first_name": "Ada"},
    ],
)
async def test_who_has_no_id_is_nobody(chat: Chat, user: dict[str, object]) -> None:
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.open_app(chat.telegram.init_data(user, at=chat.now))


async def test_the_widget_is_signed_by_a_key_of_its_own(chat: Chat) -> None:
    from urllib.parse import parse_qsl  # noqa: PLC0415

    fields = chat.telegram.widget({"id": BIG, "first_name": "Ada", "username": "ada_l"}, at=chat.now)
    session = await chat.by_widget(fields)
    assert session.cookie
    for n, changed in enumerate(({"id": BIG + 1}, {"first_name": "Eve"}, {"hash": "0" * 64}, {"photo_url": "x"})):
        with pytest.raises(identity.TelegramProofInvalid):
            await chat.by_widget({**fields, **changed}, n=n + 2)
    of_an_app = dict(parse_qsl(chat.telegram.init_data(ADA, at=chat.now)))
    with pytest.raises(identity.TelegramProofInvalid):
        await chat.by_widget({**of_an_app, "id": BIG}, n=9)


async def test_a_linked_account_is_nobody_elses_and_a_denied_try_changes_no_row(chat: Chat) -> None:
    """Acceptance 16."""
    ada, ben = await chat.world.player("ada", chat.now), await chat.world.player("ben", chat.now)
    fields = chat.telegram.widget({"id": BIG, "first_name": "Ada", "username": "ada_l"}, at=chat.now)
    await doors.link_by_widget(chat.house, user_id=ada.id, fields=fields, now=chat.now)
    before = await chat.rows()
    again = chat.telegram.widget({"id": BIG, "first_name": "Ada", "username": "renamed"}, at=later(chat.now, seconds=1))
    with pytest.raises(identity.TelegramAlreadyLinked):
        await doors.link_by_widget(chat.house, user_id=ben.id, fields=again, now=later(chat.now, seconds=1))
    other = chat.telegram.widget({"id": BIG + 1, "first_name": "Ada"}, at=chat.now)
    with pytest.raises(identity.TelegramAlreadyLinked):
        await doors.link_by_widget(chat.house, user_id=ada.id, fields=other, now=chat.now)
    assert await chat.rows() == before
    session = await chat.open_app(chat.telegram.init_data(ADA, at=chat.now))
    assert session.user_id == ada.id


async def test_staff_move_an_account_with_a_reason_and_both_are_told(chat: Chat) -> None:
    now = clock.now()
    ada, ben, cleo = [await chat.world.player(name, now) for name in ("ada", "ben", "cleo")]
    for user, telegram_id in ((ada, BIG), (cleo, BIG + 1)):
        async with chat.world.database.begin_system("a test") as tx:
            await service.telegram.link(tx, user_id=user.id, user=TelegramUser(telegram_id), now=now)
    stella = await employed(chat.world, "stella", "support", now)
    async with desk(chat.world, stella) as console:

        async def moved(user_id: UserId, telegram_id: int, reason: str = WHY) -> tuple[int, str]:
            said = {"telegram_id": str(telegram_id), "reason": reason}
            path, headers = f"/console/identity/users/{user_id}/telegram", {"idempotency-key": new_id().hex}
            answer = await sent(console, "POST", path, headers=headers, json=said)
            return answer.status_code, answer.json().get("code", "")

        before = await chat.rows()
        assert await moved(ben.id, BIG, "why") == (422, "approval.reason_missing")
        assert await moved(ben.id, BIG + 2) == (404, "identity.no_such_telegram")
        assert await moved(cleo.id, BIG) == (409, "identity.telegram_already_linked")
        assert await moved(stella.user_id, BIG) == (403, "identity.own_account")
        assert await chat.rows() == before
        assert [await moved(ben.id, BIG) for _ in range(2)] == [(200, "")] * 2
        page = await console.get(f"https://palio.test/console/identity/users/{ada.id}/telegram")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        form = {"csrf_token": token, "telegram_id": str(BIG), "reason": WHY}
        back = await console.post(f"https://palio.test/console/identity/users/{ada.id}/telegram", data=form)
        assert (back.status_code, back.headers["location"]) == (303, f"/console/identity/users/{ada.id}")
    owners = {telegram_id: user_id for telegram_id, _, user_id, _ in await chat.rows()}
    async with chat.world.database.begin_system("a test") as tx:
        events = await db.column(
            tx, "select action from identity.telegram_link_events where telegram_id = %s order by at, id", BIG
        )
        reasons = await db.column(tx, "select reason from infra.audit_rows where action = 'telegram.move'")
    assert owners == {BIG: ada.id, BIG + 1: cleo.id}
    assert (events, reasons) == (["linked", "moved", "moved"], [WHY, WHY])


async def test_the_bot_links_whoever_opens_it_from_the_site_once(chat: Chat) -> None:
    ada, ben = await chat.world.player("ada", chat.now), await chat.world.player("ben", chat.now)
    offer = await doors.offer_telegram_link(chat.house, user_id=ada.id, now=chat.now)
    assert offer.expires_at == later(chat.now, minutes=10)
    address, _, secret = offer.url.partition("?start=link_")
    assert (address, len("link_" + secret) <= 64) == ("https://t.me/palio_sim_bot", True)
    nameless = identity.TelegramUser(NAMELESS["id"])  # type: ignore[arg-type]  # a number
    async with chat.world.database.begin_system("a bot") as tx:
        assert await identity.link_by_secret(tx, secret=secret, user=nameless, now=chat.now) == ada.id
    with pytest.raises(identity.TokenInvalid):
        async with chat.world.database.begin_system("a bot") as tx:
            await identity.link_by_secret(tx, secret=secret, user=identity.TelegramUser(5), now=chat.now)
    late = await doors.offer_telegram_link(chat.house, user_id=ben.id, now=chat.now)
    at = later(chat.now, minutes=10)
    with pytest.raises(identity.TokenInvalid):
        async with chat.world.database.begin_system("a bot") as tx:
            await identity.link_by_secret(
                tx, secret=late.url.partition("link_")[2], user=identity.TelegramUser(5), now=at
            )
    async with chat.world.database.begin_system("a test") as tx:
        (found,) = await service.identities.identities_of(tx, user_id=ada.id)
    assert (found.provider, found.name) == ("telegram", "9007199254740993")


async def test_a_code_of_the_bot_links_whoever_types_it_once_within_ten_minutes_and_five_tries(chat: Chat) -> None:
    ada, ben = await chat.world.player("ada", chat.now), await chat.world.player("ben", chat.now)
    user = identity.TelegramUser(BIG, "ada_l")
    code = await doors.offer_telegram_code(chat.house, user=user, now=chat.now)
    assert len(code) == 8
    assert code not in chat.world.everything()

    async def typed(text: str, who: identity.User = ada, at: datetime = chat.now) -> None:
        await doors.link_by_code(chat.house, user_id=who.id, code=text, now=at)

    for text in ("", "ABC", "ILO01234", "ABCDEFGH"):
        with pytest.raises(identity.CodeWrong):
            await typed(text)
    with pytest.raises(identity.CodeWrong):
        await typed(code, at=later(chat.now, minutes=10))
    await typed(f" {code[:4].lower()}-{code[4:]} ")
    with pytest.raises(identity.CodeWrong):
        await typed(code, ben)

    second = await doors.offer_telegram_code(chat.house, user=identity.TelegramUser(BIG + 5), now=chat.now)
    wrong = second[:3] + ("A" * 5 if second[3:] != "AAAAA" else "B" * 5)
    for _ in range(5):
        with pytest.raises(identity.CodeWrong):
            await typed(wrong, ben)
    with pytest.raises(identity.CodeWrong):
        await typed(second, ben)


async def test_to_unlink_keeps_the_row_and_its_history(chat: Chat) -> None:
    ada = await chat.world.player("ada", chat.now)
    fields = chat.telegram.widget({"id": BIG, "first_name": "Ada"}, at=chat.now)
    await doors.link_by_widget(chat.house, user_id=ada.id, fields=fields, now=chat.now)
    await doors.unlink_telegram(chat.house, user_id=ada.id, now=chat.now)
    assert await chat.rows() == [(BIG, None, None, None)]
    with pytest.raises(identity.NoSuchIdentity):
        await doors.unlink_telegram(chat.house, user_id=ada.id, now=chat.now)
    async with chat.world.database.begin_system("a test") as tx:
        events = await db.column(tx, "select action from identity.telegram_link_events order by at, id")
        acts = await db.column(
            tx,
            """select changes->'provider'->>1 || ' ' || (changes->'what'->>1) from infra.audit_rows
            where subject_user_id = %s and action in ('account.secure', 'identity.link', 'identity.unlink')
            order by id""",
            ada.id,
        )
    assert events == ["linked", "unlinked"]
    assert acts == ["telegram identity_linked", "telegram identity_unlinked"], "one row for each"
    only = await chat.open_app(chat.telegram.init_data(ADA, at=chat.now))
    assert only.user_id != ada.id
    with pytest.raises(identity.LastLoginMethod):
        await doors.unlink_telegram(chat.house, user_id=only.user_id, now=chat.now)
