"""Use cases of races, one file per noun."""

from palio.races.service.deciding import adjust, decide_hold, exclude, reinstate
from palio.races.service.linking import link
from palio.races.service.listing import listed, recent
from palio.races.service.making import create_race
from palio.races.service.mine import find_mine, mine, mine_many, number_of, own_entrant, own_receipt
from palio.races.service.proposing import (
    ADJUST,
    FORCE_SETTLE,
    REBASE,
    adjust_or_propose,
    carry_out_adjust,
    carry_out_force_final,
    carry_out_replace_start,
    force_final_or_propose,
    replace_start_or_propose,
)
from palio.races.service.reading import changes, entrant, lines, standings, view
from palio.races.service.recomputing import recompute
from palio.races.service.rehearsing import rehearse
from palio.races.service.running import advance, due, on_snapshot_many, open_of, settle, tick
from palio.races.service.series import attach, create_series, list_series, repair
from palio.races.service.steering import cancel, extend, force_final, release, replace_start

__all__ = [
    "ADJUST",
    "FORCE_SETTLE",
    "REBASE",
    "adjust",
    "adjust_or_propose",
    "advance",
    "attach",
    "cancel",
    "carry_out_adjust",
    "carry_out_force_final",
    "carry_out_replace_start",
    "changes",
    "create_race",
    "create_series",
    "decide_hold",
    "due",
    "entrant",
    "exclude",
    "extend",
    "find_mine",
    "force_final",
    "force_final_or_propose",
    "lines",
    "link",
    "list_series",
    "listed",
    "mine",
    "mine_many",
    "number_of",
    "on_snapshot_many",
    "open_of",
    "own_entrant",
    "own_receipt",
    "recent",
    "recompute",
    "rehearse",
    "reinstate",
    "release",
    "repair",
    "replace_start",
    "replace_start_or_propose",
    "settle",
    "standings",
    "tick",
    "view",
]
