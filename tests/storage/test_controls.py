"""The trader's wishes; an unknown wish is a pause."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from your_short_trade_margin_call.adapters.storage.controls import Controls, read_controls, write_controls
from your_short_trade_margin_call.domain.errors import DiskError

from .builders import FULL, failing


@pytest.mark.parametrize("paused", [True, False])
@pytest.mark.parametrize("flatten", [True, False])
def test_what_is_written_is_read(tmp_path: Path, paused: bool, flatten: bool) -> None:
    path = tmp_path / "BTCUSDT" / "controls.json"
    write_controls(path, Controls(paused, flatten))
    assert read_controls(path) == Controls(paused, flatten)


def test_without_a_file_there_are_no_wishes(tmp_path: Path) -> None:
    assert read_controls(tmp_path / "controls.json") == Controls(paused=False, flatten=False)


def test_what_is_not_said_is_not_wished(tmp_path: Path) -> None:
    path = tmp_path / "controls.json"
    path.write_text('{"paused": true}')
    assert read_controls(path) == Controls(paused=True)


@pytest.mark.parametrize(
    "content",
    ["", "{half", "[]", '{"paused": "no"}', '{"paused": 0}', '{"pause": true}', '{"schema_version": 2}'],
)
def test_an_unknown_wish_is_a_pause_that_lasts(tmp_path: Path, content: str) -> None:
    path = tmp_path / "controls.json"
    path.write_text(content)
    for _ in range(3):
        controls = read_controls(path)
        assert (controls.paused, controls.flatten) == (True, False)
        assert "resume" in controls.note
    assert path.read_text() == content


def test_a_file_that_cannot_be_read_is_a_pause(tmp_path: Path) -> None:
    assert read_controls(tmp_path).paused


def test_writing_over_a_corrupt_file_keeps_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "controls.json"
    path.write_text("{half")
    write_controls(path, Controls())
    assert read_controls(path) == Controls()
    assert (tmp_path / "controls.json.corrupt-1").read_text() == "{half"


def test_a_full_disk_leaves_the_old_wishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "controls.json"
    write_controls(path, Controls(paused=True))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(FULL))
        with pytest.raises(DiskError):
            write_controls(path, Controls())
    assert read_controls(path) == Controls(paused=True)
