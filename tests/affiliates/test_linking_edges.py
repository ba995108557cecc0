"""Links over HTTP: what players and staff may call, the page that does the same without script, and whose it is."""

import html
import io
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from palio import affiliates, identity
from palio.affiliates import console, web
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, embedded, jobs
from palio.infra.db import Database, Equipment
from palio.infra.storage import Storage
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from tests.factories.affiliates import T1, body, ingest, row
from tests.factories.databases import own_database
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import NOW, OURS, caller

SYSTEM = Actor("system", None, RequestId(new_id()))
READ, REVIEW = "affiliates.read", "affiliates.read affiliates.links.review"


@pytest.fixture(scope="module")
async def committed(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS), storage=Storage(tmp_path_factory.mktemp("proofs")))
    async with own_database(cluster, f"palio_linking_{worker_id}", equipment=equipment) as database:
        yield database


@pytest.fixture
async def client(committed: Database) -> AsyncIterator[httpx2.AsyncClient]:
    app = assemble(
        [web.boards.routes, web.linking.routes, console.routes],
        state={"database": committed, "pages": Pages(Languages()), "cursors": Cursors(bytes(32))},
        served=lambda served: None,
        identify=people.identify,
        key=bytes(32),
    )
    async with talk_to(app) as client:
        yield client


@pytest.fixture
async def here(committed: Database, tmp_path: Path) -> str:
    """The code of a programme with three players."""
    code = f"p{new_id().hex[-12:]}"
    async with committed.begin(SYSTEM) as tx:
        made = await affiliates.ensure_programme(tx, code=code)
        listed = body(row("a", "100.5", name="Anna"), row("b", 7, name="Ben"), row("c", 8, name="<i>Cleo</i>"))
        await ingest(tx, made, listed, T1, Storage(tmp_path))
    return code


async def somebody(committed: Database, name: str = "") -> UserId:
    async with committed.begin(SYSTEM) as tx:
        made = await identity.create(tx, username=name or f"u{new_id().hex[-12:]}", now=T1)
    people.SESSIONS[made.id] = new_id()
    return made.id


async def asked(client: httpx2.AsyncClient, who: UserId, code: str, **said: object) -> httpx2.Response:
    given = {"programme": code, "uid": "a", "proof": "screenshot", **said}
    return await client.post("/api/v1/affiliates/link-requests", json=given, headers=me(who))


def me(user_id: UserId) -> dict[str, str]:
    return {**caller("player", user_id), **OURS}


