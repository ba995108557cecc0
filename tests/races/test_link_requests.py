"""What an approved request pays: the prize that waited for the player, once, whoever tells of it how often."""

from palio import affiliates, identity
from palio.affiliates.types import LinkRequest
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.races import jobs
from tests.factories.races import STAFF, Feed, at, run, setup_r
from tests.races.test_links import wallet


async def asked(tx: Tx, source: Feed, name: str, uid: str) -> LinkRequest:
    user = await identity.create(tx, username=name, now=at("20:40:00"))
    code = next(one.code for one in await affiliates.programmes(tx) if one.id == source.programme_id)
    wish = affiliates.LinkWish(user.id, "screenshot", code, uid=uid, name=uid)
    return await affiliates.request_link(tx, wish=wish, now=at("20:41:00"))


async def heard(tx: Tx, request: LinkRequest, source: Feed, user_id: UserId | None = None) -> None:
    """The job of the event, as often as the queue likes."""
    for _ in range(3):
        event = affiliates.AccountLinked(user_id or request.user_id, request.player_id, source.programme_id)
        await jobs.claim(tx, event)


async def test_an_approval_pays_what_waited_once_and_a_contender_gets_nothing(tx: Tx) -> None:
    """player0006 won 250.00; two people ask for him, and unlinking and linking again pays nothing more."""
    source, _ = await setup_r(tx)
    await run(tx, at("20:30:00"))
    hers, his = await asked(tx, source, "alice", "player0006"), await asked(tx, source, "bob", "player0006")
    clock.use(lambda: at("21:00:00"))
    try:
        await heard(tx, his, source)
        assert await wallet(tx, his.user_id) == 0
        await affiliates.decide(tx, request_id=hers.id, actor=STAFF, decision="approve", note="", now=at("21:00:00"))
        await heard(tx, hers, source)
        await heard(tx, his, source)
        assert (await wallet(tx, hers.user_id), await wallet(tx, his.user_id)) == (25_000, 0)

        for begin in ("21:10:00", "21:20:00"):
            await affiliates.unlink(
                tx, programme_id=source.programme_id, uid=hers.uid, reason="a mistake", now=at(begin)
            )
            gone = affiliates.AccountUnlinked(hers.user_id, hers.player_id, source.programme_id)
            await jobs.let_go(tx, gone)
            await affiliates.link(
                tx, programme_id=source.programme_id, uid=hers.uid, user_id=hers.user_id, reason="it is", now=at(begin)
            )
            await heard(tx, hers, source)
    finally:
        clock.use(clock.real)
    assert await wallet(tx, hers.user_id) == 25_000
