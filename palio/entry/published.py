"""What machines outside may hear of: the events of all modules that are ids, codes and public figures, by name.

Everything else is listed with the reason why it stays inside: `tests/architecture/published.toml`.
"""

from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions, identity, races
from palio.affiliates.types import FeedId, LinkRequestId, PlayerId, ProgrammeId, SnapshotId
from palio.kernel.events import PublicType
from palio.kernel.ids import UserId

ONE = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
TWO = UUID("0198a4f2-7d11-7c2a-8b31-1f5e2a7c9d02")
THREE = UUID("0198a4f2-91b0-7e0f-a6c4-2d9b8e17f3a5")
NOON = datetime.fromisoformat("2026-03-20T12:00:00Z")
OF_RACES = (ONE, "races", "race:36", "W:2026-W12")  # id, product, subject and period of a competition

PUBLIC: tuple[PublicType, ...] = (
    PublicType("user.registered", "There is a new user.", identity.UserRegistered(UserId(ONE), "password")),
    PublicType(
        "contact.verified",
        "A user has proven that a contact is his; the first one makes the account active.",
        identity.ContactVerified(UserId(ONE), "email", first=True),
    ),
    PublicType(
        "user.erased",
        "A user was erased: forget what you know of him, as we have.",
        identity.UserErased(UserId(ONE)),
    ),
    PublicType("competition.published", "A competition is announced.", competitions.CompetitionPublished(*OF_RACES)),
    PublicType("competition.went_live", "A competition has begun.", competitions.CompetitionWentLive(*OF_RACES)),
    PublicType(
        "competition.ending_soon",
        "A competition ends in a day, or in an hour.",
        competitions.CompetitionEndingSoon(*OF_RACES, hours=24),
    ),
    PublicType(
        "competition.frozen",
        "A competition is over, and nothing counts any more.",
        competitions.CompetitionFrozen(*OF_RACES),
    ),
    PublicType(
        "competition.completed",
        "The prizes of a competition are decided.",
        competitions.CompetitionCompleted(*OF_RACES),
    ),
    PublicType(
        "competition.cancelled", "A competition will pay nothing.", competitions.CompetitionCancelled(*OF_RACES)
    ),
    PublicType("pool.changed", "A prize pool has become larger or smaller.", competitions.PoolChanged(ONE)),
    PublicType(
        "reward.paid",
        "A prize was paid; the amount is in the smallest unit of its asset.",
        competitions.RewardPaid(ONE, 7, TWO, 1, "USD", 25_000),
    ),
    PublicType(
        "reward.unclaimed",
        "A prize waits for a winner whom nobody knows yet.",
        competitions.RewardUnclaimed(ONE, 8, None, 2, "USD", 10_000),
    ),
    PublicType("race.completed", "A race is over and its prizes are decided.", races.RaceCompleted(ONE, "W:2026-W12")),
    PublicType("race.leader_changed", "Somebody else leads a race.", races.RaceLeaderChanged(ONE, 7)),
    PublicType(
        "race.standings_changed",
        "The standings of a race are those of this snapshot.",
        races.RaceStandingsChanged(ONE, 412),
    ),
    PublicType(
        "snapshot.applied",
        "The numbers of a programme are as of this snapshot.",
        affiliates.SnapshotApplied(ProgrammeId(ONE), SnapshotId(TWO), 412),
    ),
    PublicType(
        "feed.stale",
        "The numbers of a programme are too old to be shown without a warning.",
        affiliates.FeedStale(ProgrammeId(ONE), NOON),
    ),
    PublicType(
        "feed.recovered",
        "The numbers of a programme are fresh again.",
        affiliates.FeedRecovered(ProgrammeId(ONE), NOON),
    ),
    PublicType(
        "feed.auth_failed",
        "A feed does not take our key.",
        affiliates.FeedAuthFailed(ProgrammeId(ONE), FeedId(TWO), 401),
    ),
    PublicType(
        "link.requested",
        "A user says that an external player is his own.",
        affiliates.LinkRequested(LinkRequestId(ONE), UserId(TWO), PlayerId(THREE)),
    ),
    PublicType(
        "link.decided",
        "A request for an external player has got an answer.",
        affiliates.LinkDecided(LinkRequestId(ONE), UserId(TWO), PlayerId(THREE), "approved"),
    ),
    PublicType(
        "account.linked",
        "An external player belongs to a user from now on.",
        affiliates.AccountLinked(UserId(ONE), PlayerId(TWO), ProgrammeId(THREE)),
    ),
    PublicType(
        "account.unlinked",
        "An external player belongs to a user no longer.",
        affiliates.AccountUnlinked(UserId(ONE), PlayerId(TWO), ProgrammeId(THREE)),
    ),
)
