"""The locks say what is installed, never from where: no address of an index, and no credentials in one."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"[\w.+-]*://\S*")


def main() -> None:
    found = [*addresses_of("requirements.lock"), *addresses_of("requirements-dev.lock"), *addresses_of_npm()]
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


def addresses_of(name: str) -> list[str]:
    return [f"{name}: {address}" for address in ADDRESS.findall((ROOT / name).read_text())]


def addresses_of_npm() -> list[str]:
    """`funding` is a word of the packages' authors, and nothing is fetched from there."""
    name = "web/package-lock.json"
    packages = json.loads((ROOT / name).read_text())["packages"]
    told = [{key: value for key, value in package.items() if key != "funding"} for package in packages.values()]
    return [f"{name}: {address}" for address in ADDRESS.findall(json.dumps(told))]


if __name__ == "__main__":
    main()
