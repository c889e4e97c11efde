"""Compiled kernels are kept on disk, and are never those of yesterday's source.

numba notices a change in the compiled function's own file only. `rules/jit.py` names the cache folder by a hash of
every file a kernel can reach; here a copy of the package is edited and run again.
"""

from __future__ import annotations

import ast
import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import event

import your_short_trade_margin_call
from your_short_trade_margin_call.rules.jit import source_hash

PACKAGE = Path(your_short_trade_margin_call.__file__).parent
KERNEL_SOURCES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in (
        *PACKAGE.glob("rules/*.py"),
        *PACKAGE.glob("research/*_kernel.py"),
        PACKAGE / "domain/words.py",
        PACKAGE / "domain/spans.py",
    )
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package's sources, to be edited at will."""
    folder = tmp_path / "src" / PACKAGE.name
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_hash_is_that_of_the_sources(copy: Path) -> None:
    assert len(KERNEL_SOURCES) >= 14
    assert source_hash(copy) == source_hash(PACKAGE) == source_hash()
    assert len(source_hash()) == 16


@pytest.mark.parametrize("name", KERNEL_SOURCES)
def test_any_edit_of_a_file_that_kernels_reach_changes_the_hash(name: str, copy: Path) -> None:
    before = source_hash(copy)
    with (copy / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert source_hash(copy) != before


def test_a_new_rule_and_a_lost_rule_change_the_hash(copy: Path) -> None:
    before = source_hash(copy)
    (copy / "rules" / "new_rule.py").write_text("")
    assert source_hash(copy) != before
    (copy / "rules" / "new_rule.py").unlink()
    assert source_hash(copy) == before
    (copy / "rules" / "sizing.py").unlink()
    assert source_hash(copy) != before


def test_kernels_use_nothing_that_is_not_hashed() -> None:
    """A kernel, or a constant it freezes, in a file that the hash does not know could go stale."""
    kernels = [path for path in PACKAGE.rglob("*.py") if compiles(path)]
    assert len(kernels) >= 10
    for path in kernels:
        assert path.relative_to(PACKAGE).as_posix() in KERNEL_SOURCES
        assert imported(path) <= set(KERNEL_SOURCES), path.name


def compiles(path: Path) -> bool:
    """Whether a function of the file is decorated with one of our compilers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    decorators = [d for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for d in node.decorator_list]
    return any(isinstance(d, ast.Name) and d.id in ("jit", "jit_inline") for d in decorators)


def imported(path: Path) -> set[str]:
    """Our own files that a file imports from."""
    tree, files = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            folder = (node.module or "").removeprefix(PACKAGE.name).strip(".").replace(".", "/")
            names = [f"{folder}/{alias.name}.py" for alias in node.names]
            files |= {name if (PACKAGE / name).exists() else f"{folder}.py" for name in names}
    return files


SCRIPT = """
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.rules.costs import sell_fill
from your_short_trade_margin_call.rules.entry import after_trade, limit_block, new_tally
from your_short_trade_margin_call.rules.terms import make_terms
from your_short_trade_margin_call.settings import Settings
terms = make_terms(Settings(cooldown=60_000), "BTCUSDT")
blocked = limit_block(terms, after_trade(new_tally(1.0), 1.0, -1.0, 0), 1.0, 0)
print(sell_fill(99.75, 0.0, 0.0), BlockReason.from_code(blocked))
"""


def run(copy: Path, cache: Path, script: str = SCRIPT) -> list[str]:
    """A new process that compiles with the copy's rules, and its cache in `cache`."""
    environment = {**os.environ, "PYTHONPATH": str(copy.parent), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=cache,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.split()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edit_in_another_file_reaches_a_kernel_that_was_kept(copy: Path, tmp_path: Path) -> None:
    """`sell_fill` (costs.py) calls the grid (grid.py); `limit_block` (entry.py) froze a code of an enum (words.py)."""
    cache = tmp_path / "cache"
    cache.mkdir()
    assert run(copy, cache) == ["99", "cooldown"]
    kept = set(cache.rglob("*.nb?"))
    assert kept

    edit(copy / "rules" / "grid.py", "STEP_TOLERANCE = 1e-9", "STEP_TOLERANCE = 0.3")
    edit(copy / "domain" / "words.py", '    COOLDOWN = "cooldown"\n', "")
    edit(
        copy / "domain" / "words.py",
        '    NO_EDGE = "no_edge"\n',
        '    COOLDOWN = "cooldown"\n    NO_EDGE = "no_edge"\n',
    )
    assert run(copy, cache) == ["100", "cooldown"]
    assert kept <= set(cache.rglob("*.nb?"))


LOADED = """
import sys
from your_short_trade_margin_call.rules.costs import sell_fill
sell_fill(99.75, 0.0, 0.0)
print("compiled" if "numba.np.linalg" in sys.modules else "loaded")
"""


def test_a_kept_kernel_loads_without_what_compiling_needs(copy: Path, tmp_path: Path) -> None:
    """The second start is quick because numba's own library stays closed."""
    cache = tmp_path / "cache"
    cache.mkdir()
    assert [run(copy, cache, LOADED) for _ in range(2)] == [["compiled"], ["loaded"]]


def test_the_garbage_collector_rests_while_a_kernel_is_compiled_and_only_then() -> None:
    """Compiled within each other, and where compiling fails."""
    seen = []

    def compile_another(failing: bool) -> None:
        with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
            seen.append(gc.isenabled())
            assert not failing

    compile_another(failing=False)
    with pytest.raises(AssertionError):
        compile_another(failing=True)
    assert seen == [False, False]
    assert gc.isenabled()
