"""PostgreSQL from a wheel, as our own child: set up once, reached by a socket (TCP only if asked), gone when we are.

Only the wheel's programs are used, not its Python wrapper. Whoever holds the lock of a data directory supervises the
server; other processes of that directory connect to it, and one of them takes over when the supervisor dies. Started as
root, the server runs as another account; nothing outside the data directory is created or has its mode changed, but for
a folder for the socket where the path of the data directory is too long for one.
"""

from palio.infra.embedded.cluster import Cluster, at
from palio.infra.embedded.failure import CannotStartError
from palio.infra.embedded.supervisor import running

__all__ = ["CannotStartError", "Cluster", "at", "running"]
