"""The console as it is put together: what stands in its rail, what waits, and what a player's card shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from palio import admin, affiliates, identity, ledger
from palio.admin import Defect, Desk
from palio.admin import console as admin_console
from palio.affiliates import console as affiliates_console
from palio.entry.approving import COMMANDS, PENDING
from palio.entry.wiring import MIGRATIONS, Wiring
from palio.infra import approvals, doctor, migrate
from palio.infra.db import Tx
from palio.infra.doctor import Known
from palio.kernel.ids import UserId
from palio.kernel.providers import Fact, Panel, Queue, Waiting
from palio.races import console as races_console
from palio.ui.actor import Asking
from palio.ui.console import Frame, RailEntry

RAIL: tuple[RailEntry, ...] = (*admin_console.RAIL, *races_console.RAIL, *affiliates_console.RAIL)


async def _approvals(tx: Tx, now: datetime) -> Waiting:
    found = [await approvals.waiting(tx), *[await each.waiting(tx) for each in PENDING]]
    return Waiting(sum(count for count, _ in found), min((since for _, since in found if since), default=None))


async def _suspicious(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.suspicious_waiting(tx))


async def _quarantined(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.held_waiting(tx))


async def _link_requests(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.waiting_requests(tx))


QUEUES: tuple[Queue[Tx], ...] = (
    Queue("Approvals", "/console/approvals", "admin.approval.read", _approvals),
    Queue("Suspicious snapshots", "/console/affiliates/snapshots", "affiliates.snapshots.decide", _suspicious),
    Queue("Quarantined rows", "/console/affiliates/quarantine", "affiliates.snapshots.decide", _quarantined),
    Queue("Link requests", affiliates_console.REQUESTS, "affiliates.links.review", _link_requests),
)


async def _wallets(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    return [
        Fact(
            wallet.asset,
            wallet.balance,
            (wallet.asset, wallet.scale),
            note=f"{wallet.held} held" if wallet.held else "",
        )
        for wallet in await ledger.wallets(tx, owner_id=UserId(user_id))
    ]


def _told(player: affiliates.Player) -> str:
    return f"{player.name} ({player.uid})" if player.name else player.uid


async def _links(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    links = await affiliates.links_many(tx, user_ids=[UserId(user_id)])
    players = await affiliates.players_many(tx, [link.player_id for link in links])
    return [Fact("Account", _told(players[link.player_id])) for link in links]


PANELS: tuple[Panel[Tx], ...] = (
    Panel("ledger", "Wallets", "ledger.wallet.read", _wallets),
    Panel("affiliates", "Linked accounts", "affiliates.read", _links),
)


def frame() -> Frame:
    """What stands around every page of the console."""
    return Frame(RAIL, _waiting, _name_of)


def desk(wiring: Wiring) -> Desk:
    """What the console of a process works with."""
    return Desk(wiring.settings, COMMANDS, QUEUES, PENDING, PANELS, partial(_examine, wiring))


async def _waiting(tx: Tx, ask: Asking) -> Mapping[str, int]:
    return await admin.waiting(tx, queues=QUEUES, held=ask.permissions, now=ask.now)


async def _name_of(tx: Tx, ask: Asking) -> str:
    user_id = ask.actor.user_id
    names = await identity.names(tx, ids=[user_id]) if user_id else {}
    return names.get(user_id, "") if user_id else ""


async def _examine(wiring: Wiring, tx: Tx, now: datetime) -> Sequence[Defect]:
    """Everything that may be wrong with this deployment."""
    known = Known(
        now=now,
        is_bundled=wiring.environment.is_embedded,
        migrations=migrate.read_files(MIGRATIONS),
        settings=wiring.settings,
    )
    found = [*doctor.examine_host(wiring.environment), *await doctor.examine_database(tx, known)]
    found.sort(key=lambda finding: doctor.SEVERITIES.index(finding.severity))
    return [Defect(one.id, one.severity, one.what, one.why, one.remedy) for one in found]
