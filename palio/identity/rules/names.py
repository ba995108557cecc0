"""Which names may be borne, and how much of one is shown. User names are ASCII; shown names are any honest writing."""

import re
import unicodedata
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palio.identity.errors import (
    BirthDateInvalid,
    CharacterNotAllowed,
    CountryInvalid,
    DisplayNameInvalid,
    FullNameInvalid,
    LocaleInvalid,
    MixedScripts,
    SaidAlready,
    TimeZoneInvalid,
    UsernameChangeTooSoon,
    UsernameInvalid,
    UsernameReserved,
)
from palio.identity.types import Application, Card, NewUser, UserKind
from palio.kernel.ids import Actor, UserId

DISPLAY_NAME_CHARACTERS_MAX = 60
FULL_NAME_CHARACTERS_MAX = 100
RENAMED_HELD, RENAME_EVERY = timedelta(days=90), timedelta(days=30)
HELD = timedelta(days=7)  # how long a name is kept that somebody chose for an address that is known already
MARKS_IN_A_ROW_MAX = 3  # pointed Hebrew needs three; more is a tower that covers its neighbours
MASK_CHARACTERS, SHORT_NAME_CHARACTERS = 3, 6

USERNAME_CHARACTERS_MIN = 3
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,}")
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
COUNTRY = re.compile(r"[A-Z]{2}")
LIFE_DAYS_MAX = 45_000  # 123 years
RESERVED = frozenset({"admin", "root", "support", "palio", "system", "api"})

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, joiners, turners of text, unassigned
DRAWN_AS_NOTHING = frozenset(  # letters, marks and one symbol that leave no trace
    {
        *(0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0),  # grapheme joiner, Hangul fillers
        *(0x17B4, 0x17B5, 0x2800),  # inherent vowels of Khmer, empty Braille pattern
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),  # variation selectors
    }
)
RESTYLED = frozenset(  # how Unicode marks a letter that is another one in disguise
    {"<font>", "<wide>", "<circle>", "<square>", "<super>", "<sub>", "<initial>", "<medial>", "<final>", "<isolated>"}
)

