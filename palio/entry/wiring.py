"""What one process is made of: made here once and handed to the edges, so that nothing hangs on module globals."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import palio
from palio import admin, affiliates, competitions, identity, ledger, races
from palio.admin import types as admin_types
from palio.affiliates import jobs as affiliate_jobs
from palio.affiliates import types as affiliates_types
from palio.competitions import jobs as competition_jobs
from palio.competitions import types as competitions_types
from palio.competitions import web as competitions_web
from palio.entry import figures, vouching
from palio.entry.published import PUBLIC
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.identity import jobs as identity_jobs
from palio.identity import types as identity_types
from palio.infra import (
    approvals,
    clusters,
    db,
    embedded,
    external,
    idempotency,
    jobs,
    keyring,
    marks,
    migrate,
    operations,
    partitions,
    privacy,
    pruning,
    ratelimit,
    realtime,
    roles,
    rotation,
    seals,
    settings,
    webhooks,
)
from palio.infra import clock as virtual
from palio.infra.addresses import Addresses
from palio.infra.anchors import Anchors
from palio.infra.db import Database, Equipment, Tx
from palio.infra.geo import Geo
from palio.infra.health import Health
from palio.infra.http import Client
from palio.infra.instances import Instance
from palio.infra.keyring import Keyring
from palio.infra.mail import Folder, Mail, Smtp
from palio.infra.messages import KeepPartitions
from palio.infra.metrics import Metrics
from palio.infra.realtime import Hub
from palio.infra.settings import Environment
from palio.infra.settings.environment import WrongSettingError
from palio.infra.shelves import Shelf
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.permissions import Permission
from palio.kernel.providers import (
    BoardSource,
    Bulk,
    EntryCheck,
    ExportSource,
    PrivacySection,
    ProductPages,
    SealedColumn,
)
from palio.kernel.schedules import Schedule
from palio.kernel.settings import Catalogue, Setting
from palio.ledger import jobs as ledger_jobs
from palio.ledger import types as ledger_types
from palio.ledger import web as ledger_web
from palio.races import jobs as race_jobs
from palio.races import types as races_types
from palio.ui import types as ui_types

if TYPE_CHECKING:
    from palio.sim import Mailbox

MIGRATIONS = Path(palio.__file__).parent / "migrations"
SCHEDULES: tuple[Schedule, ...] = (
    *(partitions.SCHEDULE, pruning.SCHEDULE, pruning.REQUESTS_SCHEDULE, pruning.APPROVALS_SCHEDULE),
    *(seals.SCHEDULE, rotation.SCHEDULE),
    *(webhooks.SCHEDULE, webhooks.WATCH_SCHEDULE),
    operations.SCHEDULE,
    *(affiliate_jobs.TICK_SCHEDULE, affiliate_jobs.STALE_SCHEDULE, affiliate_jobs.CLOSING_SCHEDULE),
    affiliate_jobs.EXPIRY_SCHEDULE,
    race_jobs.SCHEDULE,
    *(identity_jobs.PURGE_SCHEDULE, identity_jobs.PICTURES_SCHEDULE, identity_jobs.RETENTION_SCHEDULE),
    identity_jobs.REINDEX_SCHEDULE,
    *(identity_jobs.LIFT_SCHEDULE, identity_jobs.RESET_SCHEDULE, identity_jobs.SESSIONS_SCHEDULE),
    *(identity_jobs.PRIVACY_SCHEDULE, identity_jobs.EXCLUSION_SCHEDULE),
    *(ledger_jobs.HOLDS_SCHEDULE, ledger_jobs.DEBTS_SCHEDULE, ledger_jobs.LOTS_SCHEDULE),
    *(ledger_jobs.ADJUSTMENTS_SCHEDULE, ledger_jobs.SEAL_SCHEDULE),
    *(ledger_jobs.ROLLUP_SCHEDULE, ledger_jobs.RECONCILE_SCHEDULE, ledger_jobs.RECONCILE_ALL_SCHEDULE),
    competition_jobs.EXPIRY_SCHEDULE,
    competition_jobs.SERIES_SCHEDULE,
    *(competition_jobs.SNAPSHOT_SCHEDULE, competition_jobs.WATCH_SCHEDULE, competition_jobs.TICK_SCHEDULE),
    *(competition_jobs.FINAL_SCHEDULE, competition_jobs.ARCHIVE_SCHEDULE),
)
CHAINS: tuple[seals.Chain, ...] = (seals.AUDIT, ledger.CHAIN)
BOARDS: tuple[BoardSource[Tx], ...] = (affiliates.WAGER_BOARDS, competitions.EVERYBODY)
SEALED_COLUMNS: tuple[SealedColumn, ...] = (
    *identity.SEALED_COLUMNS,
    *affiliates_types.SEALED_COLUMNS,
    *webhooks.SEALED_COLUMNS,
)
PERSONAL: tuple[PrivacySection[Tx], ...] = (  # accounts go last: until then somebody may be asked who he was
    *(privacy.PRIVACY, ledger.PRIVACY, competitions.PRIVACY, affiliates.PRIVACY, identity.PRIVACY),
)
EXPORTS: tuple[ExportSource[Tx], ...] = (admin.AUDIT_EXPORT,)
BULK: tuple[Bulk[Database], ...] = (*ledger_web.BULK, *competitions_web.BULK)
PRODUCT_PAGES: tuple[ProductPages[Tx], ...] = (races.PAGES,)


async def _linked(tx: Tx, user_ids: Sequence[UserId], asked: object, now: datetime) -> set[UserId]:
    """Who has an account of a programme linked, or none where that is asked."""
    linked = {link.user_id for link in await affiliates.links_many(tx, user_ids=user_ids)}
    return {user_id for user_id in user_ids if (user_id in linked) is asked}


ENTRY_CHECKS: tuple[EntryCheck[Tx], ...] = (
    EntryCheck("linked_account", "true or false", lambda asked: isinstance(asked, bool), _linked),
)
SETTINGS: tuple[Setting[Any], ...] = (
    pruning.RETENTION_DAYS,
    *(idempotency.BODY_DAYS, idempotency.KEY_DAYS, *ratelimit.SETTINGS, approvals.HOURS),
    *marks.SETTINGS,
    *webhooks.SETTINGS,
    *operations.SETTINGS,
    *identity_types.SETTINGS,
    *ledger_types.SETTINGS,
    *ledger_types.DESK_SETTINGS,
    *(competitions_types.PAY_APPROVAL_ABOVE, competitions_types.TREASURY_BPS, competitions_types.UNCLAIMED_DAYS),
    *competitions_types.FUND_SETTINGS,
    competitions_types.REFUND_TO,
    *(competitions_types.DEFAULT_BOARD, competitions_types.RACE_GRACE_S, competitions_types.GRACE_S),
    *(competitions_types.RACE_REVIEW_H, competitions_types.REVIEW_H),
    competitions_types.ARCHIVE_AFTER_DAYS,
    *(competitions_types.RANK_MEMORY_MB, competitions_types.RANK_MOVE_PLACES, competitions_types.RANK_NOTICE_H),
    *(competitions_types.RANK_REFRESH_MS, competitions_types.RANK_STALE_AFTER_S),
    *(affiliates_types.MAX_BYTES, affiliates_types.STALE_AFTER_S, affiliates_types.PLACEHOLDER_NAMES),
    *(affiliates_types.JUMP_LIMIT, affiliates_types.FIRST_SEEN_LIMIT, affiliates_types.BOARD_SOURCE),
    *(affiliates_types.INTERVAL_S, affiliates_types.TIMEOUT_S, affiliates_types.MAX_ATTEMPTS),
    *(affiliates_types.BREAKER_CYCLES, affiliates_types.BREAKER_PAUSE_S),
    *(affiliates_types.RELINK_REST_DAYS, affiliates_types.REQUEST_DAYS, affiliates_types.AUTO_APPROVE_CODE),
    *(races_types.PICTURE_TOLERANCE_S, races_types.FINAL_LATE_S, races_types.BIG_CORRECTION_BPS),
    *(realtime.STATE_INTERVAL_MS, *ui_types.SETTINGS),
    *(races_types.DEFAULT_MIN_WAGER, races_types.FINAL_ALARM_H, races_types.ADJUST_OVER),
    races_types.LEADER_GAP_MIN,
)
PERMISSIONS: tuple[Permission, ...] = (
    *identity_types.PERMISSIONS,
    *affiliates_types.PERMISSIONS,
    *admin_types.PERMISSIONS,
    *competitions_types.PERMISSIONS,
    *races_types.PERMISSIONS,
    *(ledger_types.PERMISSION_WALLET_READ, ledger_types.PERMISSION_TRANSFER_POST),
    *ledger_types.DESK_PERMISSIONS,
    ledger_types.PERMISSION_ACCOUNT_FREEZE,
    ledger_types.PERMISSION_ASSET_EDIT,
    competitions_types.PERMISSION_SCORE_SUBMIT,
)
STATEMENTS_BEFORE_PREPARING = 5  # how often one is run before the server is asked to remember it
STATEMENT_SECONDS_MAX = 5
Say = Callable[[str], None]
Lanes = Mapping[tuple[str, ...], int]


@dataclass(slots=True)
class Stage:
    """What the pages of this process say of a demo: how far it is filled, how often its feed is read, who wrote."""

    done: int = 0
    steps: int = 0
    feed_interval_s: int | None = None
    mailbox: "Mailbox | None" = None  # where its letters are, if it is played in this process
    moving: asyncio.Task[None] | None = None  # of a page of this process, which moves the clock on


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything a process works with."""

    environment: Environment
    addresses: Addresses
    database: Database
    hub: Hub
    queue: jobs.Queue
    storage: Storage
    settings: Catalogue
    instance: Instance
    health: Health
    metrics: Metrics
    stage: Stage = field(default_factory=Stage)

    @property
    def is_simulated(self) -> bool:
        """Is the outside played on this machine, and the time that of a row?"""
        return self.database.equipment.is_simulated


