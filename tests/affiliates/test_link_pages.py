"""Pages of staff over links: what they show, what their forms do, and what is refused with nothing changed."""

import asyncio
import html
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from palio import affiliates, identity
from palio.affiliates import service
from palio.infra import approvals, db, embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console, acts_of, form_of, manned
from tests.affiliates.link_desk import READ, REVIEW, LinkDesk, furnished

REQUESTS, LINKS = "/console/affiliates/link-requests", "/console/affiliates/links"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_link_desk_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


@pytest.fixture
async def desk(console: Console) -> LinkDesk:
    return await furnished(console, f"p{new_id().hex[-12:]}")


async def sent(client: httpx2.AsyncClient, page: str, action: str, **fields: str) -> httpx2.Response:
    """A form of a page, filled in and sent."""
    hidden = form_of((await client.get(page)).text, action)
    return await client.post(action, data={**hidden, **fields})


def rows_of(page: str) -> list[str]:
    """The references that a queue shows, in order."""
    return re.findall(r"V-[0-9A-Z]{6}(?=</span>)", page)


async def test_the_queue_shows_what_waits_what_is_contested_mine_and_decided(console: Console, desk: LinkDesk) -> None:
    alice, bob, carol = [await desk.somebody() for _ in range(3)]
    first, second = await desk.ask(alice, "ben"), await desk.ask(bob, "ben")
    third = await desk.ask(carol, "dora")
    here = f"programme={desk.programme.code}"
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        everything = rows_of((await noor.get(f"{REQUESTS}?{here}")).text)
        contested = rows_of((await noor.get(f"{REQUESTS}?{here}&state=contested")).text)
        none = await noor.get(f"{REQUESTS}?{here}&state=mine")
        await sent(noor, f"{REQUESTS}/{third.id}", f"{REQUESTS}/{third.id}/take")
        mine = rows_of((await noor.get(f"{REQUESTS}?{here}&state=mine")).text)
        by_uid = rows_of((await noor.get(f"{REQUESTS}?{here}&q=dora")).text)
        by_ref = rows_of((await noor.get(f"{REQUESTS}?{here}&q={first.ref.lower()}")).text)
        page = await noor.get(f"{REQUESTS}?{here}&limit=2")
        following = html.unescape(page.text.partition('rel="next" href="')[2].partition('"')[0])
        rest = rows_of((await noor.get(REQUESTS + following)).text)
        table = await noor.get(f"/api/v1{REQUESTS}.csv?{here}&state=contested")
        kept = page.text.partition('id="queue"')[2].partition(">")[0]
        again = (await noor.get(f"{REQUESTS}?{here}&limit=2", headers={"HX-Request": "true"})).text

    assert (f'hx-get="{REQUESTS}?{here}&amp;limit=2"' in kept, 'hx-trigger="every 15s"' in kept) == (True, True)
    assert (rows_of(again), "<html" in again) == ([first.ref, second.ref], False)
    assert everything == [first.ref, second.ref, third.ref]
    assert contested == [first.ref, second.ref]
    assert ("Nothing matches" in none.text, mine, by_uid, by_ref) == (True, [third.ref], [third.ref], [first.ref])
    assert (rows_of(page.text), rest) == ([first.ref, second.ref], [third.ref])
    assert [line.split(",")[1] for line in table.text.split("\r\n")[1:-1]] == [first.ref, second.ref]


async def test_a_request_shows_its_evidence_and_its_rivals_side_by_side(console: Console, desk: LinkDesk) -> None:
    alice, bob = await desk.somebody(), await desk.somebody()
    one = await desk.ask(alice, "cleo", note="see <b>the picture</b>")
    await desk.prove(one, "Cleo")
    other = await desk.ask(bob, "cleo", note="she is my sister")
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        page = (await noor.get(f"{REQUESTS}/{one.id}")).text
        picture = re.findall(r'src="(/console/affiliates/pictures/[^"]+)"', page)
        shown = await noor.get(picture[0])
    async with console.talk(console.staff(console.noor, permissions="races.race.read")) as outsider:
        hidden = await outsider.get(picture[0])
        closed = await outsider.get(f"{REQUESTS}/{one.id}")

    assert "see &lt;b&gt;the picture&lt;/b&gt;" in page
    assert "&lt;i&gt;Cleo&lt;/i&gt;" in page
    assert ("<i>Cleo" in page, one.proof_code in page) == (False, True)
    assert (f'href="{REQUESTS}/{other.id}"' in page, "she is my sister" in page) == (True, True)
    assert (shown.status_code, shown.headers["content-security-policy"][:28]) == (200, "sandbox; default-src 'none',")
    assert (hidden.status_code, closed.status_code) == (403, 403)


