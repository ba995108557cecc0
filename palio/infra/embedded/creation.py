"""The data directory and a new database in it: made once, whole or not at all."""

import json
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from palio.infra import private
from palio.infra.embedded import configuration, programs
from palio.infra.embedded.cluster import Cluster
from palio.infra.embedded.failure import CannotStartError
from palio.infra.embedded.runner import Runner

OURS = ("secrets", "files", "anchors", "backups", "logs")
SERVERS = ("run", "wal-spool")
LOCALE = ("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def nearest(home: Path) -> Path:
    """The folder that is there already, on the way to one that is not."""
    return next(folder for folder in home.absolute().parents if folder.is_dir())


def make_home(home: Path) -> None:
    """Make the data directory if it is missing; as root, another account must be able to pass through."""
    if not home.exists():
        home.mkdir(parents=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def prepare(cluster: Cluster, runner: Runner) -> None:
    """Bring folders, database and configuration up to what the server needs. Raises CannotStartError."""
    for name in OURS:
        (cluster.home / name).mkdir(mode=0o700, exist_ok=True)
    for name in SERVERS:
        runner.claim(cluster.home / name)
    if cluster.socket.parent != cluster.home:
        _make_socket_folder(cluster.socket, runner)
    if not (cluster.data / "PG_VERSION").exists():
        _create(cluster, runner)
    _require_version(cluster)


def configure(cluster: Cluster, runner: Runner, *, is_open: bool, is_unsafe_fast: bool) -> None:
    """Write our settings, and see that the server reads them."""
    text = configuration.text(
        memory_bytes=configuration.memory_bytes(),
        socket=cluster.socket,
        port=cluster.port,
        is_open=is_open,
        is_unsafe_fast=is_unsafe_fast,
    )
    private.write(cluster.data / configuration.FILE, text, owner=runner.account)
    main = cluster.data / "postgresql.conf"
    written = main.read_text()
    if configuration.INCLUDE not in written:
        private.write(main, f"{written}\n{configuration.INCLUDE}\n", owner=runner.account)


def _make_socket_folder(folder: Path, runner: Runner) -> None:
    """It lies where others may write: what is there already is used only if it is the account's alone."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, runner.account.pw_uid, runner.account.pw_gid)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
    if not is_private or found.st_uid != runner.account.pw_uid:
        raise CannotStartError(f"{folder} is not a folder of {runner.account.pw_name} alone: remove it")


def _create(cluster: Cluster, runner: Runner) -> None:
    if cluster.data.exists() and any(cluster.data.iterdir()):
        raise CannotStartError(f"{cluster.data} holds files but no database: move them away, or set PALIO_DATA")
    passwords = json.loads(cluster.passwords.read_text()) if cluster.passwords.exists() else {}
    passwords["postgres"] = secrets.token_urlsafe(24)
    private.write(cluster.passwords, json.dumps(passwords))
    draft = cluster.data.with_name("pg.draft")
    handover = cluster.home / "run/initdb.password"
    shutil.rmtree(draft, ignore_errors=True)
    runner.claim(draft)
    private.write(handover, passwords["postgres"], owner=runner.account)
    options = ("--data-checksums", "--auth=scram-sha-256", f"--pwfile={handover}")
    status, said = runner.run("initdb", "-D", draft, "-U", "postgres", *LOCALE, *options)
    handover.unlink()
    if status:
        shutil.rmtree(draft, ignore_errors=True)
        raise CannotStartError(f"initdb failed: {said}")
    draft.rename(cluster.data)


def _require_version(cluster: Cluster) -> None:
    major = (cluster.data / "PG_VERSION").read_text().strip()
    if major != str(programs.MAJOR):
        raise CannotStartError(
            f"{cluster.data} was made by PostgreSQL {major}, this Palio carries {programs.MAJOR}:"
            " go on with the Palio that made it, or load a copy that its pg_dump wrote into an empty data directory"
        )
