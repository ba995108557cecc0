"""Whether what is written is sealed, and the seals are anchored."""

from collections.abc import Sequence
from datetime import datetime

from palio.infra import seals
from palio.infra.db import Tx
from palio.infra.doctor.findings import Finding, Symptom
from palio.infra.seals import Chain

NO_KEY = Symptom(
    "seal.no_key",
    "error",
    "The keyring of this process holds no key to sign seals with.",
    "What is written is not sealed: nobody could prove afterwards that a row was altered.",
    "palio keys seal adds one; with several machines, give each the same keyring file.",
)
LATE = Symptom(
    "seal.late",
    "error",
    "Rows of the chain {chain} have waited for their seal for more than five minutes.",
    "Until they are sealed, whoever can change the database can change them unseen.",
    "Have a worker running (palio up, or palio worker) and look at its log; palio jobs run {job} seals now.",
)
AHEAD = Symptom(
    "seal.anchors_ahead",
    "error",
    "The anchors know seal {n} of the chain {chain}, and the database does not have it.",
    "It was restored to an earlier state, or somebody cut it off; nothing is sealed until you say which.",
    "If you restored it, palio verify anchors --acknowledge REASON; if not, touch nothing, and find out who was in.",
)
UNTOLD = Symptom(
    "seal.witness_behind",
    "warning",
    "Who is named by {name} has not been told of heads of seals since {since}.",
    "What was sealed since is witnessed by the anchors of this machine alone.",
    "See whether the address is right and reachable; the log of the worker says why it fails. Nothing is left out.",
)
JOBS = {"audit": "infra.seal"}


async def seals_keep_up(tx: Tx, chains: Sequence[Chain], now: datetime) -> list[Finding]:
    """The chains that nobody seals, the ones that lost seals, and the witnesses who do not hear of them."""
    found = [] if not chains or seals.public_keys(tx.equipment.keyring) else [NO_KEY.found()]
    for chain in chains:
        if ahead := (await seals.check_anchors(tx, chain=chain)).ahead:
            found.append(AHEAD.found(chain=chain.name, n=ahead))
        elif await seals.is_late(tx, chain=chain, now=now):
            found.append(LATE.found(chain=chain.name, job=JOBS.get(chain.name, f"{chain.name}.seal")))
    behind = await seals.behind(tx.equipment, now=now) if chains else []
    found += [UNTOLD.found(name=one.name, since=f"{one.since:%Y-%m-%d %H:%M} UTC") for one in behind]
    return found
