"""The server dies under Palio, and Palio's supervisor dies under other processes."""

import json
import os
import signal
import time
from contextlib import suppress

import psycopg
import pytest

from palio.infra import embedded
from tests.operations.processes import Deployment, until


def test_a_killed_server_is_back_without_a_restart(deployment: Deployment) -> None:
    """503 with Retry-After while it is away, then 200 again within 15 s, and one line for each start."""
    process = deployment.start("up", "--no-demo")
    until(lambda: process.url and process.is_ready())
    killed: set[int] = set()
    answers = [process.get("/readyz")]

    while answers[-1][0] == 200:  # the first start again is immediate and may pass unnoticed, a later one waits
        with suppress(FileNotFoundError, IndexError):  # between two servers
            if (pid := deployment.server_pid) not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        answers.append(process.get("/readyz"))
    started = time.monotonic()
    while answers[-1][0] != 200:
        answers.append(process.get("/readyz"))
        assert time.monotonic() - started < 15

    away = [headers for status, headers, _ in answers if status != 200]
    assert {headers["retry-after"] for headers in away} == {"2"}
    until(lambda: len(process.logged("server restarted")) == len(killed))


@pytest.mark.nightly
def test_a_server_that_does_not_stay_ends_the_process(deployment: Deployment) -> None:
    """Code 70, with the last lines of the server."""
    process = deployment.start("up", "--no-demo")
    until(lambda: process.url and process.is_ready())

    for number in range(6):
        until(lambda number=number: len(process.logged("server restarted")) == number)
        os.kill(deployment.server_pid, signal.SIGKILL)

    assert process.wait(60) == os.EX_SOFTWARE
    assert "the server ended 6 times; its last lines:" in process.errors
    assert "database system is ready to accept connections" in process.errors


def test_eight_workers_share_one_server_and_one_takes_over(deployment: Deployment) -> None:
    """Started at once on an empty directory; when the supervisor is killed another one serves within 20 s."""
    workers = [deployment.start("worker") for _ in range(8)]
    until(
        lambda: all("Palio works" in worker.output for worker in workers),
        what=lambda: "\n".join(worker.output + worker.errors for worker in workers),
    )
    assert [alarm for worker in workers for alarm in worker.alarms] == []
    assert sum("migration 0001_infra.sql" in worker.output for worker in workers) == 1
    until(lambda: rows(deployment) == 8)
    supervisor = next(worker for worker in workers if worker.pid == holder(deployment))

    supervisor.signal(signal.SIGKILL)

    others = [worker for worker in workers if worker is not supervisor]
    until(lambda: any(worker.logged("server taken over") for worker in others), seconds_max=20)
    assert holder(deployment) in {worker.pid for worker in others}
    assert rows(deployment) == 8  # the killed one is forgotten later
    for worker in others:
        worker.signal(signal.SIGTERM)
    assert [worker.wait() for worker in others] == [0] * 7  # although the server goes with one of them


def rows(deployment: Deployment) -> int:
    with psycopg.connect(embedded.at(deployment.home).dsn(database="palio")) as conn:
        return len(conn.execute("select from infra.instances where role = 'worker'").fetchall())


def holder(deployment: Deployment) -> int:
    return int(json.loads((deployment.home / "supervisor.lock").read_text())["pid"])
