"""How people and their proofs look from outside: what calls take, and what they answer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, StrictInt, StrictStr, StringConstraints

from palio.identity.types import (
    Acquaintance,
    ApiToken,
    Application,
    AuthMethod,
    BoardName,
    Client,
    Consents,
    Device,
    Email,
    Enrolment,
    ExclusionKind,
    ExclusionLength,
    FriendState,
    Identity,
    LogIn,
    Me,
    NetworkKind,
    NewApiToken,
    Outcome,
    Passkey,
    Platform,
    PlayActivity,
    SeenAddress,
    Session,
    SessionKind,
    SignedIn,
    Tokens,
)
from palio.ui.bodies import Body
from palio.ui.values import Blank, Instant

Line = Annotated[str, StringConstraints(strict=True, max_length=300)]  # rules say what is wrong with it
Word = Annotated[str, StringConstraints(strict=True, max_length=1_024)]


AVATAR_CHARACTERS_MAX = 2_900_000  # two MiB, written as Base64


class ConsentGiven(Body):
    """A document that an applicant has read and accepts, in this version."""

    document: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    version: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class Newcomer(Body):
    """What somebody accepts if he turns out to have no account yet."""

    consents: Annotated[list[ConsentGiven], Field(max_length=100)] = Field(default_factory=list)

    @property
    def given(self) -> Consents:
        """The documents, and which version of each."""
        return tuple((one.document, one.version) for one in self.consents)


class NewPerson(Newcomer):
    """What somebody says of himself who is to get an account."""

    username: Line
    password: Word
    full_name: Line | None = None
    display_name: Line | None = None
    locale: Line = "en"
    time_zone: Line = "UTC"
    country: Line | None = None
    referral_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{1,40}$")] | None = None


class AcceptInvitation(NewPerson):
    """Who comes by an invitation, with the secret of the mailed link."""

    token: Line

    def application(self) -> Application:
        """What the house judges; the address is that of the letter."""
        return Application(**self.model_dump(exclude={"token", "consents"}), email="", consents=self.given)


class Register(NewPerson):
    """An application for an account. A browser is known again by a cookie, an app by what the answer says."""

    email: Line
    client: Client = "browser"

    def application(self) -> Application:
        """What the house judges."""
        return Application(**self.model_dump(exclude={"client", "consents"}), consents=self.given)


class VerifyEmail(Body):
    """The secret of the mailed link, and who opens it: by the cookie, by what an app was told, or by the password."""

    token: Line
    registration: Line | None = None
    password: Word | None = None


class Address(Body):
    """Where to write to."""

    email: Line


class LogInBy(Body):
    """Name or address, and password. The console has its own session."""

    identifier: Line
    password: Word
    client: Client = "browser"
    console: bool = False

    @property
    def kind(self) -> SessionKind:
        return "console" if self.console else self.client


Encoded = Annotated[str, StringConstraints(strict=True, max_length=20_000, pattern=r"^[A-Za-z0-9_-]*$")]  # base64url


class OfAuthenticator(BaseModel):
    """What authenticators and browsers say; what we do not ask of it is left alone."""

    model_config = ConfigDict(extra="ignore")


class Made(OfAuthenticator):
    """The answer of an authenticator that has made a passkey, as browsers write it."""

    clientDataJSON: Encoded  # noqa: N815 - WebAuthn calls it so
    attestationObject: Encoded  # noqa: N815
    transports: Annotated[list[Line], Field(max_length=10)] = []


class Signed(OfAuthenticator):
    """The answer of an authenticator that has signed, as browsers write it."""

    clientDataJSON: Encoded  # noqa: N815
    authenticatorData: Encoded  # noqa: N815
    signature: Encoded
    userHandle: Encoded | None = None  # noqa: N815


class PasskeyMade(OfAuthenticator):
    """A passkey that was just made: `PublicKeyCredential.toJSON()`."""

    id: Encoded
    rawId: Encoded  # noqa: N815
    type: Literal["public-key"]
    response: Made


class PasskeySigned(OfAuthenticator):
    """What a passkey has signed: `PublicKeyCredential.toJSON()`."""

    id: Encoded
    rawId: Encoded  # noqa: N815
    type: Literal["public-key"]
    response: Signed


class EnterByPasskey(Body):
    """What a passkey has signed, and what it opens."""

    credential: PasskeySigned
    client: Client = "browser"
    console: bool = False

    @property
    def kind(self) -> SessionKind:
        return "console" if self.console else self.client


class NewPasskey(Body):
    """The passkey that an authenticator has made, and what its owner calls it."""

    credential: PasskeyMade
    name: Line


class PasskeyForm(Body):
    """Which passkey is to go."""

    passkey_id: UUID


class SecondFactor(Body):
    """The ticket that came instead of a session, and a code of the authenticator, a recovery code or a passkey."""

    ticket: Line
    code: Line = ""
    passkey: PasskeySigned | None = None
    trust_device: bool = False


class Proof(Body):
    """A fresh proof: a code or a passkey where there is a second factor, else the password."""

    secret: Word = ""
    passkey: PasskeySigned | None = None


class Refresh(Body):
    """The refresh token of an app; the header `Palio-Device` names the device."""

    refresh_token: Line


class NewPassword(Body):
    """The secret of a link, and the password it is to set."""

    token: Line
    password: Word


class ChangePassword(Body):
    """The present password, and the new one."""

    current: Word
    password: Word


class Profile(Body):
    """What a player says of himself; what is absent stays."""

    display_name: Line | None = None
    board_name: BoardName | None = None
    locale: Line | None = None
    birth_date: date | None = None  # like the country: once said, it stands
    country: Line | None = None


class MakeToken(Body):
    """A token for a program: what it is called and good for, how long, and from where."""

    name: Line
    scopes: Annotated[list[StrictStr], Field(max_length=50)]
    days: StrictInt = 90
    networks: Annotated[list[StrictStr], Field(max_length=20)] = Field(default_factory=list)


class Code(Body):
    """The first code of an authenticator."""

    code: Line


class NewUsername(Body):
    """What somebody wants to be called from now on."""

    username: Line


class NewTimeZone(Body):
    """The zone that somebody wants his days to be in, by its IANA name."""

    time_zone: Line


class EmailLink(Body):
    """The secret of the link that was mailed to a new address."""

    token: Line


class EmailForm(Body):
    """Which address an act is about."""

    email_id: UUID


class LeakedToken(Body):
    """A token that somebody found."""

    token: Line


class PhoneNumber(Body):
    """Where a code is to go."""

    number: Line


class PhoneCode(PhoneNumber):
    """The code that came to a number."""

    code: Line


class PhoneSignIn(PhoneCode, Newcomer):
    """The same, and who asks: a browser gets a cookie, an app tokens."""

    client: Client = "browser"


class LoginLink(Body):
    """The secret of a mailed link that opens an account."""

    token: Line
    client: Client = "browser"


Token = Annotated[str, StringConstraints(strict=True, max_length=16_384)]


class IdToken(Newcomer):
    """The ID token that an app got from a provider, and the nonce it asked for it with."""

    id_token: Token
    nonce: Line
    client: Client = "app"


class LinkIdToken(Body):
    """The same, to link that account to one's own."""

    provider: Line
    id_token: Token
    nonce: Line


