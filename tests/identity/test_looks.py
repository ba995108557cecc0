"""What staff look at of a player: read-only and told to him, for half an hour; sealed values one by one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime

import httpx2
import psycopg
import pytest

from palio import identity
from palio.entry.desk import frame
from palio.identity import console, web
from palio.identity.rules.phones import masked
from palio.identity.service import accounts, contacts, looks, phones, sessions, telegram
from palio.identity.types import Revealed, Sealed, SessionId, TelegramUser
from palio.infra import db
from palio.infra.approvals import Approval, Approved
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ui.edge import SAFE_METHODS
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.routes import Call, Form, Page
from palio.ui.site import assemble
from tests.architecture.test_access import address_of, method_of
from tests.factories.identity import HOME, PASSWORD, World, cookie, later, secret_in
from tests.identity.test_web import application, browser, log_in

WHY = "he says that his wallet is empty"
NUMBER = "+4915123456789"
MOVED = """update identity.emails set address = (select address from identity.emails where user_id = %s)
  where user_id = %s returning id"""
REFUSED = """select actor_kind, actor_id, subject_user_id, entity_type, entity_id, changes from infra.audit_rows
  where action = 'sealed_value.refuse' order by id"""


def actor(kind: str, user_id: UserId) -> Actor:
    return Actor(kind, user_id, RequestId(new_id()))  # type: ignore[arg-type]  # one of the kinds


async def employed(world: World, username: str, role: str, now: datetime) -> identity.SignedIn:
    """Somebody of the staff in the console, with a second factor."""
    user = await world.player(username, now)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=user.id, role=role, reason="for the test", now=now)
        return await sessions.begin_session(
            tx, user_id=user.id, kind="console", method="password", visitor=HOME, with_factor=True, now=now
        )


@asynccontextmanager
async def desk(world: World, session: identity.SignedIn) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of somebody who is in the console."""
    app = assemble(
        [web.routes, console.routes],
        state={
            "database": world.database,
            "house": world.house,
            "pages": Pages(Languages()),
            "cursors": Cursors(bytes(32)),
            "frame": frame(),
            "keep_viewer": web.keep_viewer,
        },
        served=lambda served: None,
        identify=web.Reception(world.doorman),
    )
    async with browser(app) as client:
        client.cookies.set("__Host-palio_console", cookie(session).token, domain="palio.test")
        yield client


async def begin(client: httpx2.AsyncClient, user_id: UserId, **other: object) -> httpx2.Response:
    return await client.post(f"/console/identity/users/{user_id}/impersonate", json={"reason": WHY, **other})


async def test_staff_look_as_a_player_change_nothing_and_he_reads_of_it(world: World) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    staff = await employed(world, "stella", "support", now)
    async with desk(world, staff) as client:
        begun = await begin(client, alice.id)
        me = await client.get("/me")
        page = await client.get("https://palio.test/account")
        logins = (await client.get("/me/logins")).json()["items"]
        tag = me.headers["etag"]
        written = await client.patch("/me", json={"display_name": "Mallory"}, headers={"If-Match": tag})
        own = await client.get(f"/console/identity/users/{alice.id}")
        form = page.text.partition('action="/account/impersonation/leave"')[2]
        token = form.partition('name="csrf_token" value="')[2]
        sent = {"csrf_token": token.partition('"')[0], "idempotency_key": str(new_id())}
        left = await client.post("https://palio.test/account/impersonation/leave", data=sent)
        after = await client.get("/me")

    assert (begun.status_code, begun.json()["user_id"]) == (201, str(alice.id))
    assert (me.status_code, me.json()["username"], me.json()["email"]) == (200, "alice", "•")
    assert "alice@example.com" not in page.text
    assert "You look as" in page.text and WHY in page.text and "30 minutes left" in page.text
    assert page.text.count('method="post"') > 1
    assert page.text.count("<fieldset disabled") == page.text.count('method="post"') - 1  # all but the one to leave
    assert (written.status_code, written.json()["code"]) == (403, "impersonation_read_only")
    assert (own.status_code, left.status_code) == (200, 303)
    assert left.headers["location"] == f"/console/identity/users/{alice.id}"
    assert after.status_code == 401
    assert [(one["outcome"], one["method"], one["device"]) for one in logins][:1] == [
        ("looked_at", None, "Staff of this house")
    ]
    async with world.database.begin_system("a test") as tx:
        assert (await identity.get(tx, name_or_id=alice.id)).display_name == alice.display_name
        acts = await db.column(
            tx,
            """select action || ' ' || entity_id from infra.audit_rows
            where subject_user_id = %s and action like 'impersonation.%%' and reason = %s and actor_id = %s
            order by id""",
            *(alice.id, WHY, staff.user_id),
        )
    assert acts[0].startswith("impersonation.begin ")
    assert acts[1:] == [f"impersonation.look {path}" for path in ("/api/v1/me", "/account", "/api/v1/me/logins")]


