"""How external players are named in public."""

from typing import Final

from palio.affiliates.types import NamesShown

SHORT_NAME_CHARACTERS: Final = 6
MASK: Final = "***"
NO_NAME: Final = "Hidden player"
UID_TAIL_CHARACTERS: Final = 4


def shown(setting: str, *, is_hidden: bool) -> NamesShown:
    """How much of a name is shown of a player whom nobody has linked."""
    return "hidden" if is_hidden or setting == "hidden" else "full" if setting == "full" else "masked"


def label(name: str | None, uid: str, *, shown: NamesShown) -> str:
    """The spelling of an unlinked player: whole, its beginning (3 characters, 1 of a short name), or nothing of it.

    Who has no name is called by the end of his uid.
    """
    if shown == "hidden":
        return NO_NAME
    if name is None:
        return f"Player {uid[-UID_TAIL_CHARACTERS:]}"
    if shown == "full":
        return name
    return name[: 1 if len(name) < SHORT_NAME_CHARACTERS else 3] + MASK
