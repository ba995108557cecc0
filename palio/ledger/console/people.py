"""People as staff know them: the ledger knows ids only, so whoever puts the product together says who they are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from fastapi import Request

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors


class People(Protocol):
    """Names by id, and ids by user name or id."""

    async def names(self, tx: Tx, ids: Sequence[UserId]) -> Mapping[UserId, str]:
        """What staff read as the names of users; unknown ones are absent."""

    async def find(self, tx: Tx, texts: Sequence[str]) -> Mapping[str, UserId]:
        """Whose user name or id each text is; unknown ones are absent."""


def people_of(request: Request) -> People:
    """Who knows people in this process."""
    found: People = request.app.state.people
    return found


async def names_of(request: Request, tx: Tx, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The names of users, as far as they are known."""
    wanted = list(dict.fromkeys(UserId(user_id) for user_id in ids if user_id))
    found = await people_of(request).names(tx, wanted) if wanted else {}
    return {user_id: name for user_id, name in found.items()}  # noqa: C416 - a copy whose keys are any ids


async def named_in(request: Request, tx: Tx, texts: Sequence[str]) -> Mapping[str, UserId]:
    """Whose names or ids they are. Refuses with NoSuchPlayer, naming the first that is nobody's."""
    found = await people_of(request).find(tx, [text for text in texts if "\0" not in text])
    for text in texts:
        if text not in found:
            raise errors.NoSuchPlayer(player=text)
    return found