async def test_every_act_of_players_is_refused_to_whoever_looks(world: World) -> None:
    """Generated from the routes: nothing but leaving gets on."""
    now = clock.now()
    alice = await world.player("alice", now)
    staff = await employed(world, "stella", "support", now)
    routes = [
        route
        for route in web.routes.all
        if isinstance(route, Call | Form)
        and method_of(route) not in SAFE_METHODS
        and not route.rules.terms.for_viewers
        and "/console" not in route.path
    ]
    before = world.everything()
    async with desk(world, staff) as client:
        await begin(client, alice.id)
        before = world.everything()
        answers = {
            route.path: await client.request(method_of(route), f"https://palio.test{address_of(route)}", json={})
            for route in routes
        }

    assert len(routes) > 30
    assert {answer.status_code for answer in answers.values()} == {403}
    assert {answer.json()["code"] for answer in answers.values()} == {"impersonation_read_only"}
    assert world.everything() == before


async def test_no_page_and_no_call_tells_what_is_sealed_to_whoever_looks(world: World) -> None:
    """Generated from the routes, and with a control: the owner reads each of these values somewhere."""
    now = clock.now()
    application = identity.Application("alice", "canary@example.com", PASSWORD, full_name="Canary Birdsong")
    made = await identity.register(world.house, application=application, visitor=HOME, now=now)
    (letter,) = await world.deliver()
    await identity.verify_email(world.house, secret=secret_in(letter), registration=made.told, visitor=HOME, now=now)
    async with world.database.begin_system("a test") as tx:
        alice = await identity.get(tx, name_or_id="alice")
        await phones.link(tx, user_id=alice.id, number=NUMBER, now=now)
        await telegram.link(tx, user_id=alice.id, user=TelegramUser(7_000_000_001, "canary_tg"), now=now)
        await contacts.add_email(tx, user_id=alice.id, text="second@canary.example", now=now)
    await world.deliver()
    hers = await world.signed_in("alice", now)
    staff = await employed(world, "stella", "support", now)
    routes = [
        route
        for route in web.routes.all
        if isinstance(route, Call | Page)
        and method_of(route) == "GET"
        and "/console" not in route.path
        and route.rules.terms.access in {"owner", "player"}
    ]
    canaries = {"canary@example.com", "second@canary.example", "Canary Birdsong", HOME.ip, masked(NUMBER), "canary_tg"}
    canaries |= {"7000000001"}

    async def answers(client: httpx2.AsyncClient) -> dict[str, httpx2.Response]:
        return {route.path: await client.get(f"https://palio.test{address_of(route)}") for route in routes}

    async with desk(world, staff) as client:
        await begin(client, alice.id)
        looked = await answers(client)
    async with desk(world, staff) as client:
        client.cookies.set("__Host-palio_session", cookie(hers).token, domain="palio.test")
        own = await answers(client)

    assert len(routes) > 25
    assert {path for path, answer in own.items() if answer.status_code == 200} - {
        path for path, answer in looked.items() if answer.status_code == 200
    } == set()
    assert {one for one in canaries if not any(one in answer.text for answer in own.values())} == set(), "the control"
    told = {(path, one) for path, answer in looked.items() for one in canaries if one in answer.text}
    assert told == set()
    export = looked["/account/privacy/export/{request_id:uuid}"]
    assert (export.status_code, "impersonation_read_only" in export.text) == (403, True)


@pytest.mark.parametrize(
    "path",
    [
        "/me/privacy/exports",
        "/me/privacy/erasure",
        "/me/consents",
        "/me/play-exclusions",
        "/account/privacy/export",
        "/account/privacy/erase",
        "/account/privacy/stay",
        "/account/privacy/consent",
        "/account/limits",
        "/account/limits/return",
    ],
)
def test_whoever_is_suspended_takes_his_data_along_and_whoever_looks_does_not(path: str) -> None:
    acts = [
        route.rules.terms
        for route in web.routes.all
        if isinstance(route, Call | Form) and route.path.endswith(path) and method_of(route) not in SAFE_METHODS
    ]
    assert acts and {(terms.for_restricted, terms.for_viewers) for terms in acts} == {(True, False)}


