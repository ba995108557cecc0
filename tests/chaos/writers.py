"""Programs that post by the API and ask again, with the same keys, until they are answered."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx2

BATCH, TRANSFER = "/api/v1/ledger/transfers/batch", "/api/v1/ledger/transfers"
ITEMS_OF_A_BATCH = 25
PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 10
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def move(wallet: str, amount: int) -> dict[str, object]:
    """Coins from the house into a wallet, or back."""
    legs = [
        {"account": wallet, "asset": "COIN", "amount": amount},
        {"account": "issuance:gift", "asset": "COIN", "amount": -amount},
    ]
    return {"kind": "ledger.transfer", "legs": legs}


class Writer(threading.Thread):
    """One program: what it was told is done is in `done`, what was refused in `refused`, both by key.

    `address` says where the server is now: whoever starts it again says so.
    """

    def __init__(self, name: str, address: Callable[[], str], token: str, wallets: Sequence[str], seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.done: dict[str, tuple[str, int]] = {}
        self.refused: dict[str, str] = {}
        self.strange: list[str] = []
        self.unanswered = 0
        self.began_last_answered = 0.0  # when the newest request began that was answered
        self._address, self._wallets = address, wallets
        self._headers = {"authorization": f"Bearer {token}"}
        self._chance = random.Random(seed)  # noqa: S311 - amounts, no secrets
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin nothing new; what is begun is asked for until it is answered."""
        self._stopping.set()

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            items = {f"{self.name}-{number + n}": self._anything() for n in range(ITEMS_OF_A_BATCH)}
            number += ITEMS_OF_A_BATCH
            self._carry_out(items)

    def _anything(self) -> tuple[str, int]:
        """Mostly into a wallet; what is taken out is refused where there is less."""
        return self._chance.choice(self._wallets), self._chance.choice((7, 5, 3, 2, -4, -9))

    def _carry_out(self, items: Mapping[str, tuple[str, int]]) -> None:
        body = {"items": [{"key": key, **move(*what)} for key, what in items.items()]}
        while True:
            began = time.monotonic()
            answer = self._ask(body)
            if answer is not None and answer.status_code == HTTPStatus.OK:
                break
            if answer is None:
                self.unanswered += 1
            elif answer.status_code not in BUSY:
                self.strange.append(f"{answer.status_code}: {answer.text[:300]}")
            threading.Event().wait(float(answer.headers.get("retry-after", 0)) if answer else PAUSE_SECONDS)
        results: list[dict[str, Any]] = answer.json()["results"]
        for (key, what), result in zip(items.items(), results, strict=True):
            if result["status"] == "refused":
                self.refused[key] = result["problem"]["code"]
            else:
                self.done[key] = what
        self.began_last_answered = began

    def _ask(self, body: object) -> httpx2.Response | None:
        """The answer, or None when nobody gave one."""
        try:
            return httpx2.post(self._address() + BATCH, json=body, headers=self._headers, timeout=PATIENCE_SECONDS)
        except httpx2.HTTPError:
            return None
