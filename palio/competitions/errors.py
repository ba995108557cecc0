"""Refusals of competitions."""

from palio.competitions.types import Refused
from palio.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refusal, Unavailable


class NoSuchCompetition(NotFound):
    """There is no competition `competition_id`."""

    code = "competitions.no_such_competition"


class PrizeShape(Invalid):
    """The prize rule cannot be read at `where`: expected is `expected`."""

    code = "competitions.prize_shape"


class AmountInvalid(Invalid):
    """`amount` is no amount of `asset` with at most `places` decimals."""

    code = "competitions.amount_invalid"


class PrizeSum(Invalid):
    """The bands `bands` add up to `sum`, not to `expected`: change them until the whole pool is given away."""

    code = "competitions.prize_sum"


class PrizeIncreasing(Invalid):
    """Place `place` would earn more than the place above it: no prize may be larger than the one before."""

    code = "competitions.prize_increasing"


class WindowInvalid(Invalid):
    """It would end at `ends_at`, which is not after its start at `starts_at`."""

    code = "competitions.window"


class StartsInPast(Invalid):
    """It would begin at `starts_at`, which has passed; a start in the past needs a stated reason."""

    code = "competitions.starts_in_past"


class NotDraft(Conflict):
    """Only a draft can be published; this one is `status`."""

    code = "competitions.not_draft"


class NotUpcoming(Conflict):
    """It cannot begin now: it is `status` and its start is `starts_at`."""

    code = "competitions.not_upcoming"


class NotLive(Conflict):
    """This is for competitions that run: this one is `status`."""

    code = "competitions.not_live"


class NotCollecting(Conflict):
    """Only a competition whose last scores are being collected can be frozen; this one is `status`."""

    code = "competitions.not_collecting"


class NotInReview(Conflict):
    """Only a frozen competition under review can be released; this one is `status`."""

    code = "competitions.not_in_review"


class ApprovalDue(Conflict):
    """`act` needs a second person: `because`. Ask somebody else to approve it."""

    code = "competitions.approval_due"


class PoolShort(Conflict):
    """The pool holds `pool`, but its fixed prizes promise `promised`: fund it first."""

    code = "competitions.pool_short"


class NoSuchEntrant(NotFound):
    """`entrant_id` takes no part in this competition."""

    code = "competitions.no_such_entrant"


class NoSuchPrize(NotFound):
    """`entrant_id` holds no prize in this competition."""

    code = "competitions.no_such_prize"


class NotWithheld(Conflict):
    """Only a prize that is withheld is decided about; this one is `status`."""

    code = "competitions.not_withheld"


class ReasonMissing(Invalid):
    """Say why, in `low` to `high` characters: the reason stays with the act."""

    code = "competitions.reason_missing"


class AdjustmentInvalid(Invalid):
    """An adjustment of `delta` cannot be made: it must not be 0, nor more than `limit` either way."""

    code = "competitions.adjustment_invalid"


class NoSuchAdjustment(NotFound):
    """There is no adjustment `adjustment_id` of this entrant that a change by `delta` would take back."""

    code = "competitions.no_such_adjustment"


class AdjustmentUndone(Conflict):
    """The adjustment `adjustment_id` has been taken back already."""

    code = "competitions.adjustment_undone"


class Paying(Conflict):
    """It is too late for this: prizes are being paid or were paid (`status`). What is wrong is put right by hand."""

    code = "competitions.paying"


class NotRunning(Conflict):
    """This can be done from the start until the prizes are paid; this competition is `status`."""

    code = "competitions.not_running"


class Cancelled(Conflict):
    """It has been cancelled, and everything was given back: `reason`."""

    code = "competitions.cancelled"


class NotExtendable(Conflict):
    """The end can be moved until it comes; this competition is `status`."""

    code = "competitions.not_extendable"


class EndsEarlier(Invalid):
    """It ends at `ends_at`: an end can only be moved to a later time."""

    code = "competitions.ends_earlier"


class SeriesExists(Conflict):
    """There is a series `code` already: choose another code."""

    code = "competitions.series_exists"


class RecurrenceInvalid(Invalid):
    """The rule of the series cannot be read at `where`: expected is `expected`."""

    code = "competitions.recurrence_invalid"


class ZoneUnknown(Invalid):
    """There is no time zone `tz`: write it like Europe/Berlin."""

    code = "competitions.zone_unknown"


class NoSuchBoard(NotFound):
    """There is no board `code` with a period `period`."""

    code = "competitions.no_such_board"


class NotOnBoard(NotFound):
    """`entrant` does not stand on the board `code` in this period."""

    code = "competitions.not_on_board"


class ResultsHidden(NotFound):
    """Its prizes are shown when it is completed; it is `status` now."""

    code = "competitions.results_hidden"


