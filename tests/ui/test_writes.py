"""What every call and form that changes something takes: who may, keys, versions, tokens of forms."""

from collections.abc import AsyncIterator

import httpx2
import psycopg
import pytest

from palio.infra import embedded
from palio.infra.db import Database
from tests.ui import till
from tests.ui.conftest import talk_to
from tests.ui.people import ALICE, BOB, OURS, STELLA, caller

PLAYER = caller("player", ALICE)
STAFF = caller("staff", STELLA, permissions="till.price.set till.till.close", step_up=True)


@pytest.fixture(scope="module")
def shelf(cluster: embedded.Cluster, worker_id: str) -> str:
    """A database of its own with a table of sales."""
    name = f"palio_till_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template palio")
        conn.execute(f"grant connect on database {name} to palio_app")
    with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as conn:
        conn.execute("create table public.sales (amount int, buyer uuid); create table public.closed (why text)")
        conn.execute("grant select, insert, delete on public.sales, public.closed to palio_app")
    return name


@pytest.fixture
async def shop(cluster: embedded.Cluster, shelf: str) -> AsyncIterator[Database]:
    database = Database(cluster.dsn("palio_app", shelf))
    await database.pool.open(wait=True)
    with psycopg.connect(cluster.dsn("postgres", shelf), autocommit=True) as conn:
        conn.execute("truncate public.sales, public.closed")
    yield database
    await database.pool.close()


