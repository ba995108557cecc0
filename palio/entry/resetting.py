"""`palio demo --reset`: the demo of a database of our own is given up, so that another can begin."""

import shutil

from palio.entry import cast, first_start, wiring
from palio.infra import embedded, roles
from palio.infra.settings import Environment

FOLDERS = (
    "files",
    "mail",
    "ranks",
)  # lists that were archived, letters, rankings; keys and passwords of the deployment stay


def give_up(environment: Environment) -> None:
    """Throw away what the demo of this data directory holds; what is no demo is left alone, and refused.

    Raises DemoRefusedError, embedded.CannotStartError.
    """
    if not environment.is_embedded:
        raise _refused("it is a database that you run yourself: drop it, make it again with palio db roles")
    with embedded.running(
        environment.data, port=environment.pg_port, user=environment.pg_user, prepare=wiring.make_roles
    ) as cluster:
        try:
            is_gone = roles.drop_demo(cluster.dsn(), cluster.dsn(database=roles.DATABASE))
        except roles.InUseError:
            raise _refused("somebody uses it: stop palio up first") from None
        if not is_gone:
            raise _refused("it holds no demo, and what is real is never thrown away")
        wiring.make_roles(cluster)
    for name in FOLDERS:
        shutil.rmtree(environment.data / name, ignore_errors=True)
    cast.path_of(environment.data).unlink(missing_ok=True)


def _refused(reason: str) -> first_start.DemoRefusedError:
    return first_start.DemoRefusedError([f"this database cannot be begun anew: {reason}"])
