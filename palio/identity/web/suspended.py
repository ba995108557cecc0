"""What somebody is told whose account is suspended: why, until when, and what is still open to him."""

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from palio.identity import schemas as say
from palio.identity.service import suspensions
from palio.identity.types import Suspension, UserStatus
from palio.identity.web.reception import me_of
from palio.identity.web.showing import show
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Instant

routes = Routes("identity")
PAGE = "/account/suspension"


@dataclass(frozen=True, slots=True)
class SuspensionAnswer:
    """How one's account stands; `until` is null where no end is set, `reason` where it is not suspended."""

    status: UserStatus
    reason: str | None
    until: Instant | None

    @classmethod
    def of(cls, one: Suspension) -> "SuspensionAnswer":
        return cls(one.status, one.reason, one.until)


@routes.get(
    "/me/suspension",
    access="owner",
    scope=NO_TOKEN,
    example=SuspensionAnswer("suspended", "several accounts of one person", say.MOMENT),
)
async def get_suspension(ask: Ask, tx: InTx) -> SuspensionAnswer:
    """Read why one's account is suspended and until when, if it is."""
    return SuspensionAnswer.of(await suspensions.suspension_of(tx, user_id=me_of(ask)))


@routes.page(PAGE, access="owner")
async def suspension_page(request: Request, ask: Ask, tx: InTx) -> Response:
    """Why one's account is suspended, until when, and what one may still do."""
    found = await suspensions.suspension_of(tx, user_id=me_of(ask))
    return show(request, "suspension", {"present": "profile", "found": found, "now": ask.now})