@pytest.fixture
async def client(shop: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(till.app(shop)) as client:
        yield client


@pytest.fixture
def sold(cluster: embedded.Cluster, shelf: str):
    """How many sales there are."""

    def count() -> int:
        with psycopg.connect(cluster.dsn("postgres", shelf)) as conn:
            return conn.execute("select count(*) from public.sales").fetchone()[0]

    return count


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {**PLAYER, "idempotency-key": key, **headers}


async def sell(client: httpx2.AsyncClient, key: str, amount: int = 5, **headers: str) -> httpx2.Response:
    return await client.post("/api/v1/sales", json={"amount": amount}, headers=keyed(key, **headers))


async def test_a_repeat_is_told_what_the_first_was_told(client, sold) -> None:
    """The same body but for what is shown once, the same address, one effect; the order of keys says nothing."""
    first = await sell(client, "k1")
    body = b'{ "note": "", "amount": 7}'
    other = b'{"amount":7,"note":""}'
    json = {"content-type": "application/json"}
    one = await client.post("/api/v1/sales", content=body, headers=keyed('"k2"', **json))
    two = await client.post("/api/v1/sales", content=other, headers=keyed("k2", **json))
    again = await sell(client, "k1")

    assert (first.status_code, again.status_code, one.status_code, two.status_code) == (201, 201, 201, 201)
    assert again.json() == first.json() | {"secret": None} and first.json()["secret"] == "only now"
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert two.json()["id"] == one.json()["id"] and two.headers["idempotency-replayed"] == "true"
    assert sold() == 2


async def test_a_repeat_sets_no_cookie(client, sold) -> None:
    """What the first was given is nobody else's, whoever holds the key."""
    told = []
    for _ in range(2):
        answer = await client.post("/api/v1/sales", json={"amount": 5, "note": "remember it"}, headers=keyed("k9"))
        told.append((answer.status_code, "set-cookie" in answer.headers))
        client.cookies.clear()
    assert (told, sold()) == ([(201, True), (201, False)], 1)


async def test_the_same_key_for_something_else_is_refused(client, sold) -> None:
    """Another person's key, and the same key of another call, are other keys."""
    await sell(client, "k3")
    reused = await sell(client, "k3", amount=6)
    bob = await client.post(
        "/api/v1/sales", json={"amount": 6}, headers={**caller("player", BOB), "idempotency-key": "k3"}
    )
    money = await client.post("/api/v1/money", json={"amount": 6}, headers=keyed("k3"))

    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert (bob.status_code, money.status_code, sold()) == (201, 200, 3)


async def test_a_refusal_is_not_remembered(client, shop, sold, cluster, shelf) -> None:
    """It rolled everything back, so a repeat is judged anew."""
    with psycopg.connect(cluster.dsn("postgres", shelf), autocommit=True) as conn:
        conn.execute("insert into public.closed values ('night')")
        refused = await sell(client, "k4")
        conn.execute("delete from public.closed")
    done = await sell(client, "k4")

    assert (refused.status_code, refused.json()["code"], sold()) == (409, "ui.till_closed", 1)
    assert (done.status_code, done.headers.get("idempotency-replayed")) == (201, None)


@pytest.mark.parametrize("key", ["", " ", "a b", "é".encode(), "x" * 256, '"x'])
async def test_a_key_is_visible_ascii(client, sold, key) -> None:
    answer = await client.post("/api/v1/sales", json={"amount": 5}, headers={**PLAYER, "idempotency-key": key})

    good = key == '"x'  # one visible character after another
    assert (answer.status_code, sold()) == ((201, 1) if good else (400, 0))
    assert good or answer.json()["code"] == "idempotency_key_invalid"


async def test_control_characters_of_a_body_are_shown_and_nothing_happens(client, sold) -> None:
    """No database holds all of them; lines and tabs are writing. A name that holds one is shown by what it is in."""
    body = {"amount": 5, "note": "a\0", "what": ["a\tb\r\n", "\x85"], "in\x1b": 1}
    answer = await client.post("/api/v1/sales", json=body, headers=keyed("k1"))

    assert (answer.status_code, answer.json()["code"], sold()) == (422, "validation_failed", 0)
    assert {(one["pointer"], one["code"]) for one in answer.json()["errors"]} == {
        (pointer, "control_character") for pointer in ("/note", "/what/1", "")
    }


async def test_money_needs_a_key(client, sold) -> None:
    answer = await client.post("/api/v1/money", json={"amount": 5}, headers=PLAYER)

    assert (answer.status_code, answer.json()["code"], sold()) == (400, "idempotency_key_required", 0)


async def test_after_its_time_a_repeat_is_told_the_id(client, sold, cluster, shelf) -> None:
    first = await sell(client, "k5")
    with psycopg.connect(cluster.dsn("postgres", shelf), autocommit=True) as conn:
        conn.execute("update infra.idempotency_keys set body = null where key = 'k5'")
    again = await sell(client, "k5")

    assert (again.status_code, again.json()) == (200, {"replayed": True, "id": first.json()["id"]})
    assert sold() == 1


@pytest.mark.parametrize(
    ("if_match", "status", "code"),
    [(None, 428, "if_match_required"), ('"2"', 412, "version_mismatch"), ("3", 412, "version_mismatch")],
)
async def test_staff_change_what_they_have_seen(client, if_match, status, code) -> None:
    headers = STAFF | ({"if-match": if_match} if if_match else {})
    answer = await client.put("/api/v1/console/till/price", json={"amount": 1}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("etag") == ('"3"' if if_match == '"2"' else None)


async def test_whoever_saw_the_newest_version_changes_it(client) -> None:
    headers = {**STAFF, "if-match": '"3"'}
    price = {"amount": 1, "note": "Monday"}
    answer = await client.put("/api/v1/console/till/price", json=price, headers=headers)

    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, {"version": 4}, '"4"')


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k"}])
async def test_an_act_of_staff_that_nobody_wrote_down_does_not_happen(client, sold, key) -> None:
    """It is a defect of ours, and rolled back as one; its key is free for the next try."""
    headers = {**STAFF, "if-match": '"3"', **key}
    answer = await client.put("/api/v1/console/till/price", json={"amount": 1}, headers=headers)

    assert (answer.status_code, answer.json()["code"], sold()) == (500, "internal_error", 0)
    again = await client.put("/api/v1/console/till/price", json={"amount": 1, "note": "a sale"}, headers=headers)
    assert (again.status_code, again.headers.get("idempotency-replayed"), sold()) == (200, None, 1)


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k"}])
async def test_a_status_that_the_description_does_not_name_is_no_answer(client, sold, key) -> None:
    """It is a defect of ours, and rolled back as one; what is named beside the usual one is answered."""
    headers = {**PLAYER, **key}
    answer = await client.post("/api/v1/sales", json={"amount": 1, "note": "as nobody knows"}, headers=headers)

    assert (answer.status_code, answer.json()["code"], sold()) == (500, "internal_error", 0)
    ordered = await client.post("/api/v1/sales", json={"amount": 1, "note": "order it"}, headers=headers)
    assert (ordered.status_code, ordered.json()["amount"], sold()) == (202, 1, 1)


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        (caller("player", ALICE), 403, "permission_missing"),
        (caller("viewer", ALICE), 403, "impersonation_read_only"),
        (caller("staff", STELLA, step_up=True), 403, "permission_missing"),
        (caller("staff", STELLA, permissions="till.till.close", mfa=False), 403, "mfa_required"),
        (caller("staff", STELLA, permissions="till.till.close"), 403, "step_up_required"),
        (
            caller("staff", STELLA, permissions="till.till.close", scopes="till:write", step_up=True),
            403,
            "session_required",
        ),
    ],
)
async def test_whoever_may_not_is_told_why(client, who, status, code) -> None:
    answer = await client.post("/api/v1/console/till/close", headers=who)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_token_needs_the_scope_of_the_call(client, sold) -> None:
    """Reading is not writing; a public read asks for none; the console's session is no player's."""

    async def answer(method: str, path: str, who: dict[str, str]) -> int:
        body = {"json": {"amount": 1}} if method == "POST" else {}
        return (await client.request(method, path, headers=who, **body)).status_code

    reader = caller("player", ALICE, scopes="till:read")
    writer = caller("player", ALICE, scopes="till:write")
    assert await answer("GET", "/api/v1/me/sales", reader) == 200
    assert await answer("GET", "/api/v1/me/sales", writer) == 403
    assert await answer("POST", "/api/v1/sales", reader) == 403
    assert await answer("POST", "/api/v1/sales", writer) == 201
    assert await answer("GET", "/api/v1/prices", caller("player", ALICE, scopes="")) == 200
    assert await answer("GET", "/api/v1/me/sales", STAFF) == 401
    assert sold() == 1