async def test_an_approval_links_ends_rivals_and_leads_to_the_next(console: Console, desk: LinkDesk) -> None:
    alice, bob, carol = [await desk.somebody() for _ in range(3)]
    one, other = await desk.ask(alice, "ben"), await desk.ask(bob, "ben")
    following = await desk.ask(carol, "dora")
    page = f"{REQUESTS}/{one.id}"
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        done = await sent(noor, page, f"{page}/decide", decision="approve", note="", staff_note="checked by phone")
        after = (await noor.get(page)).text
    card, steps = await desk.seen(one)

    assert (done.status_code, done.headers["location"].partition("?")[2]) == (303, f"done={one.id}")
    assert following.decided_at is None
    assert (card.request.state, card.request.decided_by, card.request.staff_notes) == (
        *("approved", console.noor),
        "checked by phone",
    )
    assert [step.to_state for step in steps] == ["pending", "active", "approved"]
    assert (await desk.seen(other))[0].request.state == "superseded"
    assert await desk.holders() == {alice: "ben"}
    assert ("checked by phone" in after, f'action="{page}/decide"' in after) == (True, False)
    acts = await acts_of(console, "link_request.approve")
    assert [act.actor_id for act in acts if act.entity_id == str(one.id)] == [console.noor]


async def test_what_the_user_reads_is_not_what_staff_note(console: Console, desk: LinkDesk) -> None:
    alice = await desk.somebody()
    one = await desk.ask(alice, "ben")
    page = f"{REQUESTS}/{one.id}"
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        asked = await sent(
            noor, page, f"{page}/decide", decision="ask", note="Which name is on it?", staff_note="looks doctored"
        )
        await sent(noor, page, f"{page}/decide", decision="reject", note="It shows another name.", staff_note="twice")
    async with console.talk({**console.staff(alice), "test-kind": "player"}) as player:
        told = (await player.get("/api/v1/affiliates/link-requests")).text
        own = (await player.get(f"/account/link?programme={desk.programme.code}")).text
    card, _ = await desk.seen(one)

    assert (asked.status_code, asked.headers["location"]) == (303, page)
    assert (card.request.state, card.request.staff_notes) == ("rejected", "looks doctored\ntwice")
    assert ("It shows another name." in told, "doctored" in told, "doctored" in own) == (True, False, False)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"decision": "reject", "note": ""}, 422, "Say why, in 3 to 500 characters"),
        ({"decision": "reject", "note": "no"}, 422, "Say why, in 3 to 500 characters"),
        ({"decision": "ask", "note": ""}, 422, "Say why, in 3 to 500 characters"),
        ({"decision": "burn", "note": "away with it"}, 422, ""),
        ({"decision": "reject", "note": "x" * 1_001}, 422, ""),
        ({"decision": "approve", "note": "", "state": "approved"}, 422, ""),
    ],
)
async def test_a_bad_decision_is_shown_again_and_changes_nothing(
    console: Console, desk: LinkDesk, fields: dict[str, str], status: int, words: str
) -> None:
    one = await desk.ask(await desk.somebody(), "ben")
    page = f"{REQUESTS}/{one.id}"
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        refused = await sent(noor, page, f"{page}/decide", staff_note="keep this", **fields)
    card, steps = await desk.seen(one)

    assert refused.status_code == status
    assert words in html.unescape(refused.text)
    assert ("keep this" in refused.text, 'role="alert"' in refused.text) == (True, True)
    assert (card.request.state, card.request.staff_notes, len(steps)) == ("pending", "", 1)
    assert await desk.holders() == {}


