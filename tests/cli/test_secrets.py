"""Neither an API key nor its secret is ever printed or written down, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.cli.face import Answer, Face
from tests.cli.look_alike import KEY, SECRET, LookAlike, at, keys_for, look_alike
from tests.shares import late

MARKS = (KEY.encode(), SECRET.encode())
DEMO = ("--account", "demo")


@pytest.fixture
def server() -> Iterator[LookAlike]:
    with look_alike() as running:
        yield running


def tells(answer: Answer, folder: Path) -> list[str]:
    """Where a mark was found: in what was printed, or in a file below the folder."""
    printed = {"stdout": answer.out.encode(), "stderr": answer.err.encode()}
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "keys.toml"}
    return [place for place, content in (printed | files).items() if any(mark in content for mark in MARKS)]


def keys_file(folder: Path, key: str = KEY, secret: str = SECRET) -> Path:
    path = folder / "keys.toml"
    path.write_text(f'[demo]\nkey = "{key}"\nsecret = "{secret}"\n')
    path.chmod(0o600)
    return path


def test_what_goes_well_tells_nothing(face: Face, server: LookAlike) -> None:
    """As a process: what a library prints by itself is seen too."""
    debug = "--debug"
    face.data.mkdir(parents=True)
    folder, keys = face.data.parent, keys_for()
    doctor = face.process("doctor", *DEMO, "--endpoint", server.url, debug, **keys)
    assert doctor.code == 0, doctor.err
    optimized = face.process("optimize", "BTC", *at(face, server), debug, **keys)
    assert optimized.code == 0, optimized.err
    traded = face.process("BTC", *at(face, server), *DEMO, "--for", "3s", debug, **keys)
    assert traded.code == 0, traded.err
    assert "Trading on demo" in traded.out
    assert list(face.data.rglob("journal-demo-*.sqlite"))
    for answer in (doctor, optimized, traded):
        assert tells(answer, folder) == []


def test_keys_from_a_file_are_not_told_either(face: Face, server: LookAlike, tmp_path: Path) -> None:
    answer = face(*typed(face, server, True), "--keys", keys_file(tmp_path))
    assert answer.code == 0, answer.err
    assert tells(answer, tmp_path) == []


def _wrong_keys(trouble: str, folder: Path) -> tuple[dict[str, str], tuple[object, ...]]:
    """Environment and options with something wrong about the keys."""
    wrong = {
        "wrong key": keys_for(key=f"{KEY}x"),
        "wrong secret": keys_for(secret=f"{SECRET}x"),
        "half a pair": {"BYBIT_DEMO_API_KEY": KEY},
        "odd characters": keys_for(secret=f"{SECRET}\u00e4"),
    }
    if trouble in wrong:
        return wrong[trouble], ()
    path = keys_file(folder)
    if trouble == "a broken file":
        path.write_text(f'[demo]\nkey = "{KEY}\nsecret = {SECRET}\n')
    else:
        path.chmod(0o644)
    return {}, ("--keys", path)


def typed(face: Face, server: LookAlike, as_json: bool) -> list[object]:
    return ["BTC", *at(face, server), *DEMO, "--for", "2s", "--debug", *(["--json"] if as_json else [])]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "trouble", ["wrong key", "wrong secret", "half a pair", "odd characters", "a broken file", "an open file"]
)
def test_keys_that_are_wrong_are_not_told(
    face: Face, server: LookAlike, tmp_path: Path, trouble: str, as_json: bool
) -> None:
    keys, options = _wrong_keys(trouble, tmp_path)
    answer = face(*typed(face, server, as_json), *options, **keys)
    assert answer.code in (1, 2), answer.out
    assert answer.err
    assert tells(answer, tmp_path) == []


FAULTS = ("server_error", "drop_answer", "truncated", "too_many")


@pytest.mark.parametrize(
    ("fault", "as_json"),
    # In words and as JSON by turns: faults differ in what is told, not in how.
    [case if place % 4 in (0, 3) else late(*case) for place, case in enumerate(product(FAULTS, (False, True)))],
)
def test_what_goes_wrong_while_trading_tells_nothing(
    face: Face, server: LookAlike, tmp_path: Path, fault: str, as_json: bool
) -> None:
    for path in ("/v5/order/create", "/v5/execution/list"):
        server.do(lambda path=path: server.server.faults.plan(fault, path=path, times=3))  # type: ignore[misc]
    answer = face(*typed(face, server, as_json), **keys_for())
    assert tells(answer, tmp_path) == []


def test_a_defect_tells_nothing(face: Face, server: LookAlike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("your_short_trade_margin_call.adapters.bybit.venue.BybitVenue.account", _broken)
    answer = face(*typed(face, server, False), **keys_for())
    assert answer.code == 3
    assert "a defect near" in answer.err
    assert tells(answer, tmp_path) == []


def _broken(venue: object, _since_ms: int) -> None:
    raise RuntimeError(f"a defect near {venue!r} {vars(venue)}")


def test_the_marks_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"..." + MARKS[1] + b"...")
    assert tells(Answer(0, KEY, ""), tmp_path) == ["stdout", str(tmp_path / "file")]
