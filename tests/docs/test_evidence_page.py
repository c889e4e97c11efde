"""The page about evidence says what the rules are, and its tables are those that its command writes."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from benchmarks import evidence as table_of_records
from benchmarks.choosers import CHOOSERS, Chooser, Compared, by_profit, compare, middle_set

from tests.cli.face import candle_file
from tests.docs.pages import DOCS, section, table, text_of
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.chance import ACCOUNTS
from your_short_trade_margin_call.research.evidence import LEAST_TRADES, LEVEL, PROMISE_KEPT, STAKES
from your_short_trade_margin_call.research.scan import SCAN_ALPHA, needed_among
from your_short_trade_margin_call.research.statistics.e_values import TOTAL_ALPHA, alpha_share
from your_short_trade_margin_call.settings import ParameterGrid, Settings

PAGE = DOCS / "evidence.md"
HEX = re.compile(r"\b[0-9a-f]{16}\b")


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_rules_are_those_of_the_program() -> None:
    said = flat(text_of(PAGE))
    assert f"({ACCOUNTS} accounts, averaged.)" in said
    assert [row[0] for row in table(section(PAGE, "The verdict"))] == ["REAL", "LUCK", "CAN'T TELL"]
    assert f"at least {LEAST_TRADES} trades" in said
    assert PROMISE_KEPT == 0.5
    assert "below half of what was promised" in said
    assert f"true mean in {100 * LEVEL:.0f} % of cases" in said
    stakes = [f"{stake:g}" for stake in STAKES.fractions]
    assert f"stake {', '.join(stakes[:-1])} and {stakes[-1]} times" in said
    assert f"a loss of {100 / STAKES.fractions[-1]:.1f} %" in said


def test_the_shares_are_those_of_the_program() -> None:
    said = flat(text_of(PAGE))
    assert len({alpha_share(k) for k in range(1, 11)}) == 1
    assert f"get {100 * alpha_share(1):g} % each, which takes `{1 / alpha_share(1):.0f} : 1`" in said
    assert f"share {100 * (TOTAL_ALPHA - 10 * alpha_share(1)):g} %" in said
    assert f"in {100 * TOTAL_ALPHA:.0f} of 100 cases" in said
    assert f"at most {100 * SCAN_ALPHA:.0f} % are false" in said
    assert f"one alone needs `{math.exp(needed_among(10)):.0f} : 1`" in said


def test_the_measured_tables_agree_with_themselves() -> None:
    measured = text_of(PAGE).split(table_of_records.BEGIN)[1].split(table_of_records.END)[0]
    rows = table(measured)
    verdicts = [row[-1] for row in rows]
    assert [row[0] for row in rows] == [str(k) for k in range(1, len(rows) + 1)]
    counts = ", ".join(f"{verdict} {verdicts.count(str(verdict))}" for verdict in Verdict)
    assert f"one procedure: {counts}" in measured
    assert f"{sum(int(row[7]) for row in rows):,} closed trades" in measured
    files = [line for line in measured.splitlines() if re.match(r"\d+\. `", line)]
    assert len(files) == len(rows)
    assert all(HEX.search(line) for line in files)
    assert (
        f"(hash {Settings().fingerprint()}, seed {Settings().seed}) and grid ({len(ParameterGrid())} trials)"
        in measured
    )
    assert (DOCS / "evidence.svg").read_text(encoding="utf-8").count('fill="url(#hatch)"') == len(rows) + 1


def test_what_is_offered_follows_from_the_second_table() -> None:
    """No objective is an option of the command line, because no interval lies above zero."""
    before, measured = text_of(PAGE).split(table_of_records.BEGIN)
    rows = table(measured, 1)
    assert [row[0] for row in rows] == [chooser.name for chooser in CHOOSERS]
    lows = [float(row[4].split(" to ")[0]) for row in rows[1:]]
    assert max(lows) <= 0.0
    assert "No other way of choosing delivered more than the default" in measured
    assert "so none is offered as an option" in flat(before)
    assert f"({100 * LEVEL:.0f} %, stationary bootstrap over the folds of all files" in flat(before)


@pytest.mark.parametrize(("low", "said"), [(0.1, "delivered over 3 folds"), (-0.1, "No other way of choosing")])
def test_the_conclusion_follows_from_the_intervals(low: float, said: str) -> None:
    default = Compared("usual", 1.0, 0.0, 3, 1, 0, 0.0, 0.0, 0.0)
    other = Compared("other", 1.0, 0.2, 3, 1, 0, 0.2, low, 0.5)
    conclusion = table_of_records.conclusion([default, other])
    assert said in conclusion
    assert ("*other*" in conclusion) == other.is_better == (low > 0.0)


# ---- the command that writes them ----------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recorded")
    return [
        str(candle_file(folder / f"{symbol}_3m.parquet", days=4, symbol=symbol, seed=k))
        for k, symbol in enumerate(("BTCUSDT", "ETHUSDT"))
    ]


def test_anybody_can_write_the_tables(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"before\n{table_of_records.BEGIN}\nyesterday\n{table_of_records.END}\nafter\n")
    table_of_records.main(files, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "yesterday" not in text
    record = BacktestEngine(Settings()).walk_forward(Candles.from_parquet(Path(files[1]), symbol="ETHUSDT"))
    row = table(text)[1]
    assert row[1] == "ETHUSDT"
    assert row[4] == f"{record.evidence.mean_pct:+.2f} %"
    assert row[7:9] == [str(record.evidence.trades), "0"]
    assert row[-1] == record.verdict
    assert {line[0] for line in table(text, 1)} == {chooser.name for chooser in CHOOSERS}
    assert Candles.from_parquet(Path(files[0]), symbol="BTCUSDT").content_hash in text
    assert page.with_suffix(".svg").read_text().startswith("<svg ")


def test_a_file_with_little_in_it_is_left_out(files: list[str], tmp_path: Path) -> None:
    gap = {"gaps": ((1_767_225_600_000 + 3_600_000, 1_767_225_600_000 + 80 * 3_600_000),)}
    hollow = candle_file(tmp_path / "SOLUSDT.parquet", days=4, symbol="SOLUSDT", **gap)
    page = tmp_path / "evidence.md"
    page.write_text(f"{table_of_records.BEGIN}\n{table_of_records.END}\n")
    table_of_records.main([*files, str(hollow)], page)
    assert len(table(page.read_text())) == 2
    assert "candles are missing: `SOLUSDT.parquet`" in page.read_text()


def test_choosers_are_compared_fold_by_fold(files: list[str]) -> None:
    candles, engine = Candles.from_parquet(Path(files[0]), symbol="BTCUSDT"), BacktestEngine(Settings())
    first, second = (walk(engine, candles) for walk in (by_profit, middle_set))
    best, fixed = compare({"best": [first], "fixed": [second]})
    assert best.folds == fixed.folds == len(first.walk.returns)
    assert best.delivered_pct == pytest.approx(first.evidence.mean_pct)
    assert (best.beyond_pct, best.low_pct, best.high_pct, best.is_better) == (0.0, 0.0, 0.0, False)
    assert fixed.beyond_pct == pytest.approx(fixed.delivered_pct - best.delivered_pct)
    assert fixed.low_pct < fixed.beyond_pct < fixed.high_pct
    assert {one.params for one in second.walk.choices if one.params} == {second.walk.choices[0].params}


def test_another_way_of_choosing_can_be_added(files: list[str]) -> None:
    cautious = Chooser("half the balance", lambda engine, candles: engine.walk_forward(
        candles, ParameterGrid(risk_fraction=(0.5,))
    ))  # fmt: skip
    candles = table_of_records.candles_of(Path(files[0]))
    found = [table_of_records.measure(Path(files[0]), candles, (*CHOOSERS, cautious))]
    assert "| half the balance |" in "\n".join(table_of_records.comparison(found, (*CHOOSERS, cautious)))
