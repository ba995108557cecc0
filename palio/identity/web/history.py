"""Where somebody was signed in, from where he came, and who tried to come in as him."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol, TypeAlias, TypeVar, get_args
from uuid import UUID

from fastapi import Depends

from palio.identity import schemas as say
from palio.identity import service
from palio.identity.errors import NoSuchDevice
from palio.identity.types import DeviceId, LogInsWanted, Outcome
from palio.identity.web.reception import me_of, session_of
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Paged, Paging
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes

routes = Routes("identity")

At: TypeAlias = Annotated[Span, Depends(of_times("at"))]
Outcomes: TypeAlias = Annotated[list[Outcome], Depends(of_words("outcome", get_args(Outcome)))]
LastSeen: TypeAlias = Annotated[Span, Depends(of_times("last_seen_at"))]

A_LOG_IN = say.LogInAnswer(
    say.EXAMPLE_ID,
    say.MOMENT,
    "success",
    "password",
    "Firefox on Linux",
    "198.51.100.7",
    "DE",
    "Berlin",
    is_known_device=True,
)
A_DEVICE = say.DeviceAnswer(
    say.EXAMPLE_ID, "Firefox on Linux", say.MOMENT, say.MOMENT, None, sessions=1, is_current=True
)
AN_ADDRESS = say.AddressAnswer(
    say.EXAMPLE_ID, "198.51.100.7", "DE", "Berlin", "registration", say.MOMENT, say.MOMENT, seen_count=12
)


class Dated(Protocol):
    """A row of a list that goes on behind an instant and an id."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Dated)


@routes.get("/me/logins", access="owner", scope=NO_TOKEN, example=say.LogIns([A_LOG_IN], None))
async def list_log_ins(ask: Ask, tx: InTx, page: Paged, at: At, outcomes: Outcomes) -> say.LogIns:
    """List the attempts to sign in as oneself, the newest first."""
    wanted = LogInsWanted(at.since, at.until, outcomes)
    found = await service.attempts.log_ins(
        tx, user_id=me_of(ask), wanted=wanted, behind=behind_of(page), limit=page.limit + 1
    )
    shown, following = part_of(page, [(one.at, one) for one in found])
    return say.LogIns([say.LogInAnswer.of(one) for one in shown], following)


@routes.get("/me/ips", access="owner", scope=NO_TOKEN, example=say.Addresses([AN_ADDRESS], None))
async def list_addresses(ask: Ask, tx: InTx, page: Paged, last_seen: LastSeen) -> say.Addresses:
    """List the addresses one came from, the last used first."""
    found = await service.attempts.addresses_of(
        tx,
        user_id=me_of(ask),
        since=last_seen.since,
        until=last_seen.until,
        behind=behind_of(page),
        limit=page.limit + 1,
    )
    shown, following = part_of(page, [(one.last_seen_at, one) for one in found])
    return say.Addresses([say.AddressAnswer.of(one) for one in shown], following)


@routes.get("/me/devices", access="owner", scope=NO_TOKEN, example=say.Devices([A_DEVICE]))
async def list_devices(ask: Ask, tx: InTx) -> say.Devices:
    """List the devices one has signed in on."""
    found = await service.devices.devices_of(tx, user_id=me_of(ask), current=session_of(ask), now=ask.now)
    return say.Devices([say.DeviceAnswer.of(one) for one in found])


@routes.delete(
    "/me/devices/{device_id:uuid}", access="owner", scope=NO_TOKEN, example=say.Done("done"), refuses=[NoSuchDevice]
)
async def forget_device(device_id: UUID, ask: Ask, tx: InTx) -> say.Done:
    """Forget one of one's devices: the sessions on it end, and it is a new device the next time."""
    await service.devices.forget(tx, user_id=me_of(ask), device_id=DeviceId(device_id), now=ask.now)
    return say.Done("done")


def behind_of(page: Paging) -> tuple[datetime, UUID] | None:
    """The instant and the id that a page begins behind, if it is not the first."""
    if page.position is None:
        return None
    at, row_id = page.position.key
    return datetime.fromisoformat(str(at)), UUID(hex=str(row_id))


def part_of(page: Paging, found: Sequence[tuple[datetime, Row]]) -> tuple[list[Row], str | None]:
    """What of the rows is shown on a page, and the cursor of what follows; one more than a page was looked for."""
    shown = [row for _, row in found[: page.limit]]
    if len(found) <= page.limit:
        return shown, None
    at, last = found[page.limit - 1]
    return shown, page.behind(at.isoformat(), last.id.hex)
