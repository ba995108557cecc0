"""`palio bench` from outside."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def palio_bench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "palio", "bench", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_installed_palio_says_where_the_benches_are(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "palio", tmp_path / "palio", ignore=shutil.ignore_patterns("dist", "__pycache__"))

    done = palio_bench("LOAD", cwd=tmp_path)

    assert done.returncode == 69
    assert (
        done.stderr == "The benches lie in a checkout, not in an installed Palio: run `python3 run.py bench` there.\n"
    )


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    done = palio_bench("P99", cwd=ROOT)

    assert (done.returncode, done.stdout) == (64, "")
    assert "no bench is called P99; there are " in done.stderr
