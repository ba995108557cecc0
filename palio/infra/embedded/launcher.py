"""Becomes a program of PostgreSQL: under its account, and bound to die with the process that asked for it.

The interpreter runs this file alone: `python -I -S launcher.py PARENT UID GID PROGRAM WORD…`. Between fork and exec
of a process with threads hardly anything may be done safely; here there is one thread, and all of Python.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, uid: int, gid: int, program: str, *words: str) -> None:
    """Change the account, then ask for the signal (a change of account clears it), then see that it is not too late."""
    libc = ctypes.CDLL(None)  # loaded now: the other account may not reach our interpreter
    if os.geteuid() != uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        sys.exit("the process that wanted a server is gone")
    os.chdir("/")
    os.execv(program, [program, *words])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
