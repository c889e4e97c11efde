"""The Python of every page runs, on made candles."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.docs.pages import DOCS, all_pages, blocks, name_of
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate

PAGES = [page for page in all_pages() if blocks(page, "python")]


def made_candles(path: Path) -> None:
    candles = generate(SyntheticMarket(symbol="BTCUSDT", seed=5, minutes=2 * 1_440))
    columns = ("open", "high", "low", "close", "volume")
    pl.DataFrame({"ts": candles.time_ms, **{name: getattr(candles, name) for name in columns}}).write_parquet(path)


def test_the_python_page_has_examples() -> None:
    assert DOCS / "how-to" / "python.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=[name_of(page) for page in PAGES])
def test_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Snippet after snippet in one namespace, as a reader would type them."""
    made_candles(tmp_path / "BTCUSDT_3m.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(page, "python"), start=1):
        exec(compile(block.text, f"{page.name}, example {number}", "exec"), names)
    shown = capsys.readouterr().out
    assert page.name != "python.md" or "chosen on:" in shown
    assert page.name != "wide-grids.md" or "84000 1000\nshape: (3, 2)" in shown


def test_what_the_comments_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_candles(tmp_path / "BTCUSDT_3m.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(blocks(DOCS / "how-to" / "python.md", "python")[0].text, names)
    sweep, result, candles = (names[name] for name in ("sweep", "result", "candles"))
    assert isinstance(sweep.table, pl.DataFrame)  # type: ignore[attr-defined]
    assert len(sweep.table) == sweep.trials == 336  # type: ignore[attr-defined]
    assert isinstance(sweep.best, names["StrategyParams"])  # type: ignore[attr-defined, arg-type]
    assert isinstance(result.trades, pl.DataFrame)  # type: ignore[attr-defined]
    assert len(result.trades) == result.metrics.trades  # type: ignore[attr-defined]
    assert len(result.equity) == len(candles)  # type: ignore[attr-defined, arg-type]
    assert isinstance(result.blocked, dict)  # type: ignore[attr-defined]