async def test_what_somebody_signed_in_sees_is_kept_nowhere(client) -> None:
    stranger = await client.get("/api/v1/prices")
    alice = await client.get("/api/v1/prices", headers=PLAYER)
    page = await client.get("/till", headers=PLAYER)

    assert stranger.headers["cache-control"] == "public, max-age=5"
    assert (alice.headers["cache-control"], page.headers["cache-control"]) == ("no-store", "no-store")
    assert "Cookie" in alice.headers["vary"]


# forms


async def drawn(client: httpx2.AsyncClient, who: dict[str, str] = PLAYER) -> dict[str, str]:
    """The hidden fields of the form, as the page has them."""
    page = await client.get("/till", headers=who)
    return dict(line.split("=", 1) for line in page.text.splitlines())


async def submit(client, fields: dict[str, str], who: dict[str, str] = PLAYER, **headers: str) -> httpx2.Response:
    return await client.post("/till", data=fields, headers={**who, **OURS, **headers})


async def test_a_form_sent_twice_has_one_effect(client, sold) -> None:
    """Both times the browser is sent to the same page; a form that is drawn again is another act."""
    hidden = await drawn(client)
    first = await submit(client, {"amount": "5", **hidden})
    twice = await submit(client, {"amount": "5", **hidden})
    other = await submit(client, {"amount": "5", **await drawn(client)})

    assert (first.status_code, twice.status_code, other.status_code) == (303, 303, 303)
    assert first.headers["location"] == twice.headers["location"] != other.headers["location"]
    assert sold() == 2


