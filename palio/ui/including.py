"""What an answer holds besides, for whoever names it (`include=wallets,roles`): sections that other modules offer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from fastapi.exceptions import RequestValidationError

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ui.actor import Asking
from palio.ui.refusals import ScopeMissing

CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Section:
    """Something about whoever asks: a token needs the scope; what is read are a few dataclasses, never a long list."""

    scope: str
    read: Callable[[Tx, UserId], Awaitable[Sequence[object]]]


def of_names(known: Sequence[str]) -> Callable[..., Awaitable[list[str]]]:
    """What reads which sections are wanted, for `Annotated[list[str], Depends(of_names(SECTIONS))]`."""

    words = f"What is told besides, between commas: {', '.join(known)}"

    async def chosen(include: Annotated[str, Query(max_length=CHARACTERS_MAX, description=words)] = "") -> list[str]:
        names = list(dict.fromkeys(include.split(","))) if include else []
        if odd := [name for name in names if name not in known]:
            why = f"There is no section {odd[0]!r}; there are {', '.join(known)}."
            raise RequestValidationError([{"type": "literal_error", "loc": ("query", "include"), "msg": why}])
        return names

    return chosen


async def read(
    sections: Mapping[str, Section], ask: Asking, tx: Tx, names: Sequence[str]
) -> dict[str, Sequence[object]]:
    """The sections of these names about whoever asks. Refuses with ScopeMissing what his token may not read."""
    told: dict[str, Sequence[object]] = {}
    for name in names:  # a handful, each another module's
        section = sections[name]
        if ask.scopes is not None and section.scope not in ask.scopes:
            raise ScopeMissing(scope=section.scope)
        if ask.actor.user_id:
            told[name] = await section.read(tx, ask.actor.user_id)
    return told
