"""Every call that takes a key, by its own description at a filled demo: however often it is sent, it acts once.

Several at once and then several in a row, all with one key: whoever is answered hears the same, one only has acted,
nothing more is written, and another request under that key is refused.
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain, product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import psycopg
import pytest
from psycopg.rows import dict_row

from palio.entry import cast, web
from palio.entry.wiring import PERMISSIONS, SCHEDULES
from palio.infra import embedded, outbox, schedules
from palio.infra.messages import PruneRuns
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.ledger.sql import reconciling
from palio.ledger.types import Finding
from palio.ui.routes import Call
from tests.journeys import test_fuzz
from tests.journeys.test_fuzz import CALLS, DOCUMENT, OF_PLAYERS, World
from tests.ui import people

world = test_fuzz.world  # the fixture of the same demo

AT_ONCE, IN_A_ROW = 3, 2
AT_ONCE_NIGHTLY, IN_A_ROW_NIGHTLY = 20, 80
READ_MAX = 3
NOTED = {"GET /api/v1/console/affiliates/snapshots/{snapshot_id}/raw"}  # an audit row says who took the bytes away
READ_AS = {
    "asset": "COIN",
    "period": "ALL",
    "since": "2026-03-01T00:00:00Z",
    "until": "2026-05-01T00:00:00Z",
    "user": "chen",
    "player": "alice",
    "q": "chen",
}
SUBJECTS_MAX = 30  # what a call is tried on until it is accepted
KEYED = [
    label
    for label, call in CALLS.items()
    if not label.startswith("GET ") and call["x-idempotency"] in {"optional", "required"}
]
ROUTES = {
    f"{method} {route.path_format}": route
    for route in chain.from_iterable(module.all for module in web.MODULES)
    if isinstance(route, Call)
    for method in route.methods or ()
}
ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "tests/corpora/upload/inert-exif-place.jpg"
PROPOSALS = 8  # as many as are decided about, and some that are too late
OF_WHAT_WAS_MADE = {"POST /api/v1/console/affiliates/feeds"}  # what needs something that another call makes
LIFE = [
    "publish",
    "start",
    "pause",
    "resume",
    "end",
    "freeze",
    "approve",
    "pay",
    "suspend",
    "reinstate",
    "hide",
    "unhide",
    "revert",
    "rotate-secret",
    "revoke-previous",
    "cancel",
]  # what is done to one thing, in the order in which it can be
DECIDED = ("approve", "reject")  # by somebody who has not proposed it
EVERYTHING = " ".join(permission.name for permission in PERMISSIONS)
AS_USER, IF_MATCH = "as_user", "if_match"  # what a subject says of its request, and not in it
BUSY = {HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE}  # the first is still being answered
CONTROL = "POST /api/v1/console/identity/users/{user_id}/notes"
NOT_BUSINESS = ["infra.instances", "infra.rate_buckets", "infra.schedules", "infra.stream_events"]

WHY = "because it has to be so"
COMPETITION = {
    "title": "Once",
    "starts_at": "2126-03-26T08:30:00Z",
    "ends_at": "2126-03-27T08:30:00Z",
    "guaranteed_pool": 1000,
    "prize_asset": "USD",
    "prize_rule": {"bands": [{"from": 1, "to": 1, "value": 10000}], "kind": "bps", "split": "places"},
}
WORDS: Mapping[str, Any] = COMPETITION | {
    "acceptance_required": False,
    "amount": 1,
    "answer": WHY,
    "asset": "COIN",
    "body": WHY,
    "changes": [{"key": "api.idempotency_key_days", "value": 91, "version": 0}],
    "code": "once",
    "delta": 1,
    "amount_micro": 1_000_000,
    "lines": [{"owner": "chen", "asset": "USD", "amount": 100}],
    "filter": {},
    "key": "once",
    "links": "uid,user\n1,alice\n",
    "mapping": {"page": "page", "total_pages": "meta.pages"},
    "name": "once",
    "note": WHY,
    "pattern": "once.test",
    "permissions": ["admin.approval.read"],
    "player": "alice",
    "pool": "500.00",
    "email": "once@example.net",
    "programme": "once",
    "public_note": WHY,
    "reason": WHY,
    "resolution": WHY,
    "resource": "audit",
    "role": "support",
    "scopes": ["achievements:read"],
    "text": WHY,
    "texts": {"en": "Once."},
    "to": "alice",
    "to_user": "alice",
    "to_version": 1,
    "types": ["race.*"],
    "url": "https://93.184.216.34/hook",
    "user": "alice",
    "value": 8,
}
BODIES: Mapping[str, dict[str, Any]] = {
    "POST /api/v1/console/exports": {"filter": {"since": "2026-01-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}},
    "PATCH /api/v1/console/affiliates/feeds/{feed_id}": {"interval_s": 900},
    "PATCH /api/v1/console/affiliates/programmes/{code}": {"name": "Once"},
    "PATCH /api/v1/console/competitions/{competition_id}": {"title": "Twice"},
    "PATCH /api/v1/console/identity/users/{user_id}": {"board_name": "hidden"},
    "PATCH /api/v1/console/ledger/accounts/{number}": {"status": "no_debit"},
    "PATCH /api/v1/console/ledger/assets/{asset}": {"name": "Once"},
    "PATCH /api/v1/console/webhooks/{endpoint_id}": {"description": "once"},
    "POST /api/v1/console/identity/email-rules": {"kind": "domain", "action": "deny"},
    "PUT /api/v1/console/identity/email-rules/{rule_id}": {"kind": "domain", "action": "deny"},
    "POST /api/v1/console/affiliates/link-requests/{request_id}/reject": {"note": WHY},
    "POST /api/v1/console/races": {"draft": True},
    "POST /api/v1/console/races/series": {"code": "once-raced"},
}
FINDS: Mapping[str, str] = {
    **test_fuzz.FINDS,
    "adjustment_id": "select id from ledger.adjustments order by status <> 'pending', id",
    "approval_id": """select id from infra.approvals
        union all select id from ledger.adjustments where status = 'pending'""",
    "code": "select code from affiliates.programmes order by code = 'once' desc",
    "competition_id": "select id from competitions.competitions order by id desc",
    "endpoint_id": "select id from infra.webhook_endpoints",
    "exclusion_id": "select id from identity.play_exclusions",
    "finding_id": "select id from ledger.findings",
    "hold_id": "select id from ledger.holds",
    "key": "select key from infra.settings",
    "key_id": "select id from identity.api_tokens where user_id = %(player)s",
    "number": "select number from races.races order by number desc",
    "operation_id": "select id from infra.operations",
    "rule_id": "select id from identity.email_rules order by version, id desc",
    "series_id": "select id from competitions.series",
}
PARTICIPANTS = "select competition_id, entrant_id from competitions.participants order by competition_id desc"
QUARANTINED = "select id as row_id from affiliates.quarantine"
WAITING = "select id as row_id from jobs.procrastinate_jobs where status = 'todo'"
GAVE_UP = "select id as row_id from jobs.procrastinate_jobs where status = 'failed'"
SETTING = "select 'api.idempotent_answer_days' as key"
RACED = """select r.number, p.uid as player from races.races r join affiliates.players p using (programme_id)
    order by md5(r.number || p.uid)"""
PICTURED = (
    "select r.number, s.id as snapshot_id from races.races r, affiliates.snapshots s order by r.number desc, s.id"
)
ROLES = "select name, version as if_match from identity.roles order by name = 'once' desc"
ASKED = """select id as request_id, user_id::text as as_user from affiliates.link_requests
    where state in ('pending', 'under_review') order by id"""
OWN_TRANSFERS = """select e.transfer_id from ledger.entries e join ledger.accounts a on a.id = e.account_id
    where a.owner_id = %(player)s and e.seq is not null"""
INVITED = """select id as competition_id, array[%(player)s::text] as user_ids
    from competitions.competitions order by id desc"""
SUBJECTS: Mapping[str, str] = {
    "DELETE /api/v1/affiliates/links/{link_id}": (
        "select id as link_id from affiliates.links where user_id = %(player)s"
    ),
    "POST /api/v1/console/affiliates/links/{link_id}/unlink": (
        "select id as link_id from affiliates.links where user_id <> %(player)s order by unlinked_at is not null"
    ),
    "POST /api/v1/affiliates/link-requests": """select p.uid, g.code as programme, u.id::text as as_user
        from affiliates.players p join affiliates.programmes g on g.id = p.programme_id, identity.users u
        where p.id not in (select player_id from affiliates.links) and u.kind = 'person'
          and u.id not in (select user_id from affiliates.links)
          and u.id not in (select user_id from affiliates.link_requests) order by p.uid, u.id""",
    "POST /api/v1/affiliates/link-requests/{request_id}/answer": ASKED,
    "DELETE /api/v1/affiliates/link-requests/{request_id}": ASKED,
    "PATCH /api/v1/console/affiliates/programmes/{code}": "select code, version as if_match from affiliates.programmes",
    "DELETE /api/v1/console/identity/email-rules/{rule_id}": (
        "select id as rule_id, version as if_match from identity.email_rules"
    ),
    "POST /api/v1/console/identity/users/{user_id}/avatar/remove": (
        "select id as user_id from identity.users where avatar_key is not null"
    ),
    "POST /api/v1/console/identity/users/{user_id}/sessions/end": (
        "select user_id, id::text as session_id from identity.sessions where ended_at is null"
    ),
    "DELETE /api/v1/me/devices/{device_id}": """select device_id, user_id::text as as_user from identity.sessions
        where ended_at is null order by id""",
    "DELETE /api/v1/me/sessions/{session_id}": """select id as session_id, user_id::text as as_user
        from identity.sessions where ended_at is null order by id desc""",
    "POST /api/v1/console/operations/{operation_id}/cancel": (
        "select id as operation_id from infra.operations where is_of_staff and state = 'queued'"
    ),
    "POST /api/v1/operations/{operation_id}/cancel": (
        "select id as operation_id from infra.operations where not is_of_staff and state = 'queued'"
    ),
    "POST /api/v1/ledger/transfers": """select 'ledger.transfer' as kind, jsonb_build_array(
        jsonb_build_object('account', 'user:' || %(player)s || ':main', 'asset', 'COIN', 'amount', 1),
        jsonb_build_object('account', 'issuance:gift', 'asset', 'COIN', 'amount', -1)) as legs""",
    "POST /api/v1/console/affiliates/feeds": "select code as programme from affiliates.programmes",
    "POST /api/v1/console/competitions/{competition_id}/invite": INVITED,
    "POST /api/v1/console/ledger/adjustments": """select jsonb_build_array(jsonb_build_object(
        'owner', %(player)s::uuid, 'asset', 'USD', 'amount', 100)) as lines""",
    "POST /api/v1/console/affiliates/feeds/{feed_id}/mappings/{version}/revert": (
        "select feed_id, version from affiliates.feed_mappings"
    ),
    "POST /api/v1/console/affiliates/links/transfer": """select p.uid, u.username as to_user, g.code as programme
        from affiliates.players p join affiliates.programmes g on g.id = p.programme_id, identity.users u
        order by p.uid, u.username""",
    "POST /api/v1/console/affiliates/quarantine/{row_id}/dismiss": QUARANTINED,
    "POST /api/v1/console/affiliates/quarantine/{row_id}/release": QUARANTINED,
    "POST /api/v1/console/competitions/{competition_id}/adjust": PARTICIPANTS,
    "POST /api/v1/console/competitions/{competition_id}/disqualify": PARTICIPANTS,
    "POST /api/v1/console/competitions/{competition_id}/reinstate": PARTICIPANTS,
    "POST /api/v1/console/identity/play-exclusions": 'select username as "user" from identity.users',
    "POST /api/v1/console/identity/privacy-requests/{request_id}/retry": (
        "select id as request_id from identity.privacy_requests"
    ),
    "POST /api/v1/console/identity/role-grants": (
        'select u.username as "user", r.name as role from identity.users u, identity.roles r'
    ),
    "POST /api/v1/console/identity/role-grants/revoke": (
        'select u.username as "user", g.role from identity.role_grants g join identity.users u on u.id = g.user_id'
    ),
    "DELETE /api/v1/console/identity/roles/{name}": ROLES,
    "PUT /api/v1/console/identity/roles/{name}": ROLES,
    "POST /api/v1/console/jobs/runs/{row_id}/cancel": WAITING,
    "POST /api/v1/console/jobs/runs/{row_id}/retry": GAVE_UP,
    "POST /api/v1/console/jobs/schedules/{name}/run": "select 'races.tick' as name",
    "PATCH /api/v1/console/ledger/accounts/{number}": "select id as number from ledger.accounts order by id desc",
    "POST /api/v1/console/ledger/transfers/{transfer_id}/legs/{leg}/hide": (
        "select transfer_id, leg from ledger.entries where seq is not null"
    ),
    "POST /api/v1/console/ledger/transfers/{transfer_id}/legs/{leg}/unhide": (
        "select e.transfer_id, e.leg from ledger.hidden h join ledger.entries e using (account_id, seq)"
    ),
    "POST /api/v1/console/races/{number}/adjust": RACED,
    "POST /api/v1/console/races/{number}/exclude": RACED,
    "POST /api/v1/console/races/{number}/holds/{player}": RACED,
    "POST /api/v1/console/races/{number}/reinstate": RACED,
    "POST /api/v1/console/races/{number}/final-picture": PICTURED,
    "POST /api/v1/console/races/{number}/start-picture": PICTURED,
    "PUT /api/v1/console/settings/{key}": SETTING,
    "POST /api/v1/console/settings/{key}/revert": SETTING,
    "POST /api/v1/wallet/gifts": 'select username as "to" from identity.users where id <> %(player)s',
    "POST /api/v1/wallet/transactions/{transfer_id}/hide": OWN_TRANSFERS,
    "POST /api/v1/wallet/transactions/{transfer_id}/unhide": OWN_TRANSFERS,
}
NOTHING_DOUBTFUL = "the demo's snapshots are decided, and none of their rows waits"
NOT_YET = "its time has not come in the demo"
ELSEWHERE: Mapping[str, tuple[str, str]] = {  # why nothing accepts it here, and where `repeats.sent` shows it
    "POST /api/v1/console/identity/users/{user_id}/telegram": (
        "nobody has a Telegram account in the demo",
        "tests/identity/test_telegram.py::test_staff_move_an_account_with_a_reason_and_both_are_told",
    ),
    "POST /api/v1/console/affiliates/quarantine/{row_id}/dismiss": (
        NOTHING_DOUBTFUL,
        "tests/affiliates/test_console.py::test_a_held_row_is_believed_or_dismissed_and_oddities_are_listed",
    ),
    "POST /api/v1/console/affiliates/quarantine/{row_id}/release": (
        NOTHING_DOUBTFUL,
        "tests/affiliates/test_console.py::test_a_held_row_is_believed_or_dismissed_and_oddities_are_listed",
    ),
    "POST /api/v1/console/competitions/{competition_id}/forfeit": (
        "no wallet of the demo refuses a prize of a competition",
        "tests/competitions/test_console.py::test_a_prize_that_a_wallet_refused_is_decided_over_http",
    ),
    "POST /api/v1/console/competitions/{competition_id}/pay-withheld": (
        "no wallet of the demo refuses a prize of a competition",
        "tests/competitions/test_console.py::test_a_prize_that_a_wallet_refused_is_decided_over_http",
    ),
    "POST /api/v1/console/affiliates/snapshots/{snapshot_id}/apply": (
        NOTHING_DOUBTFUL,
        "tests/affiliates/test_console.py::test_a_suspicious_snapshot_is_applied_or_discarded_once",
    ),
    "POST /api/v1/console/affiliates/snapshots/{snapshot_id}/discard": (
        NOTHING_DOUBTFUL,
        "tests/affiliates/test_console.py::test_a_suspicious_snapshot_is_applied_or_discarded_once",
    ),
    "POST /api/v1/console/races/{number}/start-picture": (
        NOT_YET,
        "tests/races/test_console.py::test_another_picture_is_proposed_to_somebody_else",
    ),
    "POST /api/v1/console/races/{number}/final-picture": (
        NOT_YET,
        "tests/races/test_console.py::test_another_picture_is_proposed_to_somebody_else",
    ),
    "POST /api/v1/console/races/{number}/release": (
        NOT_YET,
        "tests/races/test_console.py::test_a_review_is_released_with_a_reason_and_a_large_pool_by_two",
    ),
    "POST /api/v1/console/competitions/{competition_id}/freeze": (
        NOT_YET,
        "tests/competitions/test_console.py::test_what_its_product_has_left_lying_is_frozen_by_two_people",
    ),
    "POST /api/v1/console/competitions/{competition_id}/approve": (
        NOT_YET,
        "tests/competitions/test_console.py::test_a_released_one_is_paid_at_once",
    ),
    "POST /api/v1/console/competitions/{competition_id}/pay": (
        NOT_YET,
        "tests/competitions/test_console.py::test_a_released_one_is_paid_at_once",
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a call, whose key is all that it lacks."""

    label: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a call: whether anything accepted it, what was odd about it, and the last refusal."""

    is_accepted: bool
    faults: list[str]
    refusal: str = ""


def test_there_is_something_to_prove() -> None:
    assert len(KEYED) > 100
    assert [test for _, test in ELSEWHERE.values() if not is_test(*test.split("::"))] == []


def is_test(file: str, name: str) -> bool:
    """Is there a test of this name? Requests of these files go through `repeats.sent`."""
    return f"async def {name}(" in (ROOT / file).read_text()


async def test_a_call_with_one_key_acts_once(
    world: World, cluster: embedded.Cluster, worker_id: str, request: pytest.FixtureRequest
) -> None:
    is_nightly = request.config.option.nightly
    times = (AT_ONCE_NIGHTLY, IN_A_ROW_NIGHTLY) if is_nightly else (AT_ONCE, IN_A_ROW)
    with psycopg.connect(cluster.dsn("postgres", f"palio_fuzz_{worker_id}"), autocommit=True) as conn:
        await set_the_stage(world)
        found = {label: await tried(world, conn, label, *times) for label in sorted(KEYED, key=order)}

    assert {label: each.faults for label, each in found.items() if each.faults} == {}
    refused = {label: each.refusal for label, each in found.items() if not each.is_accepted}
    assert {label: refusal for label, refusal in refused.items() if label not in ELSEWHERE} == {}
    assert ELSEWHERE.keys() - refused.keys() == set(), "these need no excuse"


async def test_under_keys_that_nobody_knows_a_call_acts_each_time(
    world: World, cluster: embedded.Cluster, worker_id: str
) -> None:
    """The control, where every request has a key of its own: what is looked at would show it."""
    with psycopg.connect(cluster.dsn("postgres", f"palio_fuzz_{worker_id}"), autocommit=True) as conn:
        found = await tried(world, conn, CONTROL, AT_ONCE, IN_A_ROW, is_naive=True)

    assert f"{AT_ONCE} have acted" in found.faults
    assert "a later one has written something" in found.faults


async def test_reading_writes_nothing(world: World, cluster: embedded.Cluster, worker_id: str) -> None:
    """Every call that reads, about a few things that there are, by whoever may; who took bytes away is written down."""
    writers, asked = set(), 0
    with psycopg.connect(cluster.dsn("postgres", f"palio_fuzz_{worker_id}"), autocommit=True) as conn:
        before = written(conn)
        for label in sorted(label for label in CALLS if label.startswith("GET ") and "/stream" not in label):
            for path in read_of(world, conn, label):
                answer = await world.client.get(path, headers=people.OURS | who(world, label))
                asked += answer.is_success
            if (after := written(conn)) != before:
                writers.add(label)
                before = after

    assert (writers, asked > len(CALLS) // 4) == (NOTED, True)


def read_of(world: World, conn: psycopg.Connection[Any], label: str) -> list[str]:
    """Addresses of a call that reads, with what it must be asked."""
    path, call = label.partition(" ")[2], CALLS[label]
    names = re.findall(r"{(\w+)}", path)
    known = [
        [str(row[0]) for row in conn.execute(FINDS[name], {"player": world.player}).fetchmany(READ_MAX)]
        if name in FINDS
        else [READ_AS.get(name, "once")]
        for name in names
    ]
    needed = [one["name"] for one in call.get("parameters", ()) if one["in"] == "query" and one["required"]]
    query = urlencode({name: READ_AS.get(name, "once") for name in needed})
    return [
        path.format(**dict(zip(names, some, strict=True))) + (f"?{query}" if query else "") for some in product(*known)
    ]


def order(label: str) -> tuple[int, int, int, str]:
    """What makes something comes first and what takes away last, so that there is something to do it to."""
    last = label.rpartition("/")[2]
    rank = 2 if label.startswith("DELETE ") else 1 if "{" in label else 0
    return rank, label in OF_WHAT_WAS_MADE, 1 + LIFE.index(last) if last in LIFE else 0, label


async def set_the_stage(world: World) -> None:
    """What a demo lacks for some calls: a sign-in, a picture, proposals, and work that waits or gave up."""
    now = clock.now()
    async with world.wired.database.begin_system("a test") as tx:
        await schedules.declare(tx, {one.name: one for one in SCHEDULES}, now=now)
        wrong = Finding("R1", f"user:{world.player}:main USD", None, "50", "51")
        await reconciling.report(tx, [new_id()], [wrong], now)
        for _ in range(2):
            await outbox.send(tx, PruneRuns(), key=str(new_id()))
        for state in ("doing", "failed"):  # the queue knows no other way to give up
            await tx.execute(
                """update jobs.procrastinate_jobs set status = %s::jobs.procrastinate_job_status, attempts = 5
                where id = (select max(id) from jobs.procrastinate_jobs)""",
                (state,),
            )
    players = [one for one in cast.kept(world.wired.environment.data) if one.role is None]
    sign_ins = [{"identifier": one.username, "password": one.password} for one in players]
    staff = people.OURS | people.caller("staff", world.staff, permissions=EVERYTHING, step_up=True)
    player = people.OURS | people.caller("player", world.player, step_up=True)
    correction = {"lines": [{"owner": str(world.player), "asset": "USD", "amount": 20_000}], "reason": WHY}
    for method, path, headers, body in [
        *[("POST", "/api/v1/auth/login", people.OURS, one) for one in sign_ins],
        ("POST", "/api/v1/me/privacy/exports", player, None),
        ("PUT", "/api/v1/me/avatar", player, {"picture": b64encode(PICTURE.read_bytes()).decode()}),
        *[("POST", "/api/v1/console/ledger/adjustments", staff, correction)] * PROPOSALS,
        ("POST", "/api/v1/boards/steps/scores/batch", program(world) | {"prefer": "respond-async"}, {"items": []}),
    ]:
        answer = await world.client.request(
            method, path, headers={**headers, "idempotency-key": str(new_id())}, json=body
        )
        assert answer.is_success, f"{path}: {answer.text}"


def program(world: World) -> dict[str, str]:
    """A program that may send scores."""
    return people.OURS | people.caller("player", world.player, permissions=EVERYTHING, is_service=True)


async def tried(
    world: World, conn: psycopg.Connection[Any], label: str, at_once: int, in_a_row: int, *, is_naive: bool = False
) -> Found:
    """Send a call on one subject after the other, until one is accepted."""
    before, refusal = written(conn), "no subject"
    for subject in subjects(world, conn, label):
        asked = await made(world, label, subject)
        key = None if is_naive else f"r2-{new_id()}"
        burst = await asyncio.gather(*(send(world, asked, key) for _ in range(at_once)))
        if any(one.is_success for one in burst):
            return Found(is_accepted=True, faults=await faults_of(world, conn, asked, key, burst, in_a_row))
        refusal = burst[0].text
        if len({one.status_code for one in burst} - BUSY) > 1 or burst[0].is_server_error:
            return Found(is_accepted=False, faults=[f"refused in different ways: {[one.text for one in burst]}"])
    faults = ["a refusal has written something"] if written(conn) != before else []
    return Found(is_accepted=False, faults=faults, refusal=refusal)


async def faults_of(
    world: World,
    conn: psycopg.Connection[Any],
    asked: Request,
    key: str | None,
    burst: list[httpx2.Response],
    in_a_row: int,
) -> list[str]:
    """What is odd about the answers to an accepted request, and about what further ones under its key do."""
    secrets = ROUTES[asked.label].rules.secrets
    after = written(conn)
    row = [await send(world, asked, key) for _ in range(in_a_row)]
    done = [one for one in burst if one.is_success]
    first = [one for one in done if "idempotency-replayed" not in one.headers]
    odd = {one.text for one in burst if not one.is_success and one.status_code not in BUSY}
    told = {(one.status_code, without(one.content, secrets)) for one in [*done, *row]}
    again = [one for one in [*done, *row] if one not in first]
    faults = {
        f"refused meanwhile: {odd}": bool(odd),
        f"{len(first)} have acted": len(first) != 1,
        f"answers differ: {told}": len(told) != 1,
        "a secret is told twice": bool(secrets) and any(one.json()[name] for one in again for name in secrets),
        "a later one has written something": written(conn) != after,
    }
    if asked.body is not None:
        other = await send(world, replace(asked, body=another(asked.label, asked.body)), key)
        code = other.json()["code"] if other.is_error else None
        faults |= {
            f"another body is answered {other.status_code} {code}": code != reused_code(asked.label),
            "another body has written something": written(conn) != after,
        }
    return [fault for fault, is_so in faults.items() if is_so]


def another(label: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Another body; the ledger keeps the keys of its transfers itself, and reads them before."""
    if not ROUTES[label].rules.keeps_keys:
        return {**body, "another": 1}
    return {**body, "legs": [{**leg, "amount": 2 * leg["amount"]} for leg in body["legs"]]}


