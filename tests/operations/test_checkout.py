"""`run.py` in a checkout: what it says where it cannot do its work."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_checkout_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / ".venv").write_text("in the way, as the environment of somebody else would be")

    told = subprocess.run([sys.executable, tmp_path / "run.py", "version"], capture_output=True, text=True, check=False)

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        f"Stopped: {tmp_path}/.venv: File exists; run it as the owner of {tmp_path}, or in a clone of your own.\n"
    )
