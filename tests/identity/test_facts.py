"""What modules above ask of many people at once: contacts, consents, ids, facts, log-ins and signals."""

from datetime import date, datetime

import pytest

from palio import identity
from palio.identity import doors, personal, rules, service
from palio.identity.types import Reach, TelegramUser
from palio.infra import db
from palio.kernel.errors import TooLarge
from palio.kernel.ids import UserId, new_id
from palio.kernel.providers import Activity
from tests.factories.identity import ELSEWHERE, World, later, secret_in

NUMBER, TELEGRAM_ID = "+4915112345689", 7_000_000_777


async def reached(world: World, *ids: UserId) -> dict[UserId, Reach]:
    async with world.database.begin_system("a test") as tx:
        return await identity.contacts_many(tx, ids=ids)


async def bounced(world: World, address: str, now: datetime) -> bool:
    async with world.database.begin_system("a test") as tx:
        index = personal.email_index(tx, address).digest
        return await identity.mark_bounced(tx, address_bidx=index, now=now)


async def proven(world: World, user_id: UserId, address: str, now: datetime) -> None:
    await doors.add_email(world.house, user_id=user_id, text=address, now=now)
    (letter,) = await world.deliver()
    await doors.confirm_email(world.house, user_id=user_id, secret=secret_in(letter), now=now)


