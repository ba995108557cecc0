"""No call and no form takes a field that it does not know, least of all a column of the tables behind it."""

from collections.abc import Iterator
from typing import Any

from fastapi import params
from pydantic import TypeAdapter, ValidationError

from palio.entry import web
from palio.identity import schemas as say
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.ui.routes import Route
from tests.conftest import SYSTEM
from tests.factories.identity import World
from tests.identity.conftest import committed, world
from tests.identity.test_web import application, browser, log_in

__all__ = ["committed", "world"]


def shapes() -> Iterator[tuple[str, str, type[Any]]]:
    """Every model that a call or a form takes, with its module and where it is taken."""
    for module in web.MODULES:
        for route in module.all:
            for field in route.dependant.body_params:
                if isinstance(field.field_info, params.Body) and not isinstance(field.field_info, params.File):
                    yield module.module, name_of(route), field.field_info.annotation


def name_of(route: Route) -> str:
    return f"{'/'.join(sorted(route.methods or ()))} {route.path}"


SHAPES = [(module, name, shape) for module, name, shape in shapes() if hasattr(shape, "model_fields")]


async def columns_of(tx: Tx, schema: str) -> set[str]:
    """Every column of the tables of a module; `admin` stands on those of the doors."""
    found = await db.column(
        tx,
        """select distinct a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
          join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = %s and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped limit 5000""",
        schema,
    )
    return set(found)


async def test_no_model_takes_a_column_that_is_not_its_field(database: Database) -> None:
    """Each model of each module with every column of its tables, one by one."""
    async with database.begin(SYSTEM) as tx:
        schemas = {module for module, _, _ in SHAPES} | {"infra", "identity"}
        columns = {schema: await columns_of(tx, schema) for schema in schemas}
    taken, tried = [], 0
    for module, name, shape in SHAPES:
        known = {field.alias or each for each, field in shape.model_fields.items()} | {*shape.model_fields}
        for column in sorted((columns[module] | columns["infra"] | columns["identity"]) - known):
            tried += 1
            try:
                TypeAdapter(shape).validate_python({column: 1})
            except ValidationError as refused:
                if any(one["type"] == "extra_forbidden" and one["loc"] == (column,) for one in refused.errors()):
                    continue
            taken.append((name, column))

    assert taken == []
    assert len(SHAPES) > 60
    assert tried > 10_000


async def test_a_profile_with_any_column_more_is_refused_and_the_row_stays(world: World) -> None:
    """Over HTTP, with a body that would pass without it."""
    alice = await world.player("alice", clock.now())
    async with world.database.begin_system("a test") as tx:
        columns = sorted(await columns_of(tx, "identity") - {*say.Profile.model_fields})
        before = await db.value(tx, "select to_jsonb(u)::text from identity.users u where id = %s", alice.id)
    codes = set[tuple[int, str]]()
    async with browser(application(world)) as client:
        await log_in(client)
        tag = (await client.get("/me")).headers["etag"]
        for column in [*columns, "is_admin", "roles", "permissions"]:
            answer = await client.patch(
                "/me", json={"display_name": "Mallory", column: "active"}, headers={"If-Match": tag}
            )
            codes.add((answer.status_code, answer.json()["code"]))
    async with world.database.begin_system("a test") as tx:
        after = await db.value(tx, "select to_jsonb(u)::text from identity.users u where id = %s", alice.id)

    assert (codes, after) == ({(422, "unknown_field")}, before)
