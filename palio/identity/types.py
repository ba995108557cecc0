"""Words of identity: a user and what others may see of him, how he proves who he is, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NewType, TypeAlias
from uuid import UUID

from palio.kernel.ids import UserId
from palio.kernel.permissions import Object, ObjectKind, Permission
from palio.kernel.settings import Setting

SessionId = NewType("SessionId", UUID)
EmailId = NewType("EmailId", UUID)
DeviceId = NewType("DeviceId", UUID)
TokenId = NewType("TokenId", UUID)
PasskeyId = NewType("PasskeyId", UUID)

UserKind: TypeAlias = Literal["person", "service"]
UserStatus: TypeAlias = Literal["pending", "active", "suspended", "closing", "erased"]
AuthMethod: TypeAlias = Literal["password", "google", "apple", "oidc", "telegram", "phone_otp", "email_link", "passkey"]
CountrySource: TypeAlias = Literal["geo", "user", "staff"]
BoardName: TypeAlias = Literal["full", "masked", "hidden"]
SessionKind: TypeAlias = Literal["browser", "console", "app", "mini_app", "impersonation"]
Client: TypeAlias = Literal["browser", "app"]  # a browser is known by a cookie, an app by tokens
Platform: TypeAlias = Literal["android", "ios", "macos", "windows", "linux"]
SessionEnd: TypeAlias = Literal[
    "logout",
    "revoked_by_user",
    "revoked_by_staff",
    "password_changed",
    "refresh_reused",
    "role_changed",
    "suspended",
    "erased",
]
Outcome: TypeAlias = Literal[
    "success",
    "second_factor_required",
    "bad_credentials",
    "mfa_failed",
    "throttled",
    "suspended",
    "not_allowed",
    "token_reused",
    "looked_at",
    "revealed",
]
TokenPurpose: TypeAlias = Literal[
    "email_verification",
    "email_change",
    "password_reset",
    "first_owner",
    "erase_confirm",
    "login_link",
    "telegram_link",
    "invite",
]
LetterKind: TypeAlias = Literal[
    "email_verification",
    "password_reset",
    "account_exists",
    "email_change",
    "email_taken",
    "email_removed",
    "erase_confirm",
    "factors_reset",
    "login_link",
    "invite",
]
CodePurpose: TypeAlias = Literal["sign_in", "phone_link", "telegram_link"]
FlowIntent: TypeAlias = Literal["login", "link"]
LinkAction: TypeAlias = Literal["linked", "unlinked", "moved", "bot_blocked", "bot_unblocked"]
Allowance: TypeAlias = Literal["allow", "deny"]
RuleKind: TypeAlias = Literal["regex", "domain", "address", "domain_file"]
ConsentSource: TypeAlias = Literal["registration", "account"]
Consents: TypeAlias = tuple[tuple[str, int], ...]  # documents that somebody accepts, and which version of each
FactorKind: TypeAlias = Literal["totp", "recovery_code", "passkey"]
PlayActivity: TypeAlias = Literal["stake", "pay_in", "bonus", "compete", "redeem", "withdraw", "marketing"]
ExclusionKind: TypeAlias = Literal["time_out", "self_exclusion", "operator_exclusion"]
ExclusionLength: TypeAlias = Literal["24h", "72h", "7d", "30d", "6mo", "1y", "5y", "permanent"]
NetworkKind: TypeAlias = Literal["registration", "login", "api"]
PrivacyKind: TypeAlias = Literal["export", "erase"]
PrivacyState: TypeAlias = Literal["requested", "confirmed", "running", "done", "failed", "cancelled"]
FriendState: TypeAlias = Literal["asked", "asking", "accepted", "blocked"]
FriendAct: TypeAlias = Literal["ask", "accept", "remove", "block"]

USERNAME_MAX = Setting(
    "identity.username_max", "int", 32, "The longest user name that may be chosen.", "characters", low=8, high=80
)
REGISTRATION = Setting(
    "identity.registration",
    "choice",
    "open",
    "Who may make an account: everybody, whoever was invited by staff, or nobody for now.",
    choices=("open", "invite", "closed"),
)
EMAIL_VERIFICATION = Setting(
    "identity.email_verification",
    "choice",
    "required",
    "When somebody who registers proves his address: before he comes in, or later, and until then he stakes, pays in,"
    " takes out and redeems nothing.",
    choices=("required", "deferred"),
)
EMAIL_DEFAULT: Setting[Allowance] = Setting(
    "identity.email_default",
    "choice",
    "allow",
    "What becomes of an address that no e-mail rule knows.",
    choices=("allow", "deny"),
)
SESSION_IDLE_DAYS = Setting(
    "identity.session_idle_days", "int", 14, "A browser that rests so long is signed out.", "days", low=1, high=90
)
REFRESH_DAYS = Setting(
    "identity.refresh_days", "int", 7, "An app that rests so long is signed out.", "days", low=1, high=60
)
ACCESS_MINUTES = Setting(
    "identity.access_minutes", "int", 15, "How long an app's access token is good.", "minutes", low=5, high=60
)
THROTTLE_PERCENT = Setting(
    "identity.throttle_percent",
    "int",
    100,
    "How many failed attempts to sign in are free, in percent of the usual number.",
    "percent",
    low=20,
    high=1000,
)
IP_RETENTION_DAYS = Setting(
    "identity.ip_retention_days", "int", 90, "How long addresses and programs are kept.", "days", low=7, high=365
)
MFA_TRUST_DAYS = Setting(
    "identity.mfa_trust_days",
    "int",
    30,
    "How long a device on which a player has shown his second factor may stand for it. 0: never.",
    "days",
    low=0,
    high=90,
)
ERASURE_WAIT_DAYS = Setting(
    "identity.erasure_wait_days",
    "int",
    7,
    "How long somebody who wants to be erased may change his mind.",
    "days",
    low=0,
    high=30,
)
MIN_AGE = Setting(
    "identity.min_age",
    "int",
    0,
    "How old players must be who stake, pay in, compete or take gifts. Who has not said when he was born is kept out."
    " 0: nobody is asked.",
    "years",
    low=0,
    high=25,
)
BLOCKED_COUNTRIES: Setting[tuple[str, ...]] = Setting(
    "identity.blocked_countries",
    "list",
    (),
    "Countries whose players may not stake, pay in, compete or take gifts, as two letters. With any of them, those of"
    " whom no country is known may not either.",
    of="text",
    high=250,
    pattern="[A-Z]{2}",
)
METHODS: Setting[tuple[str, ...]] = Setting(
    "identity.methods",
    "list",
    ("password", "passkey", "telegram"),
    "By which ways players come in: those that stand here, and are configured. The console always asks for the password"
    " and a second factor.",
    of="text",
    high=8,
    pattern="password|google|apple|oidc|telegram|phone_otp|email_link|passkey",
    sensitive=True,
)
PHONE_COUNTRIES: Setting[tuple[str, ...]] = Setting(
    "identity.phone_countries",
    "list",
    (),
    "To which countries codes are sent, as two letters; none: to all.",
    of="text",
    high=250,
    pattern="[A-Z]{2}",
)
TELEGRAM_PROOF_MAX_AGE_S = Setting(
    "identity.telegram_proof_max_age_s",
    "int",
    300,
    "How old what Telegram has signed may be.",
    "seconds",
    low=60,
    high=86_400,
)
RESERVED_NAMES: Setting[tuple[str, ...]] = Setting(
    "identity.reserved_names",
    "list",
    (),
    "User names that nobody takes besides those that would pass for the house itself, in small letters. Who has one"
    " keeps it.",
    of="text",
    high=1_000,
    pattern="[a-z0-9][a-z0-9_.-]{2,79}",
)


def _link_minutes(purpose: TokenPurpose, what: str, default: int) -> Setting[int]:
    words = f"How long the link is good that {what}."
    return Setting(f"identity.{purpose}_minutes", "int", default, words, "minutes", low=5, high=43_200)


LINK_MINUTES: dict[TokenPurpose, Setting[int]] = {
    "email_verification": _link_minutes("email_verification", "proves the address of an applicant", 1_440),
    "email_change": _link_minutes("email_change", "proves an address somebody adds to his account", 1_440),
    "password_reset": _link_minutes("password_reset", "sets a new password", 60),
    "login_link": _link_minutes("login_link", "opens an account without a password", 15),
    "invite": _link_minutes("invite", "makes the account of somebody who was invited", 10_080),
    "telegram_link": _link_minutes("telegram_link", "links a Telegram account", 10),
    "erase_confirm": _link_minutes("erase_confirm", "confirms that somebody wants to be erased", 1_440),
    "first_owner": _link_minutes("first_owner", "makes the first owner", 60),
}
HASH_MEMORY_KIB = Setting(
    "identity.hash_memory_kib",
    "int",
    19_456,
    "Memory that each hash of a password takes. Passwords are hashed anew when their owners sign in.",
    "KiB",
    low=19_456,
    high=1_048_576,
)
HASH_PASSES = Setting(
    "identity.hash_passes",
    "int",
    2,
    "Passes over that memory for each hash of a password.",
    "passes",
    low=2,
    high=20,
)
SETTINGS = (
    *(LINK_MINUTES["email_verification"], LINK_MINUTES["email_change"], LINK_MINUTES["password_reset"]),
    *(LINK_MINUTES["login_link"], LINK_MINUTES["invite"], LINK_MINUTES["telegram_link"]),
    *(LINK_MINUTES["erase_confirm"], LINK_MINUTES["first_owner"]),
    *(RESERVED_NAMES, HASH_MEMORY_KIB, HASH_PASSES),
    *(METHODS, PHONE_COUNTRIES, TELEGRAM_PROOF_MAX_AGE_S),
    *(MIN_AGE, BLOCKED_COUNTRIES),
    *(USERNAME_MAX, REGISTRATION, EMAIL_VERIFICATION, EMAIL_DEFAULT, SESSION_IDLE_DAYS, REFRESH_DAYS, ACCESS_MINUTES),
    *(THROTTLE_PERCENT, IP_RETENTION_DAYS, MFA_TRUST_DAYS, ERASURE_WAIT_DAYS),
)

PERMISSION_PROVE = Permission(
    "identity.session.prove",
    "Prove anew who acts in one's own session of the console, and end it.",
    roles=("finance", "races", "quests", "store", "support", "moderator", "marketing", "analyst", "auditor"),
)
PERMISSION_READ = Permission(
    "identity.user.read", "Look up accounts, their sessions and their history.", roles=("support", "auditor")
)
PERMISSION_END_SESSION = Permission("identity.session.end", "Sign somebody out.", roles=("support",))
PERMISSION_CORRECT = Permission(
    "identity.user.edit", "Correct the shown name, country and language of accounts.", roles=("support",)
)
PERMISSION_INVITE = Permission("identity.user.invite", "Invite people to make an account.", roles=("support",))
PERMISSION_SUSPEND = Permission(
    "identity.user.suspend", "Suspend accounts and let them in again.", roles=("support", "moderator")
)
PERMISSION_REVEAL = Permission(
    "identity.user.reveal", "Read sealed values of accounts, one by one and with a reason.", roles=("support",)
)
PERMISSION_NOTE = Permission(
    "identity.user.note", "Write notes about accounts for others of the staff.", roles=("support", "moderator")
)
PERMISSION_IMPERSONATE = Permission(
    "identity.user.impersonate", "Look at the pages as a player sees them, and change nothing.", roles=("support",)
)
PERMISSION_RESET_FACTORS = Permission(
    "identity.mfa.reset", "Propose and agree that somebody's lost second factors are removed.", roles=("support",)
)
PERMISSION_GRANT = Permission("identity.role.grant", "Give and take roles one holds oneself.")
PERMISSION_ROLE_EDIT = Permission("identity.role.edit", "Make roles of the house, change and remove them.")
PERMISSION_GRANT_OWNER = Permission("identity.role.grant_owner", "Make owners and finance.", owner_only=True)
PERMISSION_EMAIL_RULE = Permission("identity.email_rule.edit", "Decide which addresses may register.")
PERMISSION_EMAIL_BYPASS = Permission(
    "identity.email_rule.bypass", "Invite people at addresses that the e-mail rules refuse."
)
PERMISSION_PRIVACY = Permission(
    "identity.privacy.manage",
    "See who wants a copy of his data or to be erased, and set a failed step going.",
    roles=("support",),
)
PERMISSION_EXCLUSION = Permission(
    "identity.exclusion.set",
    "Look up breaks from playing, set one, and propose to undo a mistaken one.",
    roles=("support", "moderator"),
)
PERMISSION_EXCLUSION_UNDO = Permission("identity.exclusion.undo", "Decide that a mistaken break is undone.")
PERMISSION_DOCUMENT = Permission("identity.document.publish", "Publish what players are asked to accept.")
PERMISSIONS = (
    PERMISSION_DOCUMENT,
    *(PERMISSION_PRIVACY, PERMISSION_EXCLUSION, PERMISSION_EXCLUSION_UNDO),
    PERMISSION_PROVE,
    PERMISSION_READ,
    PERMISSION_END_SESSION,
    *(PERMISSION_CORRECT, PERMISSION_SUSPEND, PERMISSION_REVEAL, PERMISSION_NOTE, PERMISSION_IMPERSONATE),
    PERMISSION_GRANT,
    *(PERMISSION_GRANT_OWNER, PERMISSION_ROLE_EDIT, PERMISSION_RESET_FACTORS),
    *(PERMISSION_EMAIL_RULE, PERMISSION_EMAIL_BYPASS, PERMISSION_INVITE),
)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user who is about to exist, everything judged. `registered_with` is None when an operator made the account.

    Country and city are where he seems to be, unless he says where he lives.
    """

    id: UserId
    username: str
    display_name: str
    kind: UserKind
    status: UserStatus
    registered_with: AuthMethod | None
    locale: str
    time_zone: str
    board_name: BoardName
    created_at: datetime
    activated_at: datetime | None
    country: str | None = None
    city: str | None = None
    country_source: CountrySource = "geo"


