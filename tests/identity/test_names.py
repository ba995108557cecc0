"""Which names may be borne: honest writing of any script, nothing that passes for something else."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import identity
from palio.identity.rules import names as rules
from palio.kernel.ids import Actor, RequestId, UserId

ALICE = UserId(UUID("0195c000-0000-7000-8000-00000000002a"))
REQUEST = RequestId(UUID(int=1))

HONEST = {
    "Hebrew": "דוד בן־גוריון",
    "pointed Hebrew": "שָׁלוֹם",
    "Arabic": "محمد علي",
    "Chinese": "王小明",
    "Japanese": "山田 花子ノート々",
    "Korean": "김민준",
    "Thai with sara am": "น้ำฝน",
    "Devanagari": "अर्जुन",
    "Cyrillic": "Анна Сергеевна",
    "Greek": "Γιώργος",
    "accents": "Zoë Þórðardóttir",
    "Latin and Han": "Jackie 成龍",
    "okina": "Kaʻiulani",  # noqa: RUF001 - the letter of Hawaiian, no quotation mark
    "punctuation": "O'Neil — x",
    "a heart": "<3",
    "emoji": "Mia 🎉",
    "digits": "007",
}
HOSTILE = {
    "fifteen zero-width spaces": ("\u200b" * 15, identity.CharacterNotAllowed),
    "a joiner after a name": ("alice\u200d", identity.CharacterNotAllowed),
    "text turned round": ("\u202eecila", identity.CharacterNotAllowed),
    "an isolate": ("alice\u2066", identity.CharacterNotAllowed),
    "a soft hyphen": ("al\u00adice", identity.CharacterNotAllowed),
    "a variation selector": ("alice\ufe0f", identity.CharacterNotAllowed),
    "a Hangul filler": ("\u3164", identity.CharacterNotAllowed),
    "a grapheme joiner": ("ali\u034fce", identity.CharacterNotAllowed),
    "NUL": ("ali\x00ce", identity.CharacterNotAllowed),
    "a newline": ("alice\nadmin", identity.CharacterNotAllowed),
    "a lone surrogate": ("ali\ud800ce", identity.CharacterNotAllowed),
    "a thin space": ("ali\u2009ce", identity.CharacterNotAllowed),
    "full-width letters": ("ａｌｉｃｅ", identity.CharacterNotAllowed),  # noqa: RUF001 - that is the attack
    "bold mathematics": ("𝐚𝐥𝐢𝐜𝐞", identity.CharacterNotAllowed),  # noqa: RUF001 - that is the attack
    "one Cyrillic letter": ("аlice", identity.MixedScripts),  # noqa: RUF001 - that is the attack
    "one Greek letter": ("alicε", identity.MixedScripts),
    "three scripts": ("alice דוד محمد", identity.MixedScripts),
    "a tower of marks": ("a" + "\u0301\u0302\u0303\u0304\u0305", identity.DisplayNameInvalid),
    "a mark alone": ("\u0338alice", identity.DisplayNameInvalid),
    "spaces alone": (" \u00a0\u3000 ", identity.DisplayNameInvalid),
    "nothing": ("", identity.DisplayNameInvalid),
    "sixty-one characters": ("a" * 61, identity.DisplayNameInvalid),
}


@pytest.mark.parametrize("name", HONEST.values(), ids=HONEST.keys())
def test_honest_names_of_any_script_pass_unchanged(name: str) -> None:
    assert rules.require_display_name(name) == name


@pytest.mark.parametrize(("name", "refusal"), HOSTILE.values(), ids=HOSTILE.keys())
def test_names_that_deceive_are_refused(name: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        rules.require_display_name(name)


def test_a_refusal_spells_out_what_cannot_be_seen() -> None:
    with pytest.raises(identity.CharacterNotAllowed) as refused:
        rules.require_display_name("alice\u202e")
    assert refused.value.facts == {"character": "U+202E RIGHT-TO-LEFT OVERRIDE"}


def test_shown_names_are_kept_in_one_normal_form() -> None:
    assert rules.require_display_name(" Zoe\u0308 \u3000 山田\u00a0") == "Zoë 山田"


@given(st.text(max_size=70))
def test_any_text_is_a_name_in_normal_form_or_refused(text: str) -> None:
    try:
        name = rules.require_display_name(text)
    except (identity.CharacterNotAllowed, identity.MixedScripts, identity.DisplayNameInvalid):
        return
    assert 1 <= len(name) <= 60
    assert rules.require_display_name(name) == name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("аӏісе", "alice"),  # noqa: RUF001 - Cyrillic throughout
        ("Сара", "capa"),  # noqa: RUF001 - an honest name, refused only where somebody is called capa
        ("Анна", None),
        ("alice", None),
        ("王小明", None),
    ],
)
def test_a_name_of_another_script_may_look_like_a_user_name(name: str, key: str | None) -> None:
    assert rules.imitated_key(name) == key


@pytest.mark.parametrize("name", ["abc", "Alice", "0x_9", "a.b-c_d", "a" * 32])
def test_user_names_are_plain(name: str) -> None:
    assert rules.require_username(name, longest=32) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "_ab", ".ab", "a b", "a" * 33, "alice\n", "a/b", "a@b"),
        *("älice", "quac\u212a", "аlice"),  # noqa: RUF001 - a Cyrillic letter
        "0195c000-0000-7000-8000-00000000002A",
    ],
)
def test_other_user_names_are_refused(name: str) -> None:
    with pytest.raises(identity.UsernameInvalid):
        rules.require_username(name, longest=32)


@pytest.mark.parametrize("name", ["admin", "Root", "SUPPORT", "palio", "system", "api", "erased-0000abcd"])
def test_names_of_the_house_are_reserved(name: str) -> None:
    with pytest.raises(identity.UsernameReserved):
        rules.require_username(name, longest=32)


@pytest.mark.parametrize(
    ("shown", "board_name", "status", "public"),
    [
        ("Alice Liddell", "full", "active", "Alice Liddell"),
        ("Alice Liddell", "masked", "active", "Ali***"),
        ("Alice", "masked", "active", "A***"),
        ("Alice Liddell", "hidden", "active", "Player 3754"),
        ("Alice Liddell", "hidden", "erased", "alice"),
    ],
)
def test_strangers_read_what_the_bearer_chose(shown: str, board_name: str, status: str, public: str) -> None:
    card = identity.Card(ALICE, "alice", shown, board_name, status, datetime(2026, 3, 20, tzinfo=UTC))  # type: ignore[arg-type]
    assert rules.name_for(card, None) == public
    assert rules.name_for(card, Actor("player", UserId(UUID(int=7)), REQUEST)) == public
    assert rules.name_for(card, Actor("player", ALICE, REQUEST)) == shown
    assert rules.name_for(card, Actor("staff", UserId(UUID(int=7)), REQUEST)) == shown
