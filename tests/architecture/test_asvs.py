"""The table of ASVS: every requirement of levels 1 and 2 once, with a test that exists or a reason."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<id>(?P<chapter>\d+)\.\d+\.\d+) \| (?P<level>[12]) \| (?P<what>[^|]+) \| (?P<how>[^|]+) \|$")
REFERENCE = re.compile(r"`(?P<file>[\w./-]+)(?:::(?P<test>\w+))?`")
REASON = re.compile(r"(?:Does not apply|Not yet): \w.{5,}")
LEVEL_1 = (8, 4, 8, 2, 4, 13, 6, 4, 4, 5, 3, 3, 1, 2, 3, 0, 0)  # so many requirements has each chapter of the standard
LEVEL_2 = (19, 7, 11, 8, 5, 22, 12, 3, 3, 24, 11, 6, 12, 7, 10, 16, 7)


def rows() -> list[re.Match[str]]:
    return [row for line in (ROOT / "docs/asvs.md").read_text().splitlines() if (row := ROW.match(line))]


def test_no_requirement_is_missing_and_none_stands_twice() -> None:
    found = rows()
    counted = Counter((int(row["chapter"]), int(row["level"])) for row in found)

    assert len({row["id"] for row in found}) == len(found)
    assert tuple(counted[chapter, 1] for chapter in range(1, 18)) == LEVEL_1
    assert tuple(counted[chapter, 2] for chapter in range(1, 18)) == LEVEL_2


def test_a_requirement_has_a_proof_that_exists_or_a_reason() -> None:
    assert [row["id"] for row in rows() if not is_proven(row["how"]) and not REASON.fullmatch(row["how"])] == []


def is_proven(how: str) -> bool:
    """Does it name proofs, and does each exist: a file, and in it the test?"""
    proofs = list(REFERENCE.finditer(how))
    return bool(proofs) and all(exists(proof["file"], proof["test"]) for proof in proofs)


def exists(file: str, test: str | None) -> bool:
    path = ROOT / file
    return path.exists() and (test is None or re.search(rf"def {test}\b", path.read_text()) is not None)