EAST_ASIAN = frozenset({"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "HANGUL"})
NEUTRAL = "MODIFIER"  # letters such as the okina, at home in every script
LOOKS_LATIN = frozenset({"CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE"})
LATIN_TWINS = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјкорсухһԁӏԛԝѵүΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινοκρτυχγωη",  # Cyrillic, then Greek
    "ABESIJKMHOPCTYXaesijkopcyxhdlqwvyABEZHIKMNOPTYXaivokptuxywn",
)


def require_username(name: str, *, longest: int, reserved: Collection[str] = ()) -> str:
    """The name, if it may be borne: 3 to `longest` of A-Z a-z 0-9 _ . - beginning with a letter or digit, and none that
    is reserved.

    What reads like an id is none, so that a look-up by either is unambiguous. Refuses with UsernameInvalid,
    UsernameReserved.
    """
    if not USERNAME.fullmatch(name) or len(name) > longest or UUID_TEXT.fullmatch(name):
        raise UsernameInvalid(username=_readable(name), shortest=3, longest=longest)
    if name.lower() in RESERVED or name.lower() in reserved or name.lower().startswith("erased-"):
        raise UsernameReserved(username=name)
    return name


def erased_name(of: UUID) -> str:
    """What somebody who was erased is called, made of a fresh id."""
    return f"erased-{of.hex[-8:]}"


def key_of(name: str) -> str | None:
    """How a user name is looked up, or None if nobody can have it: only ASCII folds the same everywhere."""
    return name.lower() if USERNAME.fullmatch(name) else None


def require_display_name(text: str) -> str:
    """The name in its normal form (NFC, single spaces), if everybody can read in it what it says.

    Refuses with DisplayNameInvalid, CharacterNotAllowed, MixedScripts.
    """
    name = " ".join(part for part in re.split(r"[ \u00a0\u3000]+", unicodedata.normalize("NFC", text)) if part)
    for character in name:
        if _is_deceptive(character):
            raise CharacterNotAllowed(character=_readable(character))
    if not 1 <= len(name) <= DISPLAY_NAME_CHARACTERS_MAX or _has_loose_marks(name):
        raise DisplayNameInvalid(display_name=name[:DISPLAY_NAME_CHARACTERS_MAX], longest=DISPLAY_NAME_CHARACTERS_MAX)
    scripts = {_script(character) for character in name if character.isalpha()} - {NEUTRAL}
    if len(scripts - {"LATIN"}) > 1 or ("LATIN" in scripts and scripts & LOOKS_LATIN):
        raise MixedScripts(scripts=sorted(scripts))
    return name


def imitated_key(display_name: str) -> str | None:
    """The key of the user name that a name of another script looks exactly like, if there is such a name."""
    latin = display_name.translate(LATIN_TWINS)
    return key_of(latin) if latin != display_name else None


def new_user(*, user_id: UserId, username: str, display_name: str, kind: UserKind, now: datetime) -> NewUser:
    """A user made by an operator, who vouches for him: active at once, in English and UTC until he says otherwise."""
    return NewUser(
        user_id,
        username,
        display_name,
        kind,
        status="active",
        registered_with=None,
        locale="en",
        time_zone="UTC",
        board_name="full",
        created_at=now,
        activated_at=now,
    )


def applicant(
    application: Application, *, user_id: UserId, display_name: str, is_active: bool = False, now: datetime
) -> NewUser:
    """The user an application makes: pending until a contact is proven, unless that may wait."""
    return NewUser(
        user_id,
        application.username,
        display_name,
        kind="person",
        status="active" if is_active else "pending",
        registered_with="password",
        locale=application.locale,
        time_zone=application.time_zone,
        board_name="full",
        created_at=now,
        activated_at=now if is_active else None,
    )


def require_full_name(text: str) -> str:
    """A legal name in its normal form; it is shown to nobody but its bearer and staff.

    Refuses with FullNameInvalid, CharacterNotAllowed.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    for character in name:
        if _is_deceptive(character):
            raise CharacterNotAllowed(character=_readable(character)).blaming("full_name")
    if not 1 <= len(name) <= FULL_NAME_CHARACTERS_MAX:
        raise FullNameInvalid(longest=FULL_NAME_CHARACTERS_MAX)
    return name


def require_locale(tag: str) -> str:
    """The tag of a language, like de or pt-BR. Refuses with LocaleInvalid."""
    if not LOCALE.fullmatch(tag):
        raise LocaleInvalid(locale=_readable(tag))
    return tag


def require_birth_date(born: date, now: datetime) -> date:
    """A day on which somebody now alive was born. Refuses with BirthDateInvalid."""
    if not 0 <= (now.astimezone(UTC).date() - born).days <= LIFE_DAYS_MAX:
        raise BirthDateInvalid(birth_date=born.isoformat())
    return born


def require_country(code: str) -> str:
    """A country as two letters, like DE. Refuses with CountryInvalid."""
    if not COUNTRY.fullmatch(code):
        raise CountryInvalid(country=_readable(code))
    return code


def require_rename(renamed_at: datetime | None, now: datetime) -> None:
    """Let a user take another name, a month after the last. Refuses with UsernameChangeTooSoon."""
    if renamed_at and now < renamed_at + RENAME_EVERY:
        raise UsernameChangeTooSoon(free_at=(renamed_at + RENAME_EVERY).isoformat())


def require_unsaid(what: str, known: object, said: object) -> None:
    """What somebody has said of himself stands. Refuses with SaidAlready."""
    if known is not None and said is not None and said != known:
        raise SaidAlready().blaming(what)


def require_time_zone(name: str) -> str:
    """The name of a time zone of the IANA. Refuses with TimeZoneInvalid."""
    try:
        if not ZONE.fullmatch(name):
            raise TimeZoneInvalid(time_zone=_readable(name))
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimeZoneInvalid(time_zone=_readable(name)) from None
    return name


def name_for(card: Card, viewer: Actor | None) -> str:
    """The whole name for its bearer, staff and the house; for everybody else the public one."""
    if viewer and (viewer.kind in {"staff", "system"} or viewer.user_id == card.id):
        return card.display_name
    return public_name(card)


def public_name(card: Card) -> str:
    """What a stranger reads: the whole name, its beginning, or a number, as its bearer chose."""
    if card.status == "erased":
        return card.username
    if card.board_name == "hidden":
        return f"Player {card.id.int % 10_000:04}"
    if card.board_name == "masked":
        shown = MASK_CHARACTERS if len(card.display_name) >= SHORT_NAME_CHARACTERS else 1
        return card.display_name[:shown] + "***"
    return card.display_name


def file_of_avatar(key: str) -> str:
    """Where the file of a picture lies."""
    return f"avatars/{key}"


def shown_avatar(card: Card) -> str | None:
    """The key of the picture that strangers see; who hides his name hides his face."""
    return None if card.status == "erased" or card.board_name == "hidden" else card.avatar_key


def id_of(name_or_id: str | UUID) -> UserId | None:
    """The id, if it is one: a user name never reads like an id."""
    if isinstance(name_or_id, UUID):
        return UserId(name_or_id)
    return UserId(UUID(name_or_id)) if UUID_TEXT.fullmatch(name_or_id) else None


def _is_deceptive(character: str) -> bool:
    category = unicodedata.category(character)
    if category in INVISIBLE or ord(character) in DRAWN_AS_NOTHING or (category == "Zs" and character != " "):
        return True
    return unicodedata.decomposition(character).split(" ")[0] in RESTYLED and category[0] in "LN"


def _has_loose_marks(name: str) -> bool:
    marks = "".join("m" if unicodedata.category(character) in {"Mn", "Me"} else "." for character in name)
    return marks.startswith("m") or "m" * (MARKS_IN_A_ROW_MAX + 1) in marks


def _script(letter: str) -> str:
    word = unicodedata.name(letter, "?").split(" ")[0]
    return "CJK" if word in EAST_ASIAN else word


def _readable(text: str) -> str:
    """The text with what cannot be seen, or is not ASCII, spelt out, so that a message shows it."""
    return "".join(_spelt(character) for character in text[:DISPLAY_NAME_CHARACTERS_MAX])


def _spelt(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
