"""The web application: the routes of every module behind the browser edge."""

import asyncio
import hmac
import secrets
from datetime import datetime
from functools import partial
from string import Template

from starlette.types import ASGIApp

from palio.admin import console as admin
from palio.affiliates import console as affiliates_console
from palio.affiliates import web as affiliates
from palio.competitions import console as competitions_console
from palio.competitions import web as competitions
from palio.entry import clockwork, curtain, desk, home, hooks, mailbox, probes, recipients, status, vouching
from palio.entry.sections import SECTIONS
from palio.entry.topics import HIDDEN, TOPICS
from palio.entry.wiring import BOARDS, ENTRY_CHECKS, PRODUCT_PAGES, Wiring
from palio.identity import Doorman, House
from palio.identity import console as identity_console
from palio.identity import web as identity
from palio.infra import logging
from palio.infra.deprecations import Deprecations
from palio.infra.keyring import KEY_BYTES
from palio.infra.metrics import Metrics
from palio.infra.oidc import Issuers
from palio.infra.passwords import Leaked
from palio.infra.ratelimit import Limiter
from palio.kernel import clock
from palio.ledger import console as ledger_console
from palio.ledger import web as ledger
from palio.races import console as races_console
from palio.races import web as races
from palio.ui import assets, documents, operations, streams
from palio.ui.edge import Served
from palio.ui.files import Files
from palio.ui.hot import HotRoutes
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors
from palio.ui.routes import Call, Routes
from palio.ui.site import assemble
from palio.ui.streams import Streams

log = logging.get("web")
journal = logging.Journal("web", "request")
TOLD_AFTER_S = 0.05

COMPETITION = Template("/competitions/$competition")
CAUSES = {  # where each kind of movement is explained
    "competitions.prize": Template("/competitions/$competition/me/receipt"),
    "competitions.entry_fee": COMPETITION,
    "competitions.contribution": COMPETITION,
}

MODULES: tuple[Routes, ...] = (
    home.routes,
    status.routes,
    hooks.routes,
    clockwork.routes,
    curtain.routes,
    mailbox.routes,
    identity.routes,
    identity_console.routes,
    *admin.MODULES,
    races.routes,
    races_console.routes,
    competitions.routes,
    competitions_console.routes,
    affiliates.boards.routes,
    affiliates.linking.routes,
    affiliates_console.routes,
    ledger.routes,
    ledger_console.routes,
    streams.routes,
    operations.routes,
    documents.routes,
    assets.routes,
)


def make(wiring: Wiring) -> ASGIApp:
    """The application of one process; its middlewares are pure ASGI."""
    doorman, teller = Doorman(wiring.database), ledger.Teller(wiring.database)
    scorer = competitions.Scorer(wiring.database)
    cursors = Cursors(key_for(wiring, "cursors"))
    looks = competitions.Looks(wiring.database, cursors)
    competitions.Warmer(wiring.database)
    limiter, served = Limiter(wiring.database, key_for(wiring, "limits")), partial(tell, wiring.metrics)
    together = Telling(wiring.metrics)
    in_front = partial(
        HotRoutes,
        routes=[*ledger.short_ways(teller), *competitions.short_ways(scorer), *looks.short_ways()],
        calls=[one for one in (*ledger.routes.all, *competitions.routes.all) if isinstance(one, Call)],
        recognise=identity.Turnstile(doorman),
        limiter=limiter,
        served=together.hear,
        is_open=curtain.is_open,
    )
    return assemble(
        (probes.routes(wiring), *MODULES),
        state=parts(wiring) | {"teller": teller, "scorer": scorer, "cursors": cursors},
        served=served,
        origin=wiring.environment.public_url,
        identify=identity.Reception(doorman),
        limiter=limiter,
        key=key_for(wiring, "forms"),
        trusted=wiring.environment.proxies,
        before=curtain.Curtain,
        in_front=in_front,
    )


def parts(wiring: Wiring) -> dict[str, object]:
    """What handlers find on the application."""
    origin = wiring.environment.public_url
    return {
        "database": wiring.database,
        "streams": Streams(
            wiring.hub,
            origin,
            topics=TOPICS,
            hidden=HIDDEN,
            recall=identity.Recollection(Doorman(wiring.database)),
        ),
        "pages": Pages(Languages(), origin=origin),
        "files": Files(DIST.parent),
        "house": house_of(wiring),
        "cursors": Cursors(key_for(wiring, "cursors")),
        "boards": BOARDS,
        "product_pages": PRODUCT_PAGES,
        "entry_checks": ENTRY_CHECKS,
        "prove": identity.prove_in_form,
        "keep_viewer": identity.keep_viewer,
        "race_views": races.Views(wiring.database),
        "deprecations": Deprecations(wiring.database),
        "wiring": wiring,
        "stage": wiring.stage,
        "ribbon": partial(clockwork.ribbon_of, wiring),
        "desk": desk.desk(wiring),
        "frame": desk.frame(),
        "people": desk.Names(),
        "causes": CAUSES,
        "sections": SECTIONS,
        "find_recipient": recipients.find,
        "mailbox": partial(mailbox.path_of, wiring),
    }


def house_of(wiring: Wiring) -> House:
    """What lets people in, as far as the environment says."""
    environment, equipment = wiring.environment, wiring.database.equipment
    return House(
        wiring.database,
        leaked=Leaked(environment.leaked_passwords_file),
        providers=vouching.providers_of(environment),
        issuers=Issuers(equipment.http, is_simulated=equipment.is_simulated),
        bot=vouching.bot_of(environment),
        has_otp=vouching.has_otp(environment),
    )


def key_for(wiring: Wiring, purpose: str) -> bytes:
    """What something is signed with: the same wherever the operator's secret or the keyring is; without either it lasts
    as long as the process.
    """
    if wiring.environment.secret:
        return hmac.digest(wiring.environment.secret.encode(), purpose.encode(), "sha256")
    keyring = wiring.database.equipment.keyring
    return keyring.key_for(purpose) if keyring else secrets.token_bytes(KEY_BYTES)


def tell(metrics: Metrics, served: Served) -> None:
    """Count a request, write one line of it, and all that is known of a defect."""
    metrics.answered(route=served.route, status=served.status, seconds=served.seconds)
    if served.code:
        metrics.refused(served.code)
    if served.defect:
        log.error("request failed", exc_info=served.defect, **_facts(served))
    else:
        journal.write(clock.real(), **_facts(served))


def _facts(served: Served) -> dict[str, str | float]:
    return {
        "request_id": served.request_id,
        "method": served.method,
        "route": served.route,
        "status": served.status,
        "ms": round(served.seconds * 1000, 1),
    }


class Telling:
    """Tells of requests of the short way together, twenty times a second: one by one it costs as much as they do."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._heard: list[tuple[datetime, Served]] = []

    def hear(self, served: Served) -> None:
        """Remember a request; it is told of within 50 ms, and a defect at once."""
        if served.defect:
            tell(self._metrics, served)
            return
        if not self._heard:
            asyncio.get_running_loop().call_later(TOLD_AFTER_S, self.tell)
        self._heard.append((clock.real(), served))

    def tell(self) -> None:
        """Count and write down what was heard since the last time."""
        heard, self._heard = self._heard, []
        for _, served in heard:
            self._metrics.answered(route=served.route, status=served.status, seconds=served.seconds)
            if served.code:
                self._metrics.refused(served.code)
        journal.write_many([(at, _facts(served)) for at, served in heard])
