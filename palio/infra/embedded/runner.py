"""Starts PostgreSQL's programs as the server's account."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from pwd import struct_passwd

from palio.infra.embedded import launcher

PLAIN = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Runner:
    """Programs it starts on Linux get SIGINT when the starting thread ends, be it by SIGKILL."""

    programs: Path
    account: struct_passwd

    def start(self, program: str, *words: str | Path, output: int) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C reaches us first and we stop it in order."""
        who = (os.getpid(), self.account.pw_uid, self.account.pw_gid)
        launch = [sys.executable, "-I", "-S", launcher.__file__, *map(str, who), str(self.programs / program)]
        return subprocess.Popen(
            [*launch, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=PLAIN,
            cwd="/",
            start_new_session=True,
        )

    def run(self, program: str, *words: str | Path) -> tuple[int, str]:
        """Run a program to its end: its status and what it said."""
        child = self.start(program, *words, output=subprocess.PIPE)
        said, _ = child.communicate()
        return child.returncode, said.decode(errors="replace").strip()

    def claim(self, folder: Path) -> None:
        """Make a folder of the data directory the account's, and nobody else's."""
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        os.chown(folder, self.account.pw_uid, self.account.pw_gid)