@pytest.mark.parametrize("token", ["", "zz", "00" * 64, "ab"])
async def test_a_form_without_our_token_changes_nothing(client, sold, token) -> None:
    hidden = await drawn(client)
    answer = await submit(client, {"amount": "5", **hidden, "csrf_token": token})

    assert (answer.status_code, answer.json()["code"], sold()) == (403, "csrf_rejected", 0)


@pytest.mark.parametrize("fields", [{"amount": "5\0"}, {"amount": "5", "a\x1b": ""}])
async def test_a_form_holds_no_control_characters(client, sold, fields) -> None:
    answer = await submit(client, {**fields, **await drawn(client)})

    assert (answer.status_code, answer.json()["code"], sold()) == (400, "malformed_request", 0)


async def test_a_token_of_another_session_is_none(client, sold) -> None:
    answer = await submit(client, {"amount": "5", **await drawn(client, caller("player", BOB))})

    assert (answer.status_code, answer.json()["code"], sold()) == (403, "csrf_rejected", 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://palio.test"}, 303),
    ],
)
async def test_a_form_comes_from_our_own_page(client, sold, headers, status) -> None:
    """Also from somebody without a cookie: nobody is to be signed in as somebody else from afar."""
    hidden = await drawn(client)
    answer = await client.post("/till", data={"amount": "5", **hidden}, headers={**PLAYER, **headers})

    assert (answer.status_code, sold()) == (status, int(status == 303))


async def test_a_call_with_a_cookie_comes_from_our_own_page_and_one_with_a_token_from_anywhere(client, sold) -> None:
    far = {"sec-fetch-site": "cross-site", **PLAYER}
    cookie = await client.post("/api/v1/sales", json={"amount": 5}, headers={**far, "cookie": "x=1"})
    bearer = await client.post(
        "/api/v1/sales", json={"amount": 5}, headers={**far, "cookie": "x=1", "authorization": "Bearer x"}
    )

    assert (cookie.status_code, cookie.json()["code"]) == (403, "csrf_rejected")
    assert (bearer.status_code, sold()) == (201, 1)


async def test_what_was_refused_is_shown_in_the_form_again(client, sold) -> None:
    """With what was typed, under the status of the refusal; then the same form goes through."""
    hidden = await drawn(client)
    wrong = await submit(client, {"amount": "0", "note": "<b>", "more": "1", **hidden})
    right = await submit(client, {"amount": "1", **hidden})

    assert wrong.status_code == 422
    assert wrong.text == (
        "{'amount': '0', 'note': '<b>', 'more': '1'}: /amount greater_than_equal, /more unknown_field"
    )
    assert (right.status_code, sold()) == (303, 1)


async def test_a_form_is_a_form(client, sold) -> None:
    answer = await client.post("/till", json={"amount": 5}, headers={**PLAYER, **OURS})

    assert (answer.status_code, sold()) == (415, 0)


async def test_no_token_stands_in_an_address(client) -> None:
    answer = await client.get("/api/v1/prices?limit=1&Access_Token=abc")

    assert (answer.status_code, answer.json()["code"]) == (400, "token_in_url")


async def test_a_route_that_takes_more_says_so(client) -> None:
    """Two mebibytes here, one everywhere else."""

    async def statuses(note: str) -> list[int]:
        paths = ("/api/v1/pictures", "/api/v1/sales", "/api/v1/pictures/x")
        return [
            (await client.post(path, json={"amount": 1, "note": note}, headers=PLAYER)).status_code for path in paths
        ]

    assert await statuses("x" * (1 << 20)) == [200, 413, 413]
    assert await statuses("x" * (2 << 20)) == [413, 413, 413]


async def test_whoever_is_not_known_is_told_how_to_be(client) -> None:
    answer = await client.get("/api/v1/me/sales")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
