"""Refusals of races."""

from palio.kernel.errors import Conflict, Invalid, NotFound


class NoSuchRace(NotFound):
    """There is no race `number`."""

    code = "races.no_such_race"


class SpecInvalid(Invalid):
    """The race cannot be made: `field` must be `expected`."""

    code = "races.spec_invalid"


class WindowInvalid(Invalid):
    """A race lasts from 10 minutes to 366 days; this one would run from `starts_at` to `ends_at`."""

    code = "races.window"


class PrizePrecision(Invalid):
    """The prize of place `place`, `value` %, is finer than a basis point: give at most two decimal places."""

    code = "races.prize_precision"


class ReasonMissing(Invalid):
    """It begins in the past (`starts_at`): say why in `backdated_reason`, 5 to 300 characters that everybody reads."""

    code = "races.reason_missing"


class NoPicture(Invalid):
    """No snapshot of programme `programme` can open a race at `starts_at`: upload one first, or begin later."""

    code = "races.no_picture"


class ChainGap(Invalid):
    """Race `previous` ends at `ends_at`: the one race chained to it starts then, at the same programme."""

    code = "races.chain_gap"


class ProgrammeClosed(Conflict):
    """Programme `programme` is `status`: no race can be made for it."""

    code = "races.programme_closed"


class TooManyRaces(Conflict):
    """Programme `programme` has `limit` races that are not over: settle one first."""

    code = "races.too_many"


class NotStarted(Conflict):
    """Race `number` starts at `starts_at`: there are no standings before."""

    code = "races.not_started"


class CaptureDoubted(Conflict):
    """The capture `capture` is `status` (`reason`), so nothing is counted from it: check that it is whole."""

    code = "races.capture_doubted"


class NoFinalPicture(Conflict):
    """Race `number` waits for a snapshot fetched at `due_at` or later: it is never settled on missing data."""

    code = "races.no_final_picture"
