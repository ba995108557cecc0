"""`palio webhooks …`: what the terminal says of endpoints, sends again, and passes on to a machine at hand."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from palio.infra import db, keyring, webhooks
from palio.infra.db import Database
from palio.infra.messages import TellWebhooks
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.sim import World
from tests.entry.conftest import Command
from tests.factories.webhooks import events


def test_without_endpoints_there_is_nothing_to_tell(command: Command) -> None:
    assert command("webhooks", "list").out.strip() == "There are no endpoints."
    assert command("webhooks", "list", "--json").answer == []
    missing = command("webhooks", "test", str(new_id()), "--json")
    assert (missing.status, missing.answer["code"]) == (1, "webhook.no_such_endpoint")


def test_what_is_sent_again_is_named_in_one_way(command: Command) -> None:
    some = str(new_id())
    neither = command("webhooks", "replay", some)
    both = command("webhooks", "replay", some, "--delivery", some, "--since", "2026-03-20T12:00:00Z")
    missing = command("webhooks", "replay", some, "--since", "2026-03-20T12:00:00Z", "--json")

    assert [neither.status, both.status] == [64, 64]
    assert (missing.status, missing.answer["code"]) == (1, "webhook.no_such_endpoint")


async def test_what_happens_is_passed_on_to_a_machine_at_hand(
    command: Command, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as somebody listens; then nothing of it is left."""
    keyring.load_or_make(tmp_path / "keyring.json")
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(tmp_path / "keyring.json"))
    async with World().serving() as world:
        words = ["webhooks", "listen", "--forward", world.hook_url("mine"), "--types", "race.*"]
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "palio", *words), stdout=PIPE, env=dict(os.environ)
        )
        assert program.stdout
        secret = (await program.stdout.readline()).decode().split()[1]
        world.hooks.control("secret", {"name": "mine", "secret": secret})
        async with database.begin_system("a test") as tx:
            await webhooks.tell(tx, TellWebhooks(tuple(events(2, now=clock.now()))))
        lines = [(await program.stdout.readline()).decode() for _ in range(2)]
        (listed,) = (await asyncio.to_thread(command, "webhooks", "list", "--json")).answer
        one = ("webhooks", "replay", listed["endpoint"]["id"], "--since", "2026-03-20T12:00:00Z")
        trial = await asyncio.to_thread(command, *one, "--dry-run")
        program.send_signal(signal.SIGINT)
        await program.wait()

    assert all("race.completed  204" in line for line in lines)
    assert [each.is_genuine for each in world.hooks.heard] == [True, True]
    assert (listed["endpoint"]["host"], listed["health"]["delivered"]) == ("127.0.0.1", 2)
    assert "2 messages are sent again." in trial.out and "dry run" in trial.out
    assert json.loads(world.hooks.heard[0].body)["type"] == "race.completed"
    async with database.begin_system("a test") as tx:
        assert await db.value(tx, "select count(*) from infra.webhook_endpoints") == 0