async def test_what_may_not_be_decided_is_not(console: Console, desk: LinkDesk) -> None:
    """One's own, what is decided, what somebody else took, without the permission, and with a wrong token."""
    alice = await desk.somebody()
    own, one = await desk.ask(console.sana, "dora"), await desk.ask(alice, "ben")
    page = f"{REQUESTS}/{one.id}"
    async with (
        console.talk(console.staff(console.noor, permissions=REVIEW)) as noor,
        console.talk(console.staff(console.sana, permissions=REVIEW)) as sana,
        console.talk(console.staff(console.sana, permissions=READ)) as reader,
    ):
        hidden = form_of((await sana.get(page)).text, f"{page}/decide")
        said = {"decision": "approve", "note": "", "staff_note": ""}
        shown = await sana.get(f"{REQUESTS}/{own.id}")
        mine = await sana.post(f"{REQUESTS}/{own.id}/decide", data={**hidden, **said})
        forged = await sana.post(f"{page}/decide", data={**hidden, **said, "csrf_token": "00"})
        looked = await reader.post(f"{page}/decide", data={**hidden, **said})
        await sent(noor, page, f"{page}/take")
        taken = await sana.post(f"{page}/take", data={**hidden, "idempotency_key": str(new_id())})
        busy = await sana.get(page)
        await sent(noor, page, f"{page}/decide", **said)
        late = await sana.post(f"{page}/decide", data={**hidden, **said, "idempotency_key": str(new_id())})
    async with console.begin() as tx:  # leave nothing open that another test would be led to
        await service.cancel(tx, request_id=own.id, user_id=console.sana, now=clock.now())

    assert ("your own: somebody else decides" in shown.text, mine.status_code) == (True, 403)
    assert (forged.status_code, looked.status_code, taken.status_code, late.status_code) == (403, 403, 409, 409)
    assert "Somebody else looks at it" in busy.text
    assert "This was decided before" in late.text
    assert await desk.holders() == {alice: "ben"}


async def test_two_who_decide_at_once_decide_once(console: Console, desk: LinkDesk) -> None:
    """The control: whoever only looks before he decides sees, like the other, that nobody has."""
    alice = await desk.somebody()
    one = await desk.ask(alice, "ben")
    page = f"{REQUESTS}/{one.id}"
    looked = asyncio.Barrier(2)

    async def look_first() -> bool:
        async with console.begin() as tx:
            card, _ = await affiliates.request_card(tx, request_id=one.id)
            await looked.wait()
            return card.request.state == "pending"

    assert await asyncio.gather(look_first(), look_first()) == [True, True]
    async with (
        console.talk(console.staff(console.noor, permissions=REVIEW)) as noor,
        console.talk(console.staff(console.sana, permissions=REVIEW)) as sana,
    ):
        answers = await asyncio.gather(
            sent(noor, page, f"{page}/decide", decision="approve", note="", staff_note=""),
            sent(sana, page, f"{page}/decide", decision="reject", note="not yours", staff_note=""),
        )
    _, steps = await desk.seen(one)

    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert len([step for step in steps if step.to_state in {"approved", "rejected"}]) == 1


async def test_the_queue_waits_on_today_and_in_the_rail(console: Console, desk: LinkDesk) -> None:
    one = await desk.ask(await desk.somebody(), "ben")
    async with console.begin() as tx:
        count, oldest = await affiliates.waiting_requests(tx)
    async with console.talk(console.staff(console.noor)) as noor:
        home = (await noor.get("/api/v1/console/home")).json()
        page = (await noor.get("/console")).text
    async with console.talk(console.staff(console.noor, permissions="admin.home.read")) as other:
        hidden = (await other.get("/api/v1/console/home")).json()

    (tile,) = [queue for queue in home["queues"] if queue["path"] == REQUESTS]
    assert (tile["label"], tile["count"], oldest is not None and oldest <= one.created_at) == (
        *("Link requests", count),
        True,
    )
    assert f'href="{REQUESTS}"' in page
    assert [queue["path"] for queue in hidden["queues"]] == []


# links


async def test_links_are_found_by_uid_name_and_user_and_end_with_a_reason(console: Console, desk: LinkDesk) -> None:
    name = f"heron{new_id().hex[-8:]}"
    alice, bob = await desk.somebody(name), await desk.somebody()
    one, other = await desk.link(alice, "ben"), await desk.link(bob, "cleo")
    here, page = f"programme={desk.programme.code}", f"{LINKS}/{one.id}"
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        found = {
            text: re.findall(rf'href="{LINKS}/([0-9a-f-]{{36}})"', (await noor.get(f"{LINKS}?{here}&q={text}")).text)
            for text in ("", "ben", "be", name[:9], "nobody-here")
        }
        short = await sent(noor, page, f"{page}/unlink", reason="no")
        held = await desk.holders()
        done = await sent(noor, page, f"{page}/unlink", reason="he asked for it by mail")
        twice = await noor.post(f"{page}/unlink", data={"reason": "once more, please", "csrf_token": ""})
        ended = (await noor.get(f"{LINKS}?{here}&state=ended")).text
        after = (await noor.get(page)).text
        table = await noor.get(f"/api/v1{LINKS}.csv?{here}")

    both = [str(other.id), str(one.id)]
    assert found == {"": both, "ben": [both[1]], "be": [both[1]], name[:9]: [both[1]], "nobody-here": []}
    assert (short.status_code, held) == (422, {alice: "ben", bob: "cleo"})
    assert (done.status_code, done.headers["location"], twice.status_code) == (303, page, 403)
    assert (await desk.holders(), str(one.id) in ended) == ({bob: "cleo"}, True)
    assert ("he asked for it by mail" in after, f'action="{page}/unlink"' in after) == (True, False)
    assert [line.split(",")[3] for line in table.text.split("\r\n")[1:-1]] == ["cleo"]
    assert [act.reason for act in await acts_of(console, "link.end") if act.entity_id == str(one.id)] == [
        "he asked for it by mail"
    ]


