"""`palio sim`: a world in a process of its own."""

import asyncio
import signal
import sys

from palio.infra.http import Answer, Client, Profile


async def test_it_serves_the_feed_until_told_to_stop_and_says_where() -> None:
    words = (sys.executable, "-m", "palio", "sim", "feed", "--port", "0", "--token", "the key")
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        said = dict([(await process.stdout.readline()).decode().strip().split("=", 1) for _ in range(3)])
    assert (said["PALIO_SIM"], said["PALIO_FEED_TOKEN"]) == ("on", "the key")
    headers = {"Authorization": "Bearer the key"}
    answer = await Client().call(said["PALIO_FEED_URL"], profile=Profile(may_be_inside=True), headers=headers)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    taken = await asyncio.create_subprocess_exec(
        *words[:5], "--port", said["PALIO_FEED_URL"].split(":")[2].split("/")[0], stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        assert b"sim.port_taken" in (await taken.communicate())[1]
        process.send_signal(signal.SIGTERM)
        assert (taken.returncode, await process.wait()) == (69, 0)
