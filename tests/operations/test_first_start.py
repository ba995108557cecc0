"""The first start of a real process: it answers at once, fills a demo behind that, and goes on after a kill."""

import json
import re
import signal
from collections import Counter

from tests.operations.processes import Deployment, Process, until

FILL_SECONDS_MAX, MOVE_SECONDS_MAX = 600, 60  # a busy machine, and the job of the killed one is first missed


def told(process: Process, *words: str) -> dict[str, object]:
    """What a command of this deployment answers."""
    done = process.deployment.run(*words, "--json")
    assert done.wait() == 0, done.output + done.errors
    return json.loads(done.output)  # type: ignore[no-any-return]


def is_whole(process: Process) -> bool:
    assert process.is_alive(), process.errors[-2_000:]
    return "The demo is ready" in process.output


def test_a_first_start_fills_a_demo_behind_a_server_that_answers(deployment: Deployment) -> None:
    """Killed in the middle it goes on; then a board moves, time can be moved on, and prizes reach a wallet.

    Who can sign in is told once.
    """
    process = deployment.start("up")
    until(lambda: process.url and process.is_ready())
    status, _, page = process.get("/")
    assert (status, b"Preparing the demo" in page) == (200, True)
    until(lambda: int((re.search(rb"(\d+) of \d+ pictures", process.get("/preparing")[2]) or [0, 0])[1]) > 5)  # type: ignore[index]

    process.signal(signal.SIGKILL)
    process.wait()
    process = deployment.start("up")
    assert b"Preparing the demo" in process.get("/")[2], "never half of it"
    until(
        lambda: is_whole(process) and "ana " in process.output and "demo.json" in process.output,
        seconds_max=FILL_SECONDS_MAX,
        what=lambda: f"a whole demo\n{process.output}{process.errors[-4_000:]}",
    )
    told_of = re.findall(r"^  (\w+) +(\w+) +[a-z0-9-]{19} +(?:otpauth://\S+|-)$", process.output, re.MULTILINE)
    assert told_of[0] == ("olga", "owner") and told_of[-1] == ("emil", "player") and len(told_of) == 11

    races = json.loads(process.get("/api/v1/races")[2])["items"]
    weekly = [race for race in races if race["title"].startswith("Weekly")]
    counted = Counter(race["status"] for race in weekly)
    over = counted.pop("completed") + counted.pop("settling", 0)  # one more for an hour after each Monday began
    assert (over in {3, 4}, counted) == (True, {"live": 1, "upcoming": 1})
    number = next(race["number"] for race in weekly if race["status"] == "live")
    assert sum(race["title"].startswith("Weekend") for race in races) >= 3
    assert b'aria-label="Demo"' in process.get("/")[2] and b"every 20 s" in process.get("/")[2]
    before = board(process, number)
    until(lambda: board(process, number) != before, seconds_max=MOVE_SECONDS_MAX)

    port = re.findall(r"palio sim .* --port (\d+)", process.output)[-1]
    broken = told(process, "sim", "faults", "add", "status", "--set", "code=503", "--port", port)
    assert broken and told(process, "sim", "faults", "clear", "--port", port) is not None
    moved = told(process, "sim", "clock", "advance", "--by", "30m")
    assert moved["instants"] in {2, 3}
    assert told(process, "ledger", "balance", "chen")["username"] == "chen"
    assert re.fullmatch(r"[0-9]{6}", str(told(process, "demo", "--code", "sam")["code"]))
    held = told(process, "demo")
    assert (held["races"], held["users"], held["ledger_sum"], held["people"]) == (len(races), 18, 0, [])
    in_use = deployment.run("demo", "--reset")
    assert (in_use.wait(), "stop palio up first" in in_use.errors) == (78, True), in_use.errors
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    begin_anew(deployment)


def begin_anew(deployment: Deployment) -> None:
    """A demo that nobody uses is thrown away, with who could sign in; another takes its place, of another size."""
    before = (deployment.home / "demo.json").read_text(), (deployment.home / "secrets/keyring.json").read_text()
    size = ("--seed", "2", "--days", "18", "--players", "200", "--every", "6h")  # as small as can be
    another = deployment.start("demo", "--reset", *size, "--json")
    assert another.wait(FILL_SECONDS_MAX) == 0, another.errors
    held = json.loads(another.output)
    assert (held["seed"], held["users"], held["ledger_sum"], len(held["people"])) == (2, 18, 0, 11)
    after = (deployment.home / "demo.json").read_text(), (deployment.home / "secrets/keyring.json").read_text()
    assert (after[0] != before[0], after[1] == before[1]) == (True, True), "keys of the deployment stay"


def board(process: Process, number: int) -> list[str]:
    """The totals on the page of a race."""
    return re.findall(r"\$[\d,]+\.\d\d", process.get(f"/races/{number}")[2].decode())


def test_where_there_must_be_no_demo_it_ends_with_78(deployment: Deployment) -> None:
    """And says why; `--no-demo` starts without one, for good."""
    outside = {"PALIO_PUBLIC_URL": "https://play.example.com"}
    for words, settings, code in (
        (("up", "--demo"), outside, "demo.refused"),
        (("up", "--demo"), {"PALIO_SIM": "off"}, "demo.refused"),
        (("up",), outside | {"PALIO_SIM": "on"}, "setting.invalid"),
        (("demo",), outside, "demo.refused"),
        (("demo", "--reset"), {}, "demo.refused"),
    ):
        refused = deployment.run(*words, **settings)
        assert (refused.wait(), f"[{code}]" in refused.errors) == (78, True), refused.errors

    process = deployment.start("up", "--no-demo")
    until(lambda: process.url and process.is_ready())
    assert b"Preparing" not in process.get("/")[2] and b'aria-label="Demo"' not in process.get("/")[2]
    assert process.get("/sim")[0] == 404
    turned = deployment.run("sim", "clock", "freeze")
    assert (turned.wait(), "[infra.clock_real]" in turned.errors) == (1, True)
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
