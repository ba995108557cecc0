"""Staff at the ledger over HTTP: they see every account, and act with a reason, a fresh factor and somebody else."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import pytest
from fastapi import Request, Response

from palio import identity, ledger
from palio.infra import db, embedded, seals
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.ledger import AdjustmentLine, Hold, Post
from palio.ledger.service import sealing
from palio.ledger.sql import reconciling
from palio.ledger.types import Finding
from palio.ui.actor import Asking
from tests.admin.house import Console, acts_of, form_of, manned
from tests.factories.ledger import settled

CALL, PAGE = "/api/v1/console/ledger", "/console/ledger"
WHY, FOUND_OUT = "the bet was counted twice", "a disk had lied: restored"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_ledger_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


async def paid(console: Console, owner: UserId, amount: int, *, asset: str = "COIN") -> ledger.Posted:
    async with console.begin() as tx:
        legs = ((f"user:{owner}:main", asset, amount), ("house:prizes", asset, -amount))
        post = Post(f"desk:{new_id()}", "competitions.prize", legs, description="Race 36, place 1")
        return await ledger.post(tx, post, now=clock.now())


async def balance(console: Console, owner: UserId, asset: str = "USD") -> int:
    async with console.begin() as tx:
        return await ledger.balance(tx, address=f"user:{owner}:main", asset=asset)


async def number_of(console: Console, owner: UserId, asset: str = "COIN") -> int:
    async with console.begin() as tx:
        return await db.value(
            tx,
            """select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where a.address = %s and s.code = %s""",
            *(f"user:{owner}:main", asset),
        )


def lines(owner: UserId, amount: object, asset: str = "USD") -> dict[str, object]:
    return {"lines": [{"owner": str(owner), "asset": asset, "amount": amount}], "reason": WHY}


# corrections


async def test_ten_thousand_are_posted_and_one_more_waits(console: Console) -> None:
    """Acceptance: 10000 is 200, 10001 is 202 and moves nothing; the sixth of 2000 to one player waits."""
    owner, other, third = [await console.player() for _ in range(3)]
    async with console.talk(console.staff(console.noor)) as noor:
        posted = await noor.post(f"{CALL}/adjustments", json=lines(owner, 10_000))
        waits = await noor.post(f"{CALL}/adjustments", json=lines(other, 10_001))
    maker = await console.player()
    async with console.talk(console.staff(maker)) as somebody:
        six = [(await somebody.post(f"{CALL}/adjustments", json=lines(third, 2_000))).status_code for _ in range(6)]

    assert (posted.status_code, posted.json()["status"]) == (200, "posted")
    assert (waits.status_code, waits.json()["status"]) == (202, "pending")
    assert waits.headers["location"] == f"{CALL}/adjustments/{waits.json()['id']}"
    assert six == [*[200] * 5, 202]
    assert [await balance(console, one) for one in (owner, other, third)] == [10_000, 0, 10_000]


async def test_two_checkers_hear_of_each_other_and_nobody_decides_his_own(console: Console) -> None:
    owner, ana = await console.player(), await console.player()
    async with (
        console.talk(console.staff(console.noor)) as noor,
        console.talk(console.staff(console.sana)) as sana,
        console.talk(console.staff(ana)) as third,
    ):
        made = (await noor.post(f"{CALL}/adjustments", json=lines(owner, 10_002))).json()["id"]
        own = await noor.post(f"{CALL}/adjustments/{made}/approve", json={})
        mine = await noor.post(f"{CALL}/adjustments", json=lines(console.noor, 1))
        done = await sana.post(f"{CALL}/adjustments/{made}/approve", json={"reason": "seen"})
        late = await third.post(f"{CALL}/adjustments/{made}/approve", json={})
        hers = (await noor.post(f"{CALL}/adjustments", json=lines(ana, 10_003))).json()["id"]
        subject = await third.post(f"{CALL}/adjustments/{hers}/reject", json={"reason": "not mine to say"})

    assert (own.status_code, own.json()["code"]) == (403, "approval.own")
    assert (mine.status_code, mine.json()["code"]) == (403, "ledger.self_adjustment")
    assert (done.status_code, done.json()["status"], done.json()["checker"]) == (200, "posted", str(console.sana))
    assert (late.status_code, late.json()["code"]) == (409, "approval.closed")
    told = late.json()["facts"]
    assert (told["name"], told["decided_by"]) == ("Sana Vik", str(console.sana))
    assert (subject.status_code, subject.json()["code"]) == (403, "approval.subject")
    assert await balance(console, owner) == 10_002


async def test_after_three_days_and_over_the_day_it_is_refused(console: Console) -> None:
    owner, maker = await console.player(), await console.player()
    async with console.begin(maker) as tx:
        asked = [AdjustmentLine(owner, "USD", 10_001)]
        then = clock.now() - timedelta(hours=72)
        late = await ledger.adjust(tx, lines=asked, reason=WHY, maker=maker, now=then)
    async with console.talk(console.staff(console.sana)) as sana, console.talk(console.staff(maker)) as somebody:
        expired = await sana.post(f"{CALL}/adjustments/{late.id}/approve", json={})
        beyond = await somebody.post(f"{CALL}/adjustments", json=lines(owner, 50_001))
        cancelled = await somebody.post(f"{CALL}/adjustments/{late.id}/cancel")

    assert (expired.status_code, expired.json()["code"]) == (409, "approval.expired")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "ledger.maker_limit")
    assert (cancelled.status_code, cancelled.json()["code"]) == (409, "approval.expired")
    assert await balance(console, owner) == 0


async def test_a_correction_needs_a_fresh_factor_and_is_made_once_a_key(console: Console) -> None:
    owner = await console.player()
    async with console.talk(console.staff(console.noor, step_up=False)) as noor:
        stale = await noor.post(f"{CALL}/adjustments", json=lines(owner, 5))
    async with console.talk(console.staff(console.noor)) as noor:
        key = {"Idempotency-Key": new_id().hex}
        twice = [await noor.post(f"{CALL}/adjustments", json=lines(owner, 5), headers=key) for _ in range(2)]

    assert (stale.status_code, stale.json()["code"]) == (403, "step_up_required")
    assert twice[0].json() == twice[1].json()
    assert await balance(console, owner) == 5


@pytest.mark.parametrize("amount", [0, 1.5, "1", True, None, 2**53, 1e2])
async def test_an_amount_is_a_whole_number(console: Console, amount: object) -> None:
    owner = await console.player()
    async with console.talk(console.staff(console.noor)) as noor:
        refused = await noor.post(f"{CALL}/adjustments", json=lines(owner, amount))
        unknown = await noor.post(f"{CALL}/adjustments", json=lines(owner, 5, "EUR"))
        nobody = await noor.post(f"{CALL}/adjustments", json=lines(UserId(new_id()), 5))

    assert [answer.status_code for answer in (refused, unknown, nobody)] == [422, 422, 422]
    assert nobody.json()["code"] == "ledger.no_such_player"
    assert await balance(console, owner) == 0


async def test_what_it_would_do_is_told_and_nothing_is_done(console: Console) -> None:
    owner = await console.player()
    await paid(console, owner, 50)
    body = {"lines": [{"owner": str(owner), "asset": "COIN", "amount": -60}], "to_debt": True}
    async with console.talk(console.staff(console.noor)) as noor:
        told = (await noor.post(f"{CALL}/adjustments/foresee", json=body)).json()
        listed = (await noor.get(f"{CALL}/adjustments?owner={owner}")).json()["items"]

    assert (told["waits"], told["obstacle"], told["refused"], listed) == (False, None, [], [])
    assert [(one["before"]["amount"], one["after"]["amount"]) for one in told["changes"]][:2] == [(50, 0), (0, -10)]
    assert await balance(console, owner, "COIN") == 50


async def test_corrections_are_listed_and_taken_along_as_a_table(console: Console) -> None:
    owner = await console.player()
    async with console.talk(console.staff(console.noor)) as noor:
        made = [(await noor.post(f"{CALL}/adjustments", json=lines(owner, 10_001 + n))).json()["id"] for n in range(3)]
        first = (await noor.get(f"{CALL}/adjustments?owner={owner}&limit=2")).json()
        rest = (await noor.get(f"{CALL}/adjustments?owner={owner}&limit=2&cursor={first['next']}")).json()
        table = (await noor.get(f"{CALL}/adjustments.csv?owner={owner}&status=pending")).text.splitlines()

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
    assert (rest["next"], len(table)) == (None, 4)
    assert table[0].startswith("id,status,maker,checker,reason,note,ticket,to_debt,total_asset,total_amount")


# the desk


async def test_what_was_typed_survives_a_refusal_and_an_effect_is_seen_first(console: Console) -> None:
    owner = await console.player()
    typed = {"player": str(owner), "asset": "USD", "amount": "12.50", "more": "", "reason": WHY, "ticket": "T-1"}
    desk = f"{PAGE}/adjust"
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(desk)).text, desk)
        unseen = await noor.post(desk, data={**fields, **typed})
        fields = form_of(unseen.text, desk)
        short = await noor.post(desk, data={**fields, **typed, "reason": "short"})
        fields = form_of(short.text, desk)
        done = await noor.post(desk, data={**fields, **typed})

    assert (unseen.status_code, short.status_code, done.status_code) == (409, 422, 303)
    assert 'value="12.50"' in unseen.text and "$12.50" in unseen.text and WHY in unseen.text
    assert 'value="12.50"' in short.text and 'value="T-1"' in short.text
    assert done.headers["location"].startswith(f"{PAGE}/adjustments/")
    assert await balance(console, owner) == 1_250


async def test_lines_outlive_the_proof_and_go_with_a_code(console: Console) -> None:
    """Whoever typed for longer than his proof holds loses nothing: the form asks for a code, also after a wrong one."""
    owner = await console.player()
    desk = f"{PAGE}/adjust"
    typed = {"player": str(owner), "asset": "USD", "amount": "12.50", "more": f"{owner}, USD, 1", "reason": WHY}
    codes: list[str] = []

    async def prove(_: Request, response: Response, ask: Asking, code: str) -> None:
        codes.append(code)
        if code != "123456":
            raise identity.SecondFactorWrong
        response.set_cookie("console", "renewed")

    async with console.talk(console.staff(console.noor, step_up=False), prove=prove) as noor:
        fields = form_of((await noor.get(desk)).text, desk)
        stale = await noor.post(desk, data={**fields, **typed})
        wrong = await noor.post(desk, data={**form_of(stale.text, desk), **typed, "step_up_code": "000000"})
        before = await balance(console, owner)
        done = await noor.post(desk, data={**form_of(wrong.text, desk), **typed, "step_up_code": "123456"})

    for page in (stale, wrong):
        assert all(word in page.text for word in ('value="12.50"', f"{owner}, USD, 1", WHY, 'name="step_up_code"'))
        assert 'value="000000"' not in page.text
    assert (stale.status_code, wrong.status_code, done.status_code) == (403, 401, 303)
    assert (codes, done.cookies.get("console"), before) == (["000000", "123456"], "renewed", 0)
    assert await balance(console, owner) == 1_350


@pytest.mark.parametrize(
    ("more", "blamed"),
    [
        ("somebody", "line 1"),
        ("nobody_knows, USD, 5", "nobody_knows"),
        ("{owner}, USD, 1.234", "line 1: amount"),
        ("{owner}, USD, 5\n{owner}, EUR, 5", "line 2: asset"),
        ("{owner}, USD, \N{FULLWIDTH DIGIT FIVE}", "line 1: amount"),
        ("{owner}, USD, 1e3", "line 1: amount"),
    ],
)
async def test_a_pasted_line_that_is_wrong_is_named(console: Console, more: str, blamed: str) -> None:
    owner = await console.player()
    desk = f"{PAGE}/adjust"
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(desk)).text, desk)
        asked = {**fields, "more": more.format(owner=owner), "reason": WHY}
        page = await noor.post(f"{desk}/effect", data=asked)

    assert (page.status_code, blamed in page.text) == (422, True)
    assert await balance(console, owner) == 0


# accounts, transfers, holds


async def test_accounts_are_found_by_whatever_is_known_of_them(console: Console) -> None:
    owner = await console.player()
    posted = await paid(console, owner, 50)
    number = await number_of(console, owner)
    async with console.begin() as tx:
        key = await db.value(tx, "select key from ledger.transfers where id = %s", posted.transfer_id)
        name = (await console.named(owner)).username
    async with console.talk(console.staff(console.noor)) as noor:
        found = {
            text: [
                (hit["what"], hit["id"])
                for hit in (await noor.get(f"{CALL}/search", params={"q": text})).json()["items"]
            ]
            for text in (str(number), str(posted.transfer_id), key, name, str(owner), "nothing at all")
        }
        listed = (await noor.get(f"{CALL}/accounts?owner={owner}")).json()["items"]
        house = (await noor.get(f"{CALL}/accounts", params={"address": "house:pr", "asset": "COIN"})).json()["items"]

    transfer = ("transfer", str(posted.transfer_id))
    assert found == {
        str(number): [("account", str(number))],
        str(posted.transfer_id): [transfer],
        key: [transfer],
        name: [("player", str(owner))],
        str(owner): [("player", str(owner))],
        "nothing at all": [],
    }
    assert [(one["id"], one["balance"]["amount"], one["entries"]) for one in listed] == [(number, 50, 1)]
    assert [(one["address"], one["entries"]) for one in house] == [("house:prizes", None)]


async def test_a_chain_is_paged_without_a_gap_and_an_open_account_too(console: Console) -> None:
    owner = await console.player()
    for amount in (1, 2, 3, 4, 5):
        await paid(console, owner, amount)
    number = await number_of(console, owner)
    async with console.talk(console.staff(console.noor)) as noor:
        house = (await noor.get(f"{CALL}/accounts", params={"address": "house:prizes", "asset": "COIN"})).json()
        seen = {}
        for one in (number, house["items"][0]["id"]):
            seen[one], cursor = [], ""
            while True:
                part = (await noor.get(f"{CALL}/accounts/{one}/entries?limit=2{cursor}")).json()
                seen[one] += [(each["seq"], each["amount"]["amount"], each["transfer"]) for each in part["items"]]
                if part["next"] is None:
                    break
                cursor = f"&cursor={part['next']}"
        table = (await noor.get(f"{CALL}/accounts/{number}/entries.csv")).text.splitlines()

    assert [(seq, amount) for seq, amount, _ in seen[number]] == [(5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]
    of_house = seen[house["items"][0]["id"]]
    assert [amount for _, amount, _ in of_house][:5] == [-5, -4, -3, -2, -1]
    assert len({transfer for _, _, transfer in of_house}) == len(of_house)
    assert (len(table), sum(amount for _, amount, _ in of_house)) == (6, house["items"][0]["balance"]["amount"])


async def test_every_list_goes_back_as_it_came(console: Console) -> None:
    """The pages before a page are those that led to it, from the last one to the first."""
    owner, until = await console.player(), clock.now() + timedelta(hours=1)
    for amount in (1, 2, 3, 4, 5):
        await paid(console, owner, amount)
    for asset in ("USD", "QC", "XTR", "INPUT"):
        await paid(console, owner, 1, asset=asset)
    number = await number_of(console, owner)
    async with console.begin() as tx:
        holds = [
            Hold(f"desk:{new_id()}", f"user:{owner}:main", "COIN", 1, "a bet", "games.bet", until) for _ in range(5)
        ]
        await ledger.hold_many(tx, holds, now=clock.now())
        findings = [Finding("R3", f"asset {new_id()}", None, "0", "1") for _ in range(5)]
        await reconciling.report(tx, [new_id() for _ in findings], findings, clock.now())
    async with console.talk(console.staff(console.noor)) as noor:
        for n in range(5):
            await noor.post(f"{CALL}/adjustments", json=lines(owner, 10_001 + n))
        house = (await noor.get(f"{CALL}/accounts", params={"address": "house:prizes", "asset": "COIN"})).json()
        for path in (
            f"accounts?owner={owner}&limit=2",
            f"accounts/{number}/entries?limit=2",
            f"accounts/{house['items'][0]['id']}/entries?limit=2",
            f"adjustments?owner={owner}&limit=2",
            f"holds?owner={owner}&limit=2",
            "findings?limit=2",
        ):
            there = [(await noor.get(f"{CALL}/{path}")).json()]
            while there[-1]["next"] and len(there) < 4:
                there.append((await noor.get(f"{CALL}/{path}&cursor={there[-1]['next']}")).json())
            back = [there[-1]]
            while back[-1]["prev"]:
                back.append((await noor.get(f"{CALL}/{path}&cursor={back[-1]['prev']}")).json())
            assert len(there) >= 3, path
            assert [part["items"] for part in back] == [part["items"] for part in there[::-1]], path
        page = (await noor.get(f"{PAGE}/accounts/{number}?limit=2")).text
        second = (await noor.get(f"{PAGE}/accounts/{number}{next_of(page)}")).text
        first = (await noor.get(f"{PAGE}/accounts/{number}{prev_of(second)}")).text
    assert transfers_on(first) == transfers_on(page) != transfers_on(second)


def next_of(html: str) -> str:
    return unescape(re.findall(r'rel="next" href="([^"]+)"', html)[0])


def prev_of(html: str) -> str:
    return unescape(re.findall(r'rel="prev" href="([^"]+)"', html)[0])


def transfers_on(html: str) -> list[str]:
    return re.findall(r'href="/console/ledger/transfers/([0-9a-f-]{36})"', html)


async def test_an_account_is_frozen_and_released_with_a_reason(console: Console) -> None:
    owner = await console.player()
    await paid(console, owner, 50)
    number = await number_of(console, owner)
    account = f"{CALL}/accounts/{number}"
    await paid(console, console.noor, 1)
    own = await number_of(console, console.noor)
    async with console.talk(console.staff(console.noor)) as noor:
        seen = {"If-Match": (await noor.get(account)).headers["etag"]}
        silent = await noor.patch(account, json={"status": "frozen", "reason": "no"}, headers=seen)
        odd = await noor.patch(account, json={"status": "melted", "reason": WHY}, headers=seen)
        mine = await noor.patch(f"{CALL}/accounts/{own}", json={"status": "no_debit", "reason": WHY}, headers=seen)
        full = await noor.patch(account, json={"status": "closed", "reason": WHY}, headers=seen)
        blind = await noor.patch(account, json={"status": "frozen", "reason": WHY})
        frozen = await noor.patch(account, json={"status": "frozen", "reason": WHY}, headers=seen)
        stale = await noor.patch(account, json={"status": "active", "reason": WHY}, headers=seen)
        now = {"If-Match": frozen.headers["etag"]}
        again = await noor.patch(account, json={"status": "frozen", "reason": WHY}, headers=now)
        refused = await noor.post(f"{CALL}/adjustments", json=lines(owner, 5, "COIN"))
        form = f"{PAGE}/accounts/{number}/status"
        fields = form_of((await noor.get(form)).text, form)
        released = await noor.post(form, data={**fields, "status": "active", "reason": WHY})
        missing = await noor.get(f"{CALL}/accounts/999999999")

    assert [answer.status_code for answer in (silent, odd, mine, full)] == [422, 422, 403, 409]
    assert [answer.status_code for answer in (blind, stale)] == [428, 412]
    assert (frozen.json()["status"], again.status_code, released.status_code) == ("frozen", 200, 303)
    assert (refused.status_code, refused.json()["code"]) == (409, "ledger.account_frozen")
    assert (missing.status_code, missing.json()["code"]) == (404, "ledger.no_such_account")
    told = [act.changes["status"] for act in await acts_of(console, "account") if act.entity_id == str(number)]
    assert told == [["frozen", "active"], ["frozen", "frozen"], ["active", "frozen"]]


async def test_a_transfer_is_taken_back_in_parts_after_its_effect_was_seen(console: Console) -> None:
    owner = await console.player()
    posted = await paid(console, owner, 1_000)
    transfer, page = f"{CALL}/transfers/{posted.transfer_id}", f"{PAGE}/transfers/{posted.transfer_id}/reverse"
    async with console.talk(console.staff(console.noor)) as noor:
        shown = await noor.get(f"{page}?amount=400")
        too_much = await noor.get(f"{page}?amount=1001")
        fields = form_of(shown.text.partition('id="do"')[2], page)
        done = await noor.post(page, data={**fields, "amount": "400", "to_debt": "", "reason": WHY})
        silent = await noor.post(f"{transfer}/reverse", json={"reason": ""})
        rest = await noor.post(f"{transfer}/reverse", json={"reason": WHY})
        again = await noor.post(f"{transfer}/reverse", json={"reason": WHY})
        seen = (await noor.get(transfer)).json()
        back = (await noor.get(f"{CALL}/transfers/{rest.json()['id']}")).json()
        reversal = await noor.post(f"{CALL}/transfers/{rest.json()['id']}/reverse", json={"reason": WHY})

    assert "1,000 coins" in shown.text and "600 coins" in shown.text
    assert "ledger.reversal_exceeds" in too_much.text
    assert [answer.status_code for answer in (done, silent, rest, again)] == [303, 422, 201, 409]
    assert again.json()["code"] == "ledger.already_reversed"
    assert (len(seen["reversed_by"]), seen["legs"][0]["reversed"]["amount"]) == (2, 1_000)
    assert back["reverses"] == str(posted.transfer_id)
    assert (reversal.status_code, reversal.json()["code"]) == (409, "ledger.reversal_of_reversal")
    assert await balance(console, owner, "COIN") == 0
    acts = [act for act in await acts_of(console, "transfer.reverse") if act.entity_id == str(posted.transfer_id)]
    assert [(act.reason, act.subject_user_id) for act in acts] == [(WHY, owner)] * 2


async def test_what_a_competition_gave_back_is_not_offered_to_be_taken_back(console: Console) -> None:
    """Its pool counts it as returned: units that came there again would be nobody's."""
    owner = await console.player()
    wallet, pool = f"user:{owner}:main", f"pool:{new_id()}"
    fee = Post(f"in:{new_id()}", "ledger.transfer", (("house:desk", "COIN", -40), (pool, "COIN", 40)))
    async with console.begin() as tx:
        await ledger.post(tx, fee, now=clock.now())
        back = Post(f"out:{new_id()}", "competitions.refund", ((wallet, "COIN", 40), (pool, "COIN", -40)))
        refund = await ledger.post(tx, back, now=clock.now())
    page = f"{PAGE}/transfers/{refund.transfer_id}"
    other = await paid(console, owner, 5)
    async with console.talk(console.staff(console.noor)) as noor:
        sheets = [(await noor.get(f"{PAGE}/transfers/{one.transfer_id}")).text for one in (refund, other)]
        shown = await noor.get(f"{page}/reverse")
        asked = await noor.post(f"{CALL}/transfers/{refund.transfer_id}/reverse", json={"reason": WHY})

    assert ["Take it back" in sheet for sheet in sheets] == [False, True]
    assert "ledger.transfer_final" in shown.text and 'id="do"' not in shown.text
    assert (asked.status_code, asked.json()["code"]) == (409, "ledger.transfer_final")
    assert await balance(console, owner, "COIN") == 45


