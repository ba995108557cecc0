"""Every library that is locked, as a bill of materials (CycloneDX 1.6): python3 tools/bill_of_materials.py [FILE].

It is made of the locks alone, so that the same locks give the same bytes. Each library has the hashes of the files that
an installation takes.
"""

import base64
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(
    r"^(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?==(?P<version>[^\s;\\]+)[^\n]*\n(?P<hashes>(?:\s+--hash=\S+[^\n]*\n?)+)",
    re.MULTILINE,
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def bill(root: Path) -> dict[str, Any]:
    """The document: the product, and each library once, by its package URL."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    product = {"type": "application", "bom-ref": "palio", "name": project["name"], "version": project["version"]}
    found = {part["bom-ref"]: part for part in (*_of_npm(root), *_of_python(root))}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": product},
        "components": [found[reference] for reference in sorted(found)],
    }


def _of_python(root: Path) -> Iterator[dict[str, Any]]:
    """What only tests and building need is `excluded`; the product's own lock comes last, and wins."""
    for lock, scope in (("requirements-dev.lock", "excluded"), ("requirements.lock", "required")):
        for pinned in PINNED.finditer((root / lock).read_text()):
            url = f"pkg:pypi/{pinned['name'].lower()}@{pinned['version']}"
            hashes = [{"alg": "SHA-256", "content": found} for found in HASH.findall(pinned["hashes"])]
            yield _part(url, pinned["name"], pinned["version"], hashes) | {"scope": scope}


def _of_npm(root: Path) -> Iterator[dict[str, Any]]:
    for path, package in json.loads((root / "web/package-lock.json").read_text())["packages"].items():
        if "node_modules/" not in path or "version" not in package:
            continue
        name, version = package.get("name") or path.rpartition("node_modules/")[2], package["version"]
        hashes = [_hash(word) for word in package.get("integrity", "").split()]
        yield _part(f"pkg:npm/{quote(name, safe='/')}@{version}", name, version, hashes)


def _hash(integrity: str) -> dict[str, str]:
    algorithm, _, digest = integrity.partition("-")
    return {"alg": ALGORITHMS[algorithm], "content": base64.b64decode(digest).hex()}


def _part(url: str, name: str, version: str, hashes: list[dict[str, str]]) -> dict[str, Any]:
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, "hashes": hashes}


def main(target: str | None = None) -> None:
    """Print the document, or write it to a file."""
    text = json.dumps(bill(ROOT), indent=1) + "\n"
    if target:
        Path(target).write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:2])