@contextmanager
def reached(environment: Environment) -> Iterator[Addresses]:
    """A database that is reachable for the length of the block: the operator's, or a server of our own.

    Raises CannotStartError and UnfitServerError.
    """
    if environment.database_url:
        found = external.addresses(
            environment.database_url, environment.database_direct_url, environment.data / "secrets/pg.json"
        )
        yield external.require_fit(found)
        return
    with embedded.running(
        environment.data, port=environment.pg_port, user=environment.pg_user, prepare=make_roles
    ) as cluster:
        yield Addresses(
            app=cluster.dsn("palio_app", roles.DATABASE),
            direct=cluster.dsn("palio_app", roles.DATABASE),
            migrate=cluster.dsn("palio_migrate", roles.DATABASE),
        )


def make_roles(cluster: embedded.Cluster) -> None:
    """Bring database and roles of a server of our own up to what the product needs."""
    roles.make(cluster.dsn(), cluster.passwords)


def bring_up_to_date(found: Addresses, say: Say) -> None:
    """Apply the migrations that are due, and make the partitions they need, before anybody writes into them.

    Not to be called in an event loop. Raises MigrationError and its kinds.
    """
    done = migrate.migrate(
        found.migrate,
        MIGRATIONS,
        tell=lambda migration: say(f"  migration {migration.file_name}"),
        finish=lambda: asyncio.run(_make_partitions(found)),
    )
    if done.waiting:
        say(f"  {len(done.waiting)} migrations wait for older instances: palio migrate --post when they are gone")


