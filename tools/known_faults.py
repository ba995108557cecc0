"""Known faults of the locked libraries, as OSV knows them: python3 tools/known_faults.py [ADDRESS].

Prints each, and ends with 1 if one is known for longer than it may be: 7 days where it is critical or high, 30 days
else. The address is that of OSV, or of a copy of its API within the house.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
OSV = "https://api.osv.dev"
PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
SEVERE = {"CRITICAL", "HIGH"}
SEVERE_MAX, OTHER_MAX = timedelta(days=7), timedelta(days=30)
AT_ONCE = 500
SECONDS_MAX = 30


@dataclass(frozen=True, slots=True)
class Part:
    """A library in one of the locks."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of a part since when, and how long it may be."""

    part: Part
    id: str
    summary: str
    published: datetime
    is_severe: bool

    @property
    def due_at(self) -> datetime:
        """Until when it is mended."""
        return self.published + (SEVERE_MAX if self.is_severe else OTHER_MAX)


def parts(root: Path) -> list[Part]:
    """Everything that is locked, each once."""
    return sorted({*_of_python(root), *_of_npm(root)}, key=lambda part: (part.ecosystem, part.name))


def _of_python(root: Path) -> Iterator[Part]:
    for name in ("requirements.lock", "requirements-dev.lock"):
        for pinned in PINNED.finditer((root / name).read_text()):
            yield Part("PyPI", pinned["name"], pinned["version"])


def _of_npm(root: Path) -> Iterator[Part]:
    for path, package in json.loads((root / "web/package-lock.json").read_text())["packages"].items():
        if "node_modules/" in path and "version" in package:
            yield Part("npm", package.get("name") or path.rpartition("node_modules/")[2], package["version"])


def faults(address: str, locked: list[Part]) -> list[Fault]:
    """What is known of these parts and was not withdrawn, the most urgent first. Raises OSError if nobody answers."""
    known = list(_numbers(address, locked))
    told = {number: _ask(f"{address}/v1/vulns/{number}") for number in {number for _, number in known}}
    found = [_read(part, told[number]) for part, number in known if "withdrawn" not in told[number]]
    return sorted(found, key=lambda fault: (fault.due_at, fault.id, fault.part.name))


def _numbers(address: str, locked: list[Part]) -> Iterator[tuple[Part, str]]:
    """The numbers of what is known of each part, asked for some parts at a time, and of one to its last page."""
    waiting: list[tuple[Part, str]] = [(part, "") for part in locked]
    while waiting:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        asked = [
            {"package": {"ecosystem": part.ecosystem, "name": part.name}, "version": part.version}
            | ({"page_token": page} if page else {})
            for part, page in some
        ]
        for (part, _), result in zip(
            some, _ask(f"{address}/v1/querybatch", {"queries": asked})["results"], strict=True
        ):
            yield from ((part, one["id"]) for one in result.get("vulns", ()))
            if page := result.get("next_page_token"):
                waiting.append((part, page))


def _read(part: Part, fault: dict[str, Any]) -> Fault:
    severity = str(fault.get("database_specific", {}).get("severity", "")).upper()
    published = datetime.fromisoformat(fault["published"])
    return Fault(part, fault["id"], fault.get("summary", ""), published, severity in SEVERE)


def _ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    content = json.dumps(body).encode() if body else None
    request = Request(url, content, {"Content-Type": "application/json"})  # noqa: S310 - the operator names it
    with urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.load(answer)
    return found


def main(address: str = OSV, now: datetime | None = None) -> int:
    """The exit status: 1 if something is known for too long, 2 if nobody could be asked."""
    try:
        found = faults(address, parts(ROOT))
    except OSError as failure:
        print(f"{address} could not be asked: {failure}")
        return 2
    late = [fault for fault in found if fault.due_at <= (now or datetime.now(UTC))]
    for fault in found:
        until = "too late" if fault in late else f"until {fault.due_at:%Y-%m-%d}"
        print(f"{fault.part.name} {fault.part.version}: {fault.id} ({until}) {fault.summary}")
    print(f"{len(found)} known faults, {len(late)} of them for too long")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else OSV))
