"""`palio stream …`: what can be heard, and hearing it in a terminal."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from uuid import UUID

import pytest

from palio import races
from palio.infra.db import Database
from palio.infra.realtime import Hub
from tests.entry.conftest import Command

RACE = UUID(int=7)
PATIENCE_SECONDS = 60


def test_topics_are_listed_with_who_hears_them(command: Command) -> None:
    listed = {one["topic"]: one for one in command("stream", "topics", "--json").answer}

    assert listed["race:{id}"]["types"] and listed["race:{id}"]["access"] == "public"
    assert (listed["me:wallet"]["kind"], listed["me:wallet"]["access"]) == ("log", "owner")
    assert "race:{id}" in command("stream", "topics").out


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (["race:x"], "there is no topic race:x"),
        (["me:wallet"], "heard by its owner alone"),
        ([f"race:{UUID(int=number)}" for number in range(51)], "at most 50 topics"),
    ],
)
def test_what_cannot_be_heard_here_is_refused(command: Command, topics: list[str], words: str) -> None:
    done = command("stream", "tail", *topics)

    assert done.status == 64
    assert words in done.err


async def test_what_happens_is_printed_as_it_comes(database: Database, commands_dsn: str) -> None:
    """A line for each event; Ctrl-C ends it without a complaint."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "palio", "stream", "tail", f"race:{RACE}", "--json"),
        stdout=PIPE,
        stderr=PIPE,
        env=dict(os.environ),
    )
    assert program.stdout and program.stderr
    hub = Hub(commands_dsn)
    speaking = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"Listening" not in await program.stderr.readline():
                pass
            hub.tell(
                f"race:{RACE}",
                json.dumps({"topic": f"race:{RACE}", "type": races.RACE_UPDATED.name, "at": "now", "data": {"seq": 5}}),
            )
            told = json.loads(await program.stdout.readline())
        program.send_signal(signal.SIGINT)
        rest, complaints = await program.communicate()
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)

    assert (told["topic"], told["type"], told["data"]) == (f"race:{RACE}", "race.updated", {"seq": 5})
    assert (rest, complaints) == (b"", b"")