class MiniApp(Newcomer):
    """What Telegram told a Mini App, as it told it."""

    init_data: Annotated[str, StringConstraints(strict=True, max_length=4_096)]
    client: Client = "app"


WidgetFields = Annotated[dict[Annotated[str, StringConstraints(max_length=40)], Word | StrictInt], Field(max_length=20)]


class Widget(Newcomer):
    """What the Login Widget of Telegram handed to a page, as it handed it."""

    fields: WidgetFields
    client: Client = "browser"


# the forms of pages


class Onward(Body):
    """A form that leads on to what somebody wanted to see."""

    wanted: Annotated[Line, Field(alias="next")] = "/"


class PhoneForm(Onward):
    """Where a code is to go, and where somebody goes on to."""

    number: Line


ACCEPTED = r"^[a-z][a-z0-9-]{1,39}:[1-9][0-9]{0,5}$"  # a document and its version, as pages send them
Accepted = Annotated[list[Annotated[str, Field(pattern=ACCEPTED)]], Field(max_length=100)]


def given_by(accept: Sequence[str]) -> Consents:
    """The documents that a page says are accepted, and which version of each."""
    return tuple((key, int(version)) for key, _, version in (one.partition(":") for one in accept))


class Accepting(Body):
    """A form of a page that may come with what somebody accepts."""

    accept: Accepted = Field(default_factory=list)


class PhoneCodeForm(PhoneForm, Accepting):
    """The code that came to a number."""

    code: Line


class LinkForm(Onward):
    """Where a link that opens an account is to go."""

    email: Line


class UnlinkForm(Body):
    """Which account outside no longer opens this one."""

    identity_id: UUID


class WidgetForm(Onward, Accepting):
    """What Telegram handed to the page behind its own: a JSON object in base64url."""

    result: Annotated[str, StringConstraints(max_length=4_096)]


