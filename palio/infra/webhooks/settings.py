"""What operators may change about telling machines outside."""

from palio.kernel.settings import Setting

ENDPOINTS_MAX = Setting(
    "admin.webhook_endpoints_max", "int", 20, "How many endpoints of webhooks there may be.", "endpoints", 1, 200
)
TIMEOUT_S = Setting(
    "api.webhook_timeout_s", "duration", 15, "How long an endpoint may take for its whole answer.", "seconds", 3, 30
)
RETENTION_DAYS = Setting(
    "api.webhook_days",
    "int",
    30,
    "How long events and deliveries of webhooks are kept to be sent again.",
    "days",
    7,
    90,
)
SETTINGS = (ENDPOINTS_MAX, TIMEOUT_S, RETENTION_DAYS)
