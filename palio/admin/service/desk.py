"""What the console is made of: given by whoever puts the product together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.admin.types import Defect
from palio.infra.approvals import Command, PendingApprovals
from palio.infra.db import Tx
from palio.kernel.events import PublicType
from palio.kernel.providers import Panel, Queue
from palio.kernel.settings import Catalogue


async def _all_is_well(tx: Tx, now: datetime) -> Sequence[Defect]:
    """What is wrong where nobody looks."""
    return ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages of the console work with. `examine` looks for what is wrong with the deployment, `published` is
    what machines outside may hear of.
    """

    settings: Catalogue
    commands: Mapping[str, Command]
    queues: Sequence[Queue[Tx]] = ()
    panels: Sequence[Panel[Tx]] = ()
    examine: Callable[[Tx, datetime], Awaitable[Sequence[Defect]]] = _all_is_well
    pending: Sequence[PendingApprovals] = ()
    published: Sequence[PublicType] = ()