async def test_nobody_takes_back_what_he_was_paid_or_lets_his_own_hold_go(console: Console) -> None:
    posted = await paid(console, console.sana, 100)
    async with console.begin() as tx:
        wallet, until = f"user:{console.sana}:main", clock.now() + timedelta(hours=1)
        hold = Hold(f"desk:{new_id()}", wallet, "COIN", 10, "a bet", "games.bet", until)
        [held] = await ledger.hold_many(tx, [hold], now=clock.now())
    assert isinstance(held, ledger.Held)
    async with console.talk(console.staff(console.sana)) as sana:
        back = await sana.post(f"{CALL}/transfers/{posted.transfer_id}/reverse", json={"reason": WHY})
        let_go = await sana.post(f"{CALL}/holds/{held.hold_id}/void", json={"reason": WHY})

    assert [(one.status_code, one.json()["code"]) for one in (back, let_go)] == [(403, "ledger.self_adjustment")] * 2


async def seqs_of(console: Console, owner: UserId, query: str = "") -> list[int]:
    async with console.talk(console.player_headers(owner)) as player:
        answer = await player.get(f"/api/v1/wallet/COIN/transactions{query}")
    return [line["seq"] for line in answer.json()["items"]]


async def test_a_line_is_hidden_from_its_player_and_shown_again_with_a_reason(console: Console) -> None:
    owner = await console.player()
    await paid(console, owner, 10)
    posted = await paid(console, owner, 20)
    leg = f"{CALL}/transfers/{posted.transfer_id}/legs/0"
    async with console.talk(console.staff(console.noor)) as noor:
        silent = await noor.post(f"{leg}/hide", json={"reason": "no"})
        house = await noor.post(f"{CALL}/transfers/{posted.transfer_id}/legs/1/hide", json={"reason": WHY})
        missing = await noor.post(f"{CALL}/transfers/{posted.transfer_id}/legs/2/hide", json={"reason": WHY})
        untouched = await seqs_of(console, owner)
        twice = [await noor.post(f"{leg}/hide", json={"reason": WHY}) for _ in range(2)]
        hidden, with_hidden = await seqs_of(console, owner), await seqs_of(console, owner, "?include_hidden=true")
        told = (await noor.get(f"{CALL}/transfers/{posted.transfer_id}")).json()
        shown = await noor.post(f"{leg}/unhide", json={"reason": FOUND_OUT})

    assert [(one.status_code, one.json()["code"]) for one in (silent, house, missing)] == [
        (422, "ledger.reason_missing"),
        (404, "ledger.no_such_entry"),
        (404, "ledger.no_such_entry"),
    ]
    assert [(one.status_code, one.json()["hidden"]) for one in (*twice, shown)] == [
        *[(200, True)] * 2,
        (200, False),
    ]
    assert (untouched, hidden, with_hidden, await seqs_of(console, owner)) == ([2, 1], [1], [2, 1], [2, 1])
    assert [one["hidden"] for one in told["legs"]] == [True, False]
    assert await balance(console, owner, "COIN") == 30
    acts = [act for act in await acts_of(console, "wallet_line") if act.subject_user_id == owner]
    assert [(act.action, act.reason, act.changes["hidden"]) for act in acts] == [
        ("wallet_line.unhide", FOUND_OUT, [True, False]),
        ("wallet_line.hide", WHY, [True, True]),
        ("wallet_line.hide", WHY, [False, True]),
    ]


