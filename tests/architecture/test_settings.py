"""Every declared setting says what it does, in which range, and has a default that it would accept itself."""

import pkgutil
from importlib import import_module

import pytest

import palio
from palio.entry.wiring import SETTINGS
from palio.kernel.settings import NUMBERS, Catalogue, Setting, read, write

OF_OTHERS = {
    "infra": {"demo", "backup", "archive", "jobs", "stream", "db", "webhook", "api", "admin"},
    "ledger": {"limits"},
    "ui": {"api"},
}
PLACES = {"types", "pruning", "marks", "settings", "idempotency", "ratelimit", "approvals", "realtime"}


def declared() -> dict[str, tuple[str, Setting[object]]]:
    """Each setting by key, with the package that declares it."""
    found = {}
    for module in pkgutil.walk_packages(palio.__path__, "palio."):
        if module.name.endswith("__main__") or module.name.split(".")[-1] not in PLACES:
            continue
        for value in vars(import_module(module.name)).values():
            for setting in value if isinstance(value, tuple) else (value,):
                if isinstance(setting, Setting):
                    found[setting.key] = (module.name.split(".")[1], setting)
    return found


ALL = [pytest.param(package, setting, id=key) for key, (package, setting) in sorted(declared().items())]


@pytest.mark.parametrize(("package", "setting"), ALL)
def test_a_setting_is_described_ranged_and_named_after_its_module(package: str, setting: Setting[object]) -> None:
    owner = setting.key.split(".")[0]
    assert owner == package or owner in OF_OTHERS.get(package, ())
    assert len(setting.description) > 10 and setting.description[0].isupper()
    if setting.kind in NUMBERS - {"bps"}:
        assert setting.low is not None and setting.high is not None and setting.unit
    if setting.kind == "choice":
        assert setting.default in setting.choices
    assert read(setting, write(setting.default)) == setting.default


def test_every_declared_setting_is_offered_once() -> None:
    offered = {setting.key for setting in Catalogue(SETTINGS)}
    assert offered == declared().keys(), "entry/wiring.py lists the settings of every module"