def as_staff(user_id: UserId, permissions: str = REVIEW, *, step_up: bool = False) -> dict[str, str]:
    return {**caller("staff", user_id, permissions=permissions, step_up=step_up), **OURS}


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_player_asks_reads_answers_and_takes_back(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    alice = await somebody(committed)
    made = await asked(client, alice, here, note=" see the picture ")
    assert made.status_code == 201
    told = made.json()
    assert (told["uid"], told["name"], told["state"], told["note"]) == ("a", "Anna", "pending", "see the picture")
    assert [step["to_state"] for step in told["steps"]] == ["pending"]
    assert code_of(await asked(client, alice, here, uid="b")) == (409, "affiliates.request_open")
    address = f"/api/v1/affiliates/link-requests/{told['id']}"
    answered = await client.post(f"{address}/answer", json={"note": "of today"}, headers=me(alice))
    assert [step["note"] for step in answered.json()["steps"]] == ["", "of today"]
    assert code_of(await client.post(f"{address}/answer", json={"note": "x"}, headers=me(alice))) == (
        422,
        "affiliates.note_missing",
    )
    gone = await client.delete(address, headers=me(alice))
    assert gone.json()["state"] == "cancelled"
    assert code_of(await client.delete(address, headers=me(alice))) == (409, "affiliates.already_decided")
    listed = (await client.get("/api/v1/affiliates/link-requests", headers=me(alice))).json()["items"]
    assert [(one["ref"], one["state"], len(one["steps"])) for one in listed] == [(told["ref"], "cancelled", 3)]


async def test_a_request_of_somebody_else_is_not_there(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    """Acceptance 24."""
    alice, bob = await somebody(committed), await somebody(committed)
    told = (await asked(client, alice, here)).json()
    address = f"/api/v1/affiliates/link-requests/{told['id']}"
    assert code_of(await client.delete(address, headers=me(bob))) == (404, "affiliates.request_unknown")
    answer = await client.post(f"{address}/answer", json={"note": "it is mine"}, headers=me(bob))
    assert code_of(answer) == (404, "affiliates.request_unknown")
    assert (await client.get("/api/v1/affiliates/link-requests", headers=me(bob))).json()["items"] == []
    assert code_of(await client.get(f"/api/v1/console{address[7:]}", headers=me(bob))) == (403, "permission_missing")
    mine = (await client.get("/api/v1/affiliates/link-requests", headers=me(alice))).json()["items"]
    assert [(one["state"], len(one["steps"])) for one in mine] == [("pending", 1)]


@pytest.mark.parametrize(
    ("said", "pointers"),
    [
        ({"uid": None}, [""]),
        ({"uid": "x" * 201}, ["/uid"]),
        ({"uid": "a\x00"}, ["/uid"]),
        ({"uid": 5}, ["/uid"]),
        ({"proof": "staff"}, ["/proof"]),
        ({"note": "x" * 1_001}, ["/note"]),
        ({"note": "a\x00b"}, ["/note"]),
        ({"user_id": str(new_id())}, ["/user_id"]),
        ({"state": "approved"}, ["/state"]),
    ],
)
async def test_odd_input_is_refused_where_it_stands(
    client: httpx2.AsyncClient, committed: Database, here: str, said: dict[str, object], pointers: list[str]
) -> None:
    answer = await asked(client, await somebody(committed), here, **said)
    assert answer.status_code == 422, answer.text
    assert [place["pointer"] for place in answer.json()["errors"]] == pointers


async def test_the_same_key_asks_once(client: httpx2.AsyncClient, committed: Database, here: str) -> None:
    alice = await somebody(committed)
    headers = {**me(alice), "idempotency-key": new_id().hex}
    said = {"programme": here, "uid": "a"}
    first = await client.post("/api/v1/affiliates/link-requests", json=said, headers=headers)
    again = await client.post("/api/v1/affiliates/link-requests", json=said, headers=headers)
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert again.headers["idempotency-replayed"] == "true"


async def test_staff_take_ask_and_approve_and_the_player_sees_his_numbers(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    alice, stella = await somebody(committed), await somebody(committed)
    told = (await asked(client, alice, here)).json()
    address = f"/api/v1/console/affiliates/link-requests/{told['id']}"
    reading = await client.get(address, headers=as_staff(stella, READ))
    assert (reading.json()["uid"], reading.json()["contested"]) == ("a", False)
    assert code_of(await client.post(f"{address}/take", headers=as_staff(stella, READ))) == (403, "permission_missing")
    taken = (await client.post(f"{address}/take", headers=as_staff(stella))).json()
    assert (taken["state"], taken["taken_by"]) == ("under_review", str(stella))
    more = (await client.post(f"{address}/ask", json={"note": "which day?"}, headers=as_staff(stella))).json()
    assert (more["state"], more["answer"]) == ("pending", "which day?")
    short = await client.post(f"{address}/reject", json={"note": "no"}, headers=as_staff(stella))
    assert code_of(short) == (422, "affiliates.note_missing")
    done = (
        await client.post(f"{address}/approve", json={"staff_note": "known since 2019"}, headers=as_staff(stella))
    ).json()
    assert (done["state"], done["decided_by"], done["staff_notes"]) == ("approved", str(stella), "known since 2019")
    late = await client.post(f"{address}/reject", json={"note": "not him"}, headers=as_staff(await somebody(committed)))
    assert code_of(late) == (409, "affiliates.already_decided")
    assert late.json()["facts"]["state"] == "approved"
    closed = await client.get("/api/v1/console/affiliates/link-requests?state=closed", headers=as_staff(stella, READ))
    assert told["ref"] in [one["ref"] for one in closed.json()["items"]]

    mine = (await client.get("/api/v1/affiliates/me", headers=me(alice))).json()["items"]
    (one,) = [each for each in mine if each["programme"] == here]
    assert (one["state"], one["uid"], one["all_time_micro"], one["stale"]) == ("linked", "a", 100_500_000, True)
    assert [(rank["period"], rank["rank"]) for rank in one["ranks"]][-1] == ("ALL", 1)
    bob = await somebody(committed)
    others = await client.delete(f"/api/v1/affiliates/links/{one['link_id']}", headers=me(bob))
    assert code_of(others) == (404, "affiliates.link_unknown")
    ended = await client.delete(f"/api/v1/affiliates/links/{one['link_id']}", headers=me(alice))
    assert ended.json()["state"] == "unlinked"
    again = await client.delete(f"/api/v1/affiliates/links/{one['link_id']}", headers=me(alice))
    assert code_of(again) == (409, "affiliates.not_linked")
    assert code_of(await asked(client, bob, here)) == (409, "affiliates.player_resting")


async def test_the_queue_goes_on_where_it_was_left(client: httpx2.AsyncClient, committed: Database, here: str) -> None:
    stella = await somebody(committed)
    made = [(await asked(client, await somebody(committed), here)).json()["ref"] for _ in range(3)]
    seen, address = list[str](), "/api/v1/console/affiliates/link-requests?limit=2"
    for _ in range(50):
        answer = (await client.get(address, headers=as_staff(stella, READ))).json()
        seen += [one["ref"] for one in answer["items"]]
        if not answer["next"]:
            break
        address = f"/api/v1/console/affiliates/link-requests?limit=2&cursor={answer['next']}"
    assert [ref for ref in seen if ref in made] == made
    assert len(seen) == len({*seen})


async def test_a_move_and_a_list_take_a_fresh_second_factor(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    """Acceptance 27: 202 with an open approval, and an unchanged link."""
    alice, bob, stella = await somebody(committed), await somebody(committed), await somebody(committed)
    async with committed.begin(SYSTEM) as tx:
        programme = await affiliates.programme(tx, code=here)
        link = await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=alice, reason="known", now=NOW)
    said = {"programme": here, "uid": "a", "to_user": str(bob), "reason": "sold the account"}
    address = "/api/v1/console/affiliates/links/transfer"
    assert code_of(await client.post(address, json=said, headers=as_staff(stella))) == (403, "step_up_required")
    for _ in range(2):
        moved = await client.post(address, json=said, headers=as_staff(stella, step_up=True))
        assert (moved.status_code, moved.json()["state"]) == (202, "open")
    async with committed.begin(SYSTEM) as tx:
        assert [one.user_id for one in await affiliates.links_many(tx, player_ids=[link.player_id])] == [alice]

    lines = f"uid,user\nb,{bob}\nc,nobody-of-that-name\n"
    given = {"programme": here, "links": lines, "reason": "from the old site", "dry_run": False}
    address = "/api/v1/console/affiliates/links/import"
    done = await client.post(address, json=given, headers=as_staff(stella, step_up=True))
    assert [line["verdict"] for line in done.json()["lines"]] == ["linked", "identity.no_such_user"]
    assert done.json()["written"] is False
    given["links"] = f"uid,user\nb,{bob}\n"
    assert (await client.post(address, json=given, headers=as_staff(stella, step_up=True))).json()["written"] is True
    ended = await client.post(
        f"/api/v1/console/affiliates/links/{link.id}/unlink", json={"reason": "a mistake"}, headers=as_staff(stella)
    )
    assert ended.json()["state"] == "unlinked"


# proofs


COLOURS = ("red", "green", "blue", "white", "black", "yellow")


def picture(colour: str = "#1d4ed8") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "PNG")
    return out.getvalue()


async def test_a_picture_is_seen_by_its_sender_and_by_staff_alone(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    alice, bob, stella = await somebody(committed), await somebody(committed), await somebody(committed)
    told = (await asked(client, alice, here)).json()
    address = f"/api/v1/affiliates/link-requests/{told['id']}/pictures"
    said = {"picture": b64encode(picture()).decode()}
    assert code_of(await client.post(address, json=said, headers=me(bob))) == (404, "affiliates.request_unknown")
    for _ in range(2):  # the same again is the same one
        sent = await client.post(address, json=said, headers=me(alice))
        assert (sent.status_code, len(sent.json()["pictures"])) == (201, 1)
    (picture_id,) = sent.json()["pictures"]
    for path, headers in (
        (f"/account/link/pictures/{picture_id}", me(alice)),
        (f"/console/affiliates/pictures/{picture_id}", as_staff(stella, READ)),
    ):
        seen = await client.get(path, headers=headers)
        assert (seen.status_code, seen.headers["content-type"]) == (200, "image/webp")
        assert "sandbox; default-src 'none'" in seen.headers["content-security-policy"]
        assert seen.headers["cache-control"] == "no-store"
    foreign = await client.get(f"/account/link/pictures/{picture_id}", headers=me(bob))
    assert foreign.status_code == 404
    assert (await client.get(f"/console/affiliates/pictures/{picture_id}", headers=me(bob))).status_code == 403
    read = await client.get(f"/api/v1/console/affiliates/link-requests/{told['id']}", headers=as_staff(stella, READ))
    assert read.json()["pictures"] == [picture_id]


async def test_what_is_no_picture_changes_nothing(client: httpx2.AsyncClient, committed: Database, here: str) -> None:
    alice = await somebody(committed)
    told = (await asked(client, alice, here)).json()
    address = f"/api/v1/affiliates/link-requests/{told['id']}/pictures"
    for content, wanted in ((b"<svg onload='x'/>", "not_a_picture"), (bytes((5 << 20) + 1), "too_large")):
        answer = await client.post(address, json={"picture": b64encode(content).decode()}, headers=me(alice))
        assert answer.json()["code"] == f"file.{wanted}"
    assert (await client.post(address, json={"picture": "not base64!"}, headers=me(alice))).status_code == 422
    page = (await client.get(f"/account/link?programme={here}", headers=me(alice))).text
    action = f"/account/link/requests/{told['id']}/pictures"
    refused = await client.post(
        action, data=fields(page, action), files={"picture": ("x.png", b"<script>", "image/png")}, headers=me(alice)
    )
    assert refused.status_code == 422 and "no picture that can be read" in refused.text
    for number in range(6):
        sent = await client.post(
            action,
            data=fields(page, action),
            files={"picture": ("x.png", picture(COLOURS[number]), "image/png")},
            headers=me(alice),
        )
        assert sent.status_code == (303 if number < 5 else 409)
    mine = (await client.get("/api/v1/affiliates/link-requests", headers=me(alice))).json()["items"]
    assert (len(mine[0]["pictures"]), len(mine[0]["steps"])) == (5, 6)


# the page


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent to an address."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}[^"]*".*?</form>', page, re.DOTALL)
    assert form, action
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))


