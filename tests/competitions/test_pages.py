"""Pages of staff over competitions: the editor, one competition, a page for each act, and doubts with their answers."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from palio import competitions, identity
from palio.competitions.console import forms
from palio.competitions.console.pages import ACTS
from palio.competitions.types import CompetitionId, RuleKind
from palio.infra import embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.ui.values import Asset
from tests.admin.house import Console, form_of, manned
from tests.factories.competitions import HOUR, enter, live, new, score, set_wallet, withheld

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

    wrongs = (
        *(("pool", "much"), ("ends_at", fields["starts_at"]), ("tz", "Mars/Olympus"), ("prizes", "5 x")),
        *(("pool", "9" * 20), ("pool", "1e50"), ("entry_fee", "1e99"), ("treasury", "1e99999"), ("treasury", "120")),
        *(("eligibility", "[" * 3_999), ("eligibility", '{"min_age": 1e400}'), ("review_h", "337")),
    )
    for name, value in wrongs:
        wrong = await staff.post(f"{HERE}/new", data={**hidden, **fields, name: value})
        blamed = re.findall(r'<(?:input|textarea) id="(\w+)"[^>]*aria-invalid', wrong.text)
        assert (wrong.status_code, blamed, "Autumn league" in wrong.text) == (422, [name], True), name
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
        can_be_done = act not in {
            *("publish", "start", "resume", "invite", "freeze", "approve", "pay", "pay-withheld", "forfeit"),
        }
        assert (page.status_code, f'action="{here}/{act}"' in page.text) == (200, can_be_done), act
        assert ("cannot be done" in page.text) != can_be_done, act


async def test_the_number_of_an_entrant_can_be_anything(staff: httpx2.AsyncClient, console: Console) -> None:
    here = f"{HERE}/{await running(console)}"
    for number in ("-1", "0", "x", "²", "9" * 18, "9" * 19, "9" * 5_000):
        for act, fields in (("adjust", {"delta": "5"}), ("disqualify", {}), ("reinstate", {})):
            done = await do(staff, here, act, entrant_id=number, reason=WHY, **fields)
            assert (done.status_code in (404, 409, 422), 'aria-invalid="true"' in done.text) == (True, True), number


async def test_players_are_invited_by_name(staff: httpx2.AsyncClient, console: Console) -> None:
    """One who is misspelled keeps all of them out, and what was typed stays."""
    async with console.begin() as tx:
        terms = new(clock.now() + HOUR, join_mode="invite")
        competition_id = await competitions.create(tx, new=terms, created_by=None, now=clock.now())
        await competitions.publish(tx, competition_id=competition_id, now=clock.now())
        names = [f"guest_{new_id().hex[-10:]}" for _ in range(2)]
        guests = [(await identity.create(tx, username=name, now=clock.now())).id for name in names]
    here = f"{HERE}/{competition_id}"
    assert f'href="{here}/invite"' in (await staff.get(here)).text

    wrong = await do(staff, here, "invite", users=f"{names[0]}, nobody-at-all")
    assert (wrong.status_code, "nobody-at-all" in wrong.text, 'aria-invalid="true"' in wrong.text) == (422, True, True)
    async with console.begin() as tx:
        assert await competitions.participation(tx, competition_id=competition_id, user_id=guests[0]) is None
    done = await do(staff, here, "invite", users=f"{names[0].upper()}\n{guests[1]}")
    assert done.status_code == 303
    async with console.begin() as tx:
        found = [await competitions.participation(tx, competition_id=competition_id, user_id=guest) for guest in guests]
    assert [(each.state, each.via) for each in found if each] == [("left", "invite")] * 2


async def test_doubts_of_every_competition_wait_on_one_page(staff: httpx2.AsyncClient, console: Console) -> None:
    competition_id = await running(console, title="Doubted league", review_h=24)
    async with console.begin() as tx:
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=clock.now() + 5 * HOUR)
        last = (await competitions.top(tx, competition_id=competition_id, limit=3)).rows[-1].standing
        assert last.user_id
        await competitions.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=competition_id,
            user_id=last.user_id,
            text="My second walk is missing.",
            now=clock.now(),
        )
    page = (await staff.get(f"{HERE}/appeals")).text

    assert "My second walk is missing." in page and f'href="{HERE}/{competition_id}#appeals"' in page
    assert f'href="{HERE}/appeals"' in (await staff.get(HERE)).text
    async with console.talk(console.staff(console.noor, permissions="admin.home.read")) as other:
        assert (await other.get(f"{HERE}/appeals")).status_code == 403


async def test_it_rests_grows_and_ends_by_forms(staff: httpx2.AsyncClient, console: Console) -> None:
    competition_id = await running(console)
    here = f"{HERE}/{competition_id}"
    late = form_of((await staff.get(f"{here}/pause")).text, f"{here}/pause")
    assert (await do(staff, here, "pause", reason=WHY)).status_code == 303
    assert "Rests" in (await staff.get(here)).text
    late |= {"version": form_of((await staff.get(f"{here}/resume")).text, f"{here}/resume")["version"]}
    twice = await staff.post(f"{here}/pause", data={**late, "reason": WHY})
    assert (twice.status_code, WHY in twice.text) == (409, True)
    assert (await do(staff, here, "resume", reason=WHY)).status_code == 303
    later = clock.now() + timedelta(days=1)
    assert (await do(staff, here, "extend", reason=WHY, ends_at=f"{later:%Y-%m-%dT%H:%M}")).status_code == 303
    for nothing in ("0", "0.00", "-1", "5.001", "1e50"):
        wrong = await do(staff, here, "fund", reason=WHY, amount=nothing)
        assert (wrong.status_code, re.findall(r'id="(\w+)"[^>]*aria-invalid', wrong.text)) == (422, ["amount"]), nothing
    assert (await do(staff, here, "fund", reason=WHY, amount="5.25")).status_code == 303
    much = await do(staff, here, "fund", reason=WHY, amount="1,000,000,000,000.00")
    assert (much.status_code, "?waiting=" in much.headers["location"]) == (303, True)
    assert "It waits for a second person" in (await staff.get(much.headers["location"])).text
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

    async def text(path: str) -> str:
        return (await staff.get(path.replace("&amp;", "&"))).text

    held = await do(staff, here, "approve", reason=WHY)
    assert (held.status_code, "appeals wait" in held.text) == (409, True)
    adjusted = await do(staff, here, "adjust", reason=WHY, entrant_id=str(last.entrant_id), delta="100")
    assert adjusted.status_code == 303
    [back] = re.findall(rf'href="({here}/adjust\?entrant_id={last.entrant_id}&amp;undoes=[^"]+)"', await text(here))
    shown = await text(back)
    assert ('<del dir="auto">110</del>' in shown, '<ins dir="auto">10</ins>' in shown) == (True, True)
    for word in ("This adjustment is taken back", "+100", "Noor", WHY, 'name="undoes"', 'name="delta" value="-100"'):
        assert word in shown, word
    fields = form_of(shown, f"{here}/adjust") | {"reason": "it was not his game"}
    twice = [await staff.post(f"{here}/adjust", data=fields | {"idempotency_key": str(new_id())}) for _ in range(2)]
    assert [one.status_code for one in twice] == [303, 409]
    assert ("taken back already" in twice[1].text, "taken back" in await text(here)) == (True, True)
    assert back not in await text(here)
    again = await do(staff, here, "adjust", reason=WHY, entrant_id=str(last.entrant_id), delta="100")
    assert again.status_code == 303
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


async def test_an_answer_that_is_too_short_stays_where_it_was_typed(
    staff: httpx2.AsyncClient, console: Console
) -> None:
    competition_id = await running(console, review_h=24)
    here = f"{HERE}/{competition_id}"
    async with console.begin() as tx:
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=clock.now() + 5 * HOUR)
        last = (await competitions.top(tx, competition_id=competition_id, limit=3)).rows[-1].standing
        assert last.user_id
        appeal = await competitions.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=competition_id,
            user_id=last.user_id,
            text="My last game is missing.",
            now=clock.now(),
        )
    answer = f"{HERE}/appeals/{appeal.id}"
    fields = form_of((await staff.get(here)).text, answer)
    short = await staff.post(answer, data={**fields, "decision": "upheld", "answer": "yes!"})

    assert (short.status_code, ">yes!</textarea>" in short.text, "My last game is missing." in short.text) == (
        *(422, True),
        True,
    )
    assert "at least 10" in short.text
    async with console.begin() as tx:
        assert await competitions.list_appeals(tx, states=["open"], competition_id=competition_id)


async def test_a_stage_is_shown_for_each_step_of_a_settlement_with_the_digest_before_and_after(
    staff: httpx2.AsyncClient, console: Console
) -> None:
    competition_id = await running(console, review_h=24)
    here = f"{HERE}/{competition_id}"
    async with console.begin() as tx:
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=clock.now() + 5 * HOUR)
        entrant = (await competitions.top(tx, competition_id=competition_id, limit=3)).rows[-1].standing.entrant_id
        before = ((await competitions.get_many(tx, [competition_id]))[competition_id].standings_hash or b"").hex()
    reviewed = (await staff.get(here)).text
    assert (await do(staff, here, "adjust", reason=WHY, entrant_id=str(entrant), delta="15")).status_code == 303
    recounted = (await staff.get(here)).text
    async with console.begin() as tx:
        after = ((await competitions.get_many(tx, [competition_id]))[competition_id].standings_hash or b"").hex()
    assert (await do(staff, here, "approve", reason=WHY)).status_code == 303
    paying = (await staff.get(here)).text

    assert "Nothing stands in the way" in reviewed and "3 prizes, <bdi" in reviewed
    assert before != after and before[:12] in recounted and after in recounted and WHY in recounted
    assert "about to be paid, <bdi" in paying and "Approved" in paying


async def test_what_is_announced_is_changed_after_its_difference_was_seen(
    staff: httpx2.AsyncClient, console: Console
) -> None:
    begin = clock.now() + timedelta(days=1)
    async with console.begin() as tx:
        competition_id = await competitions.create(tx, new=new(begin), created_by=None, now=clock.now())
        await competitions.publish(tx, competition_id=competition_id, now=clock.now())
    here = f"{HERE}/{competition_id}/edit"
    page = (await staff.get(here)).text
    hidden = form_of(page, f"{here}/meter")
    fields = {"title": "Summer", "prizes": "60 40", "kind": "bps", "split": "places", "empty_rule": "keep"}
    seen = await staff.post(f"{here}/meter", data={**hidden, **fields})
    stale = await staff.post(here, data={**hidden, **fields, "version": "99"})
    wrong = await staff.post(here, data={**hidden, **fields, "prizes": "60 30"})
    done = await staff.post(here, data={**hidden, **fields})
    async with console.begin() as tx:
        found = (await competitions.get_many(tx, [competition_id]))[competition_id]

    assert 'name="pool"' not in page and "lies in escrow" in page
    assert ">50 30 20</del>" in seen.text and ">60 40</ins>" in seen.text and ">Spring</del>" in seen.text
    assert (stale.status_code, wrong.status_code, done.status_code) == (412, 422, 303)
    assert 'value="Summer"' in stale.text and ">60 30</textarea>" in wrong.text
    assert (found.title, found.prize_rule["bands"], found.guaranteed_pool) == (
        "Summer",
        [{"from": 1, "to": 1, "value": 6_000}, {"from": 2, "to": 2, "value": 4_000}],
        10_000,
    )


async def test_what_is_hidden_and_what_is_won_besides_money_are_typed(
    staff: httpx2.AsyncClient, console: Console
) -> None:
    """They come back as they were typed, and stay when something else is changed."""
    begin = clock.now() + timedelta(days=1)
    async with console.begin() as tx:
        competition_id = await competitions.create(tx, new=new(begin), created_by=None, now=clock.now())
        await competitions.publish(tx, competition_id=competition_id, now=clock.now())
    here = f"{HERE}/{competition_id}/edit"
    typed = {"items": "1 goods CUP-1 The cup\r\n1 - 3 badge spring Champion of spring\r\n", "blackout_s": "3600"}
    fields = {"title": "Spring", "prizes": "50 30 20", "kind": "bps", "split": "places", "empty_rule": "redistribute"}

    async def send(**changes: str) -> httpx2.Response:
        hidden = form_of((await staff.get(here)).text, f"{here}/meter")
        return await staff.post(here, data={**hidden, **fields, **changes})

    wrong = await send(items="1 cup CUP-1 The cup")
    made, again = await send(**typed), await send(title="Summer")
    page = (await staff.get(here)).text
    async with console.begin() as tx:
        found = (await competitions.get_many(tx, [competition_id]))[competition_id]

    assert (wrong.status_code, made.status_code, again.status_code) == (422, 303, 303)
    assert found.blackout_s == 3_600 and found.title == "Summer"
    assert found.prize_rule["items"] == [
        {"from": 1, "to": 1, "kind": "goods", "ref": "CUP-1", "title": "The cup"},
        {"from": 1, "to": 3, "kind": "badge", "ref": "spring", "title": "Champion of spring"},
    ]
    assert ">1 goods CUP-1 The cup\n1-3 badge spring Champion of spring</textarea>" in page


async def test_of_what_runs_only_texts_and_a_later_end_are_offered(staff: httpx2.AsyncClient, console: Console) -> None:
    here = f"{HERE}/{await running(console)}/edit"
    page = (await staff.get(here)).text
    hidden = form_of(page, f"{here}/meter")
    sent = await staff.post(here, data={**hidden, "title": "Sprint", "rules_text": "Be kind."})
    frozen = await staff.post(here, data={**form_of((await staff.get(here)).text, f"{here}/meter"), "prizes": "60 40"})

    assert ("Its terms are frozen" in page, 'name="prizes"' in page) == (True, False)
    assert (sent.status_code, frozen.status_code) == (303, 409)
    assert "Be kind." in (await staff.get(here)).text


@pytest.mark.parametrize(
    ("text", "kind", "bands"),
    [
        ("50 30 20", "bps", [(1, 1, 5_000), (2, 2, 3_000), (3, 3, 2_000)]),
        ("1:50, 2 - 5:40, 6-:10", "bps", [(1, 1, 5_000), (2, 5, 4_000), (6, None, 1_000)]),
        ("50%; 2-3:50%", "bps", [(1, 1, 5_000), (2, 3, 5_000)]),
        ("12.50 2-3:7", "fixed", [(1, 1, 1_250), (2, 3, 700)]),
    ],
)
def test_a_line_of_prizes_is_read_and_written(text: str, kind: RuleKind, bands: list[tuple[int, int, int]]) -> None:
    usd = Asset("USD", 2)
    rule = forms.rule_of(forms.PrizesForm(prizes=text, kind=kind, split="occupants"), usd)

    assert [(band.first, band.last, band.value) for band in rule.bands] == bands
    assert forms.rule_of(forms.PrizesForm(prizes=forms.text_of(rule, usd), kind=kind, split="occupants"), usd) == rule


@pytest.mark.parametrize(
    "text", ["", "50 x", "2:50 3:50", "1-3:50 3:50", "-5", "50 5-4:50", "1e2", "50.001", "1-:50 3:50"]
)
def test_a_line_that_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(competitions.PrizeShape):
        forms.rule_of(forms.PrizesForm(prizes=text), Asset("USD", 2))


async def test_a_series_is_made_rests_and_shows_what_comes(staff: httpx2.AsyncClient) -> None:
    hidden = form_of((await staff.get(f"{HERE}/series/new")).text, f"{HERE}/series/new/meter")
    fields = {"title": "Night sprint", "cadence": "daily", "pool": "50.00", "prizes": "60 40", "tz": "Europe/Berlin"}
    fields |= {"join_mode": "open", "entry_fee": "1.50", "op": "best", "direction": "asc", "rank_events": "no"}
    code = f"night-{new_id().hex[-8:]}"
    odd = await staff.post(f"{HERE}/series/new", data={**hidden, **fields, "code": "Night Sprint"})
    nowhere = await staff.post(f"{HERE}/series/new", data={**hidden, **fields, "code": code, "tz": "Mars/Olympus"})
    made = await staff.post(
        f"{HERE}/series/new", data={**form_of(nowhere.text, f"{HERE}/series/new/meter"), **fields, "code": code}
    )
    assert (odd.status_code, nowhere.status_code, made.status_code) == (422, 422, 303), made.text
    assert 'value="Night sprint"' in odd.text and "code" in odd.text
    here = made.headers["location"]
    page = (await staff.get(here)).text
    again = form_of(page, f"{here}/meter")
    changed = await staff.post(
        here, data={**again, **{k: v for k, v in fields.items() if k not in ("cadence", "tz")}, "pool": "75.00"}
    )
    odd_field = await staff.post(here, data={**again, "title": "Late", "new": ""})
    resting = (await staff.get(here)).text

    assert page.count("not yet") == 5 and "Europe/Berlin" in page
    for chosen in ('value="1.50"', '"open" selected', '"best" selected', '"asc" selected', '"no" selected'):
        assert chosen in page, chosen
    assert (changed.status_code, odd_field.status_code) == (303, 422)
    assert "It rests" in resting and 'value="75.00"' in resting
    assert code in (await staff.get(f"{HERE}/series")).text


async def test_a_month_shows_what_runs_and_what_is_owed(staff: httpx2.AsyncClient, console: Console) -> None:
    competition_id = await running(console, title="In the calendar")
    page = (await staff.get(f"{HERE}/calendar")).text
    empty = (await staff.get(f"{HERE}/calendar?month=2031-02")).text
    other = (await staff.get(f"{HERE}/calendar?product=steps")).text

    assert page.count(f'href="{HERE}/{competition_id}"') >= 2  # in the weeks, and in the list of phones
    assert "What the house owes" in page and 'aria-current="date"' in page
    assert ("February 2031" in empty, "Nothing runs in this month" in empty) == (True, True)
    assert "In the calendar" not in other
    assert (await staff.get(f"{HERE}/calendar?month=2031-13")).status_code == 422


async def test_prizes_pool_and_pulse_have_their_pages(staff: httpx2.AsyncClient, console: Console) -> None:
    here = f"{HERE}/{await running(console)}"
    now = (await staff.get(f"{here}/prizes")).text
    tried = (await staff.get(f"{here}/prizes?prizes=1:60+2-3:40&pool=1000&kind=bps&split=places")).text
    wrong = await staff.get(f"{here}/prizes?prizes=60+30")
    pool, gone, pulse = [(await staff.get(f"{here}/{part}")).text for part in ("pool", "take-backs", "monitor")]
    drawn = (await staff.get(f"{here}/monitor/chart")).json()
    joined, idle = [(await staff.get(f"{here}/participants{query}")).text for query in ("", "?has_score=false&state=")]

    assert "What would be won now" in now and "$50.00" in now and "exactly" in now
    assert "other prizes" in tried and "$600.00" in tried and "places 2 to 3" in tried
    assert (wrong.status_code, ">60 30</textarea>" in wrong.text) == (422, True)
    assert ("takes part" in joined, "Nobody here" in idle, "has_score=false" in idle) == (True, True, False)
    assert "the house" in pool and "$100.00" in pool and "Nothing went back" in gone
    assert "late" in pulse and sum(drawn["series"][0]["values"]) == 3


async def test_prizes_that_wallets_refused_are_paid_or_sent_back_by_forms(
    staff: httpx2.AsyncClient, console: Console
) -> None:
    async with console.begin() as tx:
        competition_id, entrants, users = await withheld(tx, clock.now() - 7 * HOUR, (9, 7), title="Frozen league")
        await set_wallet(tx, users[0], "active")
    here = f"{HERE}/{competition_id}"
    listed = (await staff.get(f"{HERE}/withheld")).text
    of_one = (await staff.get(f"{HERE}/withheld?competition_id={competition_id}")).text
    assert f'href="{HERE}/withheld?competition_id={competition_id}"' in (await staff.get(here)).text
    for page in (listed, of_one):
        assert all(f'href="{here}/{act}?entrant_id={entrants[1]}"' in page for act in ("pay-withheld", "forfeit"))
        assert ("Frozen league" in page, "the wallet is frozen" in page, "$30.00" in page) == (True, True, True)

    asked = (await staff.get(f"{here}/forfeit?entrant_id={entrants[1]}")).text
    assert ("house:prizes" in asked, "withheld" in asked, "$30.00" in asked) == (True, True, True)
    paid = await do(staff, here, "pay-withheld", entrant_id=str(entrants[0]), reason=WHY)
    still_frozen = await do(staff, here, "pay-withheld", entrant_id=str(entrants[1]), reason=WHY)
    strange = await do(staff, here, "forfeit", entrant_id="999999999", reason=WHY)
    proposed = await do(staff, here, "forfeit", entrant_id=str(entrants[1]), reason=WHY)
    assert (paid.status_code, still_frozen.status_code, strange.status_code) == (303, 409, 404)
    assert ("frozen" in still_frozen.text, 'aria-invalid="true"' in strange.text) == (True, True)
    assert (proposed.status_code, "?waiting=" in proposed.headers["location"]) == (303, True)
    left = (await staff.get(f"{HERE}/withheld?competition_id={competition_id}")).text
    assert (f"{here}/forfeit?entrant_id={entrants[0]}" in left, f"entrant_id={entrants[1]}" in left) == (False, True)
    async with console.begin() as tx:
        rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.status for reward in rewards] == ["paid", "withheld"]
