"""What the forms of feeds and snapshots say."""

import json
from difflib import ndiff
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from palio.affiliates.console.schemas import Host
from palio.affiliates.errors import BadMapping
from palio.affiliates.types import AuthKind, Coverage, FeedCard, FeedChange, NewFeed, ProgrammeChange
from palio.ui.bodies import Body
from palio.ui.values import Blank

MAPPING_MAX = 8_000
Why = Annotated[str, Field(min_length=5, max_length=500)]
Key = Annotated[Annotated[str, Field(max_length=500)] | None, Blank]
Url = Annotated[Annotated[str, Field(min_length=8, max_length=2_000)] | None, Blank]
Interval = Annotated[int, Field(ge=10, le=86_400)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


def _words(value: object) -> object:
    """The words of one field, which a form sends as a text or as a list of one."""
    texts = value if isinstance(value, list) else [value]
    return [word for text in texts if isinstance(text, str) for word in text.split()]


class WhyForm(Body):
    """Why."""

    reason: Why


class VersionForm(WhyForm):
    """Why, and which version was seen."""

    version: int


class NewProgrammeForm(WhyForm):
    """A programme to be made."""

    code: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")]
    name: Name
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    coverage: Coverage = "full"


class ProgrammeForm(VersionForm):
    """What is said of a programme; hosts stand in one field, with spaces or lines between them."""

    name: Name
    status: Literal["active", "paused"]
    link_url: Annotated[str, Field(max_length=2_000, pattern="^https://|^$")] = ""
    site_hosts: Annotated[list[Host], BeforeValidator(_words), Field(max_length=50)] = Field(default_factory=list)

    def change(self) -> ProgrammeChange:
        """As the use case takes it."""
        return ProgrammeChange(self.name, self.status, self.link_url, self.site_hosts)


class NewFeedForm(WhyForm):
    """A feed that is read by itself from now on; without an interval the setting holds."""

    programme: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")]
    url: Annotated[str, Field(min_length=8, max_length=2_000)]
    auth_kind: AuthKind = "none"
    key: Key = None
    interval_s: Annotated[Interval | None, Blank] = None
    coverage: Coverage = "full"

    def new(self) -> NewFeed:
        """As the use case takes it."""
        return NewFeed(self.url, self.auth_kind, self.key, self.interval_s, self.coverage)


class FeedForm(VersionForm):
    """How a feed is read. Address and key are never shown: left empty they stay."""

    url: Url = None
    auth_kind: AuthKind = "none"
    key: Key = None
    interval_s: Interval
    timeout_s: Annotated[int, Field(ge=1, le=120)]
    max_attempts: Annotated[int, Field(ge=1, le=10)]
    max_bytes: Annotated[int, Field(ge=1_024, le=536_870_912)]
    coverage: Coverage
    enabled: bool = False

    def change(self, card: FeedCard) -> FeedChange:
        """What is different from the feed as it is; another way to prove who asks needs its key anew."""
        return FeedChange(
            url=self.url,
            auth_kind=self.auth_kind if self.auth_kind != card.auth_kind else None,
            secret=self.key,
            interval_s=self.interval_s,
            timeout_s=self.timeout_s,
            max_attempts=self.max_attempts,
            max_bytes=self.max_bytes,
            coverage=self.coverage,
            enabled=self.enabled,
        )


class MappingForm(VersionForm):
    """How a feed is to be read, as JSON; `version` is the mapping that it replaces."""

    mapping: Annotated[str, Field(max_length=MAPPING_MAX)]


class HeldForm(WhyForm):
    """What is decided about a held row."""

    decision: Literal["release", "dismiss"]


class SnapshotForm(WhyForm):
    """What is decided about a suspicious snapshot."""

    decision: Literal["apply", "discard"]


def document_of(text: str) -> dict[str, object]:
    """The mapping that was typed. Refuses with BadMapping for what is no JSON object."""
    try:
        document = json.loads(text)
    except ValueError as problem:
        raise BadMapping(field="the text", problem=str(problem)) from None
    if not isinstance(document, dict):
        raise BadMapping(field="the text", problem="expected an object like {}")
    return document


def text_of(document: object) -> str:
    """A mapping as it is shown and typed."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def lines_between(before: str, after: str) -> list[tuple[str, str]]:
    """The lines of two texts with `-` before one that goes, `+` before one that comes, and a blank where both agree."""
    found = ndiff(before.splitlines(), after.splitlines())
    return [(line[0], line[2:]) for line in found if line[0] != "?"]
