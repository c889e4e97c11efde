"""Whole files are old or new, never half; what is corrupt is kept."""

from __future__ import annotations

import builtins
import errno
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.adapters.storage import files
from your_short_trade_margin_call.adapters.storage.files import (
    dump_json,
    locked,
    make_way,
    read_json,
    set_aside,
    sync_folder,
    write_atomically,
    write_json,
    written_whole,
)
from your_short_trade_margin_call.domain.errors import ArtefactError, BusyError, DiskError

from .builders import DENIED, FULL, READ_ONLY, failing


class FullFile(io.BytesIO):
    """A file on a disk that is full as soon as something is written."""

    write = failing(FULL)


def test_writes_text_and_bytes_into_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(path.parent) == ["file"]


STEPS = {
    "open": (builtins, "open", failing(FULL)),
    "write": (builtins, "open", lambda *_: FullFile()),
    "fsync": (os, "fsync", failing(FULL)),
    "replace": (os, "replace", failing(FULL)),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_at_any_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(*STEPS[step])
        with pytest.raises(DiskError) as caught:
            write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.json"]
    assert str(path) in caught.value.message
    assert "No space left" in caught.value.message
    assert "SHORTEST_PEAK_DATA_DIR" in caught.value.cure


@pytest.mark.parametrize(("code", "word"), [(READ_ONLY, "Mount"), (DENIED, "writable"), (errno.EIO, "Check")])
def test_every_reason_has_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, word: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(code))
        with pytest.raises(DiskError, match=word):
            write_atomically(tmp_path / "file", "new")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DiskError):
        write_atomically(tmp_path / "taken" / "file", "new")


def test_an_interrupt_in_the_middle_cleans_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "file", "new")
    assert os.listdir(tmp_path) == []


def test_a_killed_writers_leftover_is_neither_used_nor_in_the_way(tmp_path: Path) -> None:
    leftover = tmp_path / f".file.{os.getpid()}-0.tmp"
    leftover.write_text("half")
    write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert leftover.read_text() == "half"


def test_a_long_file_is_there_when_it_is_whole_and_never_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table"
    with written_whole(path) as file:
        file.write(b"first ")
        assert not path.exists()
        file.write(b"second")
    assert path.read_bytes() == b"first second"

    def interrupt() -> None:
        raise KeyboardInterrupt

    def write_half(then: Callable[..., object]) -> None:
        with written_whole(path) as file:
            file.write(b"half")
            then()

    with pytest.raises(KeyboardInterrupt):
        write_half(interrupt)
    with pytest.raises(DiskError, match="Free some space"):
        write_half(failing(FULL))
    assert os.listdir(path.parent) == ["table"]
    assert path.read_bytes() == b"first second"


def test_what_a_killed_writer_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, fresh, other = (tmp_path / name for name in (".table.7-0.tmp", ".table.8-0.tmp", ".tables.7-0.tmp"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    with written_whole(tmp_path / "table") as file:
        file.write(b"whole")
    assert sorted(os.listdir(tmp_path)) == [".table.8-0.tmp", ".tables.7-0.tmp", "table"]


def test_a_folder_that_cannot_be_synchronised_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EINVAL))
        sync_folder(tmp_path)
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            sync_folder(tmp_path)


def test_json_keeps_order_writes_exact_floats_and_never_nan() -> None:
    assert dump_json({"z": 0.1 + 0.2, "a": {"e": "\u00e9"}}) == (
        '{\n  "z": 0.30000000000000004,\n  "a": {\n    "e": "\\u00e9"\n  }\n}\n'
    )
    assert json.loads(dump_json([math.nan, math.inf, -math.inf, (1, True)])) == [None, None, None, [1, True]]


def test_numpy_numbers_become_plain_ones() -> None:
    numbers = [np.float64(0.25), np.int64(7), np.bool_(True), np.float32(math.nan)]
    assert json.loads(dump_json(numbers)) == [0.25, 7, True, None]
    with pytest.raises(TypeError):
        dump_json({"path": Path("x")})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), json_values))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("json") / "file.json"
    write_json(path, document)
    assert read_json(path) == document


def test_absent_is_none_and_a_byte_order_mark_or_nan_is_tolerated(tmp_path: Path) -> None:
    assert read_json(tmp_path / "absent.json") is None
    path = tmp_path / "file.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": NaN, "b": Infinity}')
    assert read_json(path) == {"a": None, "b": None}


CORRUPT = [b"", b"{", b"[1]", b"null", b'{"a": \xff}', b"\x00" * 100, b"[" * 100_000]


@pytest.mark.parametrize("content", CORRUPT, ids=lambda content: repr(content[:8]))
def test_a_corrupt_file_is_kept_aside_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError) as caught:
        read_json(path)
    kept = tmp_path / "file.json.corrupt-1"
    assert kept.read_bytes() == content
    assert str(kept) in caught.value.message
    assert caught.value.cure
    assert read_json(path) is None


def test_many_corrupt_files_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for n in range(12):
        path.write_text(f"broken {n}")
        with pytest.raises(ArtefactError):
            read_json(path)
    kept = {kept.name: kept.read_text() for kept in tmp_path.iterdir()}
    assert kept == {f"file.json.corrupt-{n + 1}": f"broken {n}" for n in range(12)}


def test_the_first_free_number_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file.corrupt-2").write_text("second")
    for expected in ("file.corrupt-1", "file.corrupt-3"):
        (tmp_path / "file").write_text("x")
        assert set_aside(tmp_path / "file").name == expected
    assert (tmp_path / "file.corrupt-2").read_text() == "second"


def test_a_corrupt_file_that_cannot_be_moved_stays_and_is_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    path.write_text("broken")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(READ_ONLY))
        with pytest.raises(ArtefactError, match="left where it is"):
            read_json(path)
        with pytest.raises(DiskError):
            make_way(path)
    assert path.read_text() == "broken"
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_file_may_be_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("broken")
    with pytest.raises(ArtefactError, match="left where it is"):
        read_json(path, move_corrupt=False)
    assert path.read_text() == "broken"


def test_a_folder_in_place_of_the_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="could not be read"):
        read_json(tmp_path)


def test_make_way_moves_only_what_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    assert make_way(path) is None
    write_json(path, {"fine": True})
    assert make_way(path) is None
    path.write_text("broken")
    assert make_way(path) == tmp_path / "file.json.corrupt-1"
    assert not path.exists()


def test_a_lock_is_exclusive_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file.json"
    with locked(path):
        with pytest.raises(BusyError) as caught, locked(path, timeout_s=0.05):
            pass
        assert caught.value.cure
    with locked(path, timeout_s=0):
        pass


def test_a_lock_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DiskError, match="locked"), locked(tmp_path / "taken" / "file"):
        pass
    assert files.LOCK_TIMEOUT_S == 10.0