class BoardHidden(Conflict):
    """The board is hidden from `blackout_s` seconds before the end until the competition is completed."""

    code = "competitions.board_hidden"


class NotOpen(Conflict):
    """Nobody can join or leave it now: it is `status`, and is entered in the mode `join_mode`."""

    code = "competitions.not_open"


class Full(Conflict):
    """All `max_participants` places are taken."""

    code = "competitions.full"


class NotEligible(Forbidden):
    """You may not take part: the rule `rule` does not admit you."""

    code = "competitions.not_eligible"


class InvitedUnknown(Invalid):
    """Nobody is called `names`: of the players named nobody was invited."""

    code = "competitions.invited_unknown"


class EligibilityInvalid(Invalid):
    """Who may take part cannot be read at `rule`: expected is `expected`."""

    code = "competitions.eligibility_invalid"


class ContributionRefused(Conflict):
    """The pool does not take this: `reason`."""

    code = "competitions.contribution_refused"


class NothingFollows(Invalid):
    """What is left can only roll over inside a series: choose another place for `field`."""

    code = "competitions.nothing_follows"


class NotPaused(Conflict):
    """It does not rest; it is `status`."""

    code = "competitions.not_paused"


class TermsFrozen(Conflict):
    """It is `status`, and `field` can no longer be changed: whoever has entered relies on the terms."""

    code = "competitions.terms_frozen"


class NotOverdue(Conflict):
    """It can be frozen by force from `due_at` on; until then its product brings the last scores."""

    code = "competitions.not_overdue"


class OfProduct(Conflict):
    """It is steered by its product: use the page of `product` instead."""

    code = "competitions.of_product"


class AppealsClosed(Conflict):
    """A result can be doubted during its review; this competition is `status`."""

    code = "competitions.appeals_closed"


class TooManyAppeals(Conflict):
    """You have doubted this result `limit` times, or your last appeal is still open: wait for the answer."""

    code = "competitions.too_many_appeals"


class AppealTextInvalid(Invalid):
    """Write `low` to `high` characters."""

    code = "competitions.appeal_text_invalid"


class NoSuchAppeal(NotFound):
    """There is no such appeal."""

    code = "competitions.no_such_appeal"


class AppealDecidedBefore(Conflict):
    """This appeal is `state` already."""

    code = "competitions.appeal_decided"


class AppealsOpen(Conflict):
    """`open` appeals wait for an answer: nothing is paid before."""

    code = "competitions.appeals_open"


class NoSuchSeries(NotFound):
    """There is no such series."""

    code = "competitions.no_such_series"


class NotReleased(Conflict):
    """It is not being paid: it is `status`. Release it first."""

    code = "competitions.not_released"


# Scores


class ScoreInvalid(Invalid):
    """The submission `key` cannot be read: a whole `delta` for boards that add, a whole `value` (with a `version` where
    versions decide) for the others, at most 9,000,000,000,000,000 either way, and a time.
    """

    code = "competitions.invalid"


class Paused(Conflict):
    """It is paused since `since`, and takes no scores."""

    code = "competitions.paused"


class OutsideWindow(Conflict):
    """What happened at `happened_at` lies outside the time that counts, or ahead of us."""

    code = "competitions.outside_window"


class ListFinal(Conflict):
    """The lists `periods` are final: what comes now is too late for them."""

    code = "competitions.list_final"


class NotEntered(Conflict):
    """Whose score this is takes no part in this competition."""

    code = "competitions.not_entered"


class Disqualified(Conflict):
    """Whose score this is has been taken out of this competition."""

    code = "competitions.disqualified"


class KeyMismatch(Conflict):
    """The key `key` was used at the same time for `stored`: another change needs a key of its own."""

    code = "competitions.key_mismatch"


class NotTakingPart(NotFound):
    """You do not stand on the board of this competition."""

    code = "competitions.not_taking_part"


class BoardDiffers(Conflict):
    """There is a board `code` that combines or ranks its scores otherwise."""

    code = "competitions.board_differs"


class NotNarrowed(Invalid):
    """Of the board `code` it is not known which lines are those of friends, or of a country."""

    code = "competitions.not_narrowed"


class Warming(Unavailable):
    """The order of this list is being loaded. Ask again in a second."""

    code = "competitions.warming"


OF_SUBMISSIONS: tuple[type[Refusal], ...] = (
    *(ScoreInvalid, NoSuchCompetition, NoSuchBoard, NoSuchEntrant, NotLive, Paused, OutsideWindow, ListFinal),
    *(NotEntered, Disqualified, KeyMismatch),
)
_BY_CODE = {kind.code: kind for kind in OF_SUBMISSIONS}


def as_refusal(refused: Refused) -> Refusal:
    """What a submission was refused with, to be raised or described."""
    return _BY_CODE[refused.code](**refused.facts)
