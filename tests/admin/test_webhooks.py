"""Webhooks over HTTP: who hears what, what was sent, sent again, signed anew, and never to an address inside."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from palio.admin.console.receivers import PYTHON, SHELL
from palio.infra import db, webhooks
from palio.infra.http import Client
from palio.infra.messages import DeliverWebhooks, TellWebhooks
from palio.kernel import clock, signatures
from palio.sim import World
from tests.admin.house import Console, acts_of, form_of
from tests.factories.webhooks import events

CALL, PAGE = "/api/v1/console/webhooks", "/console/webhooks"
WHY = {"reason": "the bot of the club listens"}
NEW = {"url": "https://hooks.example.com/palio", "types": ["race.*"], **WHY}


async def resolve(host: str, _port: int) -> Sequence[str]:
    """Some names of the outside, as they are at present."""
    known = {"hooks.example.com": ["93.184.216.34"], "inside.example.com": ["93.184.216.34", "10.0.0.5"]}
    if host not in known:
        raise OSError("there is no such name")
    return known[host]


@pytest.fixture
async def staff(console: Console) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all of it, in a house whose names are resolved by `resolve`."""
    database = console.wiring.database
    before = database.equipment
    database.equipment = replace(before, http=Client(resolve=resolve))
    async with console.talk(console.staff(console.noor)) as staff:
        yield staff
    database.equipment = before
    async with console.begin() as tx:
        for table in ("endpoints", "deliveries", "events"):
            await tx.execute(f"delete from infra.webhook_{table}")  # type: ignore[arg-type]  # noqa: S608 - of this file


@asynccontextmanager
async def playing(console: Console) -> AsyncIterator[World]:
    """The outside is played on this machine: addresses inside are taken, and receivers answer."""
    database = console.wiring.database
    before = database.equipment
    async with World().serving() as world:
        database.equipment = replace(before, is_simulated=True, http=Client())
        yield world
    database.equipment = before


async def test_an_endpoint_is_made_and_its_secret_is_shown_once(console: Console, staff: httpx2.AsyncClient) -> None:
    made = await staff.post(CALL, json=NEW, headers={"Idempotency-Key": "k1"})
    again = await staff.post(CALL, json=NEW, headers={"Idempotency-Key": "k1"})
    listed = (await staff.get(CALL)).json()["items"]

    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    webhook, secret = made.json()["webhook"], made.json()["secret"]
    assert (webhook["host"], webhook["types"], webhook["state"]) == ("hooks.example.com", ["race.*"], "active")
    assert secret.startswith("whsec_") and made.headers["location"] == f"{CALL}/{webhook['id']}"
    assert (again.json()["webhook"]["id"], again.json()["secret"]) == (webhook["id"], None)
    assert [one["id"] for one in listed] == [webhook["id"]] and secret not in json.dumps(listed)
    (act,) = await acts_of(console, "webhook.create")
    assert (act.changes["url"], act.reason, act.via) == ([None, "•"], WHY["reason"], "web")


@pytest.mark.parametrize(
    "url",
    [
        *("http://169.254.169.254/", "http://hooks.example.com/", "ftp://hooks.example.com/", "hooks.example.com"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/"),
        *("https://2130706433/", "https://0x7f.1/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/"),
        *(
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
        ),
        *("https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/"),
        *("https://198.18.0.1/", "https://203.0.113.9/", "https://224.0.0.1/", "https://255.255.255.255/"),
        *("https://localhost/", "https://localhost./", "https://intranet/", "https://hooks.example.com:8443/"),
        *(
            "https://user:pass@hooks.example.com/",
            "https://hooks.example.com/#x",
            "https://hooks.example.com\\@127.0.0.1/",
        ),
        *("https://127.0.0.1:443/", "https://①②⑦.0.0.1/", "https://hooks.example.com/\nHost: x", "https://"),
        *("https://inside.example.com/", "https://nowhere.example.com/"),
    ],
)
async def test_an_address_inside_is_refused_and_nothing_is_made(
    console: Console, staff: httpx2.AsyncClient, url: str
) -> None:
    canary: list[object] = []
    server = await asyncio.start_server(lambda _, writer: canary.append(writer.close()), "127.0.0.1", 0)
    refused = await staff.post(CALL, json={**NEW, "url": url})
    server.close()

    assert (refused.status_code, refused.json()["code"]) == (422, "url_refused"), refused.text
    assert refused.json()["errors"][0]["pointer"] == "/url"
    async with console.begin() as tx:
        assert await db.value(tx, "select count(*) from infra.webhook_endpoints") == 0
    assert canary == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"types": ["race.done"]}, 422, "webhook.unknown_type"),
        ({"types": []}, 422, "validation_failed"),
        ({"per_second": 101}, 422, "validation_failed"),
        ({"per_second": "10"}, 422, "validation_failed"),
        ({"reason": " "}, 422, "approval.reason_missing"),
        ({"secret": "whsec_x"}, 422, "unknown_field"),
    ],
)
async def test_a_wrong_endpoint_is_refused(
    staff: httpx2.AsyncClient, change: dict[str, object], status: int, code: str
) -> None:
    refused = await staff.post(CALL, json={**NEW, **change})
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert (await staff.get(CALL)).json()["items"] == []