@dataclass(frozen=True, slots=True)
class User:
    """A user as he and the operators see him."""

    id: UserId
    username: str
    display_name: str
    kind: UserKind
    status: UserStatus
    registered_with: AuthMethod | None
    locale: str
    time_zone: str
    country: str | None
    country_source: CountrySource | None
    city: str | None
    board_name: BoardName
    created_at: datetime
    activated_at: datetime | None
    version: int


Born: TypeAlias = tuple[datetime, UserId]  # when an account was made, and whose: what orders accounts
Sought: TypeAlias = Literal["name", "id", "email", "phone", "ip"]


@dataclass(frozen=True, slots=True)
class Contact:
    """An address or a number of a user as staff see it: that there is one, never which."""

    id: UUID
    is_primary: bool
    verified_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SeenFrom:
    """A network address that a user came from, still sealed: when first and last, and how often."""

    id: UUID
    first_kind: str
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An account as staff see it: what stands in its rows, and which sealed values there are."""

    user: User
    suspension: "Suspension"
    contacts: tuple[Contact, ...]
    phones: tuple[Contact, ...]
    seen_from: tuple[SeenFrom, ...]
    has_full_name: bool
    has_birth_date: bool
    has_password: bool
    must_change_password: bool
    has_second_factor: bool
    recovery_codes_left: int
    last_login_at: datetime | None
    avatar_key: str | None


@dataclass(frozen=True, slots=True)
class FactorReset:
    """That all second factors of somebody are to go at an instant, unless it is cancelled before."""

    id: UUID
    user_id: UserId
    created_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody of the staff wrote about an account."""

    id: UUID
    user_id: UserId
    author_id: UserId
    body: str
    created_at: datetime


