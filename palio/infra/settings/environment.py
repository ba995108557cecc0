"""What must be known before the database answers: command line, over `PALIO_*`, over `palio.toml`, over default."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "PALIO_"
FILE = Path("palio.toml")
OTHERS = ("PALIO_CHROMIUM", "PALIO_SIM_PUBLIC")  # read by the tests alone; the risk an operator takes
HIDDEN = "***"
SECRET_CHARS_MIN, SECRET_DISTINCT_MIN = 20, 8


class WrongSettingError(Exception):
    """Values nobody could work with; each line names the variable, the value and what it may be."""

    code: ClassVar[str] = "setting.invalid"

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _home() -> Path:
    return Path("/var/lib/palio") if os.geteuid() == 0 else Path.home() / ".local/share/palio"


def _bindable(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= 65_535):  # noqa: PLR2004 - the highest port
        raise ValueError("it must be an address and a port, like 127.0.0.1:8000 or [::1]:8000")
    return value


def _web_address(value: str) -> str:
    found = urlsplit(value)
    if found.scheme not in {"http", "https"} or not found.hostname or found.path.strip("/") or found.query:
        raise ValueError("it must be the address players use, like https://play.example.com")
    return value.rstrip("/")


def is_here(public_url: str | None) -> bool:
    """Is this the address of one's own machine, or has the operator said that he knows what he does?"""
    host = urlsplit(public_url or "http://localhost").hostname or ""
    is_local = host in {"localhost", "::1"} or host.startswith("127.") or host.endswith((".localhost", ".test"))
    return is_local or os.environ.get("PALIO_SIM_PUBLIC") == "i-know"


def _only_here(value: str, info: ValidationInfo) -> str:
    if value == "on" and not is_here(info.data.get("public_url")):
        raise ValueError("it must be off where players come from outside (PALIO_PUBLIC_URL)")
    return value


def _networks(value: str) -> str:
    try:
        for part in value.split(","):
            ip_network(part.strip())
    except ValueError:
        raise ValueError("it must be addresses or networks between commas, like 127.0.0.1,10.0.0.0/8") from None
    return value


def _database_address(value: str) -> str:
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("it must be an address like postgresql://palio_app@db.example.com/palio?sslmode=verify-full")
    return value


def _call_address(value: str) -> str:
    found = urlsplit(value)
    if found.scheme not in {"http", "https"} or not found.hostname:
        raise ValueError("it must be an address like https://sms.example.com/send")
    return value


def _providers(value: str) -> str:
    """A JSON object of objects, each with what is needed to speak with a provider."""
    try:
        listed = json.loads(value)
    except ValueError:
        listed = None
    needed, more = {"issuer", "client_id", "client_secret"}, {"title", "inside"}
    is_well_written = isinstance(listed, dict) and all(
        re.fullmatch(r"[a-z][a-z0-9-]{0,19}", key)
        and isinstance(one, dict)
        and needed <= one.keys() <= needed | more
        and all(isinstance(part, bool if name == "inside" else str) for name, part in one.items())
        and urlsplit(one["issuer"]).scheme in {"http", "https"}
        for key, one in listed.items()
    )
    if not is_well_written:
        raise ValueError(
            'it must be JSON like {"club": {"title": "Our club", "issuer": "https://id.example.com",'
            ' "client_id": "…", "client_secret": "…"}}'
        )
    return value


def _mail_address(value: str) -> str:
    found = urlsplit(value)
    if found.scheme not in {"smtp", "smtps"} or not found.hostname:
        raise ValueError("it must be an address like smtps://user:password@mail.example.com:465")
    return value


def _chance(value: str) -> str:
    if len(value) < SECRET_CHARS_MIN or len(set(value)) < SECRET_DISTINCT_MIN:
        raise ValueError(
            f"it must be at least {SECRET_CHARS_MIN} characters that nobody guesses, like those of"
            " `openssl rand -base64 24`"
        )
    return value


@dataclass(frozen=True, slots=True)
class Secret:
    """Marks a value that is never shown, and that may lie in a file named by `PALIO_<FIELD>_FILE` instead."""


