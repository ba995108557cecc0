"""Refusals of competitions."""

from palio.kernel.errors import Conflict, Invalid, NotFound


class NoSuchCompetition(NotFound):
    code = "competitions.no_such_competition"


class PrizeShape(Invalid):
    """The rule cannot be read as bands."""

    code = "competitions.prize_shape"


class PrizeSum(Invalid):
    """The bands do not add up to the whole pool."""

    code = "competitions.prize_sum"


class PrizeIncreasing(Invalid):
    """A lower place would earn more than a higher one."""

    code = "competitions.prize_increasing"


class WindowInvalid(Invalid):
    code = "competitions.window"


class StartsInPast(Invalid):
    """Only a product that has checked the right to backdate may publish a past start, and says why."""

    code = "competitions.starts_in_past"


class NotDraft(Conflict):
    code = "competitions.not_draft"


class NotLive(Conflict):
    code = "competitions.not_live"


class NotCollecting(Conflict):
    code = "competitions.not_collecting"


class PoolShort(Conflict):
    """The pool account holds less than the fixed prizes promise."""

    code = "competitions.pool_short"
