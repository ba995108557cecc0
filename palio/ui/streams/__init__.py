"""Live streams: what changes is told as it happens, over event streams, sockets and long polls, by the same ids.

An event names a topic; who may hear it is judged here, by the one list of topics that modules declare.
"""

from palio.ui.streams import polling, socket, sse, tickets
from palio.ui.streams.hearing import OriginRejected, Streams
from palio.ui.streams.offers import routes
from palio.ui.streams.sse import EventStream

__all__ = ["EventStream", "OriginRejected", "Streams", "polling", "routes", "socket", "sse", "tickets"]
