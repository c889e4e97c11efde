"""The project's own files, as the tidy tests read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "your_short_trade_margin_call"

_NOT_OURS = {"__pycache__", "build", "dist", "data", "node_modules"}
_OURS_ALTHOUGH_HIDDEN = {".ci", ".github"}


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of the package, by its path inside it (`rules/jit.py`)."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def texts(folder: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Path and content of every text file that belongs to the repository, not what tools leave beside it."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name not in _OURS_ALTHOUGH_HIDDEN
            if not hidden and path.name not in _NOT_OURS and not path.name.endswith(".egg-info"):
                yield from texts(path)
            continue
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
