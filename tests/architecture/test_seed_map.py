"""The seed map names only what exists: each relation and column of its table stands in the migrated schema."""

import re
from pathlib import Path

import psycopg
import pytest

from palio.infra import embedded

MAP = Path(__file__).parents[2] / "docs/seed-map.md"
ROW = re.compile(
    r"^\| (?P<seed>[\d ]+) \| (?P<field>[^|]+) \| (?P<kind>table|view|column|key|derived) \| (?P<place>[^|]+) \|"
)
NAME = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+){1,2})`")


def rows() -> list[re.Match[str]]:
    return [row for line in MAP.read_text().splitlines() if (row := ROW.match(line))]


@pytest.fixture(scope="module")
def existing(cluster: embedded.Cluster, database_name: str) -> set[str]:
    with psycopg.connect(cluster.dsn("postgres", database_name)) as conn:
        found = conn.execute("select table_schema, table_name, column_name from information_schema.columns")
        columns = found.fetchall()
    return {f"{schema}.{table}" for schema, table, _ in columns} | {".".join(names) for names in columns}


def test_the_map_has_rows() -> None:
    assert len(rows()) >= 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['seed']} {row['field']}"[:60])
def test_what_the_map_names_exists(existing: set[str], row: re.Match[str]) -> None:
    names = NAME.findall(row["place"])

    assert names
    assert set(names) - existing == set()
    assert all((name.count(".") == 1) == (row["kind"] in {"table", "view"}) for name in names)
