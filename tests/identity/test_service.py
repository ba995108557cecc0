"""Accounts made by an operator, and who may see them."""

from dataclasses import astuple
from datetime import datetime

import psycopg
import pytest

from palio import identity
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, RequestId, UserId, new_id

REQUEST = RequestId(new_id())


async def count(tx: Tx) -> int:
    return await db.value(tx, "select count(*) from identity.users")


async def test_an_operator_makes_an_active_account(tx: Tx, noon: datetime) -> None:
    user = await identity.create(tx, username="Alice", now=noon)

    assert astuple(user) == (
        *(user.id, "Alice", "Alice", "person", "active", None, "en", "UTC", None, None, None, "full", noon, noon),
        1,
    )
    assert await identity.find(tx, name_or_id="aLICE") == user
    assert await identity.find(tx, name_or_id=str(user.id)) == user
    assert await identity.get(tx, name_or_id=user.id) == user


async def test_a_service_and_a_shown_name(tx: Tx, noon: datetime) -> None:
    user = await identity.create(tx, username="feed-bot", display_name=" שירות  ", kind="service", now=noon)

    assert (user.kind, user.display_name) == ("service", "שירות")


async def test_many_are_found_by_name_and_id_at_once(tx: Tx, noon: datetime) -> None:
    """Each text as it was given; nobody is found under what is no name."""
    alice = await identity.create(tx, username="Alice", now=noon)
    bob = await identity.create(tx, username="bob", now=noon)

    found = await identity.ids_many(tx, ["aLICE", "alice", str(bob.id), str(new_id()), "carol", "", "\x00", "x y"])

    assert found == {"aLICE": alice.id, "alice": alice.id, str(bob.id): bob.id}
    assert await identity.ids_many(tx, []) == {}
    with pytest.raises(TooLarge):
        await identity.ids_many(tx, [f"player-{n}" for n in range(10_001)])


@pytest.mark.parametrize("name", ["alice", "ALICE"])
async def test_a_name_is_taken_in_upper_and_lower_case(tx: Tx, noon: datetime, name: str) -> None:
    first = await identity.create(tx, username="Alice", display_name="First", now=noon)

    with pytest.raises(identity.UsernameTaken):
        await identity.create(tx, username=name, now=noon)

    assert await count(tx) == 1
    assert await identity.get(tx, name_or_id="alice") == first


async def test_a_name_in_another_script_may_not_imitate_a_user(tx: Tx, noon: datetime) -> None:
    await identity.create(tx, username="alice", now=noon)

    with pytest.raises(identity.NameImitates) as refused:
        await identity.create(tx, username="mallory", display_name="аӏісе", now=noon)  # noqa: RUF001 - the attack

    assert refused.value.facts["username"] == "alice"
    assert await count(tx) == 1


async def test_an_honest_name_in_cyrillic_is_nobody_elses(tx: Tx, noon: datetime) -> None:
    user = await identity.create(tx, username="capa", display_name="Сара", now=noon)  # noqa: RUF001 - Sara

    assert user.display_name == "Сара"  # noqa: RUF001 - Sara


@pytest.mark.parametrize("name", ["nobody", "quac\u212a", "аlice", "", "\x00", "a" * 500])  # noqa: RUF001 - no folding
async def test_nobody_is_found_under_another_spelling(tx: Tx, noon: datetime, name: str) -> None:
    for username in ("quack", "alice"):
        await identity.create(tx, username=username, now=noon)

    assert await identity.find(tx, name_or_id=name) is None
    with pytest.raises(identity.NoSuchUser):
        await identity.get(tx, name_or_id=name)


async def test_names_are_those_the_bearers_chose(tx: Tx, noon: datetime) -> None:
    users = [await identity.create(tx, username=name, now=noon) for name in ("alice", "gregory", "henrietta")]
    await db.run(tx, "update identity.users set board_name = 'masked' where username = 'gregory'")
    alice, gregory, henrietta = (user.id for user in users)
    unknown = UserId(new_id())

    assert await identity.names(tx, ids=[alice, gregory, unknown]) == {alice: "alice", gregory: "gre***"}
    mine = Actor("player", gregory, REQUEST)
    assert await identity.names(tx, ids=[gregory, henrietta], viewer=mine) == {
        gregory: "gregory",
        henrietta: "henrietta",
    }
    assert await identity.names(tx, ids=[]) == {}
    with pytest.raises(TooLarge):
        await identity.names(tx, ids=[UserId(new_id()) for _ in range(10_001)])


async def test_row_security_shows_a_player_himself_and_the_cards_of_others(
    database: Database, tx: Tx, noon: datetime
) -> None:
    """Everything happens in one transaction that is undone, so the actor is changed inside it."""
    alice = await identity.create(tx, username="alice", now=noon)
    bob = await identity.create(tx, username="bob", now=noon)

    for kind, user_id, seen in (("none", "", 0), ("player", alice.id.hex, 1), ("viewer", alice.id.hex, 1)):
        await db.run(
            tx, "select set_config('palio.kind', %s, true), set_config('palio.user_id', %s, true)", kind, user_id
        )
        assert await count(tx) == seen
        assert [card.username for card in (await identity.cards(tx, ids=[bob.id])).values()] == ["bob"]
        named = [await identity.card_named(tx, name=name) for name in ("BOB", "bo", "b%", "carol", "\uff42ob")]
        assert [card and card.id for card in named] == [bob.id, None, None, None, None]

    await db.run(tx, "select set_config('palio.kind', 'player', true)")
    assert await db.run(tx, "update identity.users set locale = 'de'") == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with tx.transaction():
            await identity.create(tx, username="carol", now=noon)


@pytest.mark.parametrize(
    ("steps", "sqlstate"),
    [
        (["suspended", "active", "closing", "erased"], None),
        (["suspended", "closing", "suspended"], None),
        (["closing", "active"], None),
        (["pending"], "PL010"),
        (["erased"], "PL010"),
        (["closing", "erased", "active"], "PL010"),
        (["closing", "pending"], "23514"),
    ],
    ids=str,
)
async def test_a_status_leads_only_where_it_may(tx: Tx, noon: datetime, steps: list[str], sqlstate: str | None) -> None:
    user = await identity.create(tx, username="alice", now=noon)

    async def become(status: str) -> None:
        reason = "kept for the test" if status in {"suspended", "closing"} else None
        async with tx.transaction():
            await db.run(
                tx,
                "update identity.users set status = %s::identity.user_status, suspension_reason = %s where id = %s",
                status,
                reason,
                user.id,
            )

    for status in steps[: -1 if sqlstate else None]:
        await become(status)
    if sqlstate:
        with pytest.raises(psycopg.Error) as refused:
            await become(steps[-1])
        assert refused.value.sqlstate == sqlstate
    found = await identity.get(tx, name_or_id=user.id)
    assert found.version == len(steps) + (0 if sqlstate else 1)