def reused_code(label: str) -> str:
    """What whoever says something else under a key is told."""
    return "ledger.key_mismatch" if ROUTES[label].rules.keeps_keys else "idempotency_key_reused"


def without(content: bytes, secrets: frozenset[str]) -> str:
    """An answer but for what is shown once."""
    if not secrets:
        return content.decode()
    return json.dumps({name: value for name, value in json.loads(content).items() if name not in secrets})


def subjects(world: World, conn: psycopg.Connection[Any], label: str) -> list[dict[str, Any]]:
    """What the call may be about: its path parameters, and fields of its body where those belong to them."""
    names = re.findall(r"{(\w+)}", label)
    if label not in SUBJECTS and not names:
        return [{}]
    find = SUBJECTS.get(label) or f"select found.id as {names[0]} from ({FINDS[names[0]]}) found(id)"  # noqa: S608
    found = conn.cursor(row_factory=dict_row).execute(find, {"player": world.player}).fetchmany(SUBJECTS_MAX)
    return [
        {name: value if isinstance(value, int | list) else str(value) for name, value in row.items()} for row in found
    ]


async def made(world: World, label: str, about: Mapping[str, Any]) -> Request:
    """A request that fits the description of the call: what it must say in words that fit, about the subject."""
    call, path = CALLS[label], label.partition(" ")[2]
    subject = {name: value for name, value in about.items() if name not in (AS_USER, IF_MATCH)}
    headers = people.OURS | who(world, label, about.get(AS_USER))
    if any(each["name"].lower() == "if-match" for each in call["parameters"]):
        seen = f'"{about[IF_MATCH]}"' if IF_MATCH in about else await version(world, path, subject)
        headers |= {"if-match": seen}
    query = {
        each["name"]: WORDS[each["name"]] for each in call["parameters"] if each["in"] == "query" and each["required"]
    }
    body = None
    if "requestBody" in call:
        schema = call["requestBody"]["content"]["application/json"]["schema"]
        body = said(schema) | BODIES.get(label, {}) | {k: v for k, v in subject.items() if f"{{{k}}}" not in path}
    return Request(label, path.format(**subject) + (f"?{urlencode(query)}" if query else ""), headers, body)