async def test_senders_get_every_proven_contact_that_takes_what_is_sent(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await proven(world, alice.id, "second@example.com", noon)
    await doors.add_email(world.house, user_id=alice.id, text="unproven@example.com", now=noon)
    async with world.database.begin_system("a test") as tx:
        await service.phones.link(tx, user_id=alice.id, number=NUMBER, now=noon)
        await service.telegram.link(tx, user_id=alice.id, user=TelegramUser(TELEGRAM_ID, None), now=noon)
        nobody = await identity.create(tx, username="nobody", now=noon)

    everything = Reach(("alice@example.com", "second@example.com"), NUMBER, TELEGRAM_ID)
    assert await reached(world, alice.id, bob.id, nobody.id, UserId(new_id())) == {
        alice.id: everything,
        bob.id: Reach(("bob@example.com",)),
    }

    assert [await bounced(world, "alice@example.com", noon) for _ in range(2)] == [True, False]
    assert not await bounced(world, "unproven@example.com", noon)
    async with world.database.begin_system("a test") as tx:
        blocked = [await identity.telegram_blocked(tx, telegram_id=TELEGRAM_ID, now=noon) for _ in range(2)]
        assert not await identity.telegram_blocked(tx, telegram_id=1, now=noon)
    assert (blocked, await reached(world, alice.id)) == (
        [True, False],
        {alice.id: Reach(("second@example.com",), NUMBER, None)},
    )
    async with world.database.begin_system("a test") as tx:
        await identity.touch_telegram(tx, user=TelegramUser(TELEGRAM_ID, "alice_t"), now=noon)
        assert (await identity.contacts_many(tx, ids=[alice.id]))[alice.id].telegram_id is None
        for _ in range(2):
            await identity.touch_telegram(tx, user=TelegramUser(TELEGRAM_ID, "alice_t"), has_started=True, now=noon)
        events = await db.column(
            tx, "select action from identity.telegram_link_events where telegram_id = %s order by at, id", TELEGRAM_ID
        )
    assert events == ["linked", "bot_blocked", "bot_unblocked"]
    assert (await reached(world, alice.id))[alice.id].telegram_id == TELEGRAM_ID


async def test_an_address_that_bounced_is_written_to_again_once_a_letter_to_it_was_opened(
    world: World, noon: datetime
) -> None:
    alice = await world.player("alice", noon)
    await bounced(world, "alice@example.com", noon)
    assert await reached(world, alice.id) == {}

    await doors.ask_for_letter(world.house, letter="password_reset", email="alice@example.com")
    (letter,) = await world.deliver()
    await identity.reset_password(world.house, secret=secret_in(letter), new="another good secret", now=noon)
    assert await reached(world, alice.id) == {alice.id: Reach(("alice@example.com",))}


async def test_consents_are_told_as_they_are_now_and_from_where(world: World, noon: datetime) -> None:
    texts = {"en": "Be fair."}
    async with world.database.begin_system("a test") as tx:
        for key in ("newsletter", "terms"):
            await identity.publish_document(tx, key=key, texts=texts, acceptance_required=key == "terms", now=noon)
    application = identity.Application(
        "alice", "alice@example.com", "correct horse battery", consents=(("terms", 1), ("newsletter", 1))
    )
    await identity.register(world.house, application=application, visitor=ELSEWHERE, now=noon)
    async with world.database.begin_system("a test") as tx:
        alice = await identity.get(tx, name_or_id="alice")
        bob = await identity.create(tx, username="bob", now=noon)
        await identity.give_consent(tx, user_id=bob.id, key="newsletter", version=1, ip="192.0.2.1", now=noon)
        await identity.publish_document(tx, key="terms", texts={"en": "Be fairer."}, acceptance_required=True, now=noon)
        await identity.give_consent(tx, user_id=alice.id, key="terms", version=2, now=later(noon, days=1))
        found = await identity.consents_many(tx, ids=[alice.id, bob.id], document_keys=["terms", "newsletter"])
        told = {
            (user_id == alice.id, key): one and (one.version, one.given_at, one.source)
            for (user_id, key), one in found.items()
        }
        assert told == {
            (True, "terms"): (2, later(noon, days=1), "account"),
            (True, "newsletter"): None,  # nobody is asked for it when he registers, so it was left out
            (False, "terms"): None,
            (False, "newsletter"): (1, noon, "account"),
        }
        await identity.withdraw_consent(tx, user_id=bob.id, key="newsletter", now=later(noon, days=2))
        assert set((await identity.consents_many(tx, ids=[bob.id], document_keys=["newsletter"])).values()) == {None}
        known = await db.value(
            tx, "select count(*) from identity.consents where source = 'registration' and ip_bidx is not null"
        )
    assert known == 1


async def test_everybody_is_met_by_id_but_pending_and_erased_people(world: World, noon: datetime) -> None:
    people = [await world.player(name, noon) for name in ("alice", "bob", "cleo", "dora")]
    application = identity.Application("waiting", "waiting@example.com", "correct horse battery")
    await identity.register(world.house, application=application, visitor=ELSEWHERE, now=noon)
    async with world.database.begin_system("a test") as tx:
        await db.run(tx, "update identity.users set status = 'closing' where username = 'dora'")
        await db.run(tx, "update identity.users set status = 'erased' where username = 'dora'")
        ids = sorted(one.id for one in people[:3])
        first = await identity.user_ids(tx, limit=2)
        rest = await identity.user_ids(tx, after=first[-1], limit=2)
        assert (first, rest, await identity.user_ids(tx, after=rest[-1])) == (ids[:2], ids[2:], [])
        with pytest.raises(TooLarge):
            await identity.user_ids(tx, limit=10_001)


@pytest.mark.parametrize(
    ("born", "band"),
    [
        (None, "undisclosed"),
        (date(2010, 3, 21), "0-15"),
        (date(2010, 3, 20), "16-17"),
        (date(2008, 3, 20), "18-24"),
        (date(2001, 3, 21), "18-24"),
        (date(2001, 3, 20), "25-34"),
        (date(1961, 3, 21), "55-64"),
        (date(1961, 3, 20), "65+"),
        (date(1900, 1, 1), "65+"),
    ],
)
def test_an_age_is_told_as_a_band(born: date | None, band: str) -> None:
    assert rules.facts.age_band(born, date(2026, 3, 20)) == band


async def test_facts_of_many_are_those_that_are_asked_for(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await world.signed_in("alice", later(noon, days=1))
    async with world.database.begin_system("a test") as tx:
        await service.accounts.say_once(tx, user_id=alice.id, born=date(1990, 12, 31), country="SE", now=noon)
        everything = await identity.facts_many(
            tx,
            ids=[alice.id, bob.id, UserId(new_id())],
            names=["country", "locale", "time_zone", "age_band", "registered_at", "last_active_at"],
            now=noon,
        )
        one = await identity.facts_many(tx, ids=[bob.id], names=["locale"], now=noon)
    assert everything == {
        alice.id: {
            "country": "SE",
            "locale": "en",
            "time_zone": "UTC",
            "age_band": "35-44",
            "registered_at": noon,
            "last_active_at": later(noon, days=1),
        },
        bob.id: {
            "country": "DE",
            "locale": "en",
            "time_zone": "UTC",
            "age_band": "undisclosed",
            "registered_at": noon,
            "last_active_at": None,
        },
    }
    assert one == {bob.id: {"locale": "en"}}


async def test_log_ins_of_a_day_are_counted_by_player_between_two_midnights(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    midnight = later(noon, days=0.5)
    for name, at in (
        ("alice", later(midnight, seconds=-0.000001)),
        ("alice", midnight),
        ("bob", later(midnight, minutes=1)),
        ("bob", later(midnight, minutes=2)),
        ("bob", later(midnight, days=1)),
    ):
        await world.signed_in(name, at)
    with pytest.raises(identity.BadCredentials):
        await identity.sign_in(
            world.house, identifier="alice", password="wrong", kind="browser", visitor=ELSEWHERE, now=midnight
        )
    async with world.database.begin_system("a test") as tx:
        day = midnight.date()
        found = await identity.daily_activity(tx, day=day)
        first, *rest = sorted([alice.id, bob.id])
        parts = await identity.daily_activity(tx, day=day, limit=1)
        parts += await identity.daily_activity(tx, day=day, after=first)
    counts = {alice.id: 1, bob.id: 2}
    assert found == [Activity(user_id, "log_in", counts[user_id]) for user_id in (first, *rest)]
    assert parts == found
    assert [act.name for act in identity.ACTS] == ["log_in"]


async def test_signals_are_what_accounts_share_and_say_nothing_else(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await proven(world, alice.id, "B.o.b+x@gmail.com", noon)
    await proven(world, bob.id, "bob@gmail.com", noon)
    await world.signed_in("alice", noon, visitor=ELSEWHERE)
    async with world.database.begin_system("a test") as tx:
        found = await identity.signals_many(tx, ids=[alice.id, bob.id])
        with pytest.raises(TooLarge):
            await identity.signals_many(tx, ids=[UserId(new_id()) for _ in range(10_001)])
    values = {
        user_id: {(one.kind, one.value) for one in found if one.user_id == user_id} for user_id in (alice.id, bob.id)
    }
    shared = values[alice.id] & values[bob.id]
    assert sorted(kind for kind, _ in shared) == ["email_normal", "ip_net"]
    assert sorted(kind for kind, _ in values[alice.id] - shared) == ["device", "email_normal", "ip_net"]
    assert all(len(one.value) == 32 and one.first_at <= one.last_at for one in found)


async def test_people_of_a_system_before_are_found_by_what_it_called_them(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    async with world.database.begin_system("a test") as tx:
        assert await identity.note_legacy(tx, source="shop", ids=[("17", alice.id), ("18", bob.id)], now=noon) == 2
        assert await identity.note_legacy(tx, source="shop", ids=[("17", bob.id)], now=noon) == 0
        assert await identity.note_legacy(tx, source="quiz", ids=[("17", bob.id)], now=noon) == 1
        asked = (("shop", "17"), ("shop", "18"), ("quiz", "17"), ("quiz", "18"))
        found = [await identity.find_by_legacy(tx, source=source, legacy_id=one) for source, one in asked]
    assert found == [alice.id, bob.id, bob.id, None]
