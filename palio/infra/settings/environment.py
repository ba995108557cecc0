"""What must be known before the database answers: read once, from the environment."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


def _home() -> Path:
    return Path("/var/lib/palio") if os.geteuid() == 0 else Path.home() / ".local/share/palio"


class Environment(BaseSettings):
    """Fields are named in `PALIO_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="PALIO_", frozen=True)

    data: Path = _home()
    bind: str = "127.0.0.1:8000"
    database_url: str | None = None
    pg_port: int | None = None
