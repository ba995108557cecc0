"""Audit rows: written with the change, appended only, whoever tries to alter them."""

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from palio.infra import audit, db
from palio.kernel.ids import Actor, RequestId, new_id

ROBOT = Actor("system", None, RequestId(new_id()))


async def test_a_row_tells_who_did_what_to_whom_and_why(tx):
    user = new_id()
    await audit.record(
        tx,
        actor=ROBOT,
        action="wallet.adjust",
        entity_type="wallet",
        entity_id="7",
        changes={"balance": (1, 2), "email": (audit.SEALED, audit.SEALED), "owner": (None, user)},
        reason="found",
    )
    row = await db.value(
        tx,
        """select jsonb_build_array(actor_kind, action, entity_type, entity_id, changes, reason, via,
          tx_id = infra.tx_id())
        from infra.audit_rows where request_id = %s""",
        ROBOT.request_id,
    )
    changes = {"balance": [1, 2], "email": ["•", "•"], "owner": [None, str(user)]}
    assert row == ["system", "wallet.adjust", "wallet", "7", changes, "found", "job", True]


async def test_a_float_is_a_bug(tx):
    with pytest.raises(TypeError):
        await audit.record(
            tx, actor=ROBOT, action="a.b", entity_type="x", entity_id="1", changes={"share": (None, 0.5)}
        )


@pytest.mark.parametrize("statement", ["update infra.audit_rows set reason = 'x'", "delete from infra.audit_rows"])
async def test_the_application_has_no_right_to_alter_a_row(tx, statement):
    with pytest.raises(InsufficientPrivilege):
        await tx.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "update infra.audit_rows set reason = 'x'",
        "delete from infra.audit_rows",
        "update infra.audit_rows_default set reason = 'x'",
        "truncate infra.audit_rows_default",
        "truncate infra.audit_rows",
    ],
)
async def test_not_even_the_owner_alters_a_row(cluster, database_name, statement):
    async with await psycopg.AsyncConnection.connect(cluster.dsn("palio_migrate", database_name)) as owner:
        await owner.execute("set role palio_owner")
        await owner.execute(
            """insert into infra.audit_rows (actor_kind, action, entity_type, entity_id, request_id, via)
            values ('system', 'a.b', 'x', '1', gen_random_uuid(), 'job')"""
        )
        with pytest.raises(psycopg.Error) as refused:
            await owner.execute(statement)
        assert refused.value.sqlstate == "PL004"
        await owner.rollback()
