"""How accounts look to staff: what calls take, what forms send, and what is answered."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StringConstraints

from palio.identity.schemas import EXAMPLE_ID, MOMENT, address_of_avatar
from palio.identity.types import (
    AuthMethod,
    BoardName,
    Contact,
    Correction,
    Note,
    Record,
    Revealed,
    SealedField,
    SeenFrom,
    Suspension,
    User,
    UserKind,
    UserStatus,
)
from palio.ui.bodies import Body
from palio.ui.values import Blank, Instant, Moment

Reason = Annotated[str, StringConstraints(strict=True, max_length=500)]  # rules say what is wrong with it
Line = Annotated[str, StringConstraints(strict=True, max_length=300)]
Typed = Annotated[str, Field(max_length=500)]


class Why(Body):
    """Why."""

    reason: Reason


class WhyForm(Body):
    """Why, from a page."""

    reason: Typed = ""


class Suspend(Why):
    """Why an account is suspended, and until when (null: until somebody lifts it)."""

    until: AwareDatetime | None = None


class SuspendForm(WhyForm):
    """The same, from a page."""

    until: Annotated[Moment | None, Blank] = None


class Reveal(Why):
    """Which sealed value is read, and why: `id` is the row of an e-mail, a number or a network address."""

    name: SealedField
    id: UUID | None = None


class RevealForm(WhyForm):
    """The same, from a page."""

    name: SealedField
    id: Annotated[UUID | None, Blank] = None


class MoveTelegram(Why):
    """The number of a Telegram account that is to be this account's, and why."""

    telegram_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[1-9][0-9]{0,17}$")]


class MoveTelegramForm(WhyForm):
    """The same, from a page."""

    telegram_id: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$")]


class WriteNote(Body):
    """A note for others of the staff."""

    body: Annotated[str, StringConstraints(strict=True, max_length=4_000)]


class NoteForm(Body):
    """The same, from a page."""

    body: Annotated[str, Field(max_length=4_000)] = ""


class Correct(Why):
    """What is put right of an account, and why; what is left out stays."""

    display_name: Line | None = None
    country: Line | None = None
    locale: Line | None = None
    board_name: BoardName | None = None
    must_change_password: StrictBool | None = None

    def correction(self) -> Correction:
        """What is to be put right."""
        return Correction(self.display_name, self.country, self.locale, self.board_name, self.must_change_password)


class CorrectForm(WhyForm):
    """The same, from a page, with the version that it showed."""

    display_name: Typed
    country: Annotated[Typed | None, Blank] = None
    locale: Typed
    board_name: BoardName
    version: int
    must_change_password: Annotated[bool | None, Blank] = None

    def correction(self) -> Correction:
        """What is to be put right."""
        return Correction(self.display_name, self.country, self.locale, self.board_name, self.must_change_password)


@dataclass(frozen=True, slots=True)
class Moved:
    """The Telegram account that is this account's now."""

    telegram_id: str


@dataclass(frozen=True, slots=True)
class UserAnswer:
    """An account as staff see it."""

    id: UUID
    username: str
    display_name: str
    kind: UserKind
    status: UserStatus
    registered_with: AuthMethod | None
    locale: str
    time_zone: str
    country: str | None
    board_name: BoardName
    created_at: Instant
    activated_at: Instant | None
    version: int

    @classmethod
    def of(cls, one: User) -> "UserAnswer":
        return cls(
            *(one.id, one.username, one.display_name, one.kind, one.status, one.registered_with, one.locale),
            *(one.time_zone, one.country, one.board_name, one.created_at, one.activated_at, one.version),
        )


@dataclass(frozen=True, slots=True)
class ContactAnswer:
    """That there is an e-mail address; which, a reveal tells."""

    id: UUID
    is_primary: bool
    verified_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, one: Contact) -> "ContactAnswer":
        return cls(one.id, one.is_primary, one.verified_at, one.created_at)


@dataclass(frozen=True, slots=True)
class SeenFromAnswer:
    """That somebody came from an address; which, a reveal tells as long as it is kept."""

    id: UUID
    first_kind: str
    first_seen_at: Instant
    last_seen_at: Instant
    seen_count: int
    is_kept: bool

    @classmethod
    def of(cls, one: SeenFrom) -> "SeenFromAnswer":
        return cls(one.id, one.first_kind, one.first_seen_at, one.last_seen_at, one.seen_count, one.is_kept)