class SignUp(Accepting):
    """What the form of an application asks for."""

    username: Line
    email: Line
    password: Word

    def application(self, locale: str) -> Application:
        """What the house judges."""
        return Application(self.username, self.email, self.password, locale=locale, consents=given_by(self.accept))


class InvitedForm(Accepting):
    """Name and password of somebody who was invited."""

    username: Line
    password: Word

    def application(self, locale: str) -> Application:
        """What the house judges; the address is that of the letter."""
        return Application(self.username, "", self.password, locale=locale, consents=given_by(self.accept))


class ProveEmail(Body):
    """Who opens the link in a browser that is not known."""

    password: Word = ""


class OneNewPassword(Body):
    """The password that a link sets."""

    password: Word


class Credentials(Onward):
    """Name or address, and password."""

    identifier: Line
    password: Word


class CodeOfTicket(Onward):
    """The ticket that came instead of a session, and a code."""

    ticket: Line
    code: Line
    trust_device: bool = False
    factors: Line = ""


class ProofThen(Onward):
    """A fresh proof, and where it is wanted for."""

    secret: Word


class ProfileForm(Body):
    """What the page of the profile asks for; `version` is the one that was seen."""

    display_name: Line
    locale: Line
    version: int


class AboutForm(Body):
    """When somebody was born and where he lives; `version` is the one that was seen."""

    birth_date: Annotated[date | None, Blank] = None
    country: Annotated[Line | None, Blank] = None
    version: int


class PrivacyForm(Body):
    """How much of the name boards show."""

    board_name: BoardName
    version: int


class PasswordForm(Body):
    """The present password, and the new one."""

    current: Word
    password: Word


class SessionForm(Body):
    """Which session is to end."""

    session_id: UUID


class DeviceForm(Body):
    """Which device is to be forgotten."""

    device_id: UUID


class TokenForm(Body):
    """A token for a program, and what it is good for."""

    name: Line
    days: int
    scopes: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)


class RevokeForm(Body):
    """Which token is to end."""

    token_id: UUID


class TakeBreak(Body):
    """For how long: hours or days (a time-out), months, years or for ever (a self-exclusion)."""

    length: ExclusionLength


@dataclass(frozen=True, slots=True)
class ExclusionAnswer:
    """A break from playing. Without an end it lasts for ever; a self-exclusion also until a day after `return`."""

    id: UUID
    kind: ExclusionKind
    activities: list[PlayActivity]
    starts_at: Instant
    ends_at: Instant | None
    set_by: Literal["player", "house"]
    is_on: bool
    return_requested_at: Instant | None


@dataclass(frozen=True, slots=True)
class ExclusionsAnswer:
    """Breaks from playing, the newest first."""

    items: list[ExclusionAnswer]


class AskForFriend(Body):
    """Who is to be a friend."""

    user_id: UUID


class FriendForm(AskForFriend):
    """Whom an act is about, and the search that showed him."""

    q: Annotated[str, StringConstraints(max_length=80)] = ""


def address_of_avatar(key: str | None) -> str | None:
    """Where the picture of somebody is read, if he shows one."""
    return f"/media/{key}" if key else None


class SendAvatar(Body):
    """A JPEG, PNG or WebP of at most 2 MiB, as Base64."""

    picture: Annotated[Base64Bytes, Field(max_length=AVATAR_CHARACTERS_MAX)]


@dataclass(frozen=True, slots=True)
class AvatarAnswer:
    """Where one's picture is read; null where there is none."""

    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class PlayerCardAnswer:
    """What everybody may know of a player. `display_name` is as much of his name as he shows."""

    id: UUID
    display_name: str
    member_since: Instant
    avatar_url: str | None = None

    @classmethod
    def of(cls, one: Acquaintance) -> "PlayerCardAnswer":
        return cls(one.user_id, one.name, one.member_since, address_of_avatar(one.avatar_key))


@dataclass(frozen=True, slots=True)
class PlayerCards:
    """Players whose user name begins so, by name."""

    items: list[PlayerCardAnswer]


