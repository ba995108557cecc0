"""`palio jobs …`: what waits, what gave up, and what is due now."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.entry.conftest import Command

RUN_OF_ANOTHER = """
    insert into jobs.procrastinate_jobs (queue_name, task_name, status, attempts, args)
    values ('default', 'races:sleepy', 'failed', 12, '{"request_id": "0195c000-0000-7000-8000-000000000001"}'),
           ('default', 'races:sleepy', 'todo', 0, '{"request_id": "0195c000-0000-7000-8000-000000000002"}')
"""


@pytest.fixture
def queue(commands_dsn: str) -> Iterator[psycopg.Connection]:
    """A queue with one job that gave up, one that waits, and one schedule."""
    with psycopg.connect(commands_dsn, autocommit=True, options="-c search_path=jobs") as conn:
        conn.execute(RUN_OF_ANOTHER)
        conn.execute(
            "insert into infra.schedules (name, next_at) values ('test.nightly', '2100-01-01Z')"
            " on conflict (name) do update set next_at = excluded.next_at, job_id = null"
        )
        yield conn
        conn.execute("delete from jobs.procrastinate_jobs where task_name = 'races:sleepy'")


def test_the_queue_is_listed(command: Command, queue: psycopg.Connection) -> None:
    listed = command("jobs", "list", "--state", "failed", "--json").answer["queue"]

    assert [(one["job"], one["state"], one["attempts"]) for one in listed] == [("races:sleepy", "failed", 12)]
    assert "test.nightly" in command("jobs", "list").out


def test_a_job_that_gave_up_is_tried_again(command: Command, queue: psycopg.Connection) -> None:
    trial = command("jobs", "retry", "races:sleepy", "--dry-run", "--json")
    assert trial.answer == {"job": "races:sleepy", "rows": 1}

    done = command("jobs", "retry", "races:sleepy", "--reason", "the disk was full")

    assert (done.status, done.out) == (0, "Put 1 back into the queue.\n")
    states = queue.execute(
        "select status::text, attempts from jobs.procrastinate_jobs where task_name = 'races:sleepy'"
    )
    assert states.fetchall() == [("todo", 0), ("todo", 0)]
    again = command("jobs", "retry", "races:sleepy", "--json")
    assert (again.status, again.answer["code"]) == (1, "infra.no_such_job")


def test_a_schedule_is_made_due(command: Command, queue: psycopg.Connection) -> None:
    done = command("jobs", "run", "test.nightly")

    assert (done.status, done.out) == (0, "test.nightly is due now.\n")
    due = queue.execute("select next_at <= now() from infra.schedules where name = 'test.nightly'")
    assert due.fetchone() == (True,)


def test_a_schedule_that_works_already_or_does_not_exist_is_refused(
    command: Command, queue: psycopg.Connection
) -> None:
    queue.execute(
        "update infra.schedules set job_id = (select id from jobs.procrastinate_jobs where status = 'todo'"
        " and task_name = 'races:sleepy') where name = 'test.nightly'"
    )

    busy, unknown = command("jobs", "run", "test.nightly", "--json"), command("jobs", "run", "nightly", "--json")

    assert (busy.status, busy.answer["code"]) == (1, "infra.still_running")
    assert (unknown.status, unknown.answer["code"]) == (1, "infra.no_such_schedule")
    assert "test.nightly" in unknown.answer["facts"]["known"]
