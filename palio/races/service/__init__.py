"""Use cases of races, one file per noun."""

from palio.races.service.deciding import adjust, decide_hold, exclude, reinstate
from palio.races.service.linking import link
from palio.races.service.listing import listed, recent
from palio.races.service.making import create_race
from palio.races.service.reading import changes, entrant, lines, standings, view
from palio.races.service.recomputing import recompute
from palio.races.service.rehearsing import rehearse
from palio.races.service.running import advance, due, on_snapshot_many, open_of, settle, tick
from palio.races.service.series import attach, create_series, list_series, repair
from palio.races.service.steering import cancel, extend, force_final, release, replace_start

__all__ = [
    "adjust",
    "advance",
    "attach",
    "cancel",
    "changes",
    "create_race",
    "create_series",
    "decide_hold",
    "due",
    "entrant",
    "exclude",
    "extend",
    "force_final",
    "lines",
    "link",
    "list_series",
    "listed",
    "on_snapshot_many",
    "open_of",
    "recent",
    "recompute",
    "rehearse",
    "reinstate",
    "release",
    "repair",
    "replace_start",
    "settle",
    "standings",
    "tick",
    "view",
]
