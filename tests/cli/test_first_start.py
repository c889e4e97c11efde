"""The first start of a version: small work is interpreted, and the rules are compiled beside it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.cli.face import Face
from your_short_trade_margin_call.adapters.storage.files import is_in_use, locked
from your_short_trade_margin_call.commands import first_start
from your_short_trade_margin_call.commands.first_start import LOCK_NAME, is_small_work, promptly
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.research.sweep_kernel import run_paths
from your_short_trade_margin_call.rules.interpreted import is_interpreting
from your_short_trade_margin_call.rules.jit import kernels_folder, source_hash

OPTIMIZE = ("optimize", "BTC", "--json")


def kept(folder: Path) -> list[Path]:
    """The sweep's kernel, if it is there."""
    return list(folder.rglob("*run_paths-*.nbi"))


def result_of(answer: str) -> dict[str, object]:
    document = json.loads(answer)
    del document["elapsed_s"]
    return document


def test_a_day_is_interpreted_with_the_same_result(face: Face, tmp_path: Path) -> None:
    folder = tmp_path / "kernels" / source_hash()
    with locked(folder / LOCK_NAME):  # as if another process compiled already: none is begun
        answer = face.process(*OPTIMIZE, NUMBA_CACHE_DIR=str(folder.parent))
    assert answer.code == 0, answer.err
    assert "its rules are interpreted" in " ".join(answer.err.split())
    assert not list(folder.rglob("*.nb?"))
    usual = face.process(*OPTIMIZE)
    assert result_of(answer.out) == result_of(usual.out)


def test_only_what_is_said_first_is_a_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    screen = cast(Screen, SimpleNamespace(say=said.append))
    monkeypatch.setattr(first_start, "is_compiled", lambda _kernel: False)
    monkeypatch.setattr(first_start, "_BESIDE", [])
    first_start.warn_of_compiling(screen)
    monkeypatch.setattr(first_start, "_BESIDE", ["a process that compiles"])
    first_start.warn_of_compiling(screen)
    assert [line.startswith("First run") for line in said] == [True, False]
    assert all("takes about a minute" in line for line in said)


@pytest.mark.long
def test_the_rules_are_compiled_in_the_background(face: Face, tmp_path: Path) -> None:
    folder = tmp_path / "kernels" / source_hash()
    first = face.process(*OPTIMIZE, NUMBA_CACHE_DIR=str(folder.parent))
    assert "its rules are interpreted" in " ".join(first.err.split())
    for _ in range(3_000):
        if kept(folder) and not is_in_use(folder / LOCK_NAME):
            break
        time.sleep(0.1)
    assert kept(folder)
    names = {file.name.partition("-")[0] for file in folder.rglob("*.nbi")}
    assert {"alone_kernel.go_alone", "wealth_kernel.bet", "entry.plan_entry"} <= names
    second = face.process(*OPTIMIZE, NUMBA_CACHE_DIR=str(folder.parent))
    assert "First run" not in second.err
    assert result_of(second.out) == result_of(first.out)


def test_compile_says_where_it_keeps_them(face: Face) -> None:
    answer = face.process("compile", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["folder"] == str(kernels_folder())
    assert "kept in" in answer.err
    assert kept(Path(str(kernels_folder())))
    assert not face.data.exists()


def test_compile_needs_a_folder(face: Face, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = face.process("compile", NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert answer.code == 3
    assert "NUMBA_CACHE_DIR" in answer.err


def test_what_is_small() -> None:
    assert is_small_work(480, 336)
    assert is_small_work(15_000, 1)
    assert not is_small_work(15_000, 336)
    assert not is_small_work(480, 14_400)


@pytest.fixture
def never_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is at hand, and nobody else compiles; what would be begun is noted."""
    begun: list[str] = []
    monkeypatch.setattr(first_start, "is_compiled", lambda kernel: kernel is not run_paths)
    monkeypatch.setattr(first_start, "kernels_folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(first_start.subprocess, "Popen", lambda words, **_: begun.append(words[-1]))
    return begun


def test_small_work_is_interpreted_until_the_rules_are_compiled(
    never_compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert promptly(is_interpreting)
    assert not promptly(is_interpreting, is_small=False)
    monkeypatch.setattr(first_start, "is_compiled", lambda _: True)
    assert not promptly(is_interpreting)


@pytest.mark.parametrize("refusal", [ZeroDivisionError, OverflowError, ValueError])
def test_what_the_interpreter_refuses_is_done_again_compiled(
    never_compiled: list[str], refusal: type[Exception]
) -> None:
    def work() -> str:
        if is_interpreting():
            raise refusal
        return "compiled"

    assert promptly(work) == "compiled"


def test_one_process_compiles_at_a_time(never_compiled: list[str], face: Face, few: Path, tmp_path: Path) -> None:
    assert face("optimize", "BTC", "--grid", few).code == 0
    assert never_compiled == ["compile"]
    with locked(tmp_path / "kernels" / LOCK_NAME):
        answer = face("optimize", "BTC", "--grid", few)
    assert answer.code == 0
    assert never_compiled == ["compile"]


def test_where_no_process_can_be_started_the_result_is_the_same(
    never_compiled: list[str], face: Face, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(first_start.subprocess, "Popen", refused)
    answer = face("optimize", "BTC", "--grid", few)
    assert answer.code == 0
    assert "its rules are interpreted." in " ".join(answer.out.replace("SIMULATED", "").split())
    assert never_compiled == []
