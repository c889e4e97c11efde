"""What the package imports is what it asks for, and what it asks for is pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator

from tests.tidy.sources import PACKAGE, ROOT, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_COMES_WITH = {"distributed": "dask"}


def imported() -> Iterator[str]:
    """The packages that the sources import, at the top or where they are used."""
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", one)[0].lower().replace("-", "_") for one in requirements}


def test_what_is_imported_is_asked_for() -> None:
    for_work = {name: asked for name, asked in PROJECT["optional-dependencies"].items() if name not in ("dev", "bench")}
    asked = names([*PROJECT["dependencies"], *(one for extra in for_work.values() for one in extra)])
    others = set(imported()) - set(sys.stdlib_module_names) - {PACKAGE.name}
    assert "numba" in others
    assert {_COMES_WITH.get(name, name) for name in others} <= asked


def test_what_is_asked_for_is_pinned() -> None:
    pinned, for_work = (
        names((ROOT / name).read_text(encoding="utf-8").splitlines())
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert names(PROJECT["dependencies"]) <= pinned <= for_work
    assert names(PROJECT["optional-dependencies"]["dev"]) <= for_work
