"""The bill of materials: every library that is locked stands in it once, with the hashes by which it is taken."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_is_locked_stands_in_the_bill_with_its_hashes(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "tools/bill_of_materials.py")]
    first, again = (subprocess.run(words, check=True, capture_output=True).stdout for _ in range(2))
    subprocess.run([*words, str(tmp_path / "bill.json")], check=True)
    told = json.loads(first)
    parts = {part["purl"]: part for part in told["components"]}
    hashes = {url: {one["content"] for one in part["hashes"]} for url, part in parts.items()}

    assert first == again == (tmp_path / "bill.json").read_bytes()
    assert (told["bomFormat"], told["specVersion"], told["metadata"]["component"]["name"]) == (
        *("CycloneDX", "1.6"),
        "palio",
    )
    assert len(parts) == len(told["components"])
    lock = (ROOT / "requirements.lock").read_text()
    locked = re.findall(r"^([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;\\]+)", lock, re.MULTILINE)
    required = {url for url, part in parts.items() if part.get("scope") == "required"}
    assert required == {f"pkg:pypi/{name.lower()}@{version}" for name, version in locked}
    assert set().union(*(hashes[url] for url in required)) == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    named = packages[""]["dependencies"] | packages[""]["devDependencies"]
    for name in named:
        url = f"pkg:npm/{name.replace('@', '%40')}@{packages[f'node_modules/{name}']['version']}"
        assert hashes[url], "what pages are made of"