async def test_nobody_hides_a_line_of_his_own_as_staff_or_without_the_permission(console: Console) -> None:
    owner = await console.player()
    posted, own = await paid(console, owner, 20), await paid(console, console.noor, 20)
    others = "ledger.wallet.read ledger.wallet.adjust ledger.transfer.reverse ledger.account.freeze"
    before = await seqs_of(console, console.noor)
    async with console.talk(console.staff(console.noor)) as noor:
        mine = await noor.post(f"{CALL}/transfers/{own.transfer_id}/legs/0/hide", json={"reason": WHY})
        page = (await noor.get(f"{PAGE}/transfers/{own.transfer_id}")).text
    async with console.talk(console.staff(console.sana, permissions=others)) as sana:
        unable = await sana.post(f"{CALL}/transfers/{posted.transfer_id}/legs/0/hide", json={"reason": WHY})
        bare = (await sana.get(f"{PAGE}/transfers/{posted.transfer_id}")).text

    assert (mine.status_code, mine.json()["code"]) == (403, "ledger.self_adjustment")
    assert (unable.status_code, unable.json()["code"]) == (403, "permission_missing")
    assert ["/hide" in text for text in (page, bare)] == [False, False]
    assert (await seqs_of(console, console.noor), await seqs_of(console, owner)) == (before, [1])


