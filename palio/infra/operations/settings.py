"""How long what came of an operation is kept."""

from palio.kernel.settings import Setting

PLAYER_HOURS = Setting(
    "api.export_player_hours", "int", 24, "How long the file of a player's export is kept.", "hours", 1, 168
)
STAFF_DAYS = Setting(
    "api.export_staff_days", "int", 7, "How long the file of an export of staff is kept.", "days", 1, 30
)
SETTINGS = (PLAYER_HOURS, STAFF_DAYS)
