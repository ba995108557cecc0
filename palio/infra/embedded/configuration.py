"""`palio.conf`: how our server is set up. It is written at each start; what an operator adds stands in other files."""

import os
from contextlib import suppress
from pathlib import Path

MEGABYTE = 1 << 20
SHARED_MEGABYTES_MIN, SHARED_MEGABYTES_MAX = 128, 4096
FILE = "palio.conf"
INCLUDE = f"include_if_exists = '{FILE}'"
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

FIXED = {
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "wal_level": "replica",
    "summarize_wal": "on",  # incremental backups
    "wal_summary_keep_time": "10d",
    "archive_mode": "off",
    "max_wal_size": "2GB",
    "wal_compression": "off",  # full pages cost less than pglz
    "wal_writer_delay": "10ms",
    "log_min_duration_statement": "1s",
    "log_parameter_max_length": "0",  # values may be personal
    "log_lock_waits": "on",
    "log_startup_progress_interval": "5s",
    "track_io_timing": "on",
}
UNSAFE_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


def text(*, memory_bytes: int, socket: Path, port: int, is_open: bool, is_unsafe_fast: bool) -> str:
    """The file's text. `is_open` listens on 127.0.0.1 too: without TLS, no other address would do."""
    megabytes = min(max(memory_bytes // MEGABYTE // 4, SHARED_MEGABYTES_MIN), SHARED_MEGABYTES_MAX)
    settings = {
        "listen_addresses": "127.0.0.1" if is_open else "",
        "port": str(port),
        "unix_socket_directories": str(socket),
        "shared_buffers": f"{megabytes}MB",
        **FIXED,
        **(UNSAFE_FAST if is_unsafe_fast else {}),
    }
    lines = (f"{name} = {_quoted(value)}" for name, value in settings.items())
    return "\n".join(("# Written by Palio at each start.", *lines, ""))


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def memory_bytes() -> int:
    """What this machine has, or less where a container may use only a part of it."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such group, or "max"
            found = min(found, int(Path(limit).read_text()))
    return found
