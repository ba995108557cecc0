"""What the simulators of log-ins refuse, so that they are no easier to please than those they stand for."""

from datetime import UTC, datetime, timedelta

import pytest

from palio.sim import CLIENT, Clock, SimRefusal, World
from palio.sim.wire import Request

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


def world_at() -> World:
    return World(start=NOON, clock=Clock(NOON, is_frozen=True))


def ask(world: World, path: str, method: str = "GET", body: bytes = b"", **query: str) -> tuple[int, bytes]:
    reply = world.answer(Request(method, path, query, {"host": "127.0.0.1:1"}, body)).reply
    return reply.status, reply.body


GOOD = {
    "response_type": "code",
    "client_id": CLIENT,
    "redirect_uri": "http://127.0.0.1/back",
    "scope": "openid email",
    "state": "s",
    "code_challenge": "c",
    "code_challenge_method": "S256",
}


@pytest.mark.parametrize("missing", [name for name in GOOD if name != "code_challenge"])
def test_a_provider_takes_nobody_whose_question_is_not_whole(missing: str) -> None:
    assert ask(world_at(), "/oidc/google/authorize", **{**GOOD, missing: ""})[0] == 400


def test_apple_wants_to_post() -> None:
    assert ask(world_at(), "/oidc/apple/authorize", **GOOD)[0] == 400
    status, page = ask(world_at(), "/oidc/apple/authorize", **GOOD, response_mode="form_post")
    assert (status, b"ada" in page) == (200, True)


def test_a_client_is_known_by_its_secret_and_a_code_by_its_verifier() -> None:
    world = world_at()
    for body in (b"", f"client_id={CLIENT}&client_secret=guessed".encode()):
        assert ask(world, "/oidc/google/token", "POST", body) == (401, b'{"error": "invalid_client"}')


def test_telegram_signs_for_whoever_is_asked_for_and_refuses_other_flaws() -> None:
    world = world_at()
    data = world.telegram.init_data({"id": 7}, at=NOON)
    assert data != world.telegram.init_data({"id": 7}, at=NOON + timedelta(seconds=1))
    with pytest.raises(SimRefusal):
        world.telegram.init_data({"id": 7}, at=NOON, flaw="moon")


def test_orders_that_make_no_sense_say_what_would() -> None:
    world = world_at()
    for act, members in (("rotate", {}), ("flaw", {"name": "google", "flaw": "moon"}), ("moon", {})):
        with pytest.raises(SimRefusal, match="known: rotate"):
            world.oidc.control(act, members)
    before = world.oidc.issuer("club").key.kid
    world.oidc.control("rotate", {"name": "club"})
    assert world.oidc.issuer("club").key.kid != before
