"""What identity tells: ids and codes, never personal data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from palio.identity.types import AuthMethod, ExclusionKind, LetterKind, PlayActivity
from palio.kernel.ids import UserId
from palio.kernel.messages import Event, Job

Change: TypeAlias = Literal[
    "password_changed",
    "password_reset",
    "totp_added",
    "totp_removed",
    "recovery_codes_renewed",
    "passkey_added",
    "passkey_removed",
    "email_added",
    "email_removed",
    "email_primary",
    "factors_reset_planned",
    "factors_reset_cancelled",
    "factors_reset",
    "identity_linked",
    "identity_unlinked",
]


@dataclass(frozen=True, slots=True)
class UserRegistered(Event):
    """There is a new user. `method` is None when an operator made the account."""

    user_id: UserId
    method: AuthMethod | None
    referral_code: str | None = None


@dataclass(frozen=True, slots=True)
class ContactVerified(Event):
    """A user proved that a contact is his; with the first one the account becomes active."""

    user_id: UserId
    kind: Literal["email", "phone", "telegram"]
    first: bool


@dataclass(frozen=True, slots=True)
class ProfileChanged(Event):
    """A user changed what he says of himself; `fields` are the names of what is new."""

    user_id: UserId
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeZoneChanged(Event):
    """A user has chosen another time zone, which counts from a midnight on."""

    user_id: UserId
    zone: str
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class SignedIn(Event):
    """A session began."""

    user_id: UserId
    session_id: UUID


@dataclass(frozen=True, slots=True)
class NewDeviceSeen(Event):
    """Somebody who has signed in before did so on a device that is new to us."""

    user_id: UserId
    device_id: UUID


@dataclass(frozen=True, slots=True)
class SecurityChanged(Event):
    """A way to prove who somebody is was added, changed or removed."""

    user_id: UserId
    what: Change


@dataclass(frozen=True, slots=True)
class RefreshReuseDetected(Event):
    """A refresh token was shown a second time, so its session was ended: it may have been stolen."""

    user_id: UserId
    session_id: UUID


@dataclass(frozen=True, slots=True)
class ApiTokenCreated(Event):
    """There is a new API token."""

    user_id: UserId
    api_key_id: UUID


@dataclass(frozen=True, slots=True)
class ApiTokenRevoked(Event):
    """An API token is no longer good."""

    user_id: UserId
    api_key_id: UUID


@dataclass(frozen=True, slots=True)
class TelegramLinked(Event):
    """A Telegram account was linked to a user."""

    user_id: UserId
    telegram_id: int


@dataclass(frozen=True, slots=True)
class TelegramUnlinked(Event):
    """A Telegram account no longer belongs to a user."""

    user_id: UserId
    telegram_id: int


@dataclass(frozen=True, slots=True)
class RoleGranted(Event):
    """Somebody was given a role."""

    user_id: UserId
    role: str


@dataclass(frozen=True, slots=True)
class RoleRevoked(Event):
    """A role was taken from somebody."""

    user_id: UserId
    role: str


@dataclass(frozen=True, slots=True)
class UserSuspended(Event):
    """An account was suspended: until it is let in again its bearer only reads."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class UserReinstated(Event):
    """An account that was suspended is active again."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class PlayerExcluded(Event):
    """Somebody is not to do some things until an instant, or for ever (None). A longer break is told again."""

    user_id: UserId
    kind: ExclusionKind
    activities: tuple[PlayActivity, ...]
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConsentChanged(Event):
    """Somebody accepted a document, or took that back."""

    user_id: UserId
    document: str


@dataclass(frozen=True, slots=True)
class ErasureScheduled(Event):
    """Somebody has confirmed that he wants to be erased, which begins at an instant unless he changes his mind."""

    user_id: UserId
    due_at: datetime


@dataclass(frozen=True, slots=True)
class UserErased(Event):
    """Somebody was erased: what is personal is gone, his id stands for nobody."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class TickPrivacy(Job):
    """Begin what is due of copies and erasures, and forget copies whose time is over."""


@dataclass(frozen=True, slots=True)
class RunPrivacy(Job):
    """Do the next step of a copy or an erasure."""

    request_id: UUID


@dataclass(frozen=True, slots=True)
class TickExclusions(Job):
    """Note that breaks are over, and forget marks that have ended."""


@dataclass(frozen=True, slots=True)
class SendNote(Job):
    """Write to somebody what another module has to say: a line, paragraphs, and a page of ours. No personal data."""

    user_id: UserId
    subject: str
    paragraphs: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class SendLetter(Job):
    """Write to one contact of a user."""

    letter: LetterKind
    contact_id: UUID


@dataclass(frozen=True, slots=True)
class SendFarewell(Job):
    """Write to an address that was just removed or replaced; it is `sealed` to its user, in hexadecimal."""

    user_id: UserId
    contact_id: UUID
    sealed: str


@dataclass(frozen=True, slots=True)
class WriteToWhoeverAsked(Job):
    """Somebody asked for a link to this address; whether anybody has it is found out afterwards.

    `bidx` is its keyed index in hexadecimal, which tells nothing without the keyring.
    """

    letter: LetterKind
    bidx: str
    bidx_version: int


@dataclass(frozen=True, slots=True)
class ResetFactors(Job):
    """Remove the second factors whose removal was agreed a day ago."""


@dataclass(frozen=True, slots=True)
class LiftSuspensions(Job):
    """Let in again whoever was suspended until now."""


@dataclass(frozen=True, slots=True)
class SendCode(Job):
    """Send a short code to the number that it was asked for, in a language."""

    challenge_id: UUID
    locale: str


@dataclass(frozen=True, slots=True)
class Purge(Job):
    """Remove what has served its time: dead links, pending users, names that were held."""


@dataclass(frozen=True, slots=True)
class EndSessions(Job):
    """Write down which sessions have run out: unused for too long, or as old as one gets."""


@dataclass(frozen=True, slots=True)
class Reindex(Job):
    """Have the index key that is to follow take the place of the present one, where there are two."""


@dataclass(frozen=True, slots=True)
class RemovePictures(Job):
    """Remove the files of pictures that have served, or were never shown."""


@dataclass(frozen=True, slots=True)
class KeepNoLonger(Job):
    """Forget what is kept for a while only: addresses and programs, ended sessions, old attempts to sign in."""
