"""Whoever acts as the system is listed: edges before a person is known, gatherers, jobs, the command line."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTED = tomllib.loads((Path(__file__).parent / "system_edges.toml").read_text())


def edges() -> Iterator[str]:
    """`file: function` of each place that begins a transaction as the system."""
    for path in sorted((ROOT / "palio").rglob("*.py")):
        if path == ROOT / "palio/infra/db.py":
            continue
        for scope in ast.walk(ast.parse(path.read_text())):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) and is_edge_in(scope):
                yield f"{path.relative_to(ROOT)}: {scope.name}"
        constants = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
        for constant in filter(is_edge_in, constants):
            yield f"{path.relative_to(ROOT)}: {ast.unparse(constant.targets[0])}"


def is_edge_in(scope: ast.AST) -> bool:
    return any(map(is_edge, ast.walk(scope)))


def is_edge(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in {"begin_system", "alone"}
    is_actor = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Actor"
    return is_actor and bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == "system"


def test_every_edge_of_the_system_is_listed_with_its_reason() -> None:
    found = set(edges())
    assert found - LISTED.keys() == set(), "list it in system_edges.toml with the reason why no person acts here"
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "palio").rglob("*.py")}
    assert {edge for edge in LISTED.keys() - found if edge.split(":")[0] in files} == set(), "no longer an edge"
    assert all(reason.strip() for reason in LISTED.values())
