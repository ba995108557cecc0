"""Check offline that a transfer is among those a published head of a ledger stands for.

    python3 check_proof.py PROOF.json --key HEX [--head HEX]

PROOF.json is the answer of GET /api/v1/wallet/transactions/<id>/proof, `--key` the public key that you know from
/transparency, `--head` a head that you kept. Nothing but Python is needed: everything is SHA-256, and a signature that
is Ed25519 (RFC 8032). The exit status is 0 if all of it holds.
"""

import argparse
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaf, index, count, path):
    """Climb from a leaf to the root (RFC 9162, 2.1.3.2)."""
    last = count - 1
    for step in path:
        if index & 1 or index == last:
            leaf = sha256(b"\1", step, leaf)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            leaf = sha256(b"\1", leaf, step)
        index, last = index >> 1, last >> 1
    return leaf if last == 0 else None


def head_of(seal):
    """The head of what a seal says."""
    since = datetime.fromisoformat(seal["at"]) - datetime(1970, 1, 1, tzinfo=UTC)
    figures = (seal["rows"], seal["from_tx"], seal["to_tx"])
    return sha256(
        bytes.fromhex(seal["prev"]),
        bytes.fromhex(seal["root"]),
        *(figure.to_bytes(8, "big") for figure in figures),
        seal["sums"].encode(),
        (since // timedelta(microseconds=1)).to_bytes(8, "big", signed=True),
    )


# Ed25519, as RFC 8032 writes it
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - x2) % P or (x == 0 and sign):
        raise ValueError("not a point")
    return (P - x if x & 1 != sign else x, y)


def add(one, other):
    (x1, y1), (x2, y2) = one, other
    twist = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + twist, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - twist, -1, P)
    return (x % P, y % P)


def times(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(key, message, signature):
    try:
        commitment, public = point_of(signature[:32]), point_of(key)
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return s < L and times(s, BASE) == add(commitment, times(challenge, public))


def flaws_of(proof, key, head=None):
    """What is wrong with a proof; nothing, if it holds."""
    seal, leaf = proof["seal"], bytes.fromhex(proof["leaf"])
    path = [bytes.fromhex(step) for step in proof["path"]]
    if proof["content"] is not None and sha256(b"\0", proof["content"].encode()) != leaf:
        yield "the content is not that of the leaf"
    if root_of(leaf, proof["index"], seal["rows"], path) != bytes.fromhex(seal["root"]):
        yield "the leaf is not under the root"
    if head_of(seal) != bytes.fromhex(seal["head"]):
        yield "the head is not that of the seal"
    label = f"palio-seal-v1:{proof['chain']}:".encode()
    if not is_signed(key, label + bytes.fromhex(seal["head"]), bytes.fromhex(seal["signature"])):
        yield "the head is not signed by this key"
    if head is not None and head != seal["head"]:
        yield "it is another head than yours"


def main():
    words = argparse.ArgumentParser(description="Check the proof of a transfer offline.")
    words.add_argument("proof", type=Path)
    words.add_argument("--key", required=True, help="the public key, in hexadecimal")
    words.add_argument("--head", help="a head that you kept, in hexadecimal")
    given = words.parse_args()
    flaws = list(flaws_of(json.loads(given.proof.read_text()), bytes.fromhex(given.key), given.head))
    sys.stdout.write("\n".join(flaws or ["The proof holds."]) + "\n")
    sys.exit(1 if flaws else 0)


if __name__ == "__main__":
    main()