async def test_there_are_twenty_and_no_more(staff: httpx2.AsyncClient) -> None:
    made = await asyncio.gather(*(staff.post(CALL, json=NEW) for _ in range(21)))

    assert sorted(one.status_code for one in made) == [*[201] * 20, 422]
    refused = next(one.json() for one in made if one.status_code == 422)
    assert (refused["code"], refused["facts"]["limit"]) == ("webhook.too_many", 20)


async def test_it_takes_a_fresh_second_factor(console: Console, staff: httpx2.AsyncClient) -> None:
    """To make, to change and to sign anew; what sends nothing new does without."""
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]
    one = f"{CALL}/{made['id']}"
    async with console.talk(console.staff(console.noor, step_up=False)) as stale:
        answers = [
            await stale.post(CALL, json=NEW),
            await stale.patch(one, json={"per_second": 1, **WHY}, headers={"If-Match": '"1"'}),
            await stale.post(f"{one}/rotate-secret", json=WHY),
            await stale.post(f"{one}/pause", json=WHY),
        ]

    assert [(one.status_code, one.json().get("code")) for one in answers] == [
        *[(403, "step_up_required")] * 3,
        (200, None),
    ]


async def test_an_endpoint_says_when_it_was_changed_last(staff: httpx2.AsyncClient) -> None:
    """What changes nothing is no change."""
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]
    one = f"{CALL}/{made['id']}"
    changed = (await staff.patch(one, json={"per_second": 2, **WHY}, headers={"If-Match": '"1"'})).json()
    paused, again = [(await staff.post(f"{one}/pause", json=WHY)).json() for _ in range(2)]

    assert made["created_at"] == made["updated_at"] < changed["updated_at"] < paused["updated_at"]
    assert again["updated_at"] == paused["updated_at"]


async def test_an_endpoint_is_changed_by_the_version_that_was_seen(staff: httpx2.AsyncClient) -> None:
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]
    one = f"{CALL}/{made['id']}"
    change = {"types": ["reward.paid"], "per_second": 2, **WHY}

    blind = await staff.patch(one, json=change)
    done = await staff.patch(one, json=change, headers={"If-Match": '"1"'})
    late = await staff.patch(one, json=change, headers={"If-Match": '"1"'})
    inside = await staff.patch(one, json={"url": "https://127.0.0.1/", **WHY}, headers={"If-Match": '"2"'})

    assert [blind.status_code, late.status_code, inside.status_code] == [428, 412, 422]
    assert (done.json()["types"], done.json()["per_second"], done.json()["host"]) == (
        *(["reward.paid"], 2),
        "hooks.example.com",
    )
    removed = await staff.request("DELETE", one, json=WHY, headers={"If-Match": '"2"'})
    assert (removed.status_code, (await staff.get(one)).status_code) == (204, 404)


async def test_a_secret_is_replaced_once_at_a_time(console: Console, staff: httpx2.AsyncClient) -> None:
    made = (await staff.post(CALL, json=NEW)).json()
    one = f"{CALL}/{made['webhook']['id']}"

    rotated = await staff.post(f"{one}/rotate-secret", json=WHY)
    again = await staff.post(f"{one}/rotate-secret", json={**WHY, "overlap_h": 0})
    ended = await staff.post(f"{one}/revoke-previous", json=WHY)
    twice = await staff.post(f"{one}/revoke-previous", json=WHY)

    assert rotated.json()["secret"] != made["secret"]
    assert (again.status_code, again.json()["code"]) == (409, "webhook.rotation_in_progress")
    assert (ended.json()["both_sign_until"], twice.json()["code"]) == (None, "webhook.no_previous_secret")
    assert len(await acts_of(console, "webhook.rotate_secret")) == 1


