"""Which documents somebody must have accepted before he is let in."""

from collections.abc import Collection, Mapping, Sequence

from palio.identity.errors import ConsentRequired, LocaleInvalid, TextLanguageInvalid
from palio.identity.rules import names
from palio.identity.types import Document, Needed


def require_consents(needed: Sequence[Needed], given: Mapping[str, int]) -> None:
    """Let whoever has accepted all of it register. Refuses with ConsentRequired, naming what is missing.

    A version before the one that binds does not count, nor one that is not out yet.
    """
    missing = [one.key for one in needed if not one.needed <= given.get(one.key, 0) <= one.version]
    if missing:
        raise ConsentRequired(documents=missing)


def require_languages(locales: Collection[str]) -> None:
    """Let texts in languages that there are be published, one at least. Refuses with TextLanguageInvalid."""
    if not locales:
        raise TextLanguageInvalid
    try:
        for locale in locales:
            names.require_locale(locale)
    except LocaleInvalid:
        raise TextLanguageInvalid from None


def is_the_same(known: Sequence[Document], texts: Mapping[str, str], *, acceptance_required: bool) -> bool:
    """Says a version of a document (its rows by language) the same words, and binds as much?"""
    return dict(texts) == {one.locale: one.body for one in known} and all(
        one.acceptance_required == acceptance_required for one in known
    )