DatabaseUrl = Annotated[str, AfterValidator(_database_address), Secret()]
MailAddress = Annotated[str, AfterValidator(_mail_address), Secret()]
CallAddress = Annotated[str, AfterValidator(_call_address)]
Issuer = Annotated[str, AfterValidator(_call_address)]
Providers = Annotated[str, AfterValidator(_providers), Secret()]
Hidden = Annotated[str, Secret()]
MadeUp = Annotated[str, AfterValidator(_chance), Secret()]  # by the operator, for us alone
Port = Annotated[int, Ge(1), Le(65_535)]
Bindable = Annotated[str, AfterValidator(_bindable)]
Networks = Annotated[str, AfterValidator(_networks)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Expanded = Annotated[Path, AfterValidator(Path.expanduser)]


class Environment(BaseSettings):
    """A field is named `PALIO_<FIELD>` in the environment, and as it stands here in `palio.toml`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, toml_file=FILE, frozen=True, extra="forbid"
    )

    data: Expanded = Field(default_factory=_home, description="where everything is kept")
    bind: Bindable = Field("127.0.0.1:8000", description="where the web server listens")
    public_url: WebAddress | None = Field(None, description="how players reach us")
    trusted_proxies: Networks | None = Field(None, description="whose X-Forwarded-For and -Proto are believed")
    database_url: DatabaseUrl | None = Field(None, description="a server of your own instead of the embedded one")
    database_direct_url: DatabaseUrl | None = Field(None, description="the same server past any pooler")
    pool: Annotated[int, Ge(2), Le(200)] = Field(20, description="connections of one process, at most")
    prepare: Literal["auto", "on", "off"] = Field("auto", description="prepared statements; auto asks a pooler")
    pg_port: Port | None = Field(None, description="opens the embedded server on 127.0.0.1")
    pg_user: str | None = Field(None, description="account of the embedded server when Palio runs as root")
    keyring_file: Expanded | None = Field(None, description="keys of sealed columns; default secrets/keyring.json")
    anchor_file: Expanded | None = Field(None, description="heads of seals; default anchors/<year>-<month>.jsonl")
    anchor_url: Annotated[str, Secret()] | None = Field(None, description="who is sent heads of seals (https, POST)")
    anchor_store: str | None = Field(None, description="an object store that keeps them too: s3://bucket/prefix")
    anchor_mail: str | None = Field(None, description="a mailbox that gets the newest heads once a day")
    log: Literal["json", "console"] | None = Field(None, description="default: lines at a terminal, else JSON")
    secret: MadeUp | None = Field(None, description="what forms and cursors are signed with; default: the keyring")
    metrics_token: MadeUp | None = Field(None, description="lets other machines read /metrics")

    smtp_url: MailAddress | None = Field(None, description="the mail server; without one letters become files")
    mail_from: str = Field("Palio <palio@localhost>", description="who letters come from")
    leaked_passwords_file: Expanded | None = Field(None, description="sorted SHA-1 sums of passwords nobody may choose")
    geo_file: Expanded | None = Field(None, description="countries and cities of addresses (MaxMind DB format)")

    otp_webhook_url: CallAddress | None = Field(None, description="who sends short codes on as text messages (POST)")
    otp_webhook_secret: Hidden | None = Field(None, description="what those calls are signed with: whsec_…")
    google_client_id: str | None = Field(None, description="our name at Google, for its log-in")
    google_client_secret: Hidden | None = Field(None, description="and its secret")
    google_apps: str = Field("", description="client ids of apps of ours at Google, between commas")
    google_issuer: Issuer = Field("https://accounts.google.com", description="who vouches as Google")
    apple_client_id: str | None = Field(None, description="our Services ID at Apple, for its log-in")
    apple_team_id: str | None = Field(None, description="our team at Apple")
    apple_key_id: str | None = Field(None, description="which key signs for us at Apple")
    apple_key: Hidden | None = Field(None, description="that key, as the .p8 file has it")
    apple_apps: str = Field("", description="bundle ids of apps of ours at Apple, between commas")
    apple_issuer: Issuer = Field("https://appleid.apple.com", description="who vouches as Apple")
    oidc_providers: Providers | None = Field(None, description="others who vouch for people, as JSON by their keys")
    telegram_bot_name: str | None = Field(None, description="our bot at Telegram, without @")
    telegram_bot_token: Hidden | None = Field(None, description="and its token")

    feed_url: str | None = Field(None, description="where the programme `default` is read from")
    feed_token: Annotated[str, Secret()] | None = Field(None, description="the bearer key of that feed")
    sim: Annotated[Literal["auto", "off", "on"], AfterValidator(_only_here)] = Field(
        "auto", description="the outside is played on this machine: auto where a demo is"
    )

    @property
    def is_embedded(self) -> bool:
        return self.database_url is None

    @property
    def proxies(self) -> list[IPv4Network | IPv6Network]:
        return [ip_network(part.strip()) for part in (self.trusted_proxies or "").split(",") if part]

    @property
    def is_here(self) -> bool:
        """Do only people at this machine come, so that invented numbers deceive nobody?"""
        return is_here(self.public_url)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's interface
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's interface
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line first, then the environment, then files it names, then `palio.toml`."""
        return init_settings, env_settings, _NamedFiles(settings_cls), TomlConfigSettingsSource(settings_cls)


class _NamedFiles(PydanticBaseSettingsSource):
    """Secrets from the files that `PALIO_<FIELD>_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{_variable(field_name)}_FILE") if _is_secret(field) else None
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in Environment.model_fields.items()}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as a person may see it."""

    name: str
    value: str
    source: str
    description: str


def load(**command_line: object) -> Environment:
    """Read everything once; what the command line leaves None is looked up. Raises WrongSettingError."""
    given = {name: value for name, value in command_line.items() if value is not None}
    try:
        return Environment(**given)  # type: ignore[arg-type]  # checked by the model
    except ValidationError as failure:
        raise WrongSettingError(list(_lines(failure))) from None
    except tomllib.TOMLDecodeError as failure:
        raise WrongSettingError([f"{FILE.absolute()} cannot be read: {failure}"]) from None
    except OSError as failure:
        raise WrongSettingError([f"{failure.filename} cannot be read: {failure.strerror}"]) from None


def show(environment: Environment) -> list[Shown]:
    """Every setting with its value, secrets hidden, and where it comes from."""
    sources = {name: source for source, names in reversed(_sources()) for name in names}
    return [
        Shown(
            _variable(name),
            _shown(field, getattr(environment, name)),
            sources.get(name, "default"),
            field.description or "",
        )
        for name, field in Environment.model_fields.items()
    ]


def _sources() -> list[tuple[str, set[str]]]:
    files = _NamedFiles(Environment)()
    written = TomlConfigSettingsSource(Environment)()
    variables = {name for name in Environment.model_fields if os.environ.get(_variable(name))}
    return [("environment", variables), ("file named in the environment", {*files}), (str(FILE), {*written})]


def unknown(environ: Mapping[str, str] = os.environ) -> Iterator[tuple[str, str | None]]:
    """Variables that look like ours and are not, each with the known name that is nearest."""
    known = {_variable(name) for name in Environment.model_fields} | set(OTHERS)
    known |= {f"{_variable(name)}_FILE" for name, field in Environment.model_fields.items() if _is_secret(field)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            yield name, next(iter(get_close_matches(name, known, n=1)), None)


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _is_secret(field: FieldInfo) -> bool:
    return any(isinstance(mark, Secret) for mark in _marks(field))


def _marks(field: FieldInfo) -> list[object]:
    """What is annotated to a field, also inside `… | None`."""
    inner = (mark for part in get_args(field.annotation) for mark in getattr(part, "__metadata__", ()))
    return [*field.metadata, *inner]


def _shown(field: FieldInfo, value: object) -> str:
    if value is None:
        return ""
    return HIDDEN if _is_secret(field) else str(value)


def _lines(failure: ValidationError) -> Iterator[str]:
    for error in failure.errors():
        name = str(error["loc"][0])
        field = Environment.model_fields.get(name)
        if field is None:
            yield f"{FILE.absolute()}: there is no setting {name}"
            continue
        yield f"{_variable(name)} is {_shown(field, error['input'])}: {_range(field) or _reason(error)}"


def _range(field: FieldInfo) -> str | None:
    low = next((mark.ge for mark in _marks(field) if isinstance(mark, Ge)), None)
    high = next((mark.le for mark in _marks(field) if isinstance(mark, Le)), None)
    return None if low is None else f"it must be a whole number in the range {low}-{high}"


def _reason(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "it must be", 1)
