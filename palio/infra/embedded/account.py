"""Whom the server runs as, and where that account may go."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from palio.infra.embedded.failure import CannotStartError

ACCOUNTS = ("palio", "postgres", "nobody")  # who runs the server when we are root and PALIO_PG_USER says nothing


def account_for(data: Path, wanted: str | None) -> pwd.struct_passwd:
    """We ourselves; as root the owner of existing data, else the wanted account, else the first that exists."""
    if os.geteuid() != 0:
        return _entry(os.geteuid())
    if (data / "PG_VERSION").exists():
        return _entry((data / "PG_VERSION").stat().st_uid)
    known = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    if wanted and wanted not in known:
        raise CannotStartError(f"PALIO_PG_USER is {wanted}, an account that does not exist or is root")
    for name in (wanted, *ACCOUNTS):
        if name in known:
            return known[name]
    raise CannotStartError("PostgreSQL refuses to run as root: create a system account, useradd --system palio")


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise CannotStartError(f"PostgreSQL needs a line for uid {uid} in /etc/passwd: create that user") from None


def can_enter(account: pwd.struct_passwd, folder: Path) -> bool:
    """May the account pass through the folder and all above it? The system is asked, so that access lists count."""
    return _succeeds(account, [shutil.which("sh") or "/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])


def can_run(account: pwd.struct_passwd, program: Path) -> bool:
    """May the account carry out the program, with the libraries it needs?"""
    return _succeeds(account, [str(program), "--version"])


def _succeeds(account: pwd.struct_passwd, command: list[str]) -> bool:
    is_other = account.pw_uid != os.geteuid()
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            cwd="/",
            user=account.pw_uid if is_other else None,
            group=account.pw_gid if is_other else None,
            extra_groups=[] if is_other else None,
        )
    except OSError:
        return False
    return done.returncode == 0


def first_closed(account: pwd.struct_passwd, path: Path) -> Path:
    """The first folder on the way that keeps the account out, by its mode; the last one if no mode explains it."""
    return next((folder for folder in reversed((path, *path.parents)) if not _is_open(account, folder)), path)


def _is_open(account: pwd.struct_passwd, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == account.pw_gid else stat.S_IXOTH))
