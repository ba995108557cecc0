"""Refusals of races."""

from palio.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class NoSuchRace(NotFound):
    """There is no race `number`."""

    code = "races.no_such_race"


class NoneNow(NotFound):
    """There is no race that is `state` at present."""

    code = "races.none_now"


class NoSuchEntrant(NotFound):
    """Nobody of the number `entrant_id` stands in race `number`."""

    code = "races.no_such_entrant"


class NotEntered(NotFound):
    """You are not in race `number`: no player linked to you has wagered in it."""

    code = "races.not_entered"


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


class PlayerUnknown(NotFound):
    """The programme of race `number` knows no player `player_id`."""

    code = "races.player_unknown"


class BaselineUnknown(Conflict):
    """Nobody knows yet where the total of player `player_id` begins: wait for the first number of his."""

    code = "races.baseline_unknown"


class OwnAccount(Forbidden):
    """A player of yours holds a paid place in race `number`: somebody else must do this."""

    code = "races.own_account"


class AdjustmentInvalid(Invalid):
    """An adjustment of `amount_micro` cannot be made: it must not be 0, nor more than `limit_micro` either way."""

    code = "races.adjustment_invalid"


class NoSuchHold(NotFound):
    """Player `player_id` is not being checked in race `number`."""

    code = "races.no_such_hold"


class Frozen(Conflict):
    """The totals of race `number` are frozen or not yet counted (`status`): adjust the player instead."""

    code = "races.frozen"


class StartReplaced(Conflict):
    """The start picture of race `number` has been replaced before: it is replaced once."""

    code = "races.start_replaced"


class PictureUnfit(Invalid):
    """Snapshot `snapshot` cannot be the picture of race `number`: expected is `expected`."""

    code = "races.picture_unfit"


class NotOverdue(Conflict):
    """Race `number` can be closed by hand from `due_at` on, if no snapshot has closed it by then."""

    code = "races.not_overdue"