async def _make_partitions(found: Addresses) -> None:
    database = Database(found.app, equipment=Equipment(jobs.addresses(SUBSCRIPTIONS)), connections_max=1)
    await database.pool.open(wait=True)
    try:
        await partitions.keep(database, KeepPartitions())
    finally:
        await database.close()


@asynccontextmanager
async def opened(
    environment: Environment,
    found: Addresses,
    *,
    role: str = "cli",
    routes: jobs.Routes = SUBSCRIPTIONS,
    lanes: Lanes = jobs.LANES,
    statement_seconds_max: int = STATEMENT_SECONDS_MAX,
) -> AsyncIterator[Wiring]:
    """The parts, with the pool open and the settings read."""
    hub, catalogue, version = Hub(found.direct), Catalogue(SETTINGS), schema_version()
    hub.on(settings.CHANNEL, settings.snapshot.reload_soon)
    hub.on(virtual.CHANNEL, virtual.virtual.look_soon)
    keys, storage, outside = _keyring(environment), Storage(environment.data / "files"), Client()
    database = Database(
        found.app,
        equipment=Equipment(
            jobs.addresses(routes),
            published={one.kind: one.name for one in PUBLIC},
            exports={one.name: one for one in EXPORTS},
            bulk={one.call: one for one in BULK},
            wake=hub.wake,
            tell=hub.tell,
            keyring=keys,
            sealed=SEALED_COLUMNS,
            personal=PERSONAL,
            anchors=Anchors(
                environment.data / "anchors",
                environment.anchor_file,
                environment.anchor_url,
                environment.anchor_store,
                environment.anchor_mail,
            ),
            storage=storage,
            shelf=Shelf(environment.data / "ranks"),
            mail=_mail(environment),
            geo=Geo(environment.geo_file),
            otp=vouching.sender_of(environment, outside, is_simulated=environment.sim == "on"),
            http=outside,
            site=environment.public_url or f"http://{environment.bind}",
        ),
        connections_max=environment.pool,
        statement_seconds_max=statement_seconds_max,
        prepare_threshold=STATEMENTS_BEFORE_PREPARING if _prepares(environment, found) else None,
    )
    hub.heed(identity.ENDINGS, identity.Doorman(database).forget)
    instance = Instance(database, role=role, version=palio.__version__, schema_version=version)
    queue = jobs.Queue(found.direct, database, routes, schedules=SCHEDULES, instance_id=instance.id, lanes=lanes)
    await database.pool.open(wait=True)
    try:
        async with database.begin_system("is it at home here") as tx:
            await clusters.require_known(tx)
            await rotation.require_keys(tx)
            await identity.require_peppers(tx)
        await db.retrying(partial(database.begin_system, "settings"), partial(_declare, catalogue=catalogue))
        if _is_simulated(environment):
            await simulate(database)
        yield Wiring(
            environment=environment,
            addresses=found,
            database=database,
            hub=hub,
            queue=queue,
            storage=storage,
            settings=catalogue,
            instance=instance,
            health=Health(database, instance, schema_min=version),
            metrics=Metrics(
                database,
                hub,
                data=environment.data,
                version=palio.__version__,
                looking=[figures.of_feeds, figures.of_seals],
            ),
        )
    finally:
        virtual.virtual.face = None
        clock.use(clock.real)
        await database.close()