@dataclass(frozen=True, slots=True)
class SuspensionAnswer:
    """How an account stands; both are null where it is not suspended."""

    status: UserStatus
    reason: str | None
    until: Instant | None

    @classmethod
    def of(cls, one: Suspension) -> "SuspensionAnswer":
        return cls(one.status, one.reason, one.until)


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """An account with what is known of it, sealed values unread."""

    user: UserAnswer
    suspension: SuspensionAnswer
    emails: tuple[ContactAnswer, ...]
    phones: tuple[ContactAnswer, ...]
    seen_from: tuple[SeenFromAnswer, ...]
    has_full_name: bool
    has_birth_date: bool
    methods: tuple[str, ...]
    has_second_factor: bool
    recovery_codes_left: int
    last_login_at: Instant | None
    avatar_url: str | None = None
    must_renew: bool = False  # his password, before he does anything

    @classmethod
    def of(cls, one: Record) -> "RecordAnswer":
        return cls(
            UserAnswer.of(one.user),
            SuspensionAnswer.of(one.suspension),
            tuple(map(ContactAnswer.of, one.contacts)),
            tuple(map(ContactAnswer.of, one.phones)),
            tuple(map(SeenFromAnswer.of, one.seen_from)),
            *(one.has_full_name, one.has_birth_date),
            methods=("password",) if one.has_password else (),
            has_second_factor=one.has_second_factor,
            recovery_codes_left=one.recovery_codes_left,
            last_login_at=one.last_login_at,
            avatar_url=address_of_avatar(one.avatar_key),
            must_renew=one.must_change_password,
        )


@dataclass(frozen=True, slots=True)
class RevealedAnswer:
    """The value that was read; or, with status 202, the approval that waits for a second person."""

    name: SealedField
    id: UUID | None
    value: str | None
    until: Instant | None
    approval_id: UUID | None = None

    @classmethod
    def of(cls, one: Revealed) -> "RevealedAnswer":
        return cls(one.name, one.row_id, one.value, one.until)


@dataclass(frozen=True, slots=True)
class NoteAnswer:
    """A note of the staff about somebody."""

    id: UUID
    author_id: UUID
    body: str
    created_at: Instant

    @classmethod
    def of(cls, one: Note) -> "NoteAnswer":
        return cls(one.id, one.author_id, one.body, one.created_at)


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """Where the picture of somebody is read; null where there is none."""

    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class NotesAnswer:
    """The notes of the staff about somebody, the newest first."""

    items: tuple[NoteAnswer, ...]


@dataclass(frozen=True, slots=True)
class ImpersonationAnswer:
    """The session in which one looks as a player; the browser has its cookie."""

    session_id: UUID
    user_id: UUID
    until: Instant


@dataclass(frozen=True, slots=True)
class Proposed:
    """The approval that waits for a second person."""

    approval_id: UUID


AN_ID = EXAMPLE_ID
NO_PICTURE = PictureAnswer(None)
A_VALUE = RevealedAnswer("email", EXAMPLE_ID, "pia@example.com", MOMENT)
A_VALUE_TO_COME = RevealedAnswer("email", EXAMPLE_ID, None, None, EXAMPLE_ID)
AN_IMPERSONATION = ImpersonationAnswer(EXAMPLE_ID, EXAMPLE_ID, MOMENT)
A_NOTE = NoteAnswer(EXAMPLE_ID, EXAMPLE_ID, "writes politely, plays from two phones", MOMENT)
A_USER = UserAnswer(
    *(EXAMPLE_ID, "pia_lund", "Pia Lund", "person", "active", "password", "en", "UTC", "SE", "full", MOMENT, MOMENT),
    version=3,
)
A_SUSPENSION = SuspensionAnswer("suspended", "several accounts of one person", MOMENT)
A_RECORD = RecordAnswer(
    A_USER,
    SuspensionAnswer("active", None, None),
    (ContactAnswer(EXAMPLE_ID, True, MOMENT, MOMENT),),
    (ContactAnswer(EXAMPLE_ID, True, MOMENT, MOMENT),),
    (SeenFromAnswer(EXAMPLE_ID, "login", MOMENT, MOMENT, 4, True),),
    has_full_name=True,
    has_birth_date=False,
    methods=("password",),
    has_second_factor=True,
    recovery_codes_left=10,
    last_login_at=MOMENT,
)
