"""Use cases of the console."""

from palio.admin.service.audit import names_of, search
from palio.admin.service.audit_export import AUDIT_EXPORT
from palio.admin.service.desk import Desk
from palio.admin.service.inbox import Box, decide, get_proposal, list_proposals, withdraw
from palio.admin.service.people import card, find_people, newest_people
from palio.admin.service.settings import (
    change_settings,
    get_setting,
    history_of,
    list_settings,
    revert_setting,
)
from palio.admin.service.today import alone, today, waiting

__all__ = [
    "AUDIT_EXPORT",
    "Box",
    "Desk",
    "alone",
    "card",
    "change_settings",
    "decide",
    "find_people",
    "get_proposal",
    "get_setting",
    "history_of",
    "list_proposals",
    "list_settings",
    "names_of",
    "newest_people",
    "revert_setting",
    "search",
    "today",
    "waiting",
    "withdraw",
]
