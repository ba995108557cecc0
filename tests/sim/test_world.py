"""A world on a socket: what the product's own door sees of it."""

import json
import time
from dataclasses import replace

import pytest

from palio.infra.http import UNTRUSTED, Answer, Client, Failure
from palio.sim import Effect, Fault, World

INSIDE = replace(UNTRUSTED, may_be_inside=True, seconds_max=5, bytes_max=1_000_000)


async def ask(world: World, **changes: float) -> Answer | Failure:
    return await Client().call(world.feed_url, profile=replace(INSIDE, **changes))  # type: ignore[arg-type]


async def test_the_list_arrives_whole(world: World) -> None:
    answer = await ask(world)
    assert isinstance(answer, Answer)
    assert (answer.status, len(json.loads(answer.body)["data"])) == (200, 127)
    assert answer.headers["content-encoding"] == "gzip"
    assert [(one.path[-4:], one.is_known) for one in world.expected(1)] == [("DEMO", True)]


@pytest.mark.parametrize(
    ("effect", "kind"),
    [
        (Effect("reset"), "network"),
        (Effect("reset_after"), "network"),
        (Effect("bad_tls"), "network"),
        (Effect("truncate", at=300), "cut_short"),
        (Effect("huge", mb=20), "too_large"),
        (Effect("slow", bytes_per_s=100), "timeout"),
        (Effect("delay", ms=2_000), "timeout"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_what_goes_wrong_on_purpose_goes_wrong_on_the_wire(world: World, effect: Effect, kind: str) -> None:
    world.faults.add(Fault("feed", effect))
    outcome = await ask(world, seconds_max=0.4 if kind == "timeout" else 20)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind
    assert [one.fault for one in world.expected(1)] == [effect.name]


async def test_a_redirect_leads_nowhere(world: World) -> None:
    world.faults.add(Fault("feed", Effect("redirect", url=world.feed_url), times=1))
    outcome = await ask(world)
    assert isinstance(outcome, Answer)
    assert (outcome.status, world.expected(1)[0].fault) == (302, "redirect")


async def test_a_world_is_there_and_reset_in_no_time() -> None:
    """Section 4.1: ready within 100 ms, reset within 5 ms of processor time (both with room for a busy machine)."""
    begun = time.process_time()
    async with World().serving() as world:
        assert time.process_time() - begun < 0.1
        begun = time.process_time()
        world.reset()
        assert time.process_time() - begun < 0.05
