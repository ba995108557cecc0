"""The pages and calls of the product over a real database, for people whom headers name."""

from starlette.types import ASGIApp

from palio.competitions.web import Scorer
from palio.entry import recipients, web
from palio.entry.topics import HIDDEN, TOPICS
from palio.entry.wiring import BOARDS, ENTRY_CHECKS, PRODUCT_PAGES
from palio.infra.db import Database
from palio.infra.ratelimit import Limiter
from palio.infra.realtime import Hub
from palio.ledger.web import Teller
from palio.races.web.views import Views
from palio.ui.actor import Identify
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from palio.ui.streams import Streams
from palio.ui.streams.hearing import Recall
from tests.ui import people


def product(
    database: Database,
    hub: Hub | None = None,
    *,
    identify: Identify = people.identify,
    limiter: Limiter | None = None,
    languages: Languages | None = None,
    streams_max: int = 5,
    recall: Recall = people.recall,
    comment_seconds: float = 0.5,
) -> ASGIApp:
    """Every module, as one process serves it."""
    state = {
        "database": database,
        "pages": Pages(languages or Languages()),
        "files": Files(DIST.parent),
        "streams": Streams(
            hub or Hub(""),
            None,
            topics=TOPICS,
            hidden=HIDDEN,
            recall=recall,
            comment_seconds=comment_seconds,
            of_user_max=streams_max,
        ),
        "cursors": Cursors(bytes(32)),
        "boards": BOARDS,
        "product_pages": PRODUCT_PAGES,
        "entry_checks": ENTRY_CHECKS,
        "causes": web.CAUSES,
        "find_recipient": recipients.find,
        "race_views": Views(database),
        "teller": Teller(database),
        "scorer": Scorer(database),
    }
    return assemble(
        web.MODULES, state=state, served=lambda served: None, identify=identify, limiter=limiter, key=bytes(32)
    )
