"""Somebody who may do what the product cannot."""

from collections.abc import Iterator

import psycopg
import pytest

from palio.infra import embedded
from tests.factories.ledger import Superuser


@pytest.fixture(scope="module")
def superuser(cluster: embedded.Cluster, database_name: str) -> Iterator[Superuser]:
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        yield Superuser(conn)
