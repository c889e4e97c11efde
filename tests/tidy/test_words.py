"""What no file of the repository says: paths of somebody's machine, and promises to do something later."""

from __future__ import annotations

import re

import pytest

from tests.tidy.sources import ROOT, texts

# Written in pieces: this file is read too.
MACHINES = "|".join(("/" + "work/", "/" + "root/", "/" + "home/[a-z0-9_]+/", "/" + "Users/[A-Za-z0-9_]+/"))
SOMEBODYS_MACHINE = re.compile(rf"(?<![\w.~$}}])(?:{MACHINES}|[A-Z]:\\Users\\)")
LATER = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", "NotImplemented" + "Error")))

ABSTRACT = {"src/your_short_trade_margin_call/market/extras.py": "the hook of a base class that nobody instantiates"}
"""Files that may raise Python's word for an abstract method."""


def said(pattern: re.Pattern[str], allowed: dict[str, str]) -> list[str]:
    found = []
    for path, text in texts():
        if path not in allowed:
            found += [f"{path}:{text.count(chr(10), 0, m.start()) + 1} {m.group()}" for m in pattern.finditer(text)]
    return found


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert said(SOMEBODYS_MACHINE, {}) == []


def test_nothing_is_left_for_later() -> None:
    assert said(LATER, ABSTRACT) == []


def test_the_whole_repository_is_read() -> None:
    paths = {path for path, _ in texts()}
    here = "tests/tidy/test_words.py"
    assert {"pyproject.toml", here, "src/your_short_trade_margin_call/rules/jit.py"} <= paths
    assert not {path for path in paths if path.startswith((".venv", ".git/", "data/"))}
    assert all((ROOT / path).is_file() for path in paths)


@pytest.mark.parametrize(
    ("text", "noticed"),
    [
        ("see /" + "work/notes", True),
        ("see '/" + "home/anna/x'", True),
        ("C:\\" + "Users\\anna", True),
        ("https://example.org/" + "work/item", False),
        ("../shared/data", False),
        ("$HOME/" + "work/x", False),
    ],
)
def test_what_counts_as_a_place(text: str, noticed: bool) -> None:
    assert bool(SOMEBODYS_MACHINE.search(text)) == noticed