SealedField: TypeAlias = Literal["email", "phone", "full_name", "birth_date", "ip"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value of somebody: its name, and the row it lies in where there are several."""

    user_id: UserId
    name: SealedField
    row_id: UUID | None


@dataclass(frozen=True, slots=True)
class Revealed:
    """A sealed value that somebody of the staff may read until an instant."""

    name: SealedField
    row_id: UUID | None
    until: datetime
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Correction:
    """What staff put right of an account; None stays as it is."""

    display_name: str | None = None
    country: str | None = None
    locale: str | None = None
    board_name: BoardName | None = None
    must_change_password: bool | None = None


@dataclass(frozen=True, slots=True)
class Suspension:
    """How an account stands: why and until when it is suspended (None: until somebody lifts it), if it is."""

    user_id: UserId
    username: str
    status: UserStatus
    reason: str | None
    until: datetime | None
    is_staff: bool


@dataclass(frozen=True, slots=True)
class Card:
    """What everybody may know of a user; `board_name` says how much of the name a board shows."""

    id: UserId
    username: str
    display_name: str
    board_name: BoardName
    status: UserStatus
    created_at: datetime
    avatar_key: str | None = None


@dataclass(frozen=True, slots=True)
class Residence:
    """Where a user says he lives."""

    id: UserId
    country: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from the rows of a user: his address and name sealed, his proofs, his last sign-in."""

    email_id: EmailId | None
    address: bytes | None
    verified_at: datetime | None
    full_name: bytes | None
    birth_date: bytes | None
    is_admin: bool
    has_password: bool
    has_totp: bool
    has_passkey: bool
    recovery_codes_left: int
    zones: list[str]
    zones_from: list[datetime]
    last_login_at: datetime | None
    telegram_id: int | None
    avatar_key: str | None
    must_change_password: bool


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """From when on a zone is somebody's."""

    valid_from: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class LocalDay:
    """Which day it is for somebody, and in which zone."""

    zone: str
    date: date


@dataclass(frozen=True, slots=True)
class Me:
    """A user as he sees himself."""

    user: User
    email: str | None
    is_email_verified: bool
    full_name: str | None
    born: date | None
    is_admin: bool
    has_password: bool
    has_totp: bool
    has_passkey: bool
    recovery_codes_left: int
    last_login_at: datetime | None
    today: LocalDay
    ways: tuple[AuthMethod, ...] = ()
    telegram_id: int | None = None
    avatar_key: str | None = None

    @property
    def has_second_factor(self) -> bool:
        """Is a password alone not enough?"""
        return self.has_totp or self.has_passkey


@dataclass(frozen=True, slots=True)
class Visitor:
    """From where somebody comes: his address, his program, and the device he showed, if any."""

    ip: str
    user_agent: str = ""
    device_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """An address as it is looked up: itself, the network it lies in (/24, IPv6 /64), and where it is if we know."""

    ip: bytes
    net: bytes
    country: str | None = None
    city: str | None = None


@dataclass(frozen=True, slots=True)
class EmailRow:
    """An address of a user, sealed; `bidx` finds it, and `bidx_next` while the keys of indexes change."""

    id: EmailId
    user_id: UserId
    address: bytes
    bidx: bytes
    bidx_next: bytes | None
    verified_at: datetime | None
    locale: str
    username: str
    status: UserStatus

    @property
    def known(self) -> list[bytes]:
        """Every index that a row of this address may have now."""
        return [self.bidx] if self.bidx_next is None else [self.bidx, self.bidx_next]


@dataclass(frozen=True, slots=True)
class Email:
    """An address of a user as he sees it; the primary one is written to."""

    id: EmailId
    address: str
    is_primary: bool
    verified_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Application:
    """What somebody fills in to get an account."""

    username: str
    email: str
    password: str = field(repr=False)
    full_name: str | None = None
    display_name: str | None = None
    locale: str = "en"
    time_zone: str = "UTC"
    referral_code: str | None = None
    consents: Consents = ()
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An account that waits for whoever was invited, under a drawn name until he chooses his."""

    user_id: UserId
    username: str
    invited_at: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody who registers is told: by what he is known with the link; where that may wait, he is in."""

    told: str
    session: "SignedIn | None" = None


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is stored of a password: its hash as a PHC string, and the pepper it was mixed with before, if any."""

    phc: str
    pepper_id: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose proof is judged: his stored hash, and what stands behind it. Nobody has none of all that."""

    user_id: UserId
    username: str
    status: UserStatus
    hash: str | None
    pepper_id: int | None
    changed_at: datetime | None
    must_change: bool
    has_second_factor: bool
    is_staff: bool


@dataclass(frozen=True, slots=True)
class Failures:
    """How often it went wrong lately, and when last."""

    count: int
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was written down as failed and is being judged. `wait_s` says that it is not judged at all."""

    at: datetime
    id: UUID
    account: Account | None
    device_id: DeviceId | None
    wait_s: int | None = None


@dataclass(frozen=True, slots=True)
class Lives:
    """Until when a session lives if nobody uses it, and at most."""

    idle_at: datetime
    absolute_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it is stored; `token_hash` is None for whoever holds tokens."""

    id: SessionId
    user_id: UserId
    kind: SessionKind
    token_hash: bytes | None
    device_id: DeviceId
    method: AuthMethod
    created_at: datetime
    lives: Lives
    step_up_at: datetime | None
    mfa_at: datetime | None
    ip: bytes
    network: Network
    user_agent: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an app holds: the access token goes with each call, the refresh token buys the next pair."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session, with what the caller must keep: a cookie for browsers, tokens for apps, and the device's key.

    Staff who look as a player come on no device of his.
    """

    session_id: SessionId
    user_id: UserId
    kind: SessionKind
    expires_at: datetime
    device_id: DeviceId | None
    device_key: str = field(repr=False)
    cookie: str | None = field(default=None, repr=False)
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True)
class SecondFactorDue:
    """The password was right and is not enough; the ticket is good for five minutes."""

    ticket: str = field(repr=False)
    factors: tuple[FactorKind, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows of who it is: a cookie (of the console or of the players), or a bearer token.

    Whoever showed a ticket of ours is known by the id of the session or API token that he got it with.
    """

    kind: Literal["cookie", "bearer", "session", "api_token"]
    token: str = field(repr=False)
    is_console: bool = False
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a session or API token that was shown. `is_service` is a program's token.

    `impersonator_id` is who of the staff looks as the user, and `impersonation_reason` why. `lent` is what he may do of
    one thing alone: `competition:<id> competitions.score.adjust`.
    """

    session_id: SessionId | None
    token_id: TokenId | None
    user_id: UserId
    kind: SessionKind
    status: UserStatus
    permissions: list[str]
    scopes: list[str] | None
    ip_allow: list[str]
    mfa_at: datetime | None
    proved_at: datetime | None
    last_seen_at: datetime
    idle_expires_at: datetime
    absolute_expires_at: datetime
    token_expires_at: datetime
    ended_at: datetime | None
    must_change: bool = False
    is_service: bool = False
    impersonator_id: UserId | None = None
    impersonation_reason: str | None = None
    display_name: str = ""
    lent: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RefreshRow:
    """A refresh token that was shown, with its session."""

    id: UUID
    session_id: SessionId
    user_id: UserId
    generation: int
    expires_at: datetime
    used_at: datetime | None
    ended_at: datetime | None
    absolute_expires_at: datetime
    device_hash: bytes | None
    status: UserStatus
    is_staff: bool
    is_successor_used: bool
    successor_access_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """An open session as its owner and staff see it."""

    id: SessionId
    kind: SessionKind
    device: str
    method: AuthMethod
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    country: str | None
    city: str | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A device somebody has signed in on; until `mfa_trusted_until` it stands for his second factor."""

    id: DeviceId
    label: str
    platform: Platform | None
    first_seen_at: datetime
    last_seen_at: datetime
    mfa_trusted_until: datetime | None
    sessions: int
    is_current: bool


@dataclass(frozen=True, slots=True)
class SeenAddress:
    """An address somebody came from: first and last time, how often, what for at first, and where it is.

    The address itself is forgotten after a while.
    """

    id: UUID
    ip: str | None
    country: str | None
    city: str | None
    first_kind: NetworkKind
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int


@dataclass(frozen=True, slots=True)
class LogInsWanted:
    """Which attempts of somebody are wanted: in `[since, until)`, with these outcomes; none named: with any."""

    since: datetime | None = None
    until: datetime | None = None
    outcomes: Sequence[Outcome] = ()


@dataclass(frozen=True, slots=True)
class LogIn:
    """One attempt to sign in, as its owner and staff see it; without a method staff looked, and nobody signed in."""

    at: datetime
    id: UUID
    outcome: Outcome
    method: AuthMethod | None
    device: str
    ip: str | None
    country: str | None
    city: str | None
    is_known_device: bool


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token as it is listed: never its secret."""

    id: TokenId
    user_id: UserId
    name: str
    prefix: str
    last4: str
    scopes: list[str]
    ip_allow: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenUse:
    """A live API token as staff see it: whose it is, what it may do, and when it was last used."""

    id: TokenId
    user_id: UserId
    is_service: bool
    name: str
    prefix: str
    last4: str
    scopes: list[str]
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose an API token is."""

    id: TokenId
    user_id: UserId


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """How many live API tokens have a scope, and when one of them was last used."""

    scope: str
    tokens: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token that was just made; `secret` is shown this once."""

    token: ApiToken
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Role:
    """What a role lets its bearers do; with `mfa_required` only after a second factor. The program says what `builtin`
    ones hold.
    """

    name: str
    title: str
    permissions: list[str]
    mfa_required: bool
    builtin: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """A role somebody holds, everywhere or of one thing alone."""

    id: UUID
    user_id: UserId
    role: str
    granted_by: UUID | None
    reason: str
    granted_at: datetime
    expires_at: datetime | None
    object_kind: ObjectKind | None = None
    object_id: UUID | None = None

    @property
    def of(self) -> Object | None:
        """The one thing that it is held of."""
        return Object(self.object_kind, self.object_id) if self.object_kind and self.object_id else None


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who owns the house now; `is_lasting` says that his grant does not run out."""

    user_id: UserId
    is_lasting: bool


@dataclass(frozen=True, slots=True)
class EmailRule:
    """One rule of the e-mail policy; the lowest position that knows an address decides."""

    id: UUID
    position: int
    action: Allowance
    kind: RuleKind
    pattern: str
    note: str
    enabled: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True)