async def test_the_page_asks_answers_takes_back_and_ends(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    """Without script: forms that are sent, and a page that says what has become of them."""
    alice, stella = await somebody(committed), await somebody(committed)
    address = f"/account/link?programme={here}"
    page = (await client.get(address, headers=me(alice))).text
    said = {**fields(page, "/account/link"), "player": "nobody", "proof": "other", "note": "hm <b>"}
    refused = await client.post("/account/link", data=said, headers=me(alice))
    assert refused.status_code == 422
    (told,) = re.findall(r'id="player-wrong".*?</p>', refused.text, re.DOTALL)
    assert "has no player" in html.unescape(told) and 'value="nobody"' in refused.text
    assert "hm &lt;b&gt;" in refused.text
    empty = await client.post("/account/link", data={**said, "player": " "}, headers=me(alice))
    assert empty.status_code == 422 and 'id="player-wrong"' in empty.text

    sent = await client.post("/account/link", data={**said, "player": "ANNA"}, headers=me(alice))
    assert (sent.status_code, sent.headers["location"]) == (303, address)
    page = (await client.get(address, headers=me(alice))).text
    (ref,) = set(re.findall(r"V-[0-9A-Z]{6}", page))
    async with committed.begin(SYSTEM) as tx:
        request_id = await affiliates.request_by(tx, ref=ref)
        actor = Actor("staff", stella, RequestId(new_id()))
        await affiliates.ask_more(tx, request_id=request_id, actor=actor, note="which <day>?", now=NOW)
    page = (await client.get(address, headers=me(alice))).text
    assert "which &lt;day&gt;?" in page and "Staff ask for more" in page
    action = f"/account/link/requests/{request_id}/answer"
    said = {**fields(page, action), "note": "of Tuesday"}
    assert (await client.post(f"{action}?programme={here}", data=said, headers=me(alice))).status_code == 303
    page = (await client.get(address, headers=me(alice))).text
    assert "of Tuesday" in page
    without = {name: value for name, value in fields(page, action).items() if name != "csrf_token"}
    assert code_of(await client.post(action, data={**without, "note": "again"}, headers=me(alice))) == (
        403,
        "csrf_rejected",
    )
    async with committed.begin(SYSTEM) as tx:
        await affiliates.decide(
            tx, request_id=request_id, actor=actor, decision="approve", note="", now=NOW + timedelta(hours=1)
        )
    page = (await client.get(address, headers=me(alice))).text
    assert ">Linked<" in page and "100.50" in page and "How it goes" not in page
    (link_id,) = re.findall(r"/account/link/links/([0-9a-f-]{36})/end", page)
    action = f"/account/link/links/{link_id}/end"
    ended = await client.post(f"{action}?programme={here}", data=fields(page, action), headers=me(alice))
    assert ended.status_code == 303
    page = (await client.get(address, headers=me(alice))).text
    assert "Which player are you?" in page and ref in page

    again = (await asked(client, alice, here, uid="b")).json()
    async with committed.begin(SYSTEM) as tx:
        request_id = await affiliates.request_by(tx, ref=again["ref"])
        await affiliates.decide(
            *(tx,),
            request_id=request_id,
            actor=actor,
            decision="reject",
            note="not <yours>",
            now=NOW + timedelta(hours=2),
        )
    page = (await client.get(address, headers=me(alice))).text
    assert "Your request for Ben was rejected" in page and "not &lt;yours&gt;" in page


async def test_a_player_who_is_taken_is_told_at_the_field_in_words_for_players(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    alice, bob = await somebody(committed), await somebody(committed)
    async with committed.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=here)
        await affiliates.link(tx, programme_id=programme.id, uid="a", user_id=bob, reason="known", now=NOW)
    page = (await client.get(f"/account/link?programme={here}", headers=me(alice))).text
    said = {**fields(page, "/account/link"), "player": "anna", "proof": "other", "note": ""}
    refused = await client.post("/account/link", data=said, headers=me(alice))
    (told,) = re.findall(r'id="player-wrong".*?</p>', refused.text, re.DOTALL)
    assert refused.status_code == 409 and "tell the staff of this house" in told and "unlink" not in told


async def test_a_form_of_somebody_else_changes_nothing(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    alice, bob = await somebody(committed), await somebody(committed)
    told = (await asked(client, alice, here)).json()
    page = (await client.get(f"/account/link?programme={here}", headers=me(bob))).text
    said = {name: value for name, value in fields(page, "/account/link").items() if name != "programme"}
    answer = await client.post(f"/account/link/requests/{told['id']}/cancel", data=said, headers=me(bob))
    assert answer.status_code == 404 and "no such request" in answer.text
    async with committed.begin(SYSTEM) as tx:
        assert await db.value(tx, "select state from affiliates.link_requests where id = %s", told["id"]) == "pending"


async def test_a_name_of_the_provider_is_text_and_nothing_else(
    client: httpx2.AsyncClient, committed: Database, here: str
) -> None:
    carol = await somebody(committed)
    assert (await asked(client, carol, here, uid="c")).status_code == 201
    page = (await client.get(f"/account/link?programme={here}", headers=me(carol))).text
    assert "<i>Cleo" not in page and "&lt;i&gt;Cleo" in page
