"""Pages of staff over competitions: the editor, one competition, a page for each act, and doubts with their answers."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from palio import competitions
from palio.competitions.console.pages import ACTS
from palio.competitions.types import CompetitionId
from palio.infra import embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console, form_of, manned
from tests.factories.competitions import HOUR, enter, live, score

HERE = "/console/competitions"
WHY = "ticket 4711"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_pages_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


@pytest.fixture
async def staff(console: Console) -> AsyncIterator[httpx2.AsyncClient]:
    async with console.talk(console.staff(console.noor)) as client:
        yield client


async def running(console: Console, **changes: object) -> CompetitionId:
    async with console.begin() as tx:
        competition_id = await live(tx, clock.now() - HOUR, **changes)
        entrants = await enter(tx, competition_id, 3, clock.now())
        await score(tx, competition_id, entrants, [30, 20, 10], clock.now() - HOUR)
    return competition_id


async def do(staff: httpx2.AsyncClient, path: str, act: str, **fields: str) -> httpx2.Response:
    """Fill in the form of an act and send it."""
    page = await staff.get(f"{path}/{act}")
    assert page.status_code == 200, page.text
    return await staff.post(f"{path}/{act}", data={**form_of(page.text, f"{path}/{act}"), **fields})


async def test_a_competition_is_drafted_announced_and_begun_by_forms(staff: httpx2.AsyncClient) -> None:
    editor = (await staff.get(f"{HERE}/new")).text
    hidden = form_of(editor, f"{HERE}/new/meter")
    begin = clock.now() + timedelta(days=1)
    fields = {
        "title": "Autumn league",
        "starts_at": f"{begin:%Y-%m-%dT%H:%M}",
        "ends_at": f"{begin + timedelta(days=2):%Y-%m-%dT%H:%M}",
        "pool": "100.00",
        "prizes": "50 30 20",
        "join_mode": "open",
        "entry_fee": "0.50",
    }
    half = await staff.post(f"{HERE}/new/meter", data={**hidden, **fields, "prizes": "50 30"})
    assert ("80.00 %" in half.text, "add up to 8000" in half.text) == (True, True)
    whole = await staff.post(f"{HERE}/new/meter", data={**hidden, **fields})
    assert ("100.00 %" in whole.text, "Make a draft" in whole.text) == (True, True)

    wrong = await staff.post(f"{HERE}/new", data={**hidden, **fields, "pool": "much"})
    assert (wrong.status_code, "Autumn league" in wrong.text, fields["ends_at"] in wrong.text) == (422, True, True)
    made = await staff.post(f"{HERE}/new", data={**hidden, **fields})
    assert made.status_code == 303, made.text
    here = made.headers["location"]
    assert "Draft" in (await staff.get(here)).text
    for act, fields, word in (("publish", {}, "Announced"), ("start", {"reason": WHY}, "Live")):
        done = await do(staff, here, act, **fields)
        assert (done.status_code, word in (await staff.get(here)).text) == (303, True), act
    listed = (await staff.get(f"{HERE}?product=custom")).text
    assert "Autumn league" in listed


async def test_every_act_has_a_page(staff: httpx2.AsyncClient, console: Console) -> None:
    here = f"{HERE}/{await running(console)}"
    for act in ACTS:
        page = await staff.get(f"{here}/{act}")
        assert (page.status_code, f'action="{here}/{act}"' in page.text) == (200, True), act


async def test_it_rests_grows_and_ends_by_forms(staff: httpx2.AsyncClient, console: Console) -> None:
    competition_id = await running(console)
    here = f"{HERE}/{competition_id}"
    assert (await do(staff, here, "pause", reason=WHY)).status_code == 303
    assert "Rests" in (await staff.get(here)).text
    twice = await do(staff, here, "pause", reason=WHY)
    assert (twice.status_code, WHY in twice.text) == (409, True)
    assert (await do(staff, here, "resume", reason=WHY)).status_code == 303
    later = clock.now() + timedelta(days=1)
    assert (await do(staff, here, "extend", reason=WHY, ends_at=f"{later:%Y-%m-%dT%H:%M}")).status_code == 303
    assert (await do(staff, here, "fund", reason=WHY, amount="5.25")).status_code == 303
    assert "105.25" in (await staff.get(here)).text
    assert (await do(staff, here, "end", reason=WHY)).status_code == 303
    assert "Being settled" in (await staff.get(here)).text


async def test_the_settlement_goes_from_evidence_to_payment(staff: httpx2.AsyncClient, console: Console) -> None:
    """A doubt is answered, a score put right, and then it is released and paid."""
    competition_id = await running(console, review_h=24)
    here = f"{HERE}/{competition_id}"
    async with console.begin() as tx:
        for hours in (5, 5):
            await competitions.settle(tx, competition_id=competition_id, now=clock.now() + hours * HOUR)
        rows = (await competitions.top(tx, competition_id=competition_id, limit=3)).rows
        last = rows[-1].standing
        assert last.user_id
        appeal = await competitions.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=competition_id,
            user_id=last.user_id,
            text="My last game is missing.",
            now=clock.now(),
        )
    held = await do(staff, here, "approve", reason=WHY)
    assert (held.status_code, "appeals wait" in held.text) == (409, True)
    adjusted = await do(staff, here, "adjust", reason=WHY, entrant_id=str(last.entrant_id), delta="100")
    assert adjusted.status_code == 303
    answer = f"{HERE}/appeals/{appeal.id}"
    fields = form_of((await staff.get(here)).text, answer)
    done = await staff.post(answer, data={**fields, "decision": "upheld", "answer": "You are right about it."})
    assert (done.status_code, "You are right about it." in (await staff.get(here)).text) == (303, True)
    waiting = await do(staff, here, "disqualify", reason=WHY, entrant_id=str(rows[0].standing.entrant_id))
    assert "waiting=" in waiting.headers["location"]
    assert "waits for a second person" in (await staff.get(waiting.headers["location"])).text
    assert (await do(staff, here, "approve", reason=WHY)).status_code == 303
    assert (await do(staff, here, "pay")).status_code == 303
    assert "Completed" in (await staff.get(here)).text
    async with console.begin() as tx:
        rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert (rewards[0].entrant_id, rewards[0].amount) == (last.entrant_id, 5_000)
