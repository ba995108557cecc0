"""The console's own calls and pages; what stands in the rail of them is `RAIL`."""

from palio.admin.console import (
    audit,
    developers,
    export_calls,
    exports,
    health,
    inbox,
    jobs,
    people,
    settings,
    today,
    webhook_calls,
    webhooks,
)
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

MODULES: tuple[Routes, ...] = (
    today.routes,
    inbox.routes,
    people.routes,
    settings.routes,
    jobs.routes,
    audit.routes,
    health.routes,
    webhooks.routes,
    webhook_calls.routes,
    exports.routes,
    export_calls.routes,
    developers.routes,
)
RAIL = (
    RailEntry("today", "Today", "/console", "admin.home.read"),
    RailEntry("today", "Approvals", inbox.HERE, "admin.approval.read"),
    RailEntry("people", "People", people.HERE, "admin.card.read"),
    RailEntry("system", "Settings", settings.HERE, "admin.setting.read"),
    RailEntry("system", "Jobs", jobs.HERE, "admin.job.read"),
    RailEntry("system", "Developers", developers.HERE, developers.READ),
    RailEntry("system", "Webhooks", webhooks.HERE, "admin.webhook.read"),
    RailEntry("system", "Audit", audit.HERE, "admin.audit.read"),
    RailEntry("system", "Exports", exports.HERE, "admin.export.run"),
    RailEntry("system", "Health", health.HERE, "admin.health.read"),
)
