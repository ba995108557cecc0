"""Every call that takes a key, by its own description at a filled demo: however often it is sent, it acts once.

Several at once and then several in a row, all with one key: whoever is answered hears the same, one only has acted,
nothing more is written, and another request under that key is refused.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import psycopg
import pytest
from psycopg.rows import dict_row

from palio.entry import web
from palio.infra import embedded
from palio.kernel.ids import new_id
from palio.ui.routes import Call
from tests.journeys import test_fuzz
from tests.journeys.test_fuzz import CALLS, DOCUMENT, World, who
from tests.ui import people

world = test_fuzz.world  # the fixture of the same demo

AT_ONCE, IN_A_ROW = 3, 2
AT_ONCE_NIGHTLY, IN_A_ROW_NIGHTLY = 20, 80
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
    "approval_id": "select id from infra.approvals",
    "code": "select code from affiliates.programmes order by code = 'once' desc",
    "competition_id": "select id from competitions.competitions order by id desc",
    "device_id": "select id from identity.devices where user_id = %(player)s",
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
    "session_id": "select id from identity.sessions where user_id = %(player)s",
}
PARTICIPANTS = "select competition_id, entrant_id from competitions.participants order by competition_id desc"
QUARANTINED = "select id as row_id from affiliates.quarantine"
RUNS = "select id as row_id from infra.job_runs"
SETTING = "select 'api.idempotent_answer_days' as key"
RACED = """select r.number, p.uid as player from races.races r join affiliates.players p using (programme_id)
    order by md5(r.number || p.uid)"""
PICTURED = (
    "select r.number, s.id as snapshot_id from races.races r, affiliates.snapshots s order by r.number desc, s.id"
)
ROLES = "select name from identity.roles order by name = 'once' desc"
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
    "POST /api/v1/affiliates/link-requests": """select p.uid, g.code as programme
        from affiliates.players p join affiliates.programmes g on g.id = p.programme_id""",
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
    "POST /api/v1/console/jobs/runs/{row_id}/cancel": RUNS,
    "POST /api/v1/console/jobs/runs/{row_id}/retry": RUNS,
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
NONE_OPEN = "it wants a proposal of somebody else that is open"
MORE = "it wants more permissions than the one of the call"
NO_SIGN_IN = "nobody has signed in in the demo"
ELSEWHERE: Mapping[str, tuple[str, str]] = {  # why nothing accepts it here, and where it is shown
    "POST /api/v1/console/exports": (MORE, "tests/admin/test_exports.py"),
    "DELETE /api/v1/console/identity/email-rules/{rule_id}": (
        "the version of a rule is told by no call for one rule",
        "tests/admin/test_email_rules.py",
    ),
    "POST /api/v1/console/affiliates/quarantine/{row_id}/dismiss": (
        "the demo holds none of them",
        "tests/identity/test_desk_web.py",
    ),
    "POST /api/v1/console/affiliates/quarantine/{row_id}/release": (
        "the demo holds none of them",
        "tests/affiliates/test_console.py",
    ),
    "POST /api/v1/console/affiliates/snapshots/{snapshot_id}/apply": (
        "the demo's snapshots are decided",
        "tests/affiliates/test_console.py",
    ),
    "POST /api/v1/console/affiliates/snapshots/{snapshot_id}/discard": (
        "the demo's snapshots are decided",
        "tests/affiliates/test_console.py",
    ),
    "POST /api/v1/affiliates/link-requests": (
        "whoever is asked as is linked, and has no open request",
        "tests/affiliates/test_linking_edges.py",
    ),
    "POST /api/v1/affiliates/link-requests/{request_id}/answer": (
        "whoever is asked as is linked, and has no open request",
        "tests/affiliates/test_linking_edges.py",
    ),
    "DELETE /api/v1/affiliates/link-requests/{request_id}": (
        "whoever is asked as is linked, and has no open request",
        "tests/affiliates/test_linking_edges.py",
    ),
    "POST /api/v1/console/affiliates/feeds": (
        "each programme of the demo has its feed",
        "tests/affiliates/test_console.py",
    ),
    "PATCH /api/v1/console/affiliates/programmes/{code}": (
        "its version is told by no call for one programme",
        "tests/affiliates/test_console.py",
    ),
    "POST /api/v1/console/identity/role-grants": (
        MORE,
        "tests/admin/test_roles.py",
    ),
    "POST /api/v1/console/identity/role-grants/revoke": (
        MORE,
        "tests/admin/test_roles.py",
    ),
    "POST /api/v1/console/identity/roles": (
        MORE,
        "tests/admin/test_roles.py",
    ),
    "PUT /api/v1/console/identity/roles/{name}": (
        "only roles of the house's own making are changed",
        "tests/admin/test_own_roles.py",
    ),
    "DELETE /api/v1/console/identity/roles/{name}": (
        "only roles of the house's own making are changed",
        "tests/admin/test_own_roles.py",
    ),
    "POST /api/v1/console/approvals/{approval_id}/approve": (NONE_OPEN, "tests/admin/test_pending.py"),
    "POST /api/v1/console/approvals/{approval_id}/reject": (NONE_OPEN, "tests/admin/test_pending.py"),
    "POST /api/v1/console/ledger/adjustments/{adjustment_id}/approve": (
        NONE_OPEN,
        "tests/ledger/test_console.py",
    ),
    "POST /api/v1/console/ledger/adjustments/{adjustment_id}/cancel": (
        NONE_OPEN,
        "tests/ledger/test_console.py",
    ),
    "POST /api/v1/ledger/transfers": (
        "the module keeps its keys by itself, for kinds of its own",
        "tests/ledger/test_transfers.py",
    ),
    "POST /api/v1/console/ledger/findings/{finding_id}/resolve": (
        "nothing that is broken is found in the demo",
        "tests/ledger/test_console.py",
    ),
    "POST /api/v1/console/identity/privacy-requests/{request_id}/retry": (
        "nobody has asked for his data in the demo",
        "tests/identity/test_privacy_web.py",
    ),
    "POST /api/v1/console/identity/users/{user_id}/avatar/remove": (
        "nobody has a picture in the demo",
        "tests/identity/test_avatars.py",
    ),
    "POST /api/v1/console/identity/users/{user_id}/telegram": (
        "nobody has a Telegram account in the demo",
        "tests/identity/test_telegram.py",
    ),
    "POST /api/v1/console/identity/users/{user_id}/sessions/end": (NO_SIGN_IN, "tests/admin/test_sessions.py"),
    "DELETE /api/v1/me/devices/{device_id}": (NO_SIGN_IN, "tests/identity/test_web.py"),
    "DELETE /api/v1/me/sessions/{session_id}": (NO_SIGN_IN, "tests/identity/test_web.py"),
    "POST /api/v1/console/jobs/runs/{row_id}/cancel": (
        "no worker runs: there is no run that waits or failed, and no schedule",
        "tests/admin/test_jobs.py",
    ),
    "POST /api/v1/console/jobs/runs/{row_id}/retry": (
        "no worker runs: there is no run that waits or failed, and no schedule",
        "tests/admin/test_jobs.py",
    ),
    "POST /api/v1/console/jobs/schedules/{name}/run": (
        "no worker runs: there is no run that waits or failed, and no schedule",
        "tests/admin/test_jobs.py",
    ),
    "POST /api/v1/console/operations/{operation_id}/cancel": (
        "nothing is done later in the demo",
        "tests/admin/test_exports.py",
    ),
    "POST /api/v1/operations/{operation_id}/cancel": (
        "nothing is done later in the demo",
        "tests/admin/test_exports.py",
    ),
    "POST /api/v1/console/races/{number}/final-picture": (
        "it wants a race whose time for it has come",
        "tests/races/test_console.py",
    ),
    "POST /api/v1/console/races/{number}/start-picture": (
        "it wants a race whose time for it has come",
        "tests/races/test_console.py",
    ),
    "POST /api/v1/console/races/{number}/release": (
        "it wants a race whose time for it has come",
        "tests/races/test_console.py",
    ),
    "POST /api/v1/console/competitions/{competition_id}/freeze": (
        "it wants a competition whose last scores are being collected",
        "tests/competitions/test_console.py",
    ),
    "POST /api/v1/console/competitions/{competition_id}/approve": (
        "it wants a competition whose last scores are being collected",
        "tests/competitions/test_console.py",
    ),
    "POST /api/v1/console/competitions/{competition_id}/pay": (
        "it wants a competition whose last scores are being collected",
        "tests/competitions/test_console.py",
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
    assert [test for _, test in ELSEWHERE.values() if not (ROOT / test).is_file()] == []


async def test_a_call_with_one_key_acts_once(
    world: World, cluster: embedded.Cluster, worker_id: str, request: pytest.FixtureRequest
) -> None:
    is_nightly = request.config.option.nightly
    times = (AT_ONCE_NIGHTLY, IN_A_ROW_NIGHTLY) if is_nightly else (AT_ONCE, IN_A_ROW)
    with psycopg.connect(cluster.dsn("postgres", f"palio_fuzz_{worker_id}"), autocommit=True) as conn:
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


def order(label: str) -> tuple[int, int, str]:
    """What makes something comes first and what takes away last, so that there is something to do it to."""
    last = label.rpartition("/")[2]
    rank = 2 if label.startswith("DELETE ") else 1 if "{" in label else 0
    return rank, 1 + LIFE.index(last) if last in LIFE else 0, label


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
        other = await send(world, replace(asked, body={**asked.body, "another": 1}), key)
        code = other.json()["code"] if other.is_error else None
        faults |= {
            f"another body is answered {other.status_code} {code}": code != "idempotency_key_reused",
            "another body has written something": written(conn) != after,
        }
    return [fault for fault, is_so in faults.items() if is_so]


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


async def made(world: World, label: str, subject: Mapping[str, Any]) -> Request:
    """A request that fits the description of the call: what it must say in words that fit, about the subject."""
    call, path = CALLS[label], label.partition(" ")[2]
    headers = people.OURS | who(world, call)
    if any(each["name"].lower() == "if-match" for each in call["parameters"]):
        headers |= {"if-match": await version(world, path, subject)}
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


async def version(world: World, path: str, subject: Mapping[str, Any]) -> str:
    """The version of what is changed, as whoever reads it is told."""
    read = path[: path.rindex("}") + 1]
    call = CALLS.get(f"GET {read}")
    if call is None:
        return '"1"'
    answer = await world.client.get(read.format(**subject), headers=people.OURS | who(world, call))
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
