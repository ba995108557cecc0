"""Seals: signed statements over rows that are only ever appended, so that whoever alters one is found out.

One door for every chain: a module declares which rows it seals (`Chain`), and has them sealed by a job (`keep`).
"""

from palio.infra.seals.anchoring import AnchorsAhead, acknowledge
from palio.infra.seals.chains import AUDIT, SCHEDULE, keep, seal_audit
from palio.infra.seals.checking import Anchored, Checked, Flaw, check, check_anchors
from palio.infra.seals.heads import Seal, SealingKeyMissing, public_keys, told
from palio.infra.seals.proofs import Proof, prove
from palio.infra.seals.sealing import Chain, Sums, find_last, is_late, list_seals, seal

__all__ = [
    "AUDIT",
    "SCHEDULE",
    "Anchored",
    "AnchorsAhead",
    "Chain",
    "Checked",
    "Flaw",
    "Proof",
    "Seal",
    "SealingKeyMissing",
    "Sums",
    "acknowledge",
    "check",
    "check_anchors",
    "find_last",
    "is_late",
    "keep",
    "list_seals",
    "prove",
    "public_keys",
    "seal",
    "seal_audit",
    "told",
]