def said(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that an object must have."""
    shape = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    fields = shape["properties"]
    return {
        name: WORDS[name] if name in WORDS else fields[name].get("const", fields[name].get("enum", [None])[0])
        for name in shape.get("required", [])
    }


def who(world: World, label: str, user_id: str | None = None) -> dict[str, str]:
    """Whoever may do it, with every right: a player, staff, or for what is proposed somebody else of the staff."""
    if CALLS[label]["x-access"] in OF_PLAYERS:
        return people.caller("player", UserId(UUID(user_id)) if user_id else world.player, step_up=True)
    staff = world.second if label.endswith(DECIDED) else world.staff
    return people.caller("staff", staff, permissions=EVERYTHING, step_up=True)


async def version(world: World, path: str, subject: Mapping[str, Any]) -> str:
    """The version of what is changed, as whoever reads it is told."""
    read = path[: path.rindex("}") + 1]
    call = CALLS.get(f"GET {read}")
    if call is None:
        return '"1"'
    answer = await world.client.get(read.format(**subject), headers=people.OURS | who(world, f"GET {read}"))
    return answer.headers.get("etag", '"1"')


async def send(world: World, asked: Request, key: str | None) -> httpx2.Response:
    """The request under a key, or under one of its own."""
    headers = {**asked.headers, "idempotency-key": key or str(new_id())}
    return await world.client.request(asked.label.partition(" ")[0], asked.path, headers=headers, json=asked.body)


def written(conn: psycopg.Connection[Any]) -> dict[str, tuple[int, int]]:
    """How many rows there are in each table, and which transactions have written them."""
    tables = conn.execute(
        """select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)'
          and n.nspname || '.' || c.relname <> all (%s)""",
        [NOT_BUSINESS],
    ).fetchall()
    union = " union all ".join(
        f"select '{name}', count(*), sum(xmin::text::bigint) from {name}"  # noqa: S608 - names of the catalogue
        for (name,) in tables
    )
    return {name: (count, xmins) for name, count, xmins in conn.execute(union)}
