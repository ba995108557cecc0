"""Languages: which there are, which one a request asks for, and the words of each (gettext catalogues)."""

from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale, negotiate_locale

SOURCE = "en"  # what the code and the templates are written in: needs no catalogue
CATALOGUES = Path(__file__).resolve().parents[1] / "locale"


class Language:
    """One language: its words, and which way it is written."""

    def __init__(self, tag: str, words: NullTranslations) -> None:
        self.locale = Locale.parse(tag, sep="-")
        self.tag = tag
        self.words = words
        self.direction = "rtl" if self.locale.character_order == "right-to-left" else "ltr"


class Languages:
    """English and every language that has a catalogue `<folder>/<tag>/LC_MESSAGES/messages.mo`."""

    def __init__(self, folder: Path = CATALOGUES) -> None:
        self._all: Mapping[str, Language] = {SOURCE: Language(SOURCE, NullTranslations())} | {
            path.parents[1].name: Language(path.parents[1].name, _catalogue(path))
            for path in sorted(folder.glob("*/LC_MESSAGES/messages.mo"))
        }

    def choose(self, accepted: str) -> Language:
        """The best for a header `Accept-Language`, else English."""
        found = negotiate_locale(_by_weight(accepted), list(self._all), sep="-")
        return self._all[found or SOURCE]

    def named(self, tag: str) -> Language | None:
        """The language of a tag, if there are words in it."""
        return self._all.get(tag)

    @property
    def tags(self) -> list[str]:
        """All of them, English first."""
        return list(self._all)


def _catalogue(path: Path) -> NullTranslations:
    with path.open("rb") as file:
        return GNUTranslations(file)


def _by_weight(accepted: str) -> list[str]:
    """The tags of the header, most wanted first; `de;q=0.8` weighs 0.8, no weight is 1, and 0 is a refusal."""
    weighed = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, weight = part.partition(";")
        try:
            value = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag.strip() and value > 0:
            weighed.append((-value, place, tag.strip()))
    return [tag for _, _, tag in sorted(weighed)]
