"""Merkle trees: the vectors of Certificate Transparency, and a plain second implementation."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.infra.seals import trees

CONTENTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [trees.leaf(bytes.fromhex(content)) for content in CONTENTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def plain_root(leaves: list[bytes]) -> bytes:
    """As RFC 6962, 2.1 defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256().digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\1" + plain_root(leaves[:half]) + plain_root(leaves[half:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_vectors_of_certificate_transparency(size: int) -> None:
    assert trees.root(LEAVES[:size]).hex() == ROOTS[size]


@given(size=st.integers(1, 70), data=st.data())
def test_every_leaf_leads_to_the_root_and_no_other_does(size: int, data: st.DataObject) -> None:
    leaves = [trees.leaf(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    steps, root = trees.path(leaves, index), plain_root(leaves)

    assert trees.root(leaves) == root
    assert len(steps) <= 7
    assert trees.climb(leaves[index], index, size, steps) == root
    assert trees.climb(trees.leaf(b"other"), index, size, steps) != root
    assert trees.climb(leaves[index], index, size, [*steps, leaves[0]]) is None
    assert trees.climb(leaves[index], size, size, steps) is None
    if steps:
        assert trees.climb(leaves[index], index, size, steps[:-1]) is None
        assert trees.climb(leaves[index], index ^ 1, size, steps) != root
