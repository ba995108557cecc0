"""Use cases of the console."""

from palio.admin.service.desk import Desk
from palio.admin.service.today import alone, today, waiting

__all__ = ["Desk", "alone", "today", "waiting"]
