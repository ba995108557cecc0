"""Settings: the list, one with its history, and changes of it: shown first, then saved with a reason."""

from typing import Annotated

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.admin import rules, schemas, service
from palio.admin.schemas import desk_of
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.infra.settings import NoSuchVersion
from palio.kernel.errors import Refusal, Stale
from palio.kernel.settings import NotAllowed, OutOfRange, UnknownSetting, WrongType
from palio.ui import console, problems, versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.versions import Seen

HERE = "/console/settings"
VALUE = (WrongType, OutOfRange, NotAllowed, UnknownSetting, ReasonMissing)
routes = Routes("admin")


@routes.page(HERE, access="admin.setting.read")
async def settings_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    module: Annotated[str, Query(max_length=40)] = "",
    q: Annotated[str, Query(max_length=80)] = "",
) -> HTMLResponse:
    """Every setting, by module."""
    desk = desk_of(request)
    lines = await service.list_settings(tx, desk=desk, module=module or None, text=q)
    names = await service.names_of(tx, ids=[line.updated_by for line in lines])
    modules = sorted({rules.module_of(setting.key) for setting in desk.settings})
    values = {"lines": lines, "names": names, "modules": modules, "module": module, "q": q}
    return await console.render(request, ask, tx, "admin/settings.html", values, present=HERE)


@routes.page(HERE + "/{key}", access="admin.setting.read")
async def setting_page(
    request: Request, ask: Ask, tx: InTx, key: str, value: Annotated[str | None, Query(max_length=10_000)] = None
) -> HTMLResponse:
    """One setting; with `value` also what saving it would change. Refuses with UnknownSetting."""
    after, refusal = _judged(request, key, value)
    problem = problems.describe(request, refusal) if refusal else None
    return await _page(request, ask, tx, key, typed=value, after=after, problem=problem)


def _judged(request: Request, key: str, typed: str | None) -> tuple[str | None, Refusal | None]:
    """What was typed as the setting would be, or why it cannot be."""
    if typed is None:
        return None, None
    setting = desk_of(request).settings.named(key)
    try:
        return rules.words_of(setting, rules.stored_of(setting, typed)), None
    except Refusal as refusal:
        return None, refusal


async def _page(
    request: Request,
    ask: Asking,
    tx: Tx,
    key: str,
    *,
    typed: str | None = None,
    after: str | None = None,
    problem: Problem | None = None,
    reason: str = "",
) -> HTMLResponse:
    desk = desk_of(request)
    line = await service.get_setting(tx, desk=desk, key=key)
    history = await service.history_of(tx, desk=desk, key=key)
    names = await service.names_of(tx, ids=[line.updated_by, *(one.changed_by for one in history)])
    values = {
        "line": line,
        "history": history,
        "names": names,
        "typed": line.words if typed is None else typed,
        "after": after,
        "reason": reason,
        "choices": [(choice, choice) for choice in line.choices],
    }
    return await console.render(request, ask, tx, "admin/setting.html", values, present=HERE, problem=problem)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The setting with what was typed, and what is wrong with it."""
    key, typed = request.path_params["key"], filled.values.get("value")
    after, _ = _judged(request, key, typed)
    reason = filled.values.get("reason", "")
    return await _page(request, ask, tx, key, typed=typed, after=after, problem=filled.problem, reason=reason)


@routes.form(HERE + "/{key}", access="admin.setting.write", again=_again)
async def save_setting(
    request: Request, ask: Ask, tx: InTx, key: str, form: Annotated[schemas.SettingForm, Form()]
) -> RedirectResponse:
    """Save what was shown; nothing if somebody changed it since."""
    desk = desk_of(request)
    setting = desk.settings.named(key)
    schemas.require_fresh(ask, is_sensitive=setting.sensitive)
    stored = rules.stored_of(setting, form.value)
    changes = [(key, stored, form.version)]
    versions_now = await service.change_settings(tx, desk=desk, actor=ask.actor, changes=changes, reason=form.reason)
    tx.is_audited = tx.is_audited or versions_now[key] == form.version  # an equal value changes nothing
    return RedirectResponse(f"{HERE}/{key}", 303)


@routes.get("/console/settings", access="admin.setting.read", example=schemas.SETTINGS)
async def list_settings(
    request: Request, tx: InTx, module: Annotated[str | None, Query(max_length=40)] = None
) -> Listed[schemas.SettingAnswer]:
    """List the settings, by key."""
    lines = await service.list_settings(tx, desk=desk_of(request), module=module)
    return Listed(tuple(map(schemas.SettingAnswer.of, lines)), None, None)


@routes.get("/console/settings/{key}", access="admin.setting.read", example=schemas.SETTING, refuses=[UnknownSetting])
async def get_setting(request: Request, tx: InTx, key: str, response: Response) -> schemas.SettingWithHistory:
    """Read a setting and what it was."""
    desk = desk_of(request)
    line = await service.get_setting(tx, desk=desk, key=key)
    versions.tell(response, line.version)
    return schemas.SettingWithHistory.of(line, await service.history_of(tx, desk=desk, key=key))


@routes.put("/console/settings/{key}", access="admin.setting.write", example=schemas.CHANGED, refuses=[*VALUE, Stale])
async def change_setting(
    request: Request, body: schemas.NewValue, seen: Seen, ask: Ask, tx: InTx, key: str, response: Response
) -> schemas.Changed:
    """Change a setting; null is the default. The same value again is no new version."""
    change = schemas.VersionedValue(key=key, value=body.value, version=seen)
    changed = await _change(request, ask, tx, [change], body.reason)
    versions.tell(response, changed.versions[key])
    return changed


@routes.post(
    "/console/settings/changes", access="admin.setting.write", example=schemas.CHANGED, refuses=[*VALUE, Stale]
)
async def change_settings(request: Request, body: schemas.ChangeSet, ask: Ask, tx: InTx) -> schemas.Changed:
    """Change several settings together, each with the version that was seen: all of them or none."""
    return await _change(request, ask, tx, body.changes, body.reason)


async def _change(
    request: Request, ask: Asking, tx: Tx, changes: list[schemas.VersionedValue], reason: str
) -> schemas.Changed:
    desk = desk_of(request)
    is_sensitive = any(desk.settings.named(one.key).sensitive for one in changes)
    schemas.require_fresh(ask, is_sensitive=is_sensitive)
    items = [(one.key, one.value, one.version) for one in changes]
    found = await service.change_settings(tx, desk=desk, actor=ask.actor, changes=items, reason=reason)
    tx.is_audited = tx.is_audited or all(found[one.key] == one.version for one in changes)
    return schemas.Changed(found)


@routes.post(
    "/console/settings/{key}/revert",
    access="admin.setting.write",
    example=schemas.CHANGED,
    refuses=[*VALUE, NoSuchVersion, Stale],
)
async def revert_setting(
    request: Request, body: schemas.Revert, seen: Seen, ask: Ask, tx: InTx, key: str, response: Response
) -> schemas.Changed:
    """Give a setting the value of an earlier version (0: the default), as a new one within today's range."""
    desk = desk_of(request)
    schemas.require_fresh(ask, is_sensitive=desk.settings.named(key).sensitive)
    version = await service.revert_setting(
        tx, desk=desk, actor=ask.actor, key=key, to_version=body.to_version, reason=body.reason, seen=seen
    )
    tx.is_audited = tx.is_audited or version == seen
    versions.tell(response, version)
    return schemas.Changed({key: version})