async def heard_by(console: Console, staff: httpx2.AsyncClient, world: World, count: int = 3) -> tuple[str, str]:
    """An endpoint that was told so many things; its address in the API, and its secret."""
    made = (await staff.post(CALL, json={**NEW, "url": world.hook_url("one"), "per_second": 100})).json()
    world.hooks.control("secret", {"name": "one", "secret": made["secret"]})
    await tell(console, made["webhook"]["id"], count)
    return f"{CALL}/{made['webhook']['id']}", made["secret"]


async def tell(console: Console, endpoint_id: Any, count: int) -> None:
    async with console.begin() as tx:
        await webhooks.tell(tx, TellWebhooks(tuple(events(count, now=clock.now()))))
    await webhooks.deliver(console.wiring.database, DeliverWebhooks(endpoint_id))


async def test_what_was_sent_is_listed_and_read_with_its_exchange(console: Console, staff: httpx2.AsyncClient) -> None:
    async with playing(console) as world:
        world.hooks.control("script", {"name": "one", "statuses": [500]})
        one, secret = await heard_by(console, staff, world, 5)
        listed = (await staff.get(f"{one}/deliveries", params={"limit": 2})).json()
        rest = await staff.get(f"{one}/deliveries", params={"limit": 200, "cursor": listed["next"]})
        found = (await staff.get(f"{one}/deliveries?state=retrying,failed&type.prefix=race.")).json()["items"]
        read = (await staff.get(f"{one}/deliveries/{found[0]['id']}")).json()
        health = (await staff.get(one)).json()["health"]

    assert len(listed["items"]) == 2, rest.text
    assert [one["failure"] for one in found] == ["status 500"]
    assert json.loads(read["response_excerpt"]) == {"status": 500}
    assert json.loads(read["request_body"])["type"] == "race.completed"
    sent = read["request_headers"]
    message = signatures.SignedMessage(sent["webhook-id"], sent["webhook-timestamp"], read["request_body"].encode())
    assert signatures.is_genuine(message, sent["webhook-signature"], [secret], clock.now())
    assert (health["delivered"], health["failing"], health["share_bps"]) == (4, 1, 8_000)


async def test_a_test_message_reaches_it_alone(console: Console, staff: httpx2.AsyncClient) -> None:
    async with playing(console) as world:
        one, _ = await heard_by(console, staff, world, 0)
        other, _ = await heard_by(console, staff, world, 0)
        sent = await staff.post(f"{one}/test", json=WHY)
        for each in (one, other):
            await webhooks.deliver(console.wiring.database, DeliverWebhooks(each.rpartition("/")[2]))  # type: ignore[arg-type]  # an id as text
        read = (await staff.get(f"{one}/deliveries/{sent.json()['delivery_id']}")).json()

    assert (sent.status_code, read["delivery"]["state"], read["delivery"]["type"]) == (202, "delivered", "webhook.test")
    assert [json.loads(each.body)["type"] for each in world.hooks.heard] == ["webhook.test"]
    assert len(await acts_of(console, "webhook.test")) == 1


async def test_what_was_sent_is_sent_again(console: Console, staff: httpx2.AsyncClient) -> None:
    async with playing(console) as world:
        one, _ = await heard_by(console, staff, world)
        first = (await staff.get(f"{one}/deliveries")).json()["items"][0]
        since = (clock.now() - timedelta(hours=1)).isoformat()
        again = await staff.post(f"{one}/replay", json={"delivery_id": first["id"], **WHY})
        all_of_it = await staff.post(f"{one}/replay", json={"since": since, "states": ["delivered"], **WHY})
        none = await staff.post(f"{one}/replay", json={"since": since, "types": ["reward.paid"], **WHY})
        both = await staff.post(f"{one}/replay", json={"since": since, "delivery_id": first["id"], **WHY})
        await webhooks.deliver(console.wiring.database, DeliverWebhooks(one.rpartition("/")[2]))  # type: ignore[arg-type]  # an id as text

    assert [again.json()["queued"], all_of_it.json()["queued"], none.json()["queued"]] == [1, 2, 0]
    assert both.status_code == 422
    ids = [each.webhook_id for each in world.hooks.heard]
    assert len(ids) == 6 and len(set(ids)) == 3
    assert all(each.is_genuine for each in world.hooks.heard)


