"""How competitions hang in lists of pages: a banner, what they pay, and where they lead."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from palio.competitions.types import Competition, EntrantId, Line, Participation, Status
from palio.kernel.providers import OwnPage
from palio.ui.values import Asset

Mine: TypeAlias = Literal["", "in", "invited"]


@dataclass(frozen=True, slots=True)
class Card:
    """A competition in a list; `mine` is what whoever reads has to do with it."""

    competition: Competition
    asset: Asset
    pool: int
    entrants: int
    path: str
    digit: int
    mine: Mine
    winners: tuple[str, ...]

    @property
    def title(self) -> str:
        """What it is called."""
        return self.competition.title

    @property
    def status(self) -> Status:
        """How far it has come."""
        return self.competition.status

    @property
    def starts_at(self) -> datetime:
        """When it begins."""
        return self.competition.starts_at

    @property
    def ends_at(self) -> datetime:
        """When it ends."""
        return self.competition.ends_at

    @classmethod
    def of(cls, line: Line, page: OwnPage, known: Participation | None) -> "Card":
        competition = line.competition
        archived = line.archived.participants if line.archived else ()
        return cls(
            competition=competition,
            asset=Asset(competition.prize_asset, line.asset_scale),
            pool=line.pool,
            entrants=line.archived.participant_count if line.archived else line.entrants,
            path=page.path,
            digit=page.digit,
            mine=mine_of(competition, known),
            winners=tuple(line.names[EntrantId(int(str(row["entrant"])))] for row in archived if row["rank"] == 1),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """The competitions of one state, as many as a page shows of it; `has_more` says that there are others."""

    status: Status
    cards: tuple[Card, ...]
    has_more: bool


def mine_of(competition: Competition, known: Participation | None) -> Mine:
    """What a player has to do with a competition, as one word."""
    if known is None or known.state == "disqualified":
        return ""
    if known.state == "active":
        return "in"
    return "invited" if competition.join_mode == "invite" and competition.status in ("upcoming", "live") else ""
