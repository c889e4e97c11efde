"""The table of failure modes (docs/reliability.md): every mode names tests, and every test it names exists."""

import re

from tests.docs.pages import ROOT

MODES = 37
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _rows() -> dict[int, str]:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    return {int(number): tests for number, _, tests in _ROW.findall(text)}


def test_every_failure_mode_has_a_row_with_a_test():
    rows = _rows()
    assert sorted(rows) == list(range(1, MODES + 1))
    assert not [number for number, tests in rows.items() if not _TEST.search(tests)]


def test_every_test_named_exists():
    missing = []
    for number, tests in _rows().items():
        for path, name in _TEST.findall(tests):
            file = ROOT / path
            if not file.exists() or not re.search(rf"def {name}\(", file.read_text(encoding="utf-8")):
                missing.append(f"mode {number}: {path}::{name}")
    assert not missing
