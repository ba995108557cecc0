"""What an operator changes while Palio runs: typed values with a default, a range, a history and a revert."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import psycopg
import structlog
from psycopg.types.json import Jsonb

from palio.infra import audit, db, outbox, tasks
from palio.infra.db import Database, Tx
from palio.infra.messages import SettingChanged
from palio.kernel import clock
from palio.kernel.errors import NotFound, Refusal, Stale
from palio.kernel.ids import Actor, new_id
from palio.kernel.settings import Catalogue, Setting, UnknownSetting, Value, read, write

log = structlog.get_logger()

CHANNEL = "palio_settings"
RELOAD_SECONDS = 30
CHANGES_MAX = 100
HISTORY_MAX = 200
ChangeKind: TypeAlias = Literal["set", "revert", "import", "cli"]


class NoSuchVersion(NotFound):
    """The setting never had this version."""

    code = "setting.no_such_version"


@dataclass(frozen=True, slots=True)
class Change:
    """One member of a change set: `stored` is JSON (null: the default again), `if_version` what the caller saw."""

    setting: Setting[Any]
    stored: object
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A setting as the database knows it; a retired one is no longer declared by any module."""

    key: str
    value: object
    version: int
    retired: bool
    updated_at: datetime | None
    updated_by: UUID | None


@dataclass(frozen=True, slots=True)
class Version:
    key: str
    version: int
    value: object
    changed_at: datetime
    changed_by: UUID | None
    kind: str
    reason: str
    change_set: UUID


class Snapshot:
    """What this process believes, at most 30 s old; a stored value that no longer fits gives way to the default."""

    def __init__(self) -> None:
        self._stored: Mapping[str, object] = {}
        self._read: dict[str, object] = {}
        self._changed = asyncio.Event()

    def value(self, setting: Setting[Value]) -> Value:
        if setting.key not in self._read:
            self._read[setting.key] = _read_or_default(setting, self._stored.get(setting.key))
        value: Any = self._read[setting.key]
        return value  # type: ignore[no-any-return]  # the key says which type it has

    def reload_soon(self) -> None:
        """Say that something was changed: the hub does at each NOTIFY of `CHANNEL`."""
        self._changed.set()

    async def load(self, tx: Tx) -> None:
        """Take over what is stored now."""
        self._stored = {line.key: line.value for line in await list_all(tx)}
        self._read = {}

    def forget(self) -> None:
        """Have every setting at its default, until something is loaded."""
        self._stored, self._read = {}, {}

    async def run(self, database: Database) -> None:
        """Load again after each change, and every 30 s in case nobody told us, until cancelled."""
        while True:
            self._changed.clear()
            try:
                async with database.begin_system("settings") as tx:
                    await self.load(tx)
            except (psycopg.Error, Refusal) as failure:
                log.warning("settings could not be read", failure=type(failure).__name__)
            tasks.heed_cancellation()
            with suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._changed.wait()


snapshot = Snapshot()  # the one of this process: a setting is read where no transaction and no wiring reaches


def value(setting: Setting[Value]) -> Value:
    """The value in this process's snapshot; costs no query and is at most seconds old."""
    return snapshot.value(setting)


async def exact(tx: Tx, setting: Setting[Value]) -> Value:
    """The value as this transaction sees it: for limits that guard money."""
    stored = await db.value(tx, "select value from infra.settings where key = %s and not retired", setting.key)
    return _read_or_default(setting, stored)


def _read_or_default(setting: Setting[Value], stored: object) -> Value:
    try:
        return read(setting, stored)
    except Refusal as refusal:
        log.error("setting.invalid", key=setting.key, code=refusal.code)  # noqa: TRY400 - the facts say it all
        return setting.default


async def declare(tx: Tx, catalogue: Catalogue) -> None:
    """Bring the rows up to what the modules declare; rows of no module are kept as retired.

    Rows that are right already are left alone, so that processes which start together do not wait for each other.
    """
    declared = list(catalogue)
    await db.run(
        tx,
        """insert into infra.settings as s (key, description, type)
        select d.* from unnest(%s::text[], %s::text[], %s::text[]) as d (key, description, type)
          left join infra.settings k on k.key = d.key
        where (k.description, k.type, k.retired) is distinct from (d.description, d.type, false) order by d.key
        on conflict (key) do update set description = excluded.description, type = excluded.type, retired = false
        where (s.description, s.type, s.retired) is distinct from (excluded.description, excluded.type, false)""",
        [setting.key for setting in declared],
        [setting.description for setting in declared],
        [setting.kind for setting in declared],
    )
    await db.run(
        tx,
        "update infra.settings set retired = true where not retired and key <> all (%s::text[])",
        [setting.key for setting in declared],
    )


