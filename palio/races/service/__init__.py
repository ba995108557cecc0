"""Use cases of races, one file per noun."""

from palio.races.service.making import create_race
from palio.races.service.reading import lines, recent, standings, view
from palio.races.service.running import advance, due, on_snapshot_many, open_of, settle, tick

__all__ = [
    "advance",
    "create_race",
    "due",
    "lines",
    "on_snapshot_many",
    "open_of",
    "recent",
    "settle",
    "standings",
    "tick",
    "view",
]
