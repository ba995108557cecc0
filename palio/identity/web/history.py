"""Where somebody was signed in, from where he came, and who tried to come in as him."""

from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends

from palio.identity import schemas as say
from palio.identity import service
from palio.identity.errors import NoSuchDevice
from palio.identity.types import DeviceId, LogInsWanted, Outcome
from palio.identity.web.reception import me_of, session_of
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.paging import BEFORE_ALL, Listed, PagedByAt, Paging, dated, sorted_by
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes

routes = Routes("identity")

At: TypeAlias = Annotated[Span, Depends(of_times("at"))]
Outcomes: TypeAlias = Annotated[list[Outcome], Depends(of_words("outcome", get_args(Outcome)))]
LastSeen: TypeAlias = Annotated[Span, Depends(of_times("last_seen_at"))]
ByLastSeen: TypeAlias = Annotated[Paging, Depends(sorted_by("-last_seen_at", end=BEFORE_ALL))]

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
    say.EXAMPLE_ID, "Firefox on Linux", "linux", say.MOMENT, say.MOMENT, None, sessions=1, is_current=True
)
AN_ADDRESS = say.AddressAnswer(
    say.EXAMPLE_ID, "198.51.100.7", "DE", "Berlin", "registration", say.MOMENT, say.MOMENT, seen_count=12
)


@routes.get("/me/logins", access="owner", scope=NO_TOKEN, example=Listed([A_LOG_IN], None, None))
async def list_log_ins(ask: Ask, tx: InTx, page: PagedByAt, at: At, outcomes: Outcomes) -> Listed[say.LogInAnswer]:
    """List the attempts to sign in as oneself, the newest first."""
    wanted = LogInsWanted(at.since, at.until, outcomes)
    found = await service.attempts.log_ins(tx, user_id=me_of(ask), wanted=wanted, part=page.wanted(dated).and_one)
    part = page.part(found, lambda one: (one.at.isoformat(), str(one.id)))
    return Listed([say.LogInAnswer.of(one) for one in part.rows], part.next, part.prev)


@routes.get("/me/ips", access="owner", scope=NO_TOKEN, example=Listed([AN_ADDRESS], None, None))
async def list_addresses(ask: Ask, tx: InTx, page: ByLastSeen, last_seen: LastSeen) -> Listed[say.AddressAnswer]:
    """List the addresses one came from, the last used first."""
    wanted = page.wanted(dated).and_one
    found = await service.attempts.addresses_of(
        tx, user_id=me_of(ask), since=last_seen.since, until=last_seen.until, part=wanted
    )
    part = page.part(found, lambda one: (one.last_seen_at.isoformat(), str(one.id)))
    return Listed([say.AddressAnswer.of(one) for one in part.rows], part.next, part.prev)


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