async def test_a_line_is_hidden_by_form_and_what_was_typed_survives(console: Console) -> None:
    owner = await console.player()
    posted = await paid(console, owner, 20)
    page = f"{PAGE}/transfers/{posted.transfer_id}"
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(page)).text, f"{page}/legs/0/hide")
        short = await noor.post(f"{page}/legs/0/hide", data={**fields, "reason": "<b>no"})
        fields = form_of(short.text, f"{page}/legs/0/hide")
        done = await noor.post(f"{page}/legs/0/hide", data={**fields, "reason": WHY})
        shown = (await noor.get(page)).text
        hidden = await seqs_of(console, owner)
        fields = form_of(shown, f"{page}/legs/0/unhide")
        undone = await noor.post(f"{page}/legs/0/unhide", data={**fields, "reason": WHY})

    assert (short.status_code, "&lt;b&gt;no</textarea>" in short.text) == (422, True)
    assert [(one.status_code, one.headers["location"]) for one in (done, undone)] == [(303, page)] * 2
    assert ("hidden from its player" in shown, hidden, await seqs_of(console, owner)) == (True, [], [1])


async def test_a_hold_is_let_go_with_a_reason_once(console: Console) -> None:
    owner = await console.player()
    await paid(console, owner, 100)
    async with console.begin() as tx:
        until = clock.now() + timedelta(hours=1)
        hold = Hold(f"desk:{new_id()}", f"user:{owner}:main", "COIN", 70, "a bet", "games.bet", until)
        [held] = await ledger.hold_many(tx, [hold], now=clock.now())
    assert isinstance(held, ledger.Held)
    async with console.talk(console.staff(console.noor)) as noor:
        listed = (await noor.get(f"{CALL}/holds?owner={owner}&state=open")).json()["items"]
        page = (await noor.get(f"{PAGE}/holds/{held.hold_id}")).text
        silent = await noor.post(f"{CALL}/holds/{held.hold_id}/void", json={"reason": "         "})
        done = await noor.post(f"{CALL}/holds/{held.hold_id}/void", json={"reason": WHY})
        again = await noor.post(f"{CALL}/holds/{held.hold_id}/void", json={"reason": WHY})
        missing = await noor.post(f"{CALL}/holds/{new_id()}/void", json={"reason": WHY})

    assert [(one["id"], one["remaining"]["amount"]) for one in listed] == [(str(held.hold_id), 70)]
    assert "30 coins" in page and "100 coins" in page
    assert (silent.status_code, done.json()["state"], done.json()["released"]["amount"]) == (422, "voided", 70)
    assert (again.status_code, again.json()["code"], missing.status_code) == (409, "ledger.hold_not_open", 404)
    [act] = [act for act in await acts_of(console, "hold.void") if act.entity_id == str(held.hold_id)]
    assert (act.changes["state"], act.reason, act.subject_user_id) == (["open", "voided"], WHY, owner)