class DomainList:
    """Domains that an operator has loaded from a file: a rule of kind `domain_file` names the list."""

    name: str
    domains: int
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """That a domain stands in a list."""

    list: str
    domain: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that waits for its first code: the secret to type, and the address for a picture."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it; one that is backed up is kept in several places."""

    id: PasskeyId
    credential_id: bytes
    name: str
    is_backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """A passkey as its signature is judged."""

    id: PasskeyId
    user_id: UserId
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A link that was mailed or printed, and whom it is for."""

    id: UUID
    user_id: UserId
    purpose: TokenPurpose
    target_bidx: bytes
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlayTerms:
    """What the house asks of players, as of an instant: `min_age` in years (0: nothing), and where not from."""

    min_age: int
    blocked_countries: frozenset[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A time in which somebody is not to do some things; `ends_at` is None for ever. Without `created_by` he set it."""

    id: UUID
    user_id: UserId
    kind: ExclusionKind
    activities: tuple[PlayActivity, ...]
    starts_at: datetime
    ends_at: datetime | None
    created_by: UserId | None = None
    return_requested_at: datetime | None = None
    lifted_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewExclusion:
    """What somebody is not to do, and until when (None: for ever)."""

    kind: ExclusionKind
    activities: tuple[PlayActivity, ...]
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Player:
    """What decides whether somebody may play: his account, what he has not accepted, where and how old he is."""

    user_id: UserId
    status: UserStatus
    suspended_until: datetime | None
    country: str | None
    has_contact: bool
    missing: tuple[str, ...] = ()
    born: date | None = None
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True)
class Friend:
    """What somebody is to a user, from the user's side, and since when."""

    user_id: UserId
    friend_id: UserId
    state: FriendState
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Pair:
    """What two people are to each other: what stands in the row of each, None without one."""

    mine: FriendState | None
    theirs: FriendState | None


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Somebody else as a player reads him: what everybody may know, and what the two are to each other."""

    user_id: UserId
    name: str
    member_since: datetime
    state: FriendState | None
    changed_at: datetime | None
    avatar_key: str | None = None


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """What somebody asks of his own data. A copy that is ready can be fetched until `expires_at`.

    `due_at` is when it begins, `status_before` what an account that closes goes back to.
    """

    id: UUID
    user_id: UserId
    kind: PrivacyKind
    state: PrivacyState
    requested_at: datetime
    confirmed_at: datetime | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    status_before: UserStatus | None = None
    file_key: str | None = None
    file_secret: bytes | None = field(default=None, repr=False)
    file_bytes: int | None = None
    sha256: bytes | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PrivacyStep:
    """How far one module is with a request; `error_code` says what went wrong last."""

    request_id: UUID
    section: str
    position: int
    attempts: int
    rows: int | None
    error_code: str | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PrivacyCard:
    """A request with how far each module is."""

    request: PrivacyRequest
    steps: tuple[PrivacyStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A version of what people are asked to accept, in one language."""

    key: str
    version: int
    locale: str
    body: str
    sha256: bytes
    acceptance_required: bool
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """That somebody accepted a version of a document, where, and whether he took it back."""

    document_key: str
    version: int
    given_at: datetime
    withdrawn_at: datetime | None
    source: ConsentSource


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a document as staff see it, with the languages there are of it."""

    key: str
    version: int
    locales: list[str]
    acceptance_required: bool
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Needed:
    """A document that whoever registers must accept: its newest version, and from which on a consent counts."""

    key: str
    version: int
    needed: int
    title: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A document that somebody is asked to accept: its newest version, and which he has accepted."""

    key: str
    version: int
    needed: int
    accepted: int | None