async def test_the_catalogue_is_open_and_says_what_a_message_looks_like(console: Console) -> None:
    async with console.talk({}) as anybody:
        answer = await anybody.get("/api/v1/event-types")
    types = {one["name"]: one for one in answer.json()["items"]}

    assert answer.status_code == 200 and {"race.completed", "webhook.test", "reward.paid"} <= types.keys()
    assert "player.excluded" not in types
    example, schema = types["reward.paid"]["example"], types["reward.paid"]["schema"]
    assert example["data"].keys() == schema["properties"]["data"]["properties"].keys()


# pages


async def test_an_endpoint_is_made_by_its_page_and_the_secret_is_there_once(
    console: Console, staff: httpx2.AsyncClient
) -> None:
    page = f"{PAGE}/new"
    fields = form_of((await staff.get(page)).text, page)
    typed = {**fields, "url": "https://10.0.0.1/", "types": "race.*, reward.paid", "per_second": "5", **WHY}
    refused = await staff.post(page, data=typed)
    fields = form_of(refused.text, page)
    done = await staff.post(page, data={**typed, **fields, "url": NEW["url"]})
    (webhook,) = (await staff.get(CALL)).json()["items"]
    looked = await staff.get(f"{PAGE}/{webhook['id']}")

    assert (refused.status_code, done.status_code) == (422, 200)
    assert "points inside" in refused.text and "reward.paid" in refused.text
    assert "whsec_" in done.text and "Copy it now" in done.text
    assert "Copy it now" not in looked.text and "/palio" not in looked.text
    assert webhook["types"] == ["race.*", "reward.paid"]
    async with console.begin() as tx:
        kept = await db.value(
            tx, "select count(*) from infra.idempotency_keys where position('whsec'::bytea in body) > 0"
        )
    assert kept == 0


async def test_each_act_has_its_page(console: Console, staff: httpx2.AsyncClient) -> None:
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]
    one = f"{PAGE}/{made['id']}"
    before = len(await acts_of(console, "webhook.change"))

    async def do(act: str, **typed: str) -> httpx2.Response:
        fields = form_of((await staff.get(f"{one}/{act}")).text, f"{one}/{act}")
        return await staff.post(f"{one}/{act}", data={**fields, **WHY, **typed})

    silent = await do("pause", reason="")
    answers = [await do("pause"), await do("resume"), await do("test"), await do("rotate", overlap_h="24")]
    answers += [await do("revoke-previous"), await do("replay", since="2026-03-20T12:00", what="all", type="")]
    edited = await do("edit", types="race.completed", per_second="7", url="")
    removed = await do("remove")

    assert silent.status_code == 422 and "five characters" in silent.text
    assert [each.status_code for each in (*answers, edited, removed)] == [303, 303, 303, 200, 303, 303, 303, 303]
    assert (await staff.get(one)).status_code == 404
    assert len(await acts_of(console, "webhook.change")) == before + 1


async def test_the_page_knows_our_messages_and_no_others(console: Console, staff: httpx2.AsyncClient) -> None:
    async with playing(console) as world:
        one, _ = await heard_by(console, staff, world, 1)
        (heard,) = world.hooks.heard
    page = f"{PAGE}/{one.rpartition('/')[2]}/verify"
    fields = form_of((await staff.get(page)).text, page)
    typed = {
        "webhook_id": heard.webhook_id,
        "timestamp": heard.timestamp,
        "signature": heard.signature,
        "body": heard.body,
    }

    ours = await staff.post(page, data={**fields, **typed})
    changed = [
        await staff.post(page, data={**fields, **typed, name: typed[name] + "0"})
        for name in ("webhook_id", "timestamp", "body")
    ]
    assert "It is ours" in ours.text
    assert ["It is not ours" in each.text for each in changed] == [True] * 3


async def test_the_pages_show_what_was_sent(console: Console, staff: httpx2.AsyncClient) -> None:
    async with playing(console) as world:
        world.hooks.control("script", {"name": "one", "statuses": [500]})
        one, _ = await heard_by(console, staff, world)
        page = f"{PAGE}/{one.rpartition('/')[2]}"
        every = [await staff.get(f"{page}{more}") for more in ("", "?state=waiting", "?state=delivered", "?q=nonsense")]
        (failed,) = (await staff.get(f"{one}/deliveries?state=retrying")).json()["items"]
        delivery = await staff.get(f"{page}/deliveries/{failed['id']}")
        chart = (await staff.get(f"{page}/chart")).json()
        overview = await staff.get(PAGE)

    assert ["status 500" in each.text for each in every] == [True, True, False, False]
    assert "webhook-signature: v1," in delivery.text and '<p class="font-semibold">500' in delivery.text
    assert len(chart["categories"]) == 24
    assert [sum(one["values"]) for one in chart["series"]] == [2, 1]
    assert "127.0.0.1" in overview.text and "race.completed" in overview.text