async def test_what_the_house_keeps_is_told_day_by_day(console: Console) -> None:
    pool, now = f"pool:{new_id()}", clock.now()
    async with console.begin() as tx:
        for days, amount in ((40, 500), (3, 70)):
            legs = (
                (pool, "INPUT", amount),
                ("treasury:main", "INPUT", 2 * amount),
                ("external:opening", "INPUT", -3 * amount),
            )
            post = Post(f"desk:{new_id()}", "ledger.opening", legs)
            await ledger.post(tx, post, now=now - timedelta(days=days))
    await settled(console.wiring.database)
    async with console.begin() as tx:
        await ledger.roll_up(tx, now=now)
    async with console.talk(console.staff(console.noor)) as noor:
        chart = (await noor.get(f"{PAGE}/treasury/INPUT/chart")).json()
        page = await noor.get(f"{PAGE}/treasury?asset=INPUT")
        unknown = await noor.get(f"{PAGE}/treasury?asset=NOPE")

    treasury, pools = [series["values"] for series in chart["series"]]
    assert (treasury[0], treasury[-5], treasury[-1]) == (1_000.0, 1_000.0, 1_140.0)
    assert (pools[0], pools[-1], len(pools)) == (500.0, 570.0, 31)
    assert (page.status_code, "1,140 INPUT" in page.text, unknown.status_code) == (200, True, 404)


