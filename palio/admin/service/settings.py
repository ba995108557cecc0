"""Settings: what operators may change, what it was before, and why somebody changed it."""

from collections.abc import Sequence
from typing import Any

from palio.admin import rules
from palio.admin.service.desk import Desk
from palio.admin.types import SettingLine, SettingVersion
from palio.infra import approvals, settings
from palio.infra.db import Tx
from palio.infra.settings import Change, Line
from palio.kernel.ids import Actor
from palio.kernel.settings import Setting, UnknownSetting, write


async def list_settings(tx: Tx, *, desk: Desk, module: str | None = None, text: str = "") -> list[SettingLine]:
    """Every setting that modules declare, by key: those of a module, and those whose key or words hold a text."""
    lines = {line.key: line for line in await settings.list_all(tx)}
    wanted = text.strip().lower()
    return [
        _line(setting, lines[setting.key])
        for setting in sorted(desk.settings, key=lambda setting: setting.key)
        if setting.key in lines
        and module in {None, rules.module_of(setting.key)}
        and wanted in f"{setting.key} {setting.description}".lower()
    ]


async def get_setting(tx: Tx, *, desk: Desk, key: str) -> SettingLine:
    """A setting as it acts now. Refuses with UnknownSetting."""
    setting = desk.settings.named(key)
    line = next((line for line in await settings.list_all(tx) if line.key == key), None)
    if line is None:
        raise UnknownSetting(key=key)
    return _line(setting, line)


async def history_of(tx: Tx, *, desk: Desk, key: str) -> list[SettingVersion]:
    """What a setting was, the newest first. Refuses with UnknownSetting."""
    setting = desk.settings.named(key)
    return [
        SettingVersion(
            one.version,
            rules.words_of(setting, one.value),
            one.changed_at,
            one.changed_by,
            one.kind,
            one.reason,
        )
        for one in await settings.history(tx, key)
    ]


async def change_settings(
    tx: Tx, *, desk: Desk, actor: Actor, changes: Sequence[tuple[str, object, int]], reason: str
) -> dict[str, int]:
    """Change some settings together: each key with the value as JSON and the version that was seen.

    All or nothing. Refuses with UnknownSetting, WrongType, OutOfRange, NotAllowed, Stale, ReasonMissing.
    """
    told = approvals.checked_reason(reason)
    items = [Change(desk.settings.named(key), stored, version) for key, stored, version in changes]
    return await settings.change(tx, actor, items, told)


async def revert_setting(tx: Tx, *, desk: Desk, actor: Actor, key: str, to_version: int, reason: str, seen: int) -> int:
    """Give a setting the value of an earlier version (0: the default) as a new one, which is answered.

    Refuses with UnknownSetting, NoSuchVersion, OutOfRange, NotAllowed, Stale, ReasonMissing.
    """
    told = approvals.checked_reason(reason)
    return await settings.revert(
        tx, actor, desk.settings.named(key), to_version=to_version, reason=told, if_version=seen
    )


def _line(setting: Setting[Any], line: Line) -> SettingLine:
    default = write(setting.default)
    stored = default if line.value is None else line.value
    return SettingLine(
        key=setting.key,
        module=rules.module_of(setting.key),
        kind=setting.kind,
        description=setting.description,
        unit=setting.unit,
        low=setting.low,
        high=setting.high,
        choices=setting.choices,
        is_sensitive=setting.sensitive,
        value=stored,
        words=rules.words_of(setting, stored),
        default_words=rules.words_of(setting, default),
        is_default=line.value is None,
        version=line.version,
        updated_at=line.updated_at,
        updated_by=line.updated_by,
    )
