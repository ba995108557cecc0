"""The console as it is put together: what stands in its rail, what waits, and what a player's card shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from palio import admin, affiliates, competitions, identity, ledger
from palio.admin import Defect, Desk
from palio.admin import console as admin_console
from palio.affiliates import console as affiliates_console
from palio.competitions import console as competitions_console
from palio.competitions.types import Latest
from palio.entry.approving import COMMANDS, PENDING
from palio.entry.published import PUBLIC
from palio.entry.wiring import MIGRATIONS, Wiring
from palio.identity import console as identity_console
from palio.identity import web as identity_web
from palio.infra import approvals, doctor, migrate
from palio.infra.db import Tx
from palio.infra.doctor import Known
from palio.kernel.ids import UserId
from palio.kernel.providers import Fact, Panel, PanelAct, Queue, Waiting
from palio.ledger import console as ledger_console
from palio.races import console as races_console
from palio.ui.actor import Asking
from palio.ui.console import Frame, RailEntry
from palio.ui.values import Asset, Money

LATEST = 5  # movements on the card of a person
RAIL: tuple[RailEntry, ...] = (
    *admin_console.RAIL,
    *identity_console.RAIL,
    *identity_web.RAIL,
    *ledger_console.RAIL,
    *races_console.RAIL,
    *competitions_console.RAIL,
    *affiliates_console.RAIL,
)


async def _approvals(tx: Tx, now: datetime) -> Waiting:
    found = [await approvals.waiting(tx), *[await each.waiting(tx) for each in PENDING]]
    return Waiting(sum(count for count, _ in found), min((since for _, since in found if since), default=None))


async def _suspicious(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.suspicious_waiting(tx))


async def _quarantined(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.held_waiting(tx))


async def _link_requests(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await affiliates.waiting_requests(tx))


async def _doubts(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await competitions.waiting_appeals(tx))


async def _withheld(tx: Tx, now: datetime) -> Waiting:
    return Waiting(*await competitions.waiting_withheld(tx))


QUEUES: tuple[Queue[Tx], ...] = (
    Queue("Approvals", "/console/approvals", "admin.approval.read", _approvals),
    Queue("Suspicious snapshots", "/console/affiliates/snapshots", "affiliates.snapshots.decide", _suspicious),
    Queue("Quarantined rows", "/console/affiliates/quarantine", "affiliates.snapshots.decide", _quarantined),
    Queue("Link requests", affiliates_console.REQUESTS, "affiliates.links.review", _link_requests),
    Queue("Doubts about results", competitions_console.APPEALS, "competitions.settlement.run", _doubts),
    Queue("Withheld prizes", competitions_console.WITHHELD, "competitions.settlement.run", _withheld),
)


async def _wallets(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    """What somebody has, what of it is held, what he owes, and what moved last."""
    facts = [_wallet(wallet) for wallet in await ledger.wallets(tx, owner_id=UserId(user_id))]
    for line in await ledger.latest(tx, owner_id=UserId(user_id), limit=LATEST):
        path = f"{ledger_console.TRANSFERS}/{line.transfer_id}"
        facts.append(
            Fact(line.label, line.amount, (line.asset, line.scale), note=f"{line.posted_at:%Y-%m-%d}", path=path)
        )
    return facts


def _wallet(wallet: ledger.Wallet) -> Fact:
    asset = Asset(wallet.asset, wallet.scale)
    notes = [
        f"{Money.of(amount, asset).text} {word}"
        for amount, word in ((wallet.held, "held"), (-wallet.debt, "owed"))
        if amount
    ]
    return Fact(wallet.asset, wallet.balance, (wallet.asset, wallet.scale), note=", ".join(notes))


def _told(player: affiliates.Player) -> str:
    return f"{player.name} ({player.uid})" if player.name else player.uid


async def _links(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    links = await affiliates.links_many(tx, user_ids=[UserId(user_id)])
    players = await affiliates.players_many(tx, [link.player_id for link in links])
    return [Fact("Account", _told(players[link.player_id])) for link in links]


async def _contests(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    """What somebody took part in last, where he stands in what is decided, and what he has won."""
    scales = {asset.code: asset.scale for asset in await ledger.assets(tx)}
    return [_contest(one, scales) for one in await competitions.latest_of(tx, user_id=UserId(user_id), limit=LATEST)]


def _contest(one: Latest, scales: Mapping[str, int]) -> Fact:
    path = f"{competitions_console.HERE}/{one.id}"
    rank = f"rank {one.rank}" if one.rank else ""
    notes = [word for word in (rank, one.reward_status or "", "" if one.state == "active" else one.state) if word]
    if one.prize:
        return Fact(one.title, one.prize, (one.asset, scales[one.asset]), note=", ".join(notes), path=path)
    return Fact(one.title, one.status, note=", ".join(notes), path=path)


ACCOUNT = "/console/identity/users/{user}"


async def _account(tx: Tx, user_id: UUID, now: datetime) -> list[Fact]:
    """How somebody proves who he is, and why he may not do anything, if so."""
    found = await identity.record_of(tx, user_id=UserId(user_id), now=now)
    until = found.suspension.until
    suspended = [Fact("Suspended", found.suspension.reason, note=f"until {until:%Y-%m-%d %H:%M} UTC" if until else "")]
    return [
        *(suspended if found.suspension.status == "suspended" else []),
        Fact("Proven contacts", sum(one.verified_at is not None for one in found.contacts)),
        Fact("Second factor", "on" if found.has_second_factor else "none"),
        Fact("Last signed in", found.last_login_at),
    ]


PANELS: tuple[Panel[Tx], ...] = (
    Panel(
        "identity",
        "Proofs and standing",
        "identity.user.read",
        _account,
        acts=(PanelAct("Open the account", ACCOUNT, "identity.user.read"),),
    ),
    Panel(
        "ledger",
        "Wallets",
        "ledger.wallet.read",
        _wallets,
        acts=(
            PanelAct("Accounts", ledger_console.HERE + "?owner={user}", "ledger.wallet.read"),
            PanelAct("Adjust", ledger_console.ADJUST + "?player={user}", "ledger.wallet.adjust"),
        ),
    ),
    Panel("competitions", "Competitions", "competitions.competition.read", _contests),
    Panel("affiliates", "Linked accounts", "affiliates.read", _links),
)


class Names:
    """Who people are, for modules that know ids only."""

    async def names(self, tx: Tx, ids: Sequence[UserId]) -> Mapping[UserId, str]:
        """What staff read as the names of users; unknown ones are absent."""
        return await identity.names(tx, ids=ids, viewer=tx.actor)

    async def find(self, tx: Tx, texts: Sequence[str]) -> Mapping[str, UserId]:
        """Whose user name or id each text is; unknown ones are absent."""
        return await identity.ids_many(tx, texts)


def frame() -> Frame:
    """What stands around every page of the console."""
    return Frame(RAIL, _waiting, _name_of)


def desk(wiring: Wiring) -> Desk:
    """What the console of a process works with."""
    return Desk(wiring.settings, COMMANDS, QUEUES, PANELS, partial(_examine, wiring), PENDING, PUBLIC)


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