async def test_the_card_of_a_player_shows_his_money_and_leads_to_the_desk(console: Console) -> None:
    owner = await console.player()
    posted = await paid(console, owner, 250)
    async with console.talk(console.staff(console.noor)) as noor:
        page = (await noor.get(f"/console/people/{owner}")).text
    held = "admin.card.read ledger.wallet.read"
    async with console.talk(console.staff(console.sana, permissions=held)) as sana:
        read_only = (await sana.get(f"/console/people/{owner}")).text

    assert f"{PAGE}/adjust?player={owner}" in page and f"{PAGE}/transfers/{posted.transfer_id}" in page
    assert "250 coins" in read_only and f"{PAGE}/adjust?player={owner}" not in read_only


async def test_lists_of_nothing_say_what_will_stand_there(console: Console) -> None:
    nobody = new_id()
    async with console.talk(console.staff(console.noor)) as noor:
        pages = [
            (await noor.get(f"{PAGE}{path}")).text
            for path in (f"?owner={nobody}", f"/holds?owner={nobody}", f"/adjustments?owner={nobody}")
        ]
    assert ["banner-ghost" in page for page in pages] == [True] * 3


async def test_every_asset_adds_up_to_nothing_and_says_what_is_owed(console: Console) -> None:
    async with console.begin() as tx:
        for one in await ledger.findings(tx):
            await ledger.resolve_finding(tx, finding_id=one.id, resolution="of another test", now=clock.now())
    async with console.talk(console.staff(console.noor)) as noor:
        before = {one["asset"]: one for one in (await noor.get(f"{CALL}/conservation")).json()["items"]}
        await paid(console, await console.player(), 30, asset="QC")
        found = {one["asset"]: one for one in (await noor.get(f"{CALL}/conservation")).json()["items"]}
        page = (await noor.get(f"{PAGE}/conservation")).text

    had, told = before["QC"], found["QC"]
    assert [one["total"]["amount"] for one in found.values()] == [0] * len(found)
    assert [told[what]["amount"] - had[what]["amount"] for what in ("wallets", "liability")] == [30, 30]
    assert sum(told["by_family"].values()) == 0
    assert "adds up to nothing" in page and "does not add up" not in page


async def test_a_finding_is_resolved_once_with_what_was_found_out(console: Console) -> None:
    finding = Finding("R1", f"user:{new_id()}:main USD", None, "50", "51")
    async with console.begin() as tx:
        await reconciling.report(tx, [new_id()], [finding], clock.now())
    async with console.talk(console.staff(console.noor)) as noor:
        [one] = [
            each for each in (await noor.get(f"{CALL}/findings")).json()["items"] if each["subject"] == finding.subject
        ]
        form = f"{PAGE}/findings/{one['id']}/resolve"
        fields = form_of((await noor.get(f"{PAGE}/findings")).text, form)
        silent = await noor.post(form, data={**fields, "resolution": "?"})
        done = await noor.post(f"{CALL}/findings/{one['id']}/resolve", json={"resolution": FOUND_OUT})
        again = await noor.post(
            f"{CALL}/findings/{one['id']}/resolve", json={"resolution": "a disk had lied: restored"}
        )
        missing = await noor.post(f"{CALL}/findings/{new_id()}/resolve", json={"resolution": "there is none such"})
        still = [each["id"] for each in (await noor.get(f"{CALL}/findings")).json()["items"]]
        every = [each["id"] for each in (await noor.get(f"{CALL}/findings?all=true")).json()["items"]]

    assert (silent.status_code, ">?</textarea>" in silent.text) == (422, True)
    assert [answer.status_code for answer in (done, again, missing)] == [200, 409, 404]
    assert (done.json()["resolution"], one["id"] in still, one["id"] in every) == (
        "a disk had lied: restored",
        False,
        True,
    )
    assert one["id"] in {act.entity_id for act in await acts_of(console, "finding.resolve")}


async def test_what_does_not_add_up_is_an_alarm_until_it_is_resolved(console: Console) -> None:
    """For those who may look at it."""

    async def alarms(permissions: str = "everything") -> tuple[list[tuple[str, int, str]], str]:
        async with console.talk(console.staff(console.noor, permissions=permissions)) as somebody:
            told = (await somebody.get("/api/v1/console/home")).json()["alarms"]
            page = (await somebody.get("/console")).text
        return [(one["severity"], one["n"], one["path"]) for one in told if one["kind"] == "ledger.mismatch"], page

    async with console.begin() as tx:
        before = len(await ledger.findings(tx))
        found = [Finding("R3", f"asset {new_id()}", None, "0", "7") for _ in range(2)]
        await reconciling.report(tx, [new_id(), new_id()], found, clock.now())
    told, page = await alarms()
    others, _ = await alarms("admin.home.read")
    async with console.begin() as tx:
        for one in await ledger.findings(tx):
            await ledger.resolve_finding(tx, finding_id=one.id, resolution=FOUND_OUT, now=clock.now())
    gone, _ = await alarms()

    assert told == [("critical", before + 2, "/console/ledger/findings")]
    assert f"The ledger does not add up in {before + 2} places." in page
    assert (others, gone) == ([], [])


