"""What Telegram signs with the token of our bot: the data of a Mini App, and that of the Login Widget."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from palio.identity.errors import TelegramProofInvalid
from palio.identity.types import TelegramUser

AHEAD = timedelta(seconds=30)
ID_MAX = 2**63 - 1
HASH = re.compile(r"[0-9a-f]{64}")
CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is mistaken for something else
CODE_CHARACTERS, NAMING_CHARACTERS = 8, 3  # the first three name the code, the other five prove it
CODE_LIFE = timedelta(minutes=10)
USERNAME_CHARACTERS_MAX, LANGUAGE_CHARACTERS_MAX = 64, 35


@dataclass(frozen=True, slots=True)
class Proof:
    """Whom Telegram means, and the hash by which the same proof is known when it comes again."""

    user: TelegramUser
    hash: str


def read_init_data(fields: Mapping[str, str], *, bot_token: str, now: datetime, age_s_max: int) -> Proof:
    """Whom the fields of the `initData` of a Mini App mean: its key is made of the word WebAppData and the token.

    Signed is every field but `hash`. Refuses with TelegramProofInvalid, whatever is wrong.
    """
    key = hmac.digest(b"WebAppData", bot_token.encode(), "sha256")
    given = _require_signed(fields, key, now=now, age_s_max=age_s_max)
    try:
        said = json.loads(fields.get("user", ""))
    except (ValueError, RecursionError):
        raise TelegramProofInvalid from None
    if not isinstance(said, dict):
        raise TelegramProofInvalid
    user_id = said.get("id")
    if not isinstance(user_id, int) or isinstance(user_id, bool):
        raise TelegramProofInvalid
    return Proof(_user(user_id, said.get("username"), said.get("language_code")), given)


def read_widget(fields: Mapping[str, str | int], *, bot_token: str, now: datetime, age_s_max: int) -> Proof:
    """Whom the data of the Login Widget means: its key is the digest of the token.

    Refuses with TelegramProofInvalid, whatever is wrong.
    """
    written = {name: str(value) for name, value in fields.items()}
    key = hashlib.sha256(bot_token.encode()).digest()
    given = _require_signed(written, key, now=now, age_s_max=age_s_max)
    if not re.fullmatch(r"[1-9][0-9]{0,18}", written.get("id", "")):
        raise TelegramProofInvalid
    return Proof(_user(int(written["id"]), written.get("username"), None), given)


def read_code(text: str) -> tuple[str, str] | None:
    """What names a code that the bot gave, and what proves it; None if it is none."""
    code = re.sub(r"[\s-]", "", text[:40]).upper()
    if not re.fullmatch(f"[{CODE_ALPHABET}]{{{CODE_CHARACTERS}}}", code):
        return None
    return code[:NAMING_CHARACTERS], code[NAMING_CHARACTERS:]


def _require_signed(fields: Mapping[str, str], key: bytes, *, now: datetime, age_s_max: int) -> str:
    given = fields.get("hash", "")
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()) if name != "hash")
    wanted = hmac.digest(key, lines.encode(errors="surrogatepass"), "sha256").hex()
    if not HASH.fullmatch(given) or not hmac.compare_digest(given, wanted):
        raise TelegramProofInvalid
    written = fields.get("auth_date", "")
    if not re.fullmatch(r"[0-9]{1,11}", written):
        raise TelegramProofInvalid
    age_s = now.timestamp() - int(written)
    if not -AHEAD.total_seconds() <= age_s <= age_s_max:
        raise TelegramProofInvalid
    return given


def _user(user_id: int, username: object, language: object) -> TelegramUser:
    if not 0 < user_id <= ID_MAX:
        raise TelegramProofInvalid
    return TelegramUser(user_id, _text(username, USERNAME_CHARACTERS_MAX), _text(language, LANGUAGE_CHARACTERS_MAX))


def _text(value: object, longest: int) -> str | None:
    return value[:longest] if isinstance(value, str) and value else None
