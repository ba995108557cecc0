"""Seals: signed statements over rows that are only ever appended, so that whoever alters one is found out.

One door for every chain: a module declares which rows it seals (`Chain`), and has them sealed by a job (`keep`).
"""

from palio.infra.seals.anchoring import AnchorsAhead, acknowledge, anchor, anchored_to, require_reached
from palio.infra.seals.canonical import canonical, read
from palio.infra.seals.chains import AUDIT, SCHEDULE, keep, seal_audit
from palio.infra.seals.checking import Anchored, Checked, Flaw, What, check, check_anchors
from palio.infra.seals.heads import Seal, SealingKeyMissing, public_keys, told
from palio.infra.seals.proofs import Proof, prove
from palio.infra.seals.sealing import Chain, Sums, find_last, is_late, list_seals, newest_key, seal, seals_after
from palio.infra.seals.telling import Behind, behind
from palio.infra.seals.trees import leaf

__all__ = [
    "AUDIT",
    "SCHEDULE",
    "Anchored",
    "AnchorsAhead",
    "Behind",
    "Chain",
    "Checked",
    "Flaw",
    "Proof",
    "Seal",
    "SealingKeyMissing",
    "Sums",
    "What",
    "acknowledge",
    "anchor",
    "anchored_to",
    "behind",
    "canonical",
    "check",
    "check_anchors",
    "find_last",
    "is_late",
    "keep",
    "leaf",
    "list_seals",
    "newest_key",
    "prove",
    "public_keys",
    "read",
    "require_reached",
    "seal",
    "seal_audit",
    "seals_after",
    "told",
]