async def change(
    tx: Tx, actor: Actor, changes: Sequence[Change], reason: str, *, kind: ChangeKind = "set"
) -> dict[str, int]:
    """Carry out a change set, all of it or nothing; returns the version of each key. An equal value is no new version.

    Refuses with setting.wrong_type, setting.out_of_range, setting.not_allowed, setting.unknown, Stale.
    """
    if len(changes) > CHANGES_MAX:
        raise ValueError(f"{len(changes)} changes, at most {CHANGES_MAX}")
    for item in changes:
        read(item.setting, item.stored)
    lines = await _lock(tx, [item.setting.key for item in changes])
    for item in changes:
        line = lines[item.setting.key]
        if item.if_version not in {None, line.version}:
            raise Stale(key=line.key, version=line.version)
    act = _Act(actor, reason, kind, change_set=new_id(), at=clock.now())
    return {item.setting.key: await _write(tx, act, item, lines[item.setting.key]) for item in changes}


async def revert(
    tx: Tx, actor: Actor, setting: Setting[Any], *, to_version: int, reason: str, if_version: int | None = None
) -> int:
    """Give a setting the value of an earlier version (0: the default), as a new version within today's range.

    `if_version` is the one that was seen. Refuses with NoSuchVersion and as `change` does.
    """
    stored = None
    if to_version:
        found = await db.find(
            tx,
            Version,
            VERSIONS + " where key = %s and version = %s",
            setting.key,
            to_version,
        )
        if found is None:
            raise NoSuchVersion(key=setting.key, version=to_version)
        stored = found.value
    versions = await change(tx, actor, [Change(setting, stored, if_version)], reason, kind="revert")
    return versions[setting.key]


async def list_all(tx: Tx) -> list[Line]:
    """Every setting that was ever declared, by key."""
    return await db.rows(tx, Line, LINES + " order by key limit 10000")


async def history(tx: Tx, key: str) -> list[Version]:
    """The newest 200 versions of a setting, newest first."""
    return await db.rows(tx, Version, VERSIONS + " where key = %s order by version desc limit %s", key, HISTORY_MAX)


LINES = "select key, value, version, retired, updated_at, updated_by from infra.settings"
VERSIONS = "select key, version, value, changed_at, changed_by, kind, reason, change_set from infra.setting_versions"


@dataclass(frozen=True, slots=True)
class _Act:
    actor: Actor
    reason: str
    kind: ChangeKind
    change_set: UUID
    at: datetime


async def _lock(tx: Tx, keys: Sequence[str]) -> dict[str, Line]:
    found = await db.rows(tx, Line, LINES + " where key = any (%s::text[]) order by key for update", list(keys))
    lines = {line.key: line for line in found}
    if missing := set(keys) - lines.keys():
        raise UnknownSetting(key=min(missing))
    return lines


async def _write(tx: Tx, act: _Act, item: Change, line: Line) -> int:
    stored = None if item.stored is None else write(read(item.setting, item.stored))
    if stored == line.value:
        return line.version
    version, content = line.version + 1, None if stored is None else Jsonb(stored)
    await db.run(
        tx,
        "update infra.settings set value = %s, version = %s, updated_at = %s, updated_by = %s where key = %s",
        *(content, version, act.at, act.actor.user_id, line.key),
    )
    await db.run(
        tx,
        """insert into infra.setting_versions (key, version, value, changed_at, changed_by, kind, reason, change_set)
        values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        *(line.key, version, content, act.at, act.actor.user_id, act.kind, act.reason, act.change_set),
    )
    await audit.record(
        tx,
        actor=act.actor,
        action="setting.change",
        entity_type="setting",
        entity_id=line.key,
        changes={"value": (_effective(item.setting, line.value), _effective(item.setting, stored))},
        reason=act.reason,
        via="cli" if act.kind == "cli" else None,
    )
    await outbox.send(tx, SettingChanged(line.key, version))
    await db.run(tx, "select pg_notify(%s, %s)", CHANNEL, line.key)  # rare, so it may ride with the transaction
    return version


def _effective(setting: Setting[Any], stored: object) -> object:
    return write(setting.default) if stored is None else stored
