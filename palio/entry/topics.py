"""The one list of what can be listened to: what every module declares."""

from palio import affiliates, competitions, ledger, races
from palio.kernel.topics import Topic

TOPICS: tuple[Topic, ...] = (*races.TOPICS, *competitions.TOPICS, *affiliates.TOPICS, *ledger.TOPICS)
