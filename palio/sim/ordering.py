"""Acting as the outside: the control calls of a world that is served by another process of this machine."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

from palio.sim.exchanges import Exchange
from palio.sim.faults import Fault
from palio.sim.refusals import SimRefusal
from palio.sim.shaping import shaped
from palio.sim.world import CONTROL, HOST

SECONDS_MAX = 10


def control(port: int, method: str, path: str, members: Mapping[str, object] | None = None) -> object:
    """What the world at this port answers to a control call.

    Refuses with SimRefusal as the world does; raises OSError when no world is there.
    """
    connection = HTTPConnection(HOST, port, timeout=SECONDS_MAX)
    try:
        connection.request(method, CONTROL + path, json.dumps(members).encode() if members is not None else None)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (HTTPException, ValueError):
        raise ConnectionError("what listens there is no world") from None
    finally:
        connection.close()
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise SimRefusal(str(found.get("message", found)) if isinstance(found, dict) else str(found))
    return found


def journal(port: int, *, since: int = 0, sim: str | None = None) -> list[Exchange]:
    """What was said in the world at this port after an exchange of that number. Refuses and raises as `control`."""
    asked = urlencode({"since": since, **({"sim": sim} if sim else {})})
    return shaped(list[Exchange], control(port, "GET", f"journal?{asked}"))


def faults(port: int) -> list[Fault]:
    """What goes wrong on purpose in the world at this port. Refuses and raises as `control`."""
    return shaped(list[Fault], control(port, "GET", "faults"))
