"""Settings: the environment, read once before the database answers, and what an operator changes while Palio runs."""

from palio.infra.settings.environment import Environment
from palio.infra.settings.runtime import exact, value

__all__ = ["Environment", "exact", "value"]
