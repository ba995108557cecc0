"""What the machine and the environment say: free space, who may read the secrets, how players reach us."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding, Fix
from palio.infra.settings import Environment
from palio.infra.settings.environment import unknown

FREE_PERCENT_MIN = 15
PRIVATE_FOLDERS = ("pg", "run", "secrets")
FOLDER_MODE, FILE_MODE = 0o700, 0o600
LOOPBACK = ("127.", "[::1]", "localhost")


def examine_host(environment: Environment) -> list[Finding]:
    """Every finding about this machine; what does not exist (an external database has no `pg`) is not asked for."""
    return [
        *_disk(environment.data),
        *(_open(path, mode) for path, mode in _private(environment.data) if path.stat().st_mode & 0o777 & ~mode),
        *_address(environment),
        *_simulation(environment),
        *_variables(),
    ]


def _disk(data: Path) -> Iterator[Finding]:
    there = next(folder for folder in (data, *data.parents) if folder.exists())
    usage = shutil.disk_usage(there)
    percent = 100 * usage.free // usage.total
    if percent < FREE_PERCENT_MIN:
        yield Finding(
            "disk.low",
            "warning",
            f"{percent} % of the disk of {there} is free.",
            "A full disk stops every write; a database needs room to recover.",
            "Free space, or move PALIO_DATA to a larger disk.",
        )


def _private(data: Path) -> Iterator[tuple[Path, int]]:
    for folder in (data / name for name in PRIVATE_FOLDERS):
        if folder.is_dir():
            yield folder, FOLDER_MODE
    secrets = data / "secrets"
    for file in sorted(secrets.iterdir()) if secrets.is_dir() else ():
        yield file, FILE_MODE


def _open(path: Path, mode: int) -> Finding:
    return Finding(
        "files.open",
        "error",
        f"{path} may be entered or read by other accounts of this machine (mode {path.stat().st_mode & 0o777:o}).",
        "It holds the passwords of the database, or the database itself.",
        f"chmod {mode:o} {path}; palio doctor --fix-safe does it.",
        _closing(path, mode),
    )


def _closing(path: Path, mode: int) -> Fix:
    async def close(tx: Tx) -> None:
        path.chmod(mode)  # noqa: ASYNC240 - one system call on a local file

    return close


def _address(environment: Environment) -> Iterator[Finding]:
    is_public = not environment.bind.startswith(LOOPBACK)
    url = urlsplit(environment.public_url or f"http://{environment.bind}/")
    if url.scheme == "https":
        return
    is_local = url.netloc.startswith(LOOPBACK)
    yield Finding(
        "url.plain_http",
        "note" if is_local and not is_public else "error",
        f"Players reach Palio at {url.geturl()}, without encryption.",
        "Cookies lose their __Host- names, and on a network anybody can read and change what is sent.",
        "Put a TLS proxy in front and set PALIO_PUBLIC_URL=https://….",
    )


def _simulation(environment: Environment) -> Iterator[Finding]:
    if environment.sim == "on":
        yield Finding(
            "sim.on",
            "warning",
            "PALIO_SIM is on: the outside is played on this machine.",
            "Feeds may be read over plain http and from addresses of the inside.",
            "Leave PALIO_SIM out where real players come.",
        )


def _variables() -> Iterator[Finding]:
    for name, nearest in unknown():
        yield Finding(
            "settings.unknown_variable",
            "warning",
            f"{name} is set, and Palio does not know it.",
            "It has no effect; whoever set it believes it has.",
            f"Did you mean {nearest}?" if nearest else "Take it away; palio config show lists those there are.",
        )
