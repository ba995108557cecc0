"""Links as staff make and end them: one player, one user, a history, and everybody told."""

from datetime import timedelta

import pytest

from palio import affiliates, identity
from palio.affiliates import types
from palio.infra import jobs
from palio.infra.db import Equipment, Tx
from palio.infra.outbox import shape_of
from palio.kernel.ids import UserId
from palio.kernel.messages import Message
from tests.affiliates.conftest import Send
from tests.factories.affiliates import T1, body, row

HOUR = timedelta(hours=1)


async def hear_linked(tx: Tx, event: affiliates.AccountLinked) -> None:
    """Nobody listens to these yet; the tests read in the queue what would be heard."""


async def hear_unlinked(tx: Tx, event: affiliates.AccountUnlinked) -> None:
    """As above."""


async def hear_advanced(tx: Tx, event: affiliates.WagersAdvanced) -> None:
    """As above."""


HANDLERS: dict[type[Message], jobs.Handler] = {
    affiliates.AccountLinked: hear_linked,
    affiliates.AccountUnlinked: hear_unlinked,
    affiliates.WagersAdvanced: hear_advanced,
}


@pytest.fixture(autouse=True)
async def players(tx: Tx, programme: types.Programme, send: Send) -> None:
    """Two players, and who listens."""
    await send(body(row("a", "100.5", name="anna"), row("b", 7)))
    tx.equipment = Equipment(jobs.addresses({kind: (handler,) for kind, handler in HANDLERS.items()}))


async def user(tx: Tx, name: str) -> UserId:
    return (await identity.create(tx, username=name, now=T1)).id


async def told(tx: Tx, kind: type[Message]) -> list[object]:
    statement = "select args from jobs.procrastinate_jobs where task_name = %s order by id"
    found = await (await tx.execute(statement, (jobs.task_name(HANDLERS[kind]),))).fetchall()
    return [shape_of(kind).validate_python(args["message"]) for (args,) in found]


async def history(tx: Tx) -> list[tuple[object, ...]]:
    statement = "select uid, name, from_state, to_state, note, at from affiliates.link_events order by at, id"
    return await (await tx.execute(statement)).fetchall()


async def link(tx: Tx, programme: types.Programme, uid: str, user_id: UserId) -> types.LinkRow:
    return await affiliates.link(
        tx, programme_id=programme.id, uid=uid, user_id=user_id, reason="we know him", now=T1 + HOUR
    )


async def test_a_player_is_linked_and_his_totals_are_told_at_once(tx: Tx, programme: types.Programme) -> None:
    alice = await user(tx, "alice")
    made = await link(tx, programme, "a", alice)
    assert [one.user_id for one in await affiliates.links_many(tx, player_ids=[made.player_id])] == [alice]
    assert await told(tx, affiliates.AccountLinked) == [affiliates.AccountLinked(alice, made.player_id, programme.id)]
    totals = (
        affiliates.WagerTotal(alice, "ALL", 100_500_000, T1),
        affiliates.WagerTotal(alice, "M:2025-03", 0, T1),
    )
    assert await told(tx, affiliates.WagersAdvanced) == [affiliates.WagersAdvanced(programme.id, totals)]
    assert await history(tx) == [("a", "anna", None, "active", "we know him", T1 + HOUR)]
    assert await link(tx, programme, "a", alice) == made
    assert len(await told(tx, affiliates.AccountLinked)) == 1


async def test_a_player_belongs_to_one_user_and_a_user_has_one_player(tx: Tx, programme: types.Programme) -> None:
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    await link(tx, programme, "a", alice)
    with pytest.raises(affiliates.PlayerTaken):
        await link(tx, programme, "a", bob)
    with pytest.raises(affiliates.AlreadyLinked) as refused:
        await link(tx, programme, "b", alice)
    assert refused.value.facts == {"uid": "a"}
    with pytest.raises(affiliates.PlayerUnknown):
        await link(tx, programme, "A", bob)
    assert len(await history(tx)) == 1


async def test_a_link_ends_and_its_history_stays(tx: Tx, programme: types.Programme) -> None:
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    made = await link(tx, programme, "a", alice)
    ended = await affiliates.unlink(tx, programme_id=programme.id, uid="a", reason="a mistake", now=T1 + 2 * HOUR)
    assert (ended.id, ended.state) == (made.id, "unlinked")
    assert await affiliates.links_many(tx, player_ids=[made.player_id]) == []
    unlinked = affiliates.AccountUnlinked(alice, made.player_id, programme.id)
    assert await told(tx, affiliates.AccountUnlinked) == [unlinked]
    with pytest.raises(affiliates.NotLinked):
        await affiliates.unlink(tx, programme_id=programme.id, uid="a", reason="", now=T1 + 3 * HOUR)
    assert (await link(tx, programme, "a", bob)).user_id == bob
    assert [(one[2], one[3]) for one in await history(tx)] == [
        (None, "active"),
        (None, "active"),
        ("active", "unlinked"),
    ]
    acts = await (
        await tx.execute("select action from infra.audit_rows where entity_type = 'link' order by id")
    ).fetchall()
    assert acts == [("link.make",), ("link.end",), ("link.make",)]


async def test_who_is_linked_is_nobody_elses_business(tx: Tx, programme: types.Programme) -> None:
    """Acceptance 24, of the history."""
    alice, bob = await user(tx, "alice"), await user(tx, "bob")
    await link(tx, programme, "a", alice)
    for owner, rows in ((alice, 1), (bob, 0)):
        await tx.execute("set local palio.kind = 'player'")
        await tx.execute("select set_config('palio.user_id', %s, true)", (owner.hex,))
        assert len(await history(tx)) == rows
        assert len(await (await tx.execute("select 1 from affiliates.links")).fetchall()) == rows
        await tx.execute("set local palio.kind = 'system'")
