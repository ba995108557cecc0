"""Every call of the API by its own description, with input that fits it and input that does not, at a filled demo.

Nothing of it may be a defect: an answer is one that the call declares, in the form that it declares, and a refusal has
one of the codes that the call names. Signed in is whoever may use the call, so that input gets as far as it can.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from math import ceil
from random import Random
from typing import Any

import httpx2
import hypothesis
import jsonschema_rs
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation
from starlette.types import ASGIApp

from palio.competitions.web import Scorer
from palio.entry import demo, web, wiring
from palio.infra import embedded, keyring, marks, settings
from palio.infra.db import Database
from palio.kernel.ids import UserId
from palio.ledger.web import Teller
from palio.ui import description, problems
from palio.ui.site import assemble
from tests.entry.test_demo import MARKS
from tests.journeys import product
from tests.ui import people
from tests.ui.conftest import talk_to

DOCUMENT = json.loads(description.describe(web.MODULES))
CALLS = {
    f"{method.upper()} {path}": call
    for path, calls in DOCUMENT["paths"].items()
    for method, call in calls.items()
    if not path.endswith("/stream")  # it goes on for ever once it has begun
}
CASES, CASES_NIGHTLY = 6_000, 12_000  # of all calls together; calls that take little run out of input before
ANSWER_SECONDS_MAX = 20
OF_PLAYERS = {"public", "player", "owner"}
HALF = 0.5
FINDS: Mapping[str, str] = {
    "adjustment_id": "select id from ledger.adjustments",
    "appeal_id": "select id from competitions.appeals",
    "asset": "select code from ledger.assets",
    "competition_id": "select id from competitions.competitions",
    "entrant_id": "select id from competitions.entrants",
    "feed_id": "select id from affiliates.feeds",
    "friend_id": "select id from identity.users",
    "link_id": "select id from affiliates.links",
    "number": "select number from races.races",
    "request_id": "select id from affiliates.link_requests",
    "snapshot_id": "select id from affiliates.snapshots",
    "transfer_id": "select id from ledger.transfers limit 50",
    "user_id": "select id from identity.users",
}


@dataclass(frozen=True, slots=True)
class World:
    """A demo as a process serves it, and what path parameters may name there."""

    client: httpx2.AsyncClient
    wired: wiring.Wiring
    player: UserId
    staff: UserId
    second: UserId  # who decides about what the other one proposes
    known: Mapping[str, list[str]]


@pytest.fixture(scope="module")
async def world(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory, database: Database
) -> AsyncIterator[World]:
    data, name = tmp_path_factory.mktemp("fuzz"), f"palio_fuzz_{worker_id}"
    keyring.load_or_make(data / "keyring.json")
    async with product.opened(cluster, name, data, keyring_file=data / "keyring.json") as wired:
        await _fill(wired)
        with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as everything:
            known = {name: [str(row[0]) for row in everything.execute(find)] for name, find in FINDS.items()}
            [[player]] = everything.execute("select id from identity.users where username = 'chen'").fetchall()
            [[staff], [second]] = everything.execute(
                "select distinct user_id from identity.role_grants order by user_id limit 2"
            ).fetchall()
        async with talk_to(_application(wired)) as client:
            yield World(client, wired, UserId(player), UserId(staff), UserId(second), known)
    async with database.begin_system("no demo") as tx:
        await settings.snapshot.load(tx)


def _application(wired: wiring.Wiring) -> ASGIApp:
    """The product, but that a header says who asks, and that nobody counts how often."""
    state = web.parts(wired) | {"teller": Teller(wired.database), "scorer": Scorer(wired.database)}
    return assemble(
        web.MODULES, state=state, served=lambda served: None, identify=people.identify, key=web.key_for(wired, "forms")
    )


async def _fill(wired: wiring.Wiring) -> None:
    async with wired.database.begin_system("a demo is begun") as tx:
        await marks.begin(tx, MARKS)
    await wiring.simulate(wired.database)
    async with demo.playing(wired) as outside:
        await demo.fill(wired, outside)


@cache
def operations() -> Mapping[str, Any]:
    found = (one.ok() for one in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())
    return {one.label: one for one in found}


@cache
def shape(reference: str) -> jsonschema_rs.Draft202012Validator:
    """What an answer is held against: a schema of the description, with all that it refers to."""
    return jsonschema_rs.Draft202012Validator({**json.loads(reference), "components": DOCUMENT["components"]})


@pytest.mark.parametrize("label", CALLS)
async def test_no_input_of_a_call_is_a_defect(world: World, label: str, request: pytest.FixtureRequest) -> None:
    seed = int(request.config.option.hypothesis_seed)
    share = ceil((CASES_NIGHTLY if request.config.option.nightly else CASES) / len(CALLS) / len(GenerationMode))
    chance = Random(seed)  # noqa: S311 - it only varies what is asked

    odd = [
        fault
        for mode in GenerationMode
        for case in cases(label, mode, share, seed=seed)
        for fault in await ask(world, label, case, chance)
    ]

    assert not odd, "\n".join(odd)


def cases(label: str, mode: GenerationMode, share: int, *, seed: int) -> list[Case]:
    """So many requests that fit the description of the call, or do not; none where nothing could be wrong."""
    found: list[Case] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=share,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @hypothesis.given(operations()[label].as_strategy(generation_mode=mode))
    def collect(case: Case) -> None:
        found.append(case)

    try:
        collect()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
    return found


async def ask(world: World, label: str, case: Case, chance: Random) -> list[str]:
    """Send a request as somebody who may; what is odd about the answer."""
    call, parts = CALLS[label], case.meta.components if case.meta else {}
    strays = ParameterLocation.PATH in parts and parts[ParameterLocation.PATH].mode is GenerationMode.NEGATIVE
    if not strays:
        for name in case.path_parameters or {}:
            if known := world.known.get(name):
                case.path_parameters[name] = chance.choice(known)
    if "wait" in (case.query or {}):
        case.query["wait"] = 0  # what comes live is waited for as long as is asked
    sent = case.as_transport_kwargs(base_url="http://palio.test")
    headers = {name.lower(): value for name, value in sent["headers"].items()} | people.OURS | who(world, call)
    if "if-match" in headers and chance.random() < HALF:
        headers["if-match"] = '"1"'
    content = json.dumps(sent["json"]).encode() if "json" in sent else sent.get("data")
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            answer = await world.client.request(
                case.method, sent["url"], params=sent.get("params"), headers=_bytes_of(headers), content=content
            )
    except httpx2.InvalidURL:
        return []  # the client itself sends no address of this length
    except Exception as failure:
        failure.add_note(case.as_curl_command())
        raise
    faults = faults_of(call, answer, strays=strays)
    return [f"{fault}\n  {answer.status_code} {answer.text[:500]}\n  {case.as_curl_command()}" for fault in faults]


def _bytes_of(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """As they go over the line, where any byte may stand in a value."""
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}


def who(world: World, call: Mapping[str, Any]) -> dict[str, str]:
    """Whoever may use the call, with all that it asks for."""
    access = call["x-access"]
    if access in OF_PLAYERS:
        return people.caller("player", world.player, step_up=True)
    return people.caller("staff", world.staff, permissions=access, step_up=True)


def faults_of(call: Mapping[str, Any], answer: httpx2.Response, *, strays: bool) -> list[str]:
    """What is wrong with an answer; of an address that may lead elsewhere only that it is a defect."""
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ["a defect"]
    if strays:
        return []
    declared = call["responses"].get(str(answer.status_code))
    if declared is None:
        return ["a status that is not declared"]
    if answer.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.SEE_OTHER, HTTPStatus.NOT_MODIFIED}:
        return []
    media_type = answer.headers["content-type"].partition(";")[0]
    content = declared["content"].get(media_type)
    if content is None:
        return [f"{media_type} is not declared"]
    if media_type == problems.MEDIA_TYPE and answer.json()["code"] not in call["x-problems"]:
        return ["a code that is not declared"]
    if not media_type.endswith("json") or "schema" not in content:
        return []
    return [error.message for error in shape(json.dumps(content["schema"])).iter_errors(answer.json())]
