"""What calls by which people come in, or prove something about themselves, are declared with and given."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypeAlias, TypedDict

from fastapi import Depends, Request, Response

from palio.identity import schemas as say
from palio.identity.doors import House
from palio.identity.errors import SecondFactorRequired
from palio.identity.types import SecondFactorDue, SignedIn, Visitor
from palio.identity.web.reception import From, InHouse, admit
from palio.ui.access import NO_SCOPE, NO_TOKEN, Access
from palio.ui.actor import Ask, Asking
from palio.ui.pages import language_of
from palio.ui.routes import Idempotency


class Head(TypedDict):
    """How such calls begin their declaration, `@routes.post(path, **OPEN, …)`: their answers are never stored."""

    access: Access
    scope: str
    idempotency: Idempotency


OPEN: Final[Head] = {"access": "public", "scope": NO_SCOPE, "idempotency": "none"}
OWN: Final[Head] = {
    "access": "owner",
    "scope": NO_TOKEN,
    "idempotency": "none",
}  # what is never stored to be told again
DONE: Final = say.Done("done")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody at the door: what he sends, from where, and where his answer goes."""

    request: Request
    response: Response
    visitor: Visitor
    house: House
    ask: Asking

    @property
    def now(self) -> datetime:
        return self.ask.now

    @property
    def locale(self) -> str:
        """The language in which he is written to."""
        return language_of(self.request).tag

    def begin(self, found: SignedIn | SecondFactorDue) -> say.SessionBegun:
        """Let him in. Refuses with SecondFactorRequired where that is still to come."""
        if isinstance(found, SecondFactorDue):
            raise SecondFactorRequired(ticket=found.ticket, factors=list(found.factors))
        admit(self.request, self.response, found)
        return say.SessionBegun.of(found)


async def _arrival(request: Request, response: Response, visitor: From, house: InHouse, ask: Ask) -> Arrival:
    return Arrival(request, response, visitor, house, ask)


Arriving: TypeAlias = Annotated[Arrival, Depends(_arrival)]