async def test_a_move_waits_for_a_second_person_and_a_fresh_code(console: Console, desk: LinkDesk) -> None:
    alice, bob = await desk.somebody(), await desk.somebody()
    await desk.link(alice, "ben")
    page, commands = f"{LINKS}/move?programme={desk.programme.code}&uid=ben", console.app_state("desk").commands
    said = {"programme": desk.programme.code, "uid": "ben", "to_user": str(bob), "reason": "the account was sold"}
    async with console.talk(console.staff(console.noor, permissions=REVIEW, step_up=False)) as unproven:
        before = (await unproven.get(page)).text
        stale = await sent(unproven, page, f"{LINKS}/move", **said)
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        unknown = await sent(noor, page, f"{LINKS}/move", **{**said, "to_user": "nobody-of-that-name"})
        done = await sent(noor, page, f"{LINKS}/move", **said)
        waits = (await noor.get(done.headers["location"])).text
    held = await desk.holders()
    async with console.talk(console.staff(console.sana)) as sana:
        approval = done.headers["location"].partition("waiting=")[2]
        told = (await sana.get(f"/api/v1/console/approvals/{approval}")).json()
        inbox = (await sana.get(f"/console/approvals/{approval}")).text
        await sana.post(f"/api/v1/console/approvals/{approval}/approve", json={})
    async with console.begin() as tx:
        await approvals.execute(
            tx,
            approval_id=await db.value(tx, "select %s::uuid", approval),
            commands=commands,
            now=clock.now(),
        )

    assert ("Enter a code" in before, ">Propose the move<" in before, stale.status_code) == (True, False, 403)
    assert (unknown.status_code, "the account was sold" in unknown.text) == (404, True)
    assert (done.status_code, "It waits for a second person" in waits, held) == (303, True, {alice: "ben"})
    (moved,) = told["changes"]
    assert (moved["whose"], moved["what"], told["obstacle"], 'id="changes"' in inbox) == (
        *("Ben", "linked to"),
        None,
        True,
    )
    async with console.begin() as tx:
        cards = await identity.cards(tx, ids=[alice, bob])
    assert (moved["before"], moved["after"]) == (cards[alice].username, cards[bob].username)
    assert await desk.holders() == {bob: "ben"}


async def test_a_list_is_tried_first_and_made_whole_or_not_at_all(console: Console, desk: LinkDesk) -> None:
    alice, bob = await desk.somebody(), await desk.somebody()
    page, code = f"{LINKS}/import", desk.programme.code
    good, bad = f"uid,user\nben,{alice}\ncleo,{bob}\n", f"uid,user\nben,{alice}\ndora,nobody-of-that-name\n"
    said = {"programme": code, "reason": "from the old site"}
    async with console.talk(console.staff(console.noor, permissions=REVIEW)) as noor:
        hidden = form_of((await noor.get(page)).text, page)
        wrong = await noor.post(page, data={**hidden, **said, "links": bad, "act": "import"})
        trial = {**hidden, **said, "act": "try"}
        tried = await noor.post(page, data=trial, files={"file": ("links.csv", good.encode())})
        picture = await noor.post(page, data=trial, files={"file": ("a.png", b"\x89PNG\xff")})
        headless = await noor.post(page, data={**trial, "links": "ben;alice\n"})
        none = await desk.holders()
        done = await noor.post(page, data={**hidden, **said, "links": good, "act": "import"})

    assert (wrong.status_code, "identity.no_such_user" in wrong.text, "Nothing was written" in wrong.text) == (
        *(200, True),
        True,
    )
    assert (tried.status_code, tried.text.count("would be linked"), f"cleo,{bob}" in tried.text) == (200, 2, True)
    assert (picture.status_code, "it is not UTF-8 text" in picture.text) == (422, True)
    assert (headless.status_code, none) == (422, {})
    assert (done.status_code, "2 lines are taken over." in done.text) == (200, True)
    assert await desk.holders() == {alice: "ben", bob: "cleo"}
