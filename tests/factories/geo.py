"""A file of places (MaxMind DB format) as an operator brings it, small."""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

MARKER = b"\xab\xcd\xefMaxMind.com"
TEXT, SHORT, LONG, MAP, BIG, ARRAY = 2, 5, 6, 7, 9, 11
LONGER = {"node_count": LONG, "build_epoch": BIG}  # other numbers are short
GAP = 16


def write_geo(path: Path, places: Mapping[str, tuple[str, str | None]]) -> Path:
    """Write where networks are: `{"198.51.100.0/24": ("DE", "Berlin")}`."""
    data, offsets = b"", {}
    for network, (country, city) in places.items():
        record: dict[str, object] = {"country": {"iso_code": country}}
        if city:
            record["city"] = {"names": {"en": city}}
        offsets[IPv4Network(network)] = len(data)
        data += _encoded(record)
    nodes: list[list[int | None]] = [[None, None]]
    leaves: list[tuple[int, int, int]] = []
    for network, offset in offsets.items():
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in map(int, bits[:-1]):
            found = nodes[node][bit]
            if found is None:
                nodes.append([None, None])
                found = nodes[node][bit] = len(nodes) - 1
            node = found
        leaves.append((node, int(bits[-1]), offset))
    for node, bit, offset in leaves:
        nodes[node][bit] = len(nodes) + GAP + offset
    tree = b"".join((len(nodes) if side is None else side).to_bytes(3) for node in nodes for side in node)
    told = {
        "node_count": len(nodes),
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Test-City",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "description": {"en": "A test"},
    }
    path.write_bytes(tree + bytes(GAP) + data + MARKER + _encoded(told))
    return path


def _encoded(value: object, kind: int = SHORT) -> bytes:
    if isinstance(value, str):
        said = value.encode()
        return _head(TEXT, len(said)) + said
    if isinstance(value, int):
        said = value.to_bytes((value.bit_length() + 7) // 8)
        return _head(kind, len(said)) + said
    if isinstance(value, list):
        return _head(ARRAY, len(value)) + b"".join(map(_encoded, value))
    assert isinstance(value, dict)
    return _head(MAP, len(value)) + b"".join(
        _encoded(name) + _encoded(each, LONGER.get(name, SHORT)) for name, each in value.items()
    )


def _head(kind: int, size: int) -> bytes:
    """Kind and size; sizes from 29 need a byte more."""
    more = b"" if size < 29 else struct.pack("B", size - 29)
    size = min(size, 29)
    if kind <= MAP:
        return struct.pack("B", kind << 5 | size) + more
    return struct.pack("BB", size, kind - 7) + more
