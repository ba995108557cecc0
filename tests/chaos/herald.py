"""A worker that tells webhooks, for tests/chaos/test_telling.py: `python herald.py DSN` works until it is killed."""

import asyncio
import sys
from dataclasses import replace

from palio.infra import webhooks
from palio.infra.db import Database
from palio.infra.jobs import Pace, Queue, addresses
from palio.infra.messages import DeliverWebhooks, TellWebhooks, WakeWebhooks
from tests.factories.webhooks import equip

ROUTES = {
    TellWebhooks: (webhooks.tell,),
    DeliverWebhooks: (webhooks.deliver,),
    WakeWebhooks: (webhooks.wake,),
}
PACE = Pace(poll=0.1, tick=0.2, heartbeat=0.3, silence=1.5, rescue=0.3, stop=1)


async def work(dsn: str) -> None:
    database = Database(dsn)
    equip(database, addresses=addresses(ROUTES))
    await database.pool.open(wait=True)
    schedule = replace(webhooks.SCHEDULE, when="every 1s")
    await Queue(dsn, database, ROUTES, schedules=[schedule], pace=PACE).work()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