def _is_simulated(environment: Environment) -> bool:
    """Raises WrongSettingError where people from outside would take the numbers of a demo for real ones."""
    if environment.sim != "auto":
        return environment.sim == "on"
    if marks.demo() and not environment.is_here:
        reason = f"this database holds a demo, and players come from outside to {environment.public_url}"
        raise WrongSettingError([f"{reason}: give them another PALIO_DATA, or set PALIO_SIM to off"])
    return marks.demo() is not None


async def simulate(database: Database) -> None:
    """Let the outside be played on this machine: feeds may lie inside, and the time is that of the row."""
    database.equipment = replace(database.equipment, is_simulated=True)
    async with database.begin_system("the clock") as tx:
        await virtual.ensure(tx)
        await virtual.virtual.look(tx)
    clock.use(virtual.virtual.now)


async def _declare(tx: Tx, catalogue: Catalogue) -> None:
    await settings.declare(tx, catalogue)
    await settings.snapshot.load(tx)
    await identity.declare_roles(tx, permissions=PERMISSIONS, now=clock.now())


def _keyring(environment: Environment) -> Keyring | None:
    """Beside a server of our own the keys are made at the first start; several machines must be given the same file."""
    path = keyring_file(environment)
    if path is None:
        return None
    return keyring.load_or_make(path) if environment.is_embedded else keyring.load(path)


def keyring_file(environment: Environment) -> Path | None:
    """Where the keys are; beside a server of somebody else only where the operator says."""
    usual = environment.data / "secrets/keyring.json" if environment.is_embedded else None
    return environment.keyring_file or usual


def _mail(environment: Environment) -> Mail:
    """The operator's mail server; without one, letters become files beside the database."""
    if environment.smtp_url:
        return Smtp(environment.smtp_url, environment.mail_from)
    return Folder(environment.data / "mail", environment.mail_from)


def _prepares(environment: Environment, found: Addresses) -> bool:
    return environment.prepare == "on" or (environment.prepare == "auto" and not found.is_pooled)


def schema_version() -> int:
    """The schema this program is written for."""
    return migrate.newest(migrate.read_files(MIGRATIONS))
