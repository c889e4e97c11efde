"""Time and luck are arguments: nothing reads a clock, sleeps or draws, but one adapter and the entry points."""

from __future__ import annotations

import ast
import re

import pytest

from tests.tidy.sources import modules

BANNED = re.compile(
    r"""
      time\.(time|monotonic|perf_counter|process_time|thread_time)(_ns)? | time\.sleep | time\.(localtime|gmtime|ctime)
    | datetime\.datetime\.(now|utcnow|today) | datetime\.date\.today
    | random(\..+)? | secrets(\..+)? | os\.(urandom|getrandom) | uuid\.uuid[14]
    | asyncio\.sleep
    | numpy\.random\.(?!(Generator|PCG64|SeedSequence)$).+
    """,
    re.VERBOSE,
)
SEEDED = {"numpy.random.Generator", "numpy.random.PCG64", "numpy.random.SeedSequence"}
"""Generators with a seed of their own, for invented markets and what is estimated by drawing."""

READS_CLOCKS = re.compile(
    r"adapters/system_clock\.py | cli[^/]*\.py | __main__\.py | composition/parts\.py", re.VERBOSE
)
DRAWS_SEEDED = re.compile(r"market/.+|research/(seeds|drill_markets)\.py")
HANDED_OVER = "numpy.random.Generator"
"""Anybody may say that a generator is passed in. To make one takes a source of bits, which is banned."""


def origins(tree: ast.Module) -> dict[str, str]:
    """What each imported name of a module stands for: ``{"np": "numpy", "sleep": "asyncio.sleep"}``."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """`np.random.rand` as ``numpy.random.rand``; None for what is no imported name."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)) is not None:
        return f"{base}.{node.attr}"
    return None


def offences(tree: ast.Module, file: str) -> list[str]:
    """Every clock, sleep or draw that a module mentions without being allowed to."""
    names, found = origins(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            said = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call):
            said = [f"{dotted(node.func, names)}()"] if not node.args and not node.keywords else []
        else:
            said = [dotted(node, names) or ""]
        found += [f"{file}:{getattr(node, 'lineno', 0)} {name}" for name in said if is_offence(name, file)]
    return found


def is_offence(name: str, file: str) -> bool:
    if name.endswith("()"):
        return name[:-2] in SEEDED  # no seed given
    if name in SEEDED:
        return name != HANDED_OVER and not DRAWS_SEEDED.fullmatch(file)
    return bool(BANNED.fullmatch(name)) and not READS_CLOCKS.fullmatch(file)


def test_time_and_luck_are_arguments() -> None:
    assert [offence for file, tree in modules().items() for offence in offences(tree, file)] == []


def test_the_one_place_that_reads_the_clock_is_there() -> None:
    """If it moved, the exception would guard nothing."""
    assert offences(modules()["adapters/system_clock.py"], "elsewhere.py")


@pytest.mark.parametrize(
    "line",
    [
        "import time\ntime.time()",
        "import time as t\nx = t.monotonic_ns",
        "from time import perf_counter",
        "from datetime import datetime\ndatetime.now(tz)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import datetime as dt\ndt.date.today()",
        "import random\nrandom.random()",
        "from random import shuffle",
        "import numpy as np\nnp.random.rand(3)",
        "import numpy as np\nrng = np.random.default_rng(1)",
        "from numpy.random import default_rng",
        "import uuid\nuuid.uuid4()",
        "import secrets\nsecrets.token_hex()",
        "import os\nos.urandom(8)",
        "import asyncio\nasync def f(sleep=asyncio.sleep): ...",
        "from numpy.random import Generator, PCG64\nGenerator(PCG64(1))",
        "from numpy.random import Generator\nGenerator()",
        "import numpy as np\nnp.random.PCG64(1)",
    ],
)
def test_this_would_be_noticed(line: str) -> None:
    assert offences(ast.parse(line), "research/sweep.py")


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("from datetime import datetime\ndatetime.fromtimestamp(x, tz)", "research/sweep.py"),
        ("import asyncio\nasyncio.run(main())", "research/sweep.py"),
        ("import time\ntime.monotonic()", "adapters/system_clock.py"),
        ("from numpy.random import PCG64, Generator\nGenerator(PCG64(seed))", "market/synthetic.py"),
        ("def f(clock): return clock.time()", "trading/decide.py"),
        ("from numpy.random import Generator\ndef f(luck: Generator): return luck.random()", "research/sweep.py"),
    ],
)
def test_this_is_fine(line: str, file: str) -> None:
    assert offences(ast.parse(line), file) == []


def test_a_generator_without_a_seed_is_no_seeded_one() -> None:
    assert offences(ast.parse("from numpy.random import PCG64\nPCG64()"), "market/synthetic.py")