@dataclass(frozen=True, slots=True)
class TelegramUser:
    """Somebody as Telegram calls him; his number there is longer than 32 bits, and he may have no name."""

    telegram_id: int
    username: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class TelegramRow:
    """A Telegram account that was met; without `user_id` it belongs to nobody here."""

    id: UUID
    telegram_id: int
    telegram_username: str | None
    user_id: UserId | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """A number of a user, sealed."""

    id: UUID
    user_id: UserId
    number: bytes
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExternalRow:
    """An account at a provider that opens the user's account here."""

    id: UUID
    user_id: UserId
    provider: str
    linked_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Something outside that opens an account here: a provider's, Telegram's (its number as text), a telephone."""

    id: UUID
    provider: str
    name: str
    linked_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Challenge:
    """A short code that waits to be typed; its number is sealed."""

    id: UUID
    user_id: UserId | None
    purpose: CodePurpose
    target: bytes | None
    target_bidx: bytes
    telegram_id: int | None
    code_hash: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """Somebody who is away at a provider; the verifier is sealed."""

    id: UUID
    provider: str
    nonce: str
    pkce_verifier: bytes
    browser_hash: bytes
    return_path: str
    intent: FlowIntent
    user_id: UserId | None
    consents: dict[str, int] = field(default_factory=dict)  # what he accepts if he turns out to be new


@dataclass(frozen=True, slots=True)
class Departure:
    """Where somebody is sent to be vouched for, and what his browser keeps until he comes back."""

    address: str
    browser_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Who came back: with a session, with a second factor due, or with an account that is linked now (None)."""

    entered: SignedIn | SecondFactorDue | None
    return_path: str


@dataclass(frozen=True, slots=True)
class LinkOffer:
    """Where somebody presses a button to have his Telegram account linked, and until when."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Vouching:
    """Whom a provider has vouched for, as a use case takes it: never more than it says."""

    provider: str
    subject: str = field(repr=False)
    email: str | None = field(repr=False)
    is_email_verified: bool
    nonce: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reach:
    """Where somebody can be written to: what is proven of him, and does not turn letters or messages away.

    The address that he chose comes first.
    """

    emails: tuple[str, ...] = ()
    phone: str | None = None
    telegram_id: int | None = None


FactName: TypeAlias = Literal["country", "locale", "time_zone", "age_band", "registered_at", "last_active_at"]
Facts: TypeAlias = dict[FactName, "str | datetime | None"]
AgeBand: TypeAlias = Literal["0-15", "16-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+", "undisclosed"]
SignalKind: TypeAlias = Literal["ip_net", "device", "email_normal"]


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that accounts of one person may have in common: keyed, so that it tells nothing but that."""

    user_id: UserId
    kind: SignalKind
    value: bytes
    first_at: datetime
    last_at: datetime