async def test_an_asset_is_changed_by_who_saw_what_it_is_with_a_reason(console: Console) -> None:
    asset = f"{CALL}/assets/XTR"
    async with console.talk(console.staff(console.noor)) as noor:
        first = await noor.get(asset)
        seen, was = {"If-Match": first.headers["etag"]}, first.json()
        body = {"giftable": not was["giftable"], "reason": WHY}
        silent = await noor.patch(asset, json={**body, "reason": "no"}, headers=seen)
        odd = await noor.patch(asset, json={**body, "scale": 3}, headers=seen)
        nameless = await noor.patch(asset, json={**body, "name": " "}, headers=seen)
        blind = await noor.patch(asset, json=body)
        untouched = (await noor.get(asset)).json()
        done = await noor.patch(asset, json=body, headers=seen)
        stale = await noor.patch(asset, json={"name": "Stars of old", "reason": WHY}, headers=seen)
        now = {"If-Match": done.headers["etag"]}
        same = await noor.patch(asset, json=body, headers=now)
        missing = await noor.patch(f"{CALL}/assets/NOPE", json=body, headers=now)
        unknown = await noor.get(f"{PAGE}/assets/NOPE")
    async with console.talk(console.staff(console.noor, step_up=False)) as noor:
        unproved = await noor.patch(asset, json=body, headers=now)
    async with console.talk(console.staff(console.sana, permissions="ledger.wallet.read")) as sana:
        page, call = await sana.get(f"{PAGE}/assets/XTR"), await sana.patch(asset, json=body, headers=now)
        listed = (await sana.get(f"{PAGE}/assets")).text

    assert untouched == was
    assert done.json() == {**was, "giftable": not was["giftable"]}
    assert [answer.status_code for answer in (silent, odd, nameless, blind, stale)] == [422, 422, 422, 428, 412]
    assert [answer.status_code for answer in (same, missing, unknown, unproved)] == [200, 404, 404, 403]
    assert (page.status_code, call.status_code, f"{PAGE}/assets/XTR" in listed) == (403, 403, False)
    acts = [act for act in await acts_of(console, "asset.change") if act.entity_id == "XTR"]
    assert [(act.changes, act.reason) for act in acts] == [
        ({"name": [was["name"], was["name"]]}, WHY),
        ({"giftable": [was["giftable"], not was["giftable"]]}, WHY),
    ]


async def test_of_two_who_change_an_asset_at_once_one_is_told_of_the_other(console: Console) -> None:
    asset, told = f"{CALL}/assets/XTR", []
    async with console.talk(console.staff(console.noor)) as noor, console.talk(console.staff(console.sana)) as sana:
        for n in range(5):
            seen = {"If-Match": (await noor.get(asset)).headers["etag"]}
            bodies = [{"name": f"Stars {n} of {name}", "reason": WHY} for name in ("Noor", "Sana")]
            both = zip((noor, sana), bodies, strict=True)
            answers = await asyncio.gather(*(one.patch(asset, json=body, headers=seen) for one, body in both))
            told.append(sorted(answer.status_code for answer in answers))
    assert told == [[200, 412]] * 5


async def test_an_asset_is_changed_by_form_after_its_effect_was_seen(console: Console) -> None:
    owner, page = await console.player(), f"{PAGE}/assets/INPUT"
    await paid(console, owner, 77, asset="INPUT")
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(page)).text, page)
        asked = {**fields, "name": "Inputs <b>", "active": "1", "lots": "1", "reason": WHY}
        unseen = await noor.post(page, data=asked)
        shown = (await noor.post(f"{page}/effect", data=asked)).text
        seen = form_of(shown, page)
        other = await noor.post(page, data={**asked, **seen, "giftable": "1"})
        silent = await noor.post(page, data={**asked, **seen, "reason": "no"})
        kept = (await noor.get(f"{CALL}/assets/INPUT")).json()
        done = await noor.post(page, data={**asked, **form_of(silent.text, page)})
        late = await noor.post(page, data={**asked, **seen, "name": "Inputs"})
        now = (await noor.get(f"{CALL}/assets/INPUT")).json()

    assert [answer.status_code for answer in (unseen, other, silent, done, late)] == [409, 409, 422, 303, 409]
    assert ["had its effect shown" in answer.text for answer in (unseen, other, late)] == [True] * 3
    assert "Inputs &lt;b&gt;" in shown and "Each wallet gets one lot" in shown
    assert (kept["name"] == "Inputs <b>", kept["lots"]) == (False, False)
    assert (now["name"], now["lots"], now["active"], now["giftable"]) == ("Inputs <b>", True, True, False)
    async with console.begin() as tx:
        of_lots = await db.value(tx, "select sum(remaining) from ledger.lots where owner_id = %s", owner)
    assert of_lots == 77
    number, plain = await number_of(console, owner, "INPUT"), await console.player()
    await paid(console, plain, 5)
    async with console.talk(console.staff(console.noor)) as noor:
        [lot] = (await noor.get(f"{CALL}/accounts/{number}/lots")).json()["items"]
        account = (await noor.get(f"{PAGE}/accounts/{number}")).text
        shown = (await noor.get(f"{PAGE}/accounts/{number}/lots")).text
        without = await number_of(console, plain)
        none = (await noor.get(f"{CALL}/accounts/{without}/lots")).json()["items"]
        bare = (await noor.get(f"{PAGE}/accounts/{without}")).text
        nothing = (await noor.get(f"{PAGE}/accounts/{without}/lots")).text
        whole = (await noor.get(f"{CALL}/conservation")).json()["items"]
        board = (await noor.get(f"{PAGE}/conservation")).text
        missing = await noor.get(f"{CALL}/accounts/999999999/lots")
    assert (lot["remaining"]["amount"], lot["origin"], lot["expires_at"]) == (77, "earned", None)
    assert [f"{PAGE}/accounts/{one}/lots" in text for one, text in ((number, account), (without, bare))] == [
        True,
        False,
    ]
    assert ("never" in shown, "77 INPUT" in shown, "banner-ghost" in nothing) == (True, True, True)
    assert (none, missing.status_code) == ([], 404)
    [expiring] = [one for one in whole if one["asset"] == "INPUT"]
    [earned] = expiring["by_origin"]
    assert (earned["origin"], earned["outstanding"], earned["expired"]["amount"]) == ("earned", expiring["wallets"], 0)
    assert [one["by_origin"] for one in whole if one["asset"] == "USD"] == [[]]
    assert board.count("In wallets, earned") == 1 and "0 INPUT</bdi> expired so far" in board