async def test_looking_ends_after_half_an_hour_with_the_console_and_with_the_right_to(world: World) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    for end in ("time", "console", "role"):
        staff = await employed(world, f"staff-{end}", "support", now)
        async with world.database.begin(actor("staff", staff.user_id)) as tx:
            begun = await looks.impersonate(tx, user_id=alice.id, reason=WHY, now=now)
        shown = cookie(begun)
        assert await world.recognised(shown, later(now, seconds=1799)), end
        async with world.database.begin_system("a test") as tx:
            if end == "console":
                session_id = SessionId(staff.session_id)
                await identity.end_session(tx, user_id=staff.user_id, session_id=session_id, reason="logout", now=now)
            elif end == "role":
                await identity.revoke_role(tx, user_id=staff.user_id, role="support", reason="leaves", now=now)
        world.doorman.forget()
        assert not await world.recognised(shown, later(now, minutes=30) if end == "time" else now), end


async def test_nobody_looks_as_staff_as_himself_or_without_saying_why(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    staff = await employed(world, "stella", "support", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=bob.id, role="races", reason="for the test", now=noon)
        program = await identity.create(tx, username="score-bot", kind="service", now=noon)
    for whom, reason, refusal in (
        (alice.id, "too short", identity.ReasonTooShort),
        (staff.user_id, WHY, identity.OwnAccount),
        (bob.id, WHY, identity.NotAPlayer),
        (program.id, WHY, identity.NotAPlayer),
        (UserId(new_id()), WHY, identity.NoSuchUser),
    ):
        with pytest.raises(refusal):
            async with world.database.begin(actor("staff", staff.user_id)) as tx:
                await looks.impersonate(tx, user_id=whom, reason=reason, now=noon)
    assert await world.count("select count(*) from identity.sessions where kind = 'impersonation'") == 0


async def test_the_database_itself_refuses_a_write_of_whoever_looks(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with world.database.begin(actor("viewer", alice.id)) as tx:
            await db.run(tx, "update identity.users set display_name = 'Mallory' where id = %s", alice.id)


async def value_of(world: World, user_id: UserId, by: UserId, now: datetime) -> Revealed | Approval:
    async with world.database.begin(actor("staff", by)) as tx:
        row = await db.value(tx, "select id from identity.emails where user_id = %s", user_id)
        sealed = Sealed(user_id, "email", row)
        return await looks.reveal(tx, sealed=sealed, reason="he cannot get in", now=now)


async def test_a_sealed_value_is_read_with_a_reason_and_the_31st_takes_two(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    staff = await employed(world, "stella", "support", noon)
    first = [await value_of(world, alice.id, staff.user_id, later(noon, seconds=n)) for n in range(30)]
    over = await value_of(world, alice.id, staff.user_id, later(noon, minutes=1))
    other = await employed(world, "otto", "support", noon)
    others = await value_of(world, alice.id, other.user_id, later(noon, minutes=1))
    async with world.database.begin(actor("staff", staff.user_id)) as tx:
        seen = await looks.open_to(tx, user_id=alice.id, now=later(noon, minutes=5))
        gone = await looks.open_to(tx, user_id=alice.id, now=later(noon, minutes=5, seconds=29))
    async with world.database.begin_system("a test") as tx:
        assert isinstance(over, Approval)
        by, key = actor("staff", staff.user_id), f"approval:{over.id}"
        await looks.carry_out_reveal(
            tx, approved=Approved(over.payload, by, other.user_id, "agreed", key, later(noon, minutes=2))
        )
    permitted = await value_of(world, alice.id, staff.user_id, later(noon, minutes=3))
    once_more = await value_of(world, alice.id, staff.user_id, later(noon, minutes=3))
    next_hour = await value_of(world, alice.id, staff.user_id, later(noon, minutes=60, seconds=29.5))

    values = [one.value for one in (*first, others, permitted, next_hour) if isinstance(one, Revealed)]
    assert (len(values), {*values}, type(once_more)) == (33, {"alice@example.com"}, Approval)
    assert ([one.value for one in seen], gone) == (["alice@example.com"], [])
    async with world.database.begin(actor("player", alice.id)) as tx:
        told = [one.outcome for one in await identity.log_ins(tx, user_id=alice.id)]
        assert await db.value(tx, "select count(*) from identity.reveals") == 0
    async with world.database.begin_system("a test") as tx:
        rows = await db.column(
            tx,
            "select changes::text from infra.audit_rows where action = 'user.reveal' and subject_user_id = %s",
            alice.id,
        )
    assert told.count("revealed") == 33
    assert {*rows} == {'{"email": ["•", "•"]}'}


async def test_a_value_put_into_the_row_of_another_is_read_by_nobody_and_that_is_written_down(world: World) -> None:
    """Neither by himself nor by staff; whose it was still reads it."""
    now = clock.now()
    alice, bob = await world.player("alice", now), await world.player("bob", now)
    staff = await employed(world, "stella", "support", now)
    with world.superuser() as server:
        [row] = server.execute(MOVED, [alice.id, bob.id]).fetchall()
    async with browser(application(world)) as his, browser(application(world)) as hers:
        await log_in(his, identifier="bob")
        await log_in(hers)
        own, whole = await his.get("/me"), await hers.get("/me")
    async with desk(world, staff) as client:
        asked = {"name": "email", "id": str(row[0]), "reason": WHY}
        revealed = await client.post(f"/console/identity/users/{bob.id}/reveal", json=asked)

    assert [(answer.status_code, answer.json()["code"]) for answer in (own, revealed)] == [
        (410, "crypto.wrong_context")
    ] * 2
    assert "alice@example.com" not in own.text + revealed.text
    assert whole.json()["email"] == "alice@example.com"
    with world.superuser() as server:
        told = server.execute(REFUSED).fetchall()
    assert told == [
        (kind, who, bob.id, "identity.emails", str(row[0]), {"address": ["•", "•"]})
        for kind, who in (("player", bob.id), ("staff", staff.user_id))
    ]


async def test_what_is_not_there_cannot_be_read_and_nothing_is_counted(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    staff = await employed(world, "stella", "support", noon)
    for sealed, refusal in (
        (Sealed(alice.id, "full_name", None), identity.NothingSealed),
        (Sealed(alice.id, "email", new_id()), identity.NothingSealed),
        (Sealed(staff.user_id, "full_name", None), identity.OwnAccount),
    ):
        with pytest.raises(refusal):
            async with world.database.begin(actor("staff", staff.user_id)) as tx:
                await looks.reveal(tx, sealed=sealed, reason="he cannot get in", now=noon)
    assert await world.count("select count(*) from identity.reveals") == 0


async def test_notes_are_for_the_staff_alone(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    staff = await employed(world, "stella", "support", noon)
    async with world.database.begin(actor("staff", staff.user_id)) as tx:
        await looks.write_note(tx, user_id=alice.id, body="  plays from two phones ", now=noon)
        with pytest.raises(identity.NoteInvalid):
            await looks.write_note(tx, user_id=alice.id, body="   ", now=noon)
    async with world.database.begin(actor("staff", staff.user_id)) as tx:
        notes = await looks.notes_of(tx, user_id=alice.id)
    async with world.database.begin(actor("player", alice.id)) as tx:
        hers = await looks.notes_of(tx, user_id=alice.id)

    assert ([(one.body, one.author_id) for one in notes], hers) == ([("plays from two phones", staff.user_id)], [])


async def test_every_kind_of_sealed_value_is_read_by_one_with_a_reason_and_audited(world: World) -> None:
    """A number among them; of another's row there is nothing."""
    now = clock.now()
    alice, bob = await world.player("alice", now), await world.player("bob", now)
    async with world.database.begin_system("a test") as tx:
        await phones.link(tx, user_id=alice.id, number=NUMBER, now=now)
        born = date(1990, 12, 31)
        await accounts.say_once(tx, user_id=alice.id, born=born, now=now)
        rows = {
            name: await db.value(tx, f"select id from identity.{table} where user_id = %s limit 1", alice.id)  # noqa: S608
            for name, table in (("email", "emails"), ("phone", "phones"), ("ip", "ip_addresses"))
        }
    staff = await employed(world, "stella", "support", now)
    values = {"email": "alice@example.com", "phone": NUMBER, "ip": HOME.ip, "birth_date": "1990-12-31"}
    address = f"/console/identity/users/{alice.id}"
    async with desk(world, staff) as client:
        told = (await client.get(address)).json()
        answers = {
            name: await client.post(
                f"{address}/reveal", json={"name": name, "id": rows.get(name) and str(rows[name]), "reason": WHY}
            )
            for name in values
        }
        foreign = await client.post(
            f"/console/identity/users/{bob.id}/reveal", json={"name": "phone", "id": str(rows["phone"]), "reason": WHY}
        )
        unsaid = await client.post(f"{address}/reveal", json={"name": "phone", "id": str(rows["phone"]), "reason": ""})

    assert [one["id"] for one in told["phones"]] == [str(rows["phone"])]
    assert {name: answer.json()["value"] for name, answer in answers.items()} == values
    assert (foreign.status_code, foreign.json()["code"]) == (404, "identity.nothing_sealed")
    assert unsaid.status_code == 422
    async with world.database.begin_system("a test") as tx:
        audited = await db.column(
            tx,
            "select changes::text from infra.audit_rows where subject_user_id = %s and action = %s order by id",
            *(alice.id, "user.reveal"),
        )
    assert audited == [f'{{"{name}": ["•", "•"]}}' for name in values]
    assert NUMBER not in world.everything()
