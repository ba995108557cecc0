"""Settings over HTTP and from their page: shown first, saved with a reason, by whoever saw the newest version."""

from palio.infra import pruning, settings
from tests.admin.house import Console, acts_of, form_of

KEY = pruning.RETENTION_DAYS.key
CALL = f"/api/v1/console/settings/{KEY}"
PAGE = f"/console/settings/{KEY}"


async def versions_of(console: Console) -> list[tuple[int, object, str]]:
    async with console.begin() as tx:
        return [(one.version, one.value, one.kind) for one in await settings.history(tx, KEY)]


async def test_a_setting_is_changed_by_whoever_saw_it_and_goes_back_to_what_it_was(console: Console) -> None:
    async with console.talk(console.staff(console.noor)) as noor:
        seen = (await noor.get(CALL)).headers["etag"]
        body = {"value": 45, "reason": "the auditors asked"}
        done = await noor.put(CALL, json=body, headers={"if-match": seen})
        again = await noor.put(CALL, json=body, headers={"if-match": done.headers["etag"]})
        stale = await noor.put(CALL, json={**body, "value": 50}, headers={"if-match": seen})
        back = await noor.post(
            f"{CALL}/revert",
            json={"to_version": 0, "reason": "it was a trial"},
            headers={"if-match": again.headers["etag"]},
        )
        found = (await noor.get(CALL)).json()

    assert (seen, done.status_code, done.headers["etag"], again.headers["etag"]) == ('"0"', 200, '"1"', '"1"')
    assert (stale.status_code, stale.json()["code"], stale.headers["etag"]) == (412, "version_mismatch", '"1"')
    assert (back.status_code, back.json()) == (200, {"versions": {KEY: 2}})
    assert (found["setting"]["value"], found["setting"]["is_default"], found["stored"]) == ("30", True, 30)
    assert await versions_of(console) == [(2, None, "revert"), (1, 45, "set")]
    acts = await acts_of(console, "setting.change")
    assert [(one.changes["value"], one.reason, one.actor_id) for one in acts] == [
        ([45, 30], "it was a trial", console.noor),
        ([30, 45], "the auditors asked", console.noor),
    ]


async def test_what_does_not_fit_changes_nothing(console: Console) -> None:
    before = await versions_of(console)
    async with console.talk(console.staff(console.noor)) as noor:
        version = (await noor.get(CALL)).headers["etag"]
        codes = []
        for value in (366, 0, "45", 45.0, True, [45]):
            answer = await noor.put(CALL, json={"value": value, "reason": "because"}, headers={"if-match": version})
            codes.append((answer.status_code, answer.json()["code"]))
        silent = await noor.put(CALL, json={"value": 45, "reason": "  "}, headers={"if-match": version})
        together = await noor.post(
            "/api/v1/console/settings/changes",
            json={
                "changes": [
                    {"key": KEY, "value": 45, "version": int(version.strip('"'))},
                    {"key": "jobs.no_such_setting", "value": 1, "version": 0},
                ],
                "reason": "both of them",
            },
        )

    assert codes == [(422, "setting.out_of_range")] * 2 + [(422, "setting.wrong_type")] * 4
    assert (silent.json()["code"], together.json()["code"]) == ("approval.reason_missing", "setting.unknown")
    assert await versions_of(console) == before


async def test_the_page_shows_a_change_before_it_saves_it(console: Console) -> None:
    async with console.talk(console.staff(console.sana)) as sana:
        shown = await sana.get(f"{PAGE}?value=90")
        assert (">30</del>" in shown.text, ">90</ins>" in shown.text) == (True, True)
        fields = form_of(shown.text, PAGE)
        refused = await sana.post(PAGE, data={**fields, "reason": "no"})
        saved = await sana.post(PAGE, data={**form_of(refused.text, PAGE), "reason": "the history is short"})
        stale = await sana.post(PAGE, data={**fields, "idempotency_key": "another", "reason": "twice the same"})
        unknown = await sana.get("/console/settings/jobs.nothing")

    assert (refused.status_code, "approval.reason_missing" in refused.text or "Say why" in refused.text) == (422, True)
    assert (saved.status_code, saved.headers["location"]) == (303, PAGE)
    assert (stale.status_code, unknown.status_code) == (412, 404)
    assert (await versions_of(console))[0][1:] == (90, "set")


async def test_reading_is_not_writing(console: Console) -> None:
    async with console.talk(console.staff(console.sana, permissions="admin.setting.read")) as auditor:
        page = await auditor.get(PAGE)
        refused = await auditor.put(CALL, json={"value": 1, "reason": "I may not"}, headers={"if-match": '"0"'})

    assert (page.status_code, f'<form method="post" action="{PAGE}' in page.text) == (200, False)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
