"""Best parameters: what is written where, what is refused, what is kept."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from your_short_trade_margin_call.adapters.storage.artefacts import (
    load_best_params,
    params_of,
    save_best_params,
    write_sweep_table,
)
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.research.table import Column, as_polars

from . import workers
from .builders import FULL, a_document, failing


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data")


def own(paths: Paths, market: str = "bybit") -> Path:
    return paths.pair_best_params("BTCUSDT", market)


def test_both_files_are_written_and_read_back(paths: Paths) -> None:
    saved = save_best_params(paths, a_document())
    assert saved.written == (own(paths), paths.best_params)
    assert saved.notes == ()
    for path in saved.written:
        document = load_best_params(path, "BTCUSDT")
        assert document == a_document()
        assert params_of(document) == StrategyParams(50, ExitType.HIGHEST_LOW, 0.5, 0.0044)


def test_equal_documents_are_equal_bytes(paths: Paths) -> None:
    first, second = (save_best_params(paths, a_document()).written[0].read_bytes() for _ in range(2))
    assert first == second


def test_an_invented_market_never_replaces_a_real_one(paths: Paths) -> None:
    save_best_params(paths, a_document())
    saved = save_best_params(paths, a_document(market="simulated"))
    assert saved.written == (own(paths, "simulated"),)
    assert "real market" in saved.notes[0]
    assert load_best_params(paths.best_params)["market"] == "bybit"
    assert load_best_params(own(paths))["market"] == "bybit"


def test_a_file_without_a_market_counts_as_real(paths: Paths) -> None:
    paths.root.mkdir()
    paths.best_params.write_text('{"highest_high_lookback": 50}')
    assert save_best_params(paths, a_document(market="simulated")).written == (own(paths, "simulated"),)
    assert paths.best_params.read_text() == '{"highest_high_lookback": 50}'


@pytest.mark.parametrize(("before", "after"), [("simulated", "simulated"), ("simulated", "bybit"), ("bybit", "replay")])
def test_otherwise_the_latest_stands(paths: Paths, before: str, after: str) -> None:
    save_best_params(paths, a_document(market=before))
    save_best_params(paths, a_document(market=after, seed=7))
    shared = load_best_params(paths.best_params)
    assert (shared["market"], shared["seed"]) == (after, 7)


@pytest.mark.parametrize("market", ["bybit", "simulated"])
@pytest.mark.parametrize("content", ["{half", '{"schema_version": 2, "market": "simulated"}'])
def test_what_cannot_be_understood_is_kept_aside_then_replaced(paths: Paths, market: str, content: str) -> None:
    own(paths, market).parent.mkdir(parents=True)
    for path in (own(paths, market), paths.best_params):
        path.write_text(content)
    saved = save_best_params(paths, a_document(market=market))
    assert saved.written == (own(paths, market), paths.best_params)
    for path, note in zip(saved.written, saved.notes, strict=True):
        kept = Path(f"{path}.corrupt-1")
        assert kept.read_text() == content
        assert str(kept) in note
        assert load_best_params(path)["market"] == market


def test_saving_and_an_invented_market_racing_leave_the_real_one(paths: Paths) -> None:
    context = multiprocessing.get_context("spawn")
    racers = [
        context.Process(target=workers.save_often, args=(paths.root, market, 15)) for market in ("bybit", "simulated")
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert load_best_params(paths.best_params)["market"] == "bybit"


def test_a_full_disk_leaves_the_old_files(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    save_best_params(paths, a_document())
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(FULL))
        with pytest.raises(DiskError, match="No space"):
            save_best_params(paths, a_document(seed=7))
    assert load_best_params(paths.best_params) == load_best_params(own(paths)) == a_document()


def test_absent_says_what_to_run(paths: Paths) -> None:
    with pytest.raises(ArtefactError, match="optimize"):
        load_best_params(paths.best_params)


def test_corrupt_is_kept_aside_unless_the_user_named_it(paths: Paths) -> None:
    paths.root.mkdir()
    paths.best_params.write_text("{half")
    with pytest.raises(ArtefactError, match="left where it is"):
        load_best_params(paths.best_params, move_corrupt=False)
    assert paths.best_params.read_text() == "{half"
    with pytest.raises(ArtefactError, match="corrupt-1"):
        load_best_params(paths.best_params)
    assert Path(f"{paths.best_params}.corrupt-1").read_text() == "{half"


def test_another_pairs_parameters_are_refused(paths: Paths) -> None:
    save_best_params(paths, a_document())
    with pytest.raises(ArtefactError, match="BTCUSDT, not of ETHUSDT"):
        load_best_params(paths.best_params, "ETHUSDT")


def write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_newer_schema_is_refused_and_left(tmp_path: Path) -> None:
    path = write(tmp_path / "best.json", {"schema_version": 2})
    with pytest.raises(ArtefactError, match="schema_version 2"):
        load_best_params(path)
    assert path.exists()


@pytest.mark.parametrize("field", a_document())
def test_each_missing_field_is_named(tmp_path: Path, field: str) -> None:
    document = a_document()
    del document[field]
    with pytest.raises(ArtefactError, match=f"no field {field}"):
        load_best_params(write(tmp_path / "best.json", document))
    with pytest.raises(ArtefactError, match=f"no field {field}"):
        save_best_params(Paths(tmp_path), document)


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ("params", "highest_high_lookback", 50.5),
        ("params", "highest_high_lookback", True),
        ("params", "highest_high_lookback", 0),
        ("params", "exit_type", "moon"),
        ("params", "exit_type", ["highest_low"]),
        ("params", "risk_fraction", "0.5"),
        ("params", "risk_fraction", 1.5),
        ("params", "take_profit_pct", None),
        ("params", "stop_loss_pct", 10**400),
        ("params", "max_hold_ms", 1.5),
        ("candles", "hash", 5),
        ("candles", "count", None),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, place: str, field: str, value: object) -> None:
    document = a_document()
    document[place][field] = value
    with pytest.raises(ArtefactError, match=field) as caught:
        load_best_params(write(tmp_path / "best.json", document))
    assert caught.value.cure


@pytest.mark.parametrize(("field", "value"), [("params", []), ("symbol", ""), ("seed", "42"), ("schema_version", 0)])
def test_a_wrong_field_of_the_document_is_named(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(ArtefactError, match=field):
        load_best_params(write(tmp_path / "best.json", a_document(**{field: value})))


def test_parameters_that_are_off_by_default_may_be_absent_and_evidence_null(tmp_path: Path) -> None:
    document = a_document(evidence=None)
    del document["params"]["stop_loss_pct"]
    del document["params"]["max_hold_ms"]
    params = params_of(load_best_params(write(tmp_path / "best.json", document)))
    assert (params.stop_loss_pct, params.max_hold_ms) == (None, None)


def test_a_sweep_table_is_written_whole_or_not_at_all(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    path = paths.sweep_table("BTCUSDT", "bybit")
    table = {
        "highest_high_lookback": Column(np.array([10, 20])),
        "pnl_pct": Column(np.array([0.5, 0.0]), np.array([True, False])),
    }
    write_sweep_table(path, table)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(FULL))
        with pytest.raises(DiskError):
            write_sweep_table(path, {"pnl_pct": Column(np.array([1.5]))})
    assert pl.read_parquet(path).equals(as_polars(table))
    assert os.listdir(path.parent) == ["sweep.parquet"]


@pytest.mark.parametrize("content", ['{"my": "notes"}', '{"schema_version": 1}', '{"schema_version": 1, "a": [NaN]}'])
def test_somebody_elses_json_is_kept_aside_not_overwritten(content: str, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.best_params.write_text(content)
    saved = save_best_params(paths, a_document())
    kept = [path for path in tmp_path.iterdir() if "corrupt" in path.name]
    assert [path.read_text() for path in kept] == [content]
    assert any("kept aside" in note for note in saved.notes)
