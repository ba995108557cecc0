"""Who may play: the rules in their order, how long breaks last, and one answer for any number of people."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Error as PsycopgError

from palio import identity
from palio.identity import rules, service, types
from palio.identity.rules.telegram import Proof
from palio.identity.types import Exclusion, NewExclusion, Player, PlayTerms
from palio.infra import db
from palio.infra.approvals import Approved
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.identity import HOME, PASSWORD, World, later, secret_in
from tests.factories.ways import METHODS, opened, visitor

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
ANYBODY = UserId(new_id())
TERMS = PlayTerms(18, frozenset({"XX"}), NOW)
PAUSED = frozenset({"stake", "pay_in", "bonus", "marketing"})


def player(**given: object) -> Player:
    usual = {
        "status": "active",
        "suspended_until": None,
        "country": "DE",
        "has_contact": True,
        "born": date(1990, 1, 1),
        **given,
    }
    return Player(ANYBODY, **usual)  # type: ignore[arg-type]  # as the test wants it


def pause(kind: str = "time_out", hours: float | None = 24, **more: object) -> Exclusion:
    ends_at = None if hours is None else NOW + timedelta(hours=hours)
    activities = rules.play.PAUSED.get(kind, ("compete",))  # type: ignore[call-overload]  # a kind
    return Exclusion(new_id(), ANYBODY, kind, activities, NOW - timedelta(days=400), ends_at, **more)  # type: ignore[arg-type]


def code(player: Player, activity: str, terms: PlayTerms = TERMS) -> str | None:
    refusal = rules.play.judge(player, activity, terms)  # type: ignore[arg-type]  # an activity
    return refusal.code.removeprefix("identity.") if refusal else None


def test_whoever_is_in_order_does_everything() -> None:
    assert {code(player(), activity) for activity in rules.play.ACTIVITIES} == {None}


def test_the_first_rule_that_is_broken_is_the_one_that_is_told() -> None:
    broken = {
        "account_suspended": {"status": "suspended"},
        "contact_unverified": {"has_contact": False},
        "consent_required": {"missing": ("terms",)},
        "underage": {"born": date(2009, 3, 19)},
        "region_blocked": {"country": "XX"},
        "self_excluded": {"exclusions": (pause(),)},
    }
    for activity in rules.play.ACTIVITIES:
        applies = [
            name
            for name in broken
            if (name != "contact_unverified" or activity in {"stake", "pay_in", "redeem", "withdraw"})
            and (activity not in {"redeem", "withdraw"} or name in {"account_suspended", "contact_unverified"})
            and (name != "self_excluded" or activity in PAUSED)
        ]
        for count in range(len(applies)):
            left = {key: value for name in applies[count:] for key, value in broken[name].items()}
            assert code(player(**left), activity) == applies[count]
        others = {key: value for name in broken.keys() - set(applies) for key, value in broken[name].items()}
        assert code(player(**others), activity) is None


@pytest.mark.parametrize("status", ["suspended", "closing", "erased"])
def test_an_account_that_is_not_open_does_nothing(status: str) -> None:
    assert {code(player(status=status), activity) for activity in rules.play.ACTIVITIES} == {"account_suspended"}


def test_before_the_first_proof_only_what_needs_a_contact_is_refused() -> None:
    waiting = player(status="pending", has_contact=False)
    refused = {activity for activity in rules.play.ACTIVITIES if code(waiting, activity)}
    assert refused == {"stake", "pay_in", "redeem", "withdraw"}


@pytest.mark.parametrize(
    ("born", "refused"),
    [(date(2008, 3, 18), None), (date(2008, 3, 19), "underage"), (None, "underage")],
    ids=["the birthday itself", "the day before it", "not said"],
)
def test_age_is_counted_in_whole_years_and_must_be_shown(born: date | None, refused: str | None) -> None:
    assert code(player(born=born), "compete") == refused
    assert code(player(born=born), "compete", PlayTerms(0, frozenset(), NOW)) is None


def test_a_leap_day_is_a_year_older_on_the_first_of_march() -> None:
    born = date(2008, 2, 29)
    assert [rules.play.age(born, date(2026, 2, 28)), rules.play.age(born, date(2026, 3, 1))] == [17, 18]


def test_an_unknown_country_is_refused_only_where_some_are() -> None:
    assert code(player(country=None), "stake") == "region_unknown"
    assert code(player(country=None), "stake", PlayTerms(18, frozenset(), NOW)) is None
    assert code(player(country=None), "withdraw") is None


@pytest.mark.parametrize(
    ("exclusion", "is_on"),
    [
        (pause(hours=1 / 3600), True),
        (pause(hours=0), False),
        (pause("operator_exclusion", 0, created_by=ANYBODY), False),
        (pause("self_exclusion", None), True),
        (pause("self_exclusion", -1_000), True),
        (pause("self_exclusion", -30, return_requested_at=NOW - timedelta(hours=24)), False),
        (pause("self_exclusion", -30, return_requested_at=NOW - timedelta(hours=23, minutes=59)), True),
        (pause("self_exclusion", None, lifted_at=NOW), False),
    ],
)
def test_a_self_exclusion_lasts_until_its_owner_has_asked_to_return_and_a_day_beyond(
    exclusion: Exclusion, is_on: bool
) -> None:
    assert rules.play.is_on(exclusion, NOW) == is_on


def test_the_longest_break_is_told_with_who_set_it() -> None:
    short, long = pause(hours=24), pause("operator_exclusion", 48, created_by=ANYBODY)
    excluded = player(exclusions=(short, long))
    refusal = rules.play.judge(excluded, "stake", TERMS)
    assert refusal is not None and refusal.facts == {
        "kind": "time_out",
        "starts_at": short.starts_at,
        "ends_at": short.ends_at,
        "set_by": "player",
    }
    compete = rules.play.judge(excluded, "compete", TERMS)
    assert compete is not None and (compete.facts["set_by"], compete.facts["ends_at"]) == ("house", long.ends_at)


@pytest.mark.parametrize(
    ("length", "kind", "ends"),
    [
        ("24h", "time_out", datetime(2026, 9, 1, 10, tzinfo=UTC)),
        ("72h", "time_out", datetime(2026, 9, 3, 10, tzinfo=UTC)),
        ("7d", "time_out", datetime(2026, 9, 7, 10, tzinfo=UTC)),
        ("30d", "time_out", datetime(2026, 9, 30, 10, tzinfo=UTC)),
        ("6mo", "self_exclusion", datetime(2027, 2, 28, 10, tzinfo=UTC)),
        ("1y", "self_exclusion", datetime(2027, 8, 31, 10, tzinfo=UTC)),
        ("5y", "self_exclusion", datetime(2031, 8, 31, 10, tzinfo=UTC)),
        ("permanent", "self_exclusion", None),
    ],
)
def test_breaks_last_hours_or_calendar_months(length: types.ExclusionLength, kind: str, ends: datetime | None) -> None:
    found = rules.play.own_break(length, datetime(2026, 8, 31, 10, tzinfo=UTC))
    assert (found.kind, found.ends_at) == (kind, ends)
    assert set(found.activities) == PAUSED | ({"compete"} if kind == "self_exclusion" else set())


HOURS = st.one_of(st.none(), st.integers(1, 100_000))


@given(known=HOURS, wish=HOURS)
def test_no_wish_makes_a_break_shorter(known: int | None, wish: int | None) -> None:
    before = pause("self_exclusion", known)
    ends_at = None if wish is None else NOW + timedelta(hours=wish)
    new = NewExclusion("self_exclusion", before.activities, ends_at)
    if (known is None and wish is not None) or (known is not None and wish is not None and wish < known):
        with pytest.raises(identity.ExclusionShorter):
            rules.play.lengthened(before, new)
        assert rules.play.covering(before, new).ends_at == before.ends_at
    else:
        assert rules.play.lengthened(before, new).ends_at == rules.play.covering(before, new).ends_at == ends_at


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("a.lice+news@gmail.com", "alice@gmail.com"),
        ("alice@googlemail.com", "alice@gmail.com"),
        ("a.lice+x@example.com", "a.lice@example.com"),
        ("+x@example.com", "+x@example.com"),
    ],
)
def test_one_mailbox_has_one_normal_form(address: str, normal: str) -> None:
    assert rules.emails.normal_form(address) == normal


# with rows


async def may(tx: Tx, user_id: UserId, *activities: str, now: datetime) -> list[str | None]:
    found = await identity.require_play_many(tx, [(user_id, one) for one in activities], now=now)  # type: ignore[misc]
    return [refusal and refusal.code.removeprefix("identity.") for refusal in found]


async def test_each_is_answered_for_himself_in_the_order_given(tx: Tx, noon: datetime) -> None:
    alice, bob = [(await identity.create(tx, username=name, now=noon)).id for name in ("alice", "bob")]
    await identity.take_break(tx, user_id=bob, length="1y", now=noon)
    stranger = UserId(new_id())
    found = await identity.require_play_many(
        tx,
        [(bob, "compete"), (alice, "compete"), (stranger, "compete"), (alice, "stake"), (bob, "withdraw")],
        now=noon,
    )
    assert [refusal and refusal.code for refusal in found] == [
        "identity.self_excluded",
        None,
        "identity.no_such_user",
        "identity.contact_unverified",
        "identity.contact_unverified",
    ]
    assert await identity.require_play_many(tx, [], now=noon) == []
    with pytest.raises(TooLarge):
        await identity.require_play_many(tx, [(alice, "compete")] * 10_001, now=noon)


async def test_a_player_may_ask_for_himself_and_learns_nothing_of_others(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    async with world.database.begin_system("a test") as system:
        await identity.take_break(system, user_id=alice.id, length="24h", now=noon)
    async with world.database.begin(Actor("player", alice.id, RequestId(new_id()))) as own:
        assert await may(own, alice.id, "stake", "compete", now=noon) == ["self_excluded", None]
        assert await may(own, bob.id, "compete", now=noon) == ["no_such_user"]


async def test_documents_bind_until_accepted_and_a_corrected_one_binds_nobody_anew(tx: Tx, noon: datetime) -> None:
    alice = (await identity.create(tx, username="alice", now=noon)).id
    texts = {"en": "Be fair.", "de": "Seid anständig."}
    assert await may(tx, alice, "compete", now=noon) == [None]

    assert await identity.publish_document(tx, key="terms", texts=texts, acceptance_required=True, now=noon) == 1
    assert await may(tx, alice, "compete", "bonus", now=noon) == ["consent_required"] * 2
    with pytest.raises(identity.NoSuchDocument):
        await identity.give_consent(tx, user_id=alice, key="terms", version=2, now=noon)
    assert await identity.give_consent(tx, user_id=alice, key="terms", version=1, now=noon)
    assert not await identity.give_consent(tx, user_id=alice, key="terms", version=1, now=noon)
    assert await may(tx, alice, "compete", now=noon) == [None]

    assert await identity.publish_document(tx, key="terms", texts=texts, acceptance_required=False, now=noon) == 2
    assert await may(tx, alice, "compete", now=noon) == [None]
    assert await identity.publish_document(tx, key="terms", texts=texts, acceptance_required=True, now=noon) == 3
    assert await may(tx, alice, "compete", now=noon) == ["consent_required"]
    assert await identity.give_consent(tx, user_id=alice, key="terms", version=3, now=noon)
    assert await may(tx, alice, "compete", now=noon) == [None]
    assert await identity.withdraw_consent(tx, user_id=alice, key="terms", now=noon)
    assert await may(tx, alice, "compete", now=noon) == ["consent_required"]


async def test_a_break_is_made_longer_and_never_shorter_not_even_by_sql(tx: Tx, noon: datetime) -> None:
    alice = (await identity.create(tx, username="alice", now=noon)).id
    first = await identity.take_break(tx, user_id=alice, length="6mo", now=noon)
    longer = await identity.take_break(tx, user_id=alice, length="1y", now=later(noon, days=1))
    assert (longer.id, longer.starts_at) == (first.id, first.starts_at)
    with pytest.raises(identity.ExclusionShorter):
        await identity.take_break(tx, user_id=alice, length="6mo", now=later(noon, days=2))
    assert await identity.exclusions_of(tx, user_id=alice) == [longer]
    with pytest.raises(Exception, match="never becomes shorter"):
        async with db.attempt(tx):
            await db.run(tx, "update identity.play_exclusions set ends_at = ends_at - interval '1 second'")


async def test_after_its_end_a_self_exclusion_waits_for_its_owner(tx: Tx, noon: datetime) -> None:
    """Acceptance 18, without a clock of its own."""
    alice = (await identity.create(tx, username="alice", now=noon)).id
    made = await identity.take_break(tx, user_id=alice, length="6mo", now=noon)
    assert made.ends_at is not None
    with pytest.raises(identity.ExclusionRuns):
        await identity.ask_to_return(tx, user_id=alice, exclusion_id=made.id, now=later(made.ends_at, seconds=-1))
    much_later = later(made.ends_at, days=90)
    assert await may(tx, alice, "bonus", "compete", now=much_later) == ["self_excluded"] * 2

    asked = await identity.ask_to_return(tx, user_id=alice, exclusion_id=made.id, now=much_later)
    again = await identity.ask_to_return(tx, user_id=alice, exclusion_id=made.id, now=later(much_later, minutes=5))
    assert asked == again
    assert await may(tx, alice, "bonus", now=later(much_later, days=1, seconds=-1)) == ["self_excluded"]
    assert await may(tx, alice, "bonus", now=later(much_later, days=1)) == [None]
    with pytest.raises(identity.NoSuchExclusion):
        await identity.ask_to_return(tx, user_id=UserId(new_id()), exclusion_id=made.id, now=much_later)


async def test_asking_for_a_longer_break_takes_the_way_back_away(tx: Tx, noon: datetime) -> None:
    alice = (await identity.create(tx, username="alice", now=noon)).id
    made = await identity.take_break(tx, user_id=alice, length="6mo", now=noon)
    assert made.ends_at is not None
    back = later(made.ends_at, days=1)
    await identity.ask_to_return(tx, user_id=alice, exclusion_id=made.id, now=back)
    longer = await identity.take_break(tx, user_id=alice, length="1y", now=later(back, minutes=1))
    assert (longer.id, longer.return_requested_at) == (made.id, None)
    assert await may(tx, alice, "bonus", now=later(back, days=2)) == ["self_excluded"]


async def test_a_time_out_ends_by_itself_and_the_next_one_is_another(tx: Tx, noon: datetime) -> None:
    alice = (await identity.create(tx, username="alice", now=noon)).id
    first = await identity.take_break(tx, user_id=alice, length="24h", now=noon)
    assert await may(tx, alice, "bonus", now=later(noon, days=1, seconds=-1)) == ["self_excluded"]
    assert await may(tx, alice, "bonus", now=later(noon, days=1)) == [None]
    second = await identity.take_break(tx, user_id=alice, length="72h", now=later(noon, days=2))
    assert second.id != first.id


async def test_the_house_excludes_with_a_reason_that_is_sealed_and_audited(world: World, noon: datetime) -> None:
    alice, stella = await world.player("alice", noon), await world.player("stella", noon)
    wish = NewExclusion("operator_exclusion", ("compete",), None)
    async with world.database.begin(Actor("staff", stella.id, RequestId(new_id()))) as tx:
        await identity.exclude(tx, user_id=alice.id, wish=wish, by=stella.id, reason="played with two hands", now=noon)
        assert await may(tx, alice.id, "compete", "stake", now=noon) == ["self_excluded", None]
    assert "two hands" not in world.everything()
    with world.superuser() as server:
        audited = server.execute(
            "select changes ->> 'reason', subject_user_id from infra.audit_rows where action = 'play_exclusion.set'"
        ).fetchall()
    assert (alice.id in {row[1] for row in audited}, {"two hands" in str(row[0]) for row in audited}) == (True, {False})


async def test_a_break_holds_on_every_account_of_one_mailbox(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    twin = await named(world, "twin", "alice+second@example.com", noon)
    bob = await world.player("bob", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=twin, length="1y", now=noon)
        await identity.take_break(tx, user_id=alice.id, length="24h", now=noon)
        longer = {one.kind: one.ends_at for one in await identity.exclusions_of(tx, user_id=twin)}
        await identity.take_break(tx, user_id=alice.id, length="1y", now=later(noon, days=1))
        found = [await may(tx, user_id, "compete", now=noon) for user_id in (alice.id, twin, bob.id)]
        twins = {one.kind: one.ends_at for one in await identity.exclusions_of(tx, user_id=twin)}
    assert found == [["self_excluded"], ["self_excluded"], [None]]
    assert set(longer) == {"self_exclusion", "time_out"}
    assert twins["self_exclusion"] == datetime(noon.year + 1, noon.month, noon.day, noon.hour, tzinfo=UTC) + timedelta(
        days=1
    )


async def test_another_account_in_the_mailbox_of_somebody_who_rests_rests_too(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        made = await identity.take_break(tx, user_id=alice.id, length="30d", now=noon)
    twin = await named(world, "twin", "alice+again@example.com", later(noon, days=1))
    bob = await named(world, "bob", "bob@example.com", later(noon, days=1))
    async with world.database.begin_system("a test") as tx:
        found = [await may(tx, user_id, "bonus", now=later(noon, days=1)) for user_id in (twin, bob)]
        (copied,) = await identity.exclusions_of(tx, user_id=twin)
    assert found == [["self_excluded"], [None]]
    assert (copied.starts_at, copied.ends_at) == (noon, made.ends_at)


async def test_nobody_comes_anew_while_he_keeps_himself_from_playing(world: World, noon: datetime) -> None:
    """However he writes his address; without a word of why; and until the very end, unless he is let back."""
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        made = await identity.take_break(tx, user_id=alice.id, length="6mo", now=noon)
    for address in ("alice@example.com", "alice+again@example.com"):
        with pytest.raises(identity.RegistrationRefused) as refused:
            await named(world, "twin", address, later(noon, days=30))
        assert refused.value.facts == {}
    assert await world.count("select count(*) from identity.users") == 1
    assert made.ends_at
    with pytest.raises(identity.RegistrationRefused):
        await named(world, "twin", "alice+again@example.com", made.ends_at - timedelta(microseconds=1))
    await named(world, "twin", "alice+again@example.com", made.ends_at)


NUMBER, TELEGRAM = "+4915123456789", types.TelegramUser(7_000_000_001, "ada_l")


def vouched(now: datetime) -> types.Vouching:
    """What a provider says of whoever comes; each time anew."""
    return types.Vouching("google", "1001", None, is_email_verified=False, nonce=str(new_id()), expires_at=now)


async def comes_anew(world: World, way: str, now: datetime) -> UserId:
    """Somebody nobody knows, from a network of his own."""
    once: dict[str, object] = {"locale": "en", "visitor": visitor(), "now": now}
    async with world.database.begin_system("a test") as tx:
        if way == "phone":
            return await service.phones.arrive(tx, number=NUMBER, **once)  # type: ignore[arg-type]
        if way == "telegram":
            proof = Proof(TELEGRAM, new_id().hex * 2)
            return await service.telegram.arrive(tx, proof=proof, **once)  # type: ignore[arg-type]
        return await service.external.arrive(tx, who=vouched(now), **once)  # type: ignore[arg-type]


async def link(tx: Tx, way: str, user_id: UserId, now: datetime) -> None:
    if way == "phone":
        await service.phones.link(tx, user_id=user_id, number=NUMBER, now=now)
    elif way == "telegram":
        await service.telegram.link(tx, user_id=user_id, user=TELEGRAM, now=now)
    else:
        await service.external.link(tx, user_id=user_id, who=vouched(now), now=now)


@pytest.mark.parametrize("way", ["phone", "telegram", "google"])
@pytest.mark.parametrize("is_before", [True, False], ids=["linked before", "linked during the break"])
async def test_nothing_that_was_proven_before_lets_him_in_anew(
    world: World, noon: datetime, way: str, is_before: bool
) -> None:
    """Acceptance 18: neither a new account nor another one that is there, by number, Telegram or a provider."""
    await opened(world, *METHODS)
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    async with world.database.begin_system("a test") as tx:
        if is_before:
            await link(tx, way, alice.id, noon)
        made = await identity.take_break(tx, user_id=alice.id, length="6mo", now=noon)
        if not is_before:
            await link(tx, way, alice.id, noon)
        assert made.ends_at and len(await identity.exclusions_of(tx, user_id=alice.id)) == 1
        (linked,) = await service.identities.identities_of(tx, user_id=alice.id)
        await service.identities.unlink(tx, user_id=alice.id, identity_id=linked.id, opened=METHODS, now=noon)
    for moment in (later(noon, days=1), made.ends_at - timedelta(microseconds=1)):
        with pytest.raises(identity.RegistrationRefused) as refused:
            await comes_anew(world, way, moment)
        assert refused.value.facts == {}
    assert await world.count("select count(*) from identity.users") == 2

    async with world.database.begin_system("a test") as tx:
        await link(tx, way, bob.id, later(noon, days=2))
        (copied,) = await identity.exclusions_of(tx, user_id=bob.id)
        assert (copied.kind, copied.starts_at, copied.ends_at) == ("self_exclusion", noon, made.ends_at)
        assert await may(tx, bob.id, "stake", now=later(noon, days=2)) == ["self_excluded"]
        (linked,) = await service.identities.identities_of(tx, user_id=bob.id)
        await service.identities.unlink(tx, user_id=bob.id, identity_id=linked.id, opened=METHODS, now=noon)
    assert await comes_anew(world, way, made.ends_at)


async def test_the_clock_notes_what_is_over_and_forgets_marks(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=alice.id, length="24h", now=noon)
        own = await identity.take_break(tx, user_id=bob.id, length="6mo", now=noon)
        assert own.ends_at
        assert await service.play.end_breaks(tx, now=later(noon, days=1) - timedelta(microseconds=1)) == 0
        assert await service.play.end_breaks(tx, now=later(noon, days=1)) == 1
        assert await service.play.end_breaks(tx, now=own.ends_at) == 0, "he has not asked to return"
        assert await db.value(tx, "select count(*) from identity.exclusion_marks") == 0
        await identity.ask_to_return(tx, user_id=bob.id, exclusion_id=own.id, now=own.ends_at)
        assert await service.play.end_breaks(tx, now=own.ends_at + timedelta(hours=24)) == 1
        assert await service.play.end_breaks(tx, now=own.ends_at + timedelta(hours=24)) == 0


async def test_a_mistake_is_undone_by_two_within_the_first_hour_and_never_after(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    twin = await named(world, "twin", "alice+second@example.com", noon)
    maker = Actor("staff", (await world.player("maker", noon)).id, RequestId(new_id()))
    checker = Actor("staff", (await world.player("checker", noon)).id, RequestId(new_id()))
    async with world.database.begin_system("a test") as tx:
        made = await identity.take_break(tx, user_id=alice.id, length="permanent", now=noon)
    async with world.database.begin(maker) as tx:
        with pytest.raises(identity.ExclusionFirm):
            await service.play.propose_undo(
                tx, exclusion_id=made.id, reason="a slip", now=later(noon, minutes=60, seconds=1)
            )
        await service.play.propose_undo(tx, exclusion_id=made.id, reason="a slip", now=later(noon, minutes=5))
        assert await may(tx, twin, "compete", now=later(noon, minutes=5)) == ["self_excluded"]
    assert checker.user_id
    approved = Approved(
        {"exclusion": str(made.id)}, maker, checker.user_id, "a slip", "undo:1", later(noon, minutes=30)
    )
    async with world.database.begin_system("a test") as tx:
        late = replace(approved, now=later(noon, minutes=61))
        with pytest.raises(identity.ExclusionFirm):
            await identity.carry_out_exclusion_undo(tx, approved=late)
        assert await identity.carry_out_exclusion_undo(tx, approved=approved) == {"undone": 2}
        assert [await may(tx, one, "compete", now=later(noon, minutes=31)) for one in (alice.id, twin)] == [[None]] * 2
        assert await db.value(tx, "select count(*) from identity.exclusion_marks") == 0


async def test_who_excludes_himself_joins_nothing_and_no_score_of_his_counts_from_the_next_request_on(
    world: World, noon: datetime
) -> None:
    """A tenth of a second later; what is his he takes out all the same, and he never has it shortened."""
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=alice.id, length="6mo", now=noon)
        at_once = noon + timedelta(milliseconds=100)
        assert await may(tx, alice.id, "stake", "compete", "withdraw", "redeem", now=at_once) == [
            *("self_excluded", "self_excluded", None, None)
        ]
        with pytest.raises(PsycopgError, match="never becomes shorter"):
            async with tx.transaction():
                await db.run(tx, "update identity.play_exclusions set ends_at = ends_at - interval '1 day'")


async def named(world: World, username: str, email: str, now: datetime) -> UserId:
    """Somebody who proved another address than that of his name."""
    application = identity.Application(username, email, PASSWORD)
    made = await identity.register(world.house, application=application, visitor=HOME, now=now)
    (letter,) = await world.deliver()
    return await identity.verify_email(
        world.house, secret=secret_in(letter), registration=made.told, visitor=HOME, now=now
    )


async def test_one_statement_answers_for_any_number_of_people(tx: Tx, statements: list[str], noon: datetime) -> None:
    people = [(await identity.create(tx, username=f"user{n}", now=noon)).id for n in range(20)]
    asked: list[tuple[UserId, types.PlayActivity]] = list(product(people, ("compete", "bonus")))
    statements.clear()
    assert await identity.require_play_many(tx, asked, now=noon) == [None] * 40
    assert len(statements) == 1
    statements.clear()
    await identity.require_play_many(tx, [(user_id, "stake") for user_id in people], now=noon)
    assert len(statements) == 2  # those who pay are held first


async def test_no_table_of_people_is_read_whole(tx: Tx, statements: list[str], noon: datetime) -> None:
    """Whatever the number of people there are, only those who are asked about are looked at."""
    people = [(await identity.create(tx, username=f"user{n}", now=noon)).id for n in range(3)]
    statements.clear()
    await identity.require_play_many(tx, [(user_id, "compete") for user_id in people], now=noon)
    (asked,) = statements
    await tx.execute("set local enable_seqscan = off")
    ((plan,),) = await (await tx.execute("explain (format json) " + asked, (noon, True, noon, noon, people))).fetchall()

    def read_whole(node: dict[str, Any]) -> set[str]:
        own = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
        return own.union(*map(read_whole, node.get("Plans", [])))

    assert read_whole(plan[0]["Plan"]) <= {"documents"}