@dataclass(frozen=True, slots=True)
class FriendAnswer:
    """Somebody else, and what he is to you: `asked` you, you are `asking` him, `accepted` by both, `blocked` by you."""

    user_id: UUID
    display_name: str
    member_since: Instant
    state: FriendState | None
    since: Instant | None
    avatar_url: str | None = None

    @classmethod
    def of(cls, one: Acquaintance) -> "FriendAnswer":
        picture = address_of_avatar(one.avatar_key)
        return cls(one.user_id, one.name, one.member_since, one.state, one.changed_at, picture)


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, or on its way; whether anybody has the address is not said."""

    status: Literal["accepted", "done"] = "accepted"


@dataclass(frozen=True, slots=True)
class Registered:
    """The application is taken. `registration` is what an app shows with the link; a browser has it as a cookie.

    `session` is there where the proof of the address may wait.
    """

    status: Literal["accepted"]
    registration: str | None
    session: "SessionBegun | None" = None


@dataclass(frozen=True, slots=True)
class TokensAnswer:
    """What an app holds."""

    access_token: str
    refresh_token: str
    access_expires_at: Instant

    @classmethod
    def of(cls, tokens: Tokens) -> "TokensAnswer":
        return cls(tokens.access_token, tokens.refresh_token, tokens.access_expires_at)


@dataclass(frozen=True, slots=True)
class SessionBegun:
    """A session; a browser has it as a cookie."""

    id: UUID
    kind: SessionKind
    expires_at: Instant
    tokens: TokensAnswer | None

    @classmethod
    def of(cls, session: SignedIn) -> "SessionBegun":
        tokens = TokensAnswer.of(session.tokens) if session.tokens else None
        return cls(session.session_id, session.kind, session.expires_at, tokens)


@dataclass(frozen=True, slots=True)
class MeAnswer:
    """Who is signed in, as he sees himself; `included` is what he asked to be told besides, by its name."""

    id: UUID
    username: str
    display_name: str
    full_name: str | None
    email: str | None
    email_verified: bool
    status: str
    is_active: bool
    is_admin: bool
    board_name: BoardName
    locale: str
    time_zone: str
    local_date: date
    country: str | None
    city: str | None
    birth_date: date | None
    auth_methods: list[AuthMethod]
    telegram_verified: bool
    telegram_id: str | None
    has_second_factor: bool
    recovery_codes_left: int
    last_login_at: Instant | None
    created_at: Instant
    version: int
    avatar_url: str | None = None
    included: Mapping[str, Sequence[object]] = field(default_factory=dict)

    @classmethod
    def of(cls, me: Me, opened: Collection[AuthMethod]) -> "MeAnswer":
        user = me.user
        return cls(
            user.id,
            user.username,
            user.display_name,
            me.full_name,
            me.email,
            me.is_email_verified,
            user.status,
            user.status == "active",
            me.is_admin,
            user.board_name,
            user.locale,
            me.today.zone,
            me.today.date,
            user.country,
            user.city,
            me.born,
            [way for way in me.ways if way in opened],
            "telegram" in me.ways,
            None if me.telegram_id is None else str(me.telegram_id),
            me.has_second_factor,
            me.recovery_codes_left,
            me.last_login_at,
            user.created_at,
            user.version,
            address_of_avatar(me.avatar_key),
        )


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """An open session."""

    id: UUID
    kind: SessionKind
    device: str
    method: AuthMethod
    ip: str | None
    country: str | None
    city: str | None
    created_at: Instant
    last_seen_at: Instant
    expires_at: Instant
    is_current: bool

    @classmethod
    def of(cls, one: Session) -> "SessionAnswer":
        return cls(
            one.id,
            one.kind,
            one.device,
            one.method,
            one.ip,
            one.country,
            one.city,
            one.created_at,
            one.last_seen_at,
            one.expires_at,
            one.is_current,
        )


@dataclass(frozen=True, slots=True)
class LogInAnswer:
    """One attempt to sign in; without a method staff looked as this user, or read a sealed value of his."""

    id: UUID
    at: Instant
    outcome: Outcome
    method: AuthMethod | None
    device: str
    ip: str | None
    country: str | None
    city: str | None
    is_known_device: bool

    @classmethod
    def of(cls, one: LogIn) -> "LogInAnswer":
        return cls(
            one.id,
            one.at,
            one.outcome,
            one.method,
            one.device,
            one.ip,
            one.country,
            one.city,
            one.is_known_device,
        )


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """A device you have signed in on; until `mfa_trusted_until` it stands for your second factor."""

    id: UUID
    label: str
    platform: Platform | None
    first_seen_at: Instant
    last_seen_at: Instant
    mfa_trusted_until: Instant | None
    sessions: int
    is_current: bool

    @classmethod
    def of(cls, one: Device) -> "DeviceAnswer":
        return cls(
            one.id,
            one.label,
            one.platform,
            one.first_seen_at,
            one.last_seen_at,
            one.mfa_trusted_until,
            one.sessions,
            one.is_current,
        )


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices, the last used first."""

    items: list[DeviceAnswer]


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """An address you came from. The address itself is forgotten after a while, what is known of its place is not."""

    id: UUID
    ip: str | None
    country: str | None
    city: str | None
    first_kind: NetworkKind
    first_seen_at: Instant
    last_seen_at: Instant
    seen_count: int

    @classmethod
    def of(cls, one: SeenAddress) -> "AddressAnswer":
        return cls(
            one.id,
            one.ip,
            one.country,
            one.city,
            one.first_kind,
            one.first_seen_at,
            one.last_seen_at,
            one.seen_count,
        )


