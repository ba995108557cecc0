"""A stop in order: nobody new comes in, whoever is in may finish, and a second signal ends the patience."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from palio.infra import embedded
from tests.operations.processes import Deployment, Process, until

SLOW = str(Path(__file__).with_name("slow_program.py"))


@contextmanager
def stream(process: Process) -> Iterator[socket.socket]:
    """A live stream that has got its first frame."""
    address = urlsplit(process.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
        received = b""
        while b"event: ready" not in received:
            received += client.recv(4096)
        yield client


def rest_of(client: socket.socket) -> str:
    received = b""
    while part := client.recv(4096):
        received += part
    return received.decode()


def job_states(deployment: Deployment) -> list[tuple[str]]:
    with embedded.running(deployment.home) as cluster, psycopg.connect(cluster.dsn(database="palio")) as conn:
        return conn.execute(
            "select status::text from infra.job_runs where job like '%:wait' union all"
            " select status::text from jobs.procrastinate_jobs where task_name like '%:wait'"
        ).fetchall()


def test_open_streams_do_not_keep_it_from_stopping_within_5_s(deployment: Deployment) -> None:
    """They are told that it restarts; the database is shut down in order."""
    process = deployment.start(program=SLOW)
    with stream(process) as one, stream(process) as two:
        until(lambda: jobs(deployment, "infra.partitions:keep", "doing", "todo") == 0)  # what every start begins with
        process.signal(signal.SIGTERM)

        assert process.wait(5) == 0
        assert "event: bye" in rest_of(one)
        assert "event: bye" in rest_of(two)
    assert "received fast shutdown request" in (deployment.home / "logs/postgresql.log").read_text()
    assert process.output.endswith("Stopping …\nStopped.\n")


def test_running_requests_and_jobs_are_finished(deployment: Deployment) -> None:
    """No more than 40 s for a job of a few seconds, with a stream open."""
    process = deployment.start(program=SLOW)
    answers: list[tuple[int, dict[str, str], bytes]] = []
    request = threading.Thread(target=lambda: answers.append(process.get("/slow/2")))
    with stream(process):
        assert process.get("/job/3")[0] == 200
        until(lambda: jobs(deployment, "__main__:wait", "doing") == 1)
        request.start()
        until(lambda: connections(process) == 2)

        process.signal(signal.SIGINT)

        assert process.wait(40) == 0
    request.join()
    assert [(status, body) for status, _, body in answers] == [(200, b"done")]
    assert job_states(deployment) == [("done",)]


def test_a_second_signal_ends_the_patience(deployment: Deployment) -> None:
    """The job is not lost: it waits for a worker, or for whoever rescues what a killed one held."""
    process = deployment.start(program=SLOW)
    process.get("/job/60")
    until(lambda: jobs(deployment, "__main__:wait", "doing") == 1)

    process.signal(signal.SIGTERM)
    until(lambda: "Stopping" in process.output)
    process.signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert job_states(deployment) in ([("todo",)], [("doing",)])


def jobs(deployment: Deployment, task: str, *states: str) -> int:
    with psycopg.connect(embedded.at(deployment.home).dsn(database="palio")) as conn:
        statement = "select from jobs.procrastinate_jobs where task_name = %s and status::text = any (%s)"
        return len(conn.execute(statement, [task, list(states)]).fetchall())


def connections(process: Process) -> int:
    """Sockets that the process holds open with clients."""
    port = f"{urlsplit(process.url).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port}") and line[3] == "01" for line in lines)
