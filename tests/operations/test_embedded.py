"""The embedded server in this process: what its data directory may be, and what two supervisors do."""

import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from palio.entry import server
from palio.infra import embedded
from palio.infra.embedded import configuration
from palio.infra.embedded.lock import Machine
from palio.infra.embedded.supervisor import pause_before_start
from palio.infra.settings.environment import WrongSettingError
from tests.operations.processes import until

GIGABYTE = 1 << 30


@pytest.fixture
def home() -> Iterator[Path]:
    """A place for a data directory that the server's account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="palio-embedded-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def refusal(home: Path) -> str:
    with pytest.raises(embedded.CannotStartError) as refused, embedded.running(home):
        pass
    assert refused.value.status == os.EX_CONFIG
    return str(refused.value)


def test_the_data_of_another_major_version_is_refused(home: Path) -> None:
    (home / "pg").mkdir(parents=True)
    (home / "pg/PG_VERSION").write_text("17\n")
    home.chmod(0o711)
    if os.geteuid() == 0:
        shutil.chown(home / "pg/PG_VERSION", "nobody")

    assert "was made by PostgreSQL 17, this Palio carries 18: go on with the Palio that made it" in refusal(home)


def test_a_folder_of_strange_files_is_not_made_a_database(home: Path) -> None:
    (home / "pg").mkdir(parents=True)
    (home / "pg/letter.txt").write_text("keep me")
    home.chmod(0o711)

    assert "holds files but no database" in refusal(home)
    assert (home / "pg/letter.txt").read_text() == "keep me"


def test_a_directory_in_use_on_another_machine_is_refused(home: Path) -> None:
    home.mkdir()
    written = '{"host": "elsewhere", "boot": "11111111-2222-3333-4444-555555555555", "pid": 7}\n'
    (home / "supervisor.lock").write_text(written)

    assert "is in use on host elsewhere (process 7)" in refusal(home)
    assert (home / "supervisor.lock").read_text() == written
    assert [path.name for path in home.iterdir()] == ["supervisor.lock"]


def test_a_machine_is_known_by_its_name_or_its_boot() -> None:
    """A container that starts again has another name, a machine that starts again another boot."""
    here = Machine("here", "boot 1")

    assert [here.is_here(other) for other in (Machine("new", "boot 1"), Machine("here", "boot 2"))] == [True, True]
    assert not here.is_here(Machine("there", "boot 2"))
    assert not Machine("mac", "").is_here(Machine("other mac", ""))


def test_a_closed_parent_is_named_and_nothing_changes(home: Path) -> None:
    """As root the server is another account; it must be able to pass through every folder above the data."""
    if os.geteuid() != 0:
        pytest.skip("only root runs the server as somebody else")
    closed = home.parent
    closed.chmod(0o700)

    assert f"may not enter {closed}: chmod o+x {closed}, or choose another PALIO_DATA" in refusal(home)
    assert "may not enter" in refusal(home / "deeper/still")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert not home.exists()


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(WrongSettingError, match=f"at 127.0.0.1:{port}: Address already in use; choose another --p"):
            server.listen("127.0.0.1:8000", port)


def test_a_file_in_place_of_the_directory_is_refused(home: Path) -> None:
    home.write_text("a file")

    assert "cannot use the data directory" in refusal(home)


def test_one_life_with_everything_told_and_nothing_left(home: Path) -> None:
    """A path too long for a socket gets a private folder elsewhere; a damaged announcement is written again."""
    home = home / ("long" * 30)
    home.parent.mkdir()
    home.parent.chmod(0o711)

    with embedded.running(home, unsafe_fast=True) as cluster:
        folder = cluster.socket
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert home not in folder.parents
        told = json.loads(cluster.announcement.read_text())
        assert told.keys() == {"pid", "socket", "port", "started_at", "pg_version"}
        assert (told["socket"], told["port"]) == (str(folder), None)

        cluster.announcement.write_text('{"pid": "?"')
        until(lambda: cluster.announcement.read_text() != '{"pid": "?"', seconds_max=5)
        assert json.loads(cluster.announcement.read_text()) == told
        with psycopg.connect(cluster.dsn()) as conn:
            shown = ("data_checksums", "server_encoding", "listen_addresses", "summarize_wal", "fsync")
            found = [conn.execute(f"show {name}").fetchone() for name in shown]
        assert found == [("on",), ("UTF8",), ("",), ("on",), ("off",)]

    assert not folder.exists()
    assert (home / "supervisor.lock").read_text() == ""
    assert list((home / "run").iterdir()) == []


def test_the_next_in_line_takes_over_and_the_addresses_stay(home: Path) -> None:
    with ExitStack() as first:
        one = first.enter_context(embedded.running(home, unsafe_fast=True))
        with embedded.running(home, unsafe_fast=True) as two:
            assert two == one
            pid = json.loads(two.announcement.read_text())["pid"]
            first.close()
            until(two.announcement.exists)
            assert json.loads(two.announcement.read_text())["pid"] != pid
            psycopg.connect(two.dsn()).close()


def test_pauses_grow_and_the_sixth_exit_in_ten_minutes_is_the_last() -> None:
    exits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]

    assert [pause_before_start(exits[:number], 6.0) for number in range(1, 7)] == [0, 1, 2, 4, 8, None]
    assert pause_before_start(exits, 600.5) == 8  # the first one is forgotten


@pytest.mark.parametrize(("memory", "buffers"), [(GIGABYTE // 4, 128), (8 * GIGABYTE, 2048), (64 * GIGABYTE, 4096)])
def test_shared_buffers_are_a_quarter_of_the_memory_within_bounds(memory: int, buffers: int) -> None:
    text = configuration.text(memory_bytes=memory, socket=Path("/it's"), port=5432, is_open=False, is_unsafe_fast=False)

    assert f"shared_buffers = '{buffers}MB'\n" in text
    assert "unix_socket_directories = '/it''s'\n" in text
    assert "fsync" not in text