async def test_seals_are_told_with_their_anchors_and_a_transfer_with_its_seal(console: Console) -> None:
    owner, database = await console.player(), console.wiring.database
    anchored = await paid(console, owner, 10)
    async with console.talk(console.staff(console.noor)) as noor:
        nothing = (await noor.get(f"{PAGE}/seals")).text
        before = (await noor.get(f"{CALL}/transfers/{anchored.transfer_id}")).json()
        waits = (await noor.get(f"{PAGE}/transfers/{anchored.transfer_id}")).text
        await settled(database)
        await seals.keep(database, sealing.CHAIN)
        await paid(console, owner, 20)
        await settled(database)
        async with console.begin() as tx:
            second = await ledger.seal(tx, now=clock.now())
        found = (await noor.get(f"{CALL}/seals")).json()
        older = (await noor.get(f"{CALL}/seals?limit=1")).json()
        first = (await noor.get(f"{CALL}/seals", params={"limit": 1, "cursor": older["next"]})).json()
        table = (await noor.get(f"{CALL}/seals.csv")).text
        shown = (await noor.get(f"{PAGE}/seals")).text
        after = (await noor.get(f"{CALL}/transfers/{anchored.transfer_id}")).json()
        sealed = (await noor.get(f"{PAGE}/transfers/{anchored.transfer_id}")).text
        from_first = (await noor.get(f"{PAGE}/seals?at=1")).text
        newer = (await noor.get(f"{PAGE}/seals{prev_of(from_first)}")).text
    async with console.talk(console.staff(console.sana, permissions="ledger.asset.edit")) as sana:
        refused = [(await sana.get(path)).status_code for path in (f"{CALL}/seals", f"{PAGE}/seals")]

    assert "banner-ghost" in nothing and "none yet" in nothing
    assert (before["seal"], "Follows within a minute" in waits) == (None, True)
    assert second and [(one["n"], one["is_anchored"]) for one in found["items"]] == [(2, False), (1, True)]
    [told, _] = found["items"]
    assert (told["head"], told["rows"], told["from_tx"], told["to_tx"], told["key_id"]) == (
        *(second.head.hex(), 1, second.from_tx, second.to_tx, second.key_id),
    )
    assert [[one["n"] for one in part["items"]] for part in (older, first)] == [[2], [1]]
    assert (first["next"], bool(first["prev"]), older["prev"]) == (None, True, None)
    assert [line.split(",")[0] for line in table.split()] == ["n", "2", "1"]
    assert second.head.hex() in shown and "not yet" in shown and "up to seal 1" in shown
    fact = sealed.partition(">Seal</dt>")[2].partition("</dd>")[0]
    assert (after["seal"], "?at=1#seal-1" in fact, "Follows within" in fact) == (1, True, False)
    assert 'id="seal-1"' in from_first and 'id="seal-2"' not in from_first and 'rel="prev"' in from_first
    assert 'id="seal-2"' in newer and 'id="seal-1"' not in newer
    assert refused == [403, 403]


async def test_sealing_is_late_when_a_transfer_has_waited_for_five_minutes(console: Console) -> None:
    database, told = console.wiring.database, []
    await settled(database)
    await seals.keep(database, sealing.CHAIN)
    async with console.talk(console.staff(console.noor)) as noor:
        for minutes in (4, 6, 0):
            if minutes:
                owner = await console.player()  # in a wallet nothing is posted before what is there
                async with console.begin() as tx:
                    legs = ((f"user:{owner}:main", "COIN", 1), ("house:prizes", "COIN", -1))
                    then = clock.now() - timedelta(minutes=minutes)
                    await ledger.post(tx, Post(f"desk:{new_id()}", "competitions.prize", legs), now=then)
            else:
                await settled(database)
                await seals.keep(database, sealing.CHAIN)
            is_late = (await noor.get(f"{CALL}/seals")).json()["is_late"]
            told.append((is_late, 'role="alert"' in (await noor.get(f"{PAGE}/seals")).text))
    assert told == [(False, False), (True, True), (False, False)]


async def test_a_player_reads_why_he_was_corrected_and_never_by_whom(console: Console) -> None:
    owner = await console.player()
    async with console.talk(console.staff(console.noor)) as noor:
        made = (await noor.post(f"{CALL}/adjustments", json=lines(owner, 7, "COIN"))).json()
        seen = (await noor.get(f"{CALL}/transfers/{made['lines'][0]['transfer']}")).json()
    async with console.talk(console.player_headers(owner)) as player:
        found = [
            (await player.get("/api/v1/wallet/COIN/transactions")).text,
            (await player.get(f"/api/v1/wallet/transactions/{made['lines'][0]['transfer']}")).text,
            (await player.get("/wallet/COIN")).text,
            (await player.get("/wallet/COIN/entries/1")).text,
            (await player.get("/wallet")).text,
        ]

    assert seen["metadata"]["maker"] == str(console.noor)
    assert [str(console.noor) in text for text in found] == [False] * 5
    assert [WHY in text for text in (found[0], found[2], found[3], found[4])] == [True] * 4


async def test_a_name_that_no_database_can_hold_is_nobodys(console: Console) -> None:
    desk = f"{PAGE}/adjust"
    async with console.talk(console.staff(console.noor)) as noor:
        fields = form_of((await noor.get(desk)).text, desk)
        refused = [await noor.post(f"{desk}/effect", data={**fields, "player": "a\0b", "asset": "USD", "amount": "5"})]
        refused += [
            await noor.get(f"{PAGE}{path}") for path in ("?address=%00", "?asset=%00", "?q=a%00b", "/assets/%00")
        ]
    assert [one.status_code for one in refused] == [400] * 5