@pytest.mark.parametrize(
    ("days", "is_told", "severity"), [(0.9, False, ""), (1.1, True, "warning"), (3, True, "critical")]
)
async def test_an_endpoint_that_takes_nothing_stands_on_the_first_page(
    console: Console, staff: httpx2.AsyncClient, days: float, is_told: bool, severity: str
) -> None:
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]
    async with console.begin() as tx:
        since = clock.now() - timedelta(days=days)
        await db.run(tx, "update infra.webhook_endpoints set failing_since = %s where id = %s", since, made["id"])
    alarms = (await staff.get("/api/v1/console/home")).json()["alarms"]
    page = await staff.get("/console")

    found = [(one["severity"], one["subject"]) for one in alarms if one["kind"] == "webhook_failing"]
    assert found == ([(severity, "hooks.example.com")] if is_told else [])
    assert ("hooks.example.com takes no webhooks." in page.text) is is_told


# what is there to copy


def test_the_receivers_to_copy_verify_what_we_sign(tmp_path: Path) -> None:
    secret = webhooks.new_secret()
    at = str(int(clock.now().timestamp()))
    message = signatures.SignedMessage("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", at, b'{"type":"race.completed"}')
    signature = "v1,AAAA " + signatures.signature(secret, message)
    shell = tmp_path / "verify.sh"
    shell.write_text(SHELL)
    python = tmp_path / "verify.py"
    python.write_text(
        f"{PYTHON}\nimport sys\nsecret, id, at, given = sys.argv[1:]\n"
        "headers = {'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': given}\n"
        "raise SystemExit(0 if is_genuine(secret, headers, sys.stdin.buffer.read()) else 1)\n"
    )
    for command in (["sh", str(shell)], [sys.executable, str(python)]):
        for body, status in ((message.body, 0), (message.body + b" ", 1)):
            given = [secret, message.webhook_id, message.timestamp, signature]
            assert subprocess.run([*command, *given], input=body, check=False).returncode == status


async def test_a_name_is_looked_up_while_no_transaction_waits(console: Console, staff: httpx2.AsyncClient) -> None:
    """Also under a key; and a repeat is told what the first was, although nobody knows the name any more."""
    database = console.wiring.database
    in_use: list[int] = []

    async def looking(host: str, port: int) -> Sequence[str]:
        stats = database.pool.get_stats()
        in_use.append(stats["pool_size"] - stats["pool_available"])
        return await resolve(host, port)

    async def forgotten(_host: str, _port: int) -> Sequence[str]:
        raise OSError("there is no such name")

    equipment = database.equipment
    database.equipment = replace(equipment, http=Client(resolve=looking))
    made = await staff.post(CALL, json=NEW, headers={"Idempotency-Key": "k7"})
    one = f"{CALL}/{made.json()['webhook']['id']}"
    changed = await staff.patch(one, json={"url": NEW["url"], **WHY}, headers={"If-Match": '"1"'})
    database.equipment = replace(equipment, http=Client(resolve=forgotten))
    again = await staff.post(CALL, json=NEW, headers={"Idempotency-Key": "k7"})
    other = await staff.post(CALL, json=NEW, headers={"Idempotency-Key": "k8"})

    assert (made.status_code, changed.status_code, in_use) == (201, 200, [0, 0])
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (other.status_code, other.json()["code"]) == (422, "url_refused")


async def test_deliveries_are_narrowed_by_state_and_time(console: Console, staff: httpx2.AsyncClient) -> None:
    made = (await staff.post(CALL, json=NEW)).json()["webhook"]["id"]
    told = events(3, now=clock.now())
    async with console.begin() as tx:
        await webhooks.tell(tx, TellWebhooks(tuple(told)))
    now = clock.now()
    later = {"created_at.gt": (now + timedelta(minutes=1)).isoformat()}
    answers = [
        (await staff.get(f"{CALL}/{made}/deliveries", params={"count": "exact", **query})).json()
        for query in ({}, {"state": "queued,failed"}, {"state.ne": "queued"}, later, {"limit": 2})
    ]
    refused = await staff.get(f"{CALL}/{made}/deliveries", params={"state": "lost"})

    assert [answer["count"] for answer in answers] == [3, 3, 0, 0, 3]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/state")