@dataclass(frozen=True, slots=True)
class ApiTokenAnswer:
    """A token as it is listed. `prefix` and `last4` are what it begins and ends with."""

    id: UUID
    name: str
    prefix: str
    last4: str
    scopes: list[str]
    networks: list[str]
    created_at: Instant
    expires_at: Instant
    last_used_at: Instant | None

    @classmethod
    def of(cls, one: ApiToken) -> "ApiTokenAnswer":
        return cls(
            one.id,
            one.name,
            one.prefix,
            one.last4,
            one.scopes,
            one.ip_allow,
            one.created_at,
            one.expires_at,
            one.last_used_at,
        )


@dataclass(frozen=True, slots=True)
class NewApiTokenAnswer:
    """A token that was just made; `secret` is shown this once."""

    item: ApiTokenAnswer
    secret: str | None

    @classmethod
    def of(cls, made: NewApiToken) -> "NewApiTokenAnswer":
        return cls(ApiTokenAnswer.of(made.token), made.secret)


@dataclass(frozen=True, slots=True)
class EnrolmentAnswer:
    """What an authenticator takes: typed, or drawn as a picture from `address`. It counts after its first code."""

    secret: str | None
    address: str | None

    @classmethod
    def of(cls, enrolment: Enrolment) -> "EnrolmentAnswer":
        return cls(enrolment.secret, enrolment.address)


@dataclass(frozen=True, slots=True)
class TimeZoneAnswer:
    """The zone that was chosen, and from when on days are those of it."""

    time_zone: str
    valid_from: Instant


@dataclass(frozen=True, slots=True)
class EmailAnswer:
    """An address of yours; the primary one is written to."""

    id: UUID
    email: str
    is_primary: bool
    verified_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, one: Email) -> "EmailAnswer":
        return cls(one.id, one.address, one.is_primary, one.verified_at, one.created_at)


@dataclass(frozen=True, slots=True)
class Emails:
    """Addresses, the primary one first."""

    items: list[EmailAnswer]


@dataclass(frozen=True, slots=True)
class PasskeyOptions:
    """What a browser hands to the authenticator: `PublicKeyCredential.parse…OptionsFromJSON(public_key)`."""

    public_key: dict[str, object]


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """A passkey; one that is backed up is kept in several places."""

    id: UUID
    name: str
    is_backed_up: bool
    created_at: Instant
    last_used_at: Instant | None

    @classmethod
    def of(cls, one: Passkey) -> "PasskeyAnswer":
        return cls(one.id, one.name, one.is_backed_up, one.created_at, one.last_used_at)


@dataclass(frozen=True, slots=True)
class Passkeys:
    """Passkeys in the order in which they were made."""

    items: list[PasskeyAnswer]


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """Something outside that opens the account; `provider` is google, apple, oidc:<name>, telegram or phone."""

    id: UUID
    provider: str
    name: str
    linked_at: Instant
    last_used_at: Instant | None

    @classmethod
    def of(cls, one: Identity) -> "IdentityAnswer":
        return cls(one.id, one.provider, one.name, one.linked_at, one.last_used_at)


@dataclass(frozen=True, slots=True)
class Identities:
    """What opens the account from outside, at most one of a kind."""

    items: list[IdentityAnswer]


@dataclass(frozen=True, slots=True)
class Leave:
    """Where somebody goes to be vouched for."""

    location: str


@dataclass(frozen=True, slots=True)
class CameBack:
    """The session of whoever came back from a provider, none where an account was linked; and where he wanted to go."""

    session: SessionBegun | None
    wanted: str


@dataclass(frozen=True, slots=True)
class LinkOfferAnswer:
    """Where somebody opens the bot that links his Telegram account, and until when."""

    url: str
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """Ten codes, each good once; they are shown this once."""

    codes: list[str]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Open sessions, the last used first."""

    items: list[SessionAnswer]


@dataclass(frozen=True, slots=True)
class ApiTokens:
    """Live tokens, the newest first."""

    items: list[ApiTokenAnswer]


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sessions were ended."""

    ended: int


MOMENT = datetime.fromisoformat("2026-03-18T14:05:09.123456+00:00")
EXAMPLE_ID = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
