"""Which passwords are worth having. No recipe of classes: length, and not what everybody tries first."""

from collections.abc import Iterable

from palio.identity.errors import PasswordTooWeak
from palio.identity.rules.common_passwords import COMMON

LENGTH_MIN, LENGTH_MAX, BYTES_MAX = 8, 256, 1_024
OWN_WORD_MIN = 4
DIFFERENT_MIN = 5  # characters of a password that occur at least once
EDGES = "0123456789!@#$%^&*()_+-=.,;:?/\\|'\"<>[]{}~` "
LOOKALIKES = str.maketrans("@4310$5!7", "aaeiossit")
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop")
RUN_MIN = 6  # keys in a row


def require_password(word: str, *, own_words: Iterable[str] = (), is_leaked: bool = False) -> str:
    """The password as it was typed, if it is not one of those that are tried first.

    `own_words` are his name, the local part of his address and the name of the site. Refuses with PasswordTooWeak.
    """
    reasons = list(_reasons(word, [own.casefold() for own in own_words if len(own) >= OWN_WORD_MIN]))
    if is_leaked:
        reasons.append("leaked")
    if reasons:
        raise PasswordTooWeak(reasons=reasons, shortest=LENGTH_MIN, longest=LENGTH_MAX)
    return word


def _reasons(word: str, own_words: list[str]) -> Iterable[str]:
    if not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word):
        yield "unreadable"
        return
    if len(word) < LENGTH_MIN:
        yield "too_short"
    if len(word) > LENGTH_MAX or len(word.encode()) > BYTES_MAX:
        yield "too_long"
    folded = word.casefold()
    if _is_common(folded):
        yield "common"
    if any(own in folded for own in own_words):
        yield "contains_own_name"


def _is_common(folded: str) -> bool:
    """Is it on the list, also with digits hung on, letters swapped for look-alikes, or only keys in a row?"""
    forms = {folded, folded.strip(EDGES), folded.translate(LOOKALIKES), folded.translate(LOOKALIKES).strip(EDGES)}
    forms.add(folded.strip(EDGES).translate(LOOKALIKES))
    if forms & COMMON or len(set(folded)) < DIFFERENT_MIN:
        return True
    return folded.isdecimal() or _rest_of_runs(folded) <= len(folded) // 3


def _rest_of_runs(folded: str) -> int:
    """How many characters remain when rows of the keyboard, forwards and backwards, are taken out."""
    place, rest = 0, 0
    while place < len(folded):
        run = max(_run(folded, place, row) for row in (*ROWS, *(row[::-1] for row in ROWS)))
        place, rest = (place + run, rest) if run >= RUN_MIN else (place + 1, rest + 1)
    return rest


def _run(folded: str, place: int, row: str) -> int:
    start = row.find(folded[place])
    length = 0
    while (
        start >= 0
        and start + length < len(row)
        and place + length < len(folded)
        and row[start + length] == folded[place + length]
    ):
        length += 1
    return length
