"""Looking at the record: where it begins, its number, and that nothing which hinders it stops the cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.research.histories import FEW, HOUR, STEP, WINDOW, history
from your_short_trade_margin_call.adapters.storage.looks import Look, Looks
from your_short_trade_margin_call.domain.errors import (
    DiskError,
    EmptyCandlesError,
    ExchangeError,
    ShortestPeakError,
    TooFewCandlesError,
)
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.examiner import MOST_DAYS, Examiner
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.statistics.e_values import alpha_share
from your_short_trade_margin_call.settings import Settings

CANDLES = history(21, 24 * 12, volatility_per_minute=0.002, mark=False, funding=False)
END = CANDLES.end_ms
QUICK = Settings(window=WINDOW, reoptimize=STEP)


class Past:
    """Recorded candles that remember where from they were asked for."""

    def __init__(self, candles: Candles = CANDLES) -> None:
        self.candles = candles
        self.asked: list[int] = []

    def __call__(self, start_ms: int, until_ms: int) -> Candles:
        self.asked.append(start_ms)
        return self.candles.between(start_ms, until_ms)


def an_examiner(
    folder: Path, past: Callable[[int, int], Candles], settings: Settings = QUICK, days: float = 1.0
) -> Examiner:
    looks = Looks(folder / "looks.json")
    return Examiner("BTCUSDT", "bybit", BacktestEngine(settings), FEW, past, looks, days)


def test_a_first_look_goes_back_until_thirty_trades_have_closed(tmp_path: Path) -> None:
    past = Past()
    settings = QUICK.replace(max_hold=2 * HOUR)
    seen = an_examiner(tmp_path, past, settings).look(END)
    days = [(END - start - WINDOW) / DAY_MS for start in past.asked]
    assert days == [1.0, 2.0, 4.0, 8.0][: len(days)]
    assert len(days) > 1
    assert seen.record.walk.closed_trades >= 30
    half = BacktestEngine(settings).walk_forward(CANDLES.between(past.asked[-2], END), FEW)
    assert half.walk.closed_trades < 30, "it went further back than it had to"
    assert seen.document["from_ms"] == seen.candles.start_ms == past.asked[-1]


def test_it_goes_back_at_most_180_days(tmp_path: Path) -> None:
    """In a market that stands still no trade ever closes."""

    def still(start_ms: int, until_ms: int) -> Candles:
        asked.append((until_ms - start_ms - settings.window) // DAY_MS)
        times = np.arange(start_ms, until_ms, CANDLE_MS)
        flat = np.full(len(times), 60_000.0)
        return Candles.from_columns("BTCUSDT", times, flat, flat, flat, flat, timeframe_ms=CANDLE_MS)

    asked: list[int] = []
    settings = Settings(window=2 * DAY_MS, reoptimize=2 * DAY_MS)
    seen = an_examiner(tmp_path, still, settings, days=30).examine(END)
    assert asked == [30, 60, 120, MOST_DAYS]
    assert seen.document["trades"] == 0
    assert seen.document["verdict"] == "CAN'T TELL"


def test_where_there_are_no_more_candles_it_takes_what_there_is(tmp_path: Path) -> None:
    past = Past(CANDLES.between(END - 30 * HOUR, END))
    seen = an_examiner(tmp_path, past).look(END)
    assert past.asked == [END - DAY_MS - WINDOW, END - 2 * DAY_MS - WINDOW][: len(past.asked)]
    assert seen.candles.start_ms == END - 30 * HOUR


def test_later_looks_continue_from_the_same_start_with_the_same_number(tmp_path: Path) -> None:
    past = Past()
    examiner = an_examiner(tmp_path, past)
    first = examiner.look(END - 12 * HOUR)
    past.asked.clear()
    for k, until_ms in enumerate((END - 8 * HOUR, END), 2):
        later = examiner.look(until_ms)
        assert later.candles.start_ms == first.candles.start_ms
        assert (later.document["procedure"], later.document["looks"]) == (1, k)
        assert later.document["until_ms"] == until_ms
        assert len(later.record.walk.choices) > len(first.record.walk.choices)
    assert set(past.asked) == {first.candles.start_ms}
    assert [look.number for look in examiner.looks.all()] == [1]


def test_other_settings_are_another_procedure_with_the_next_number(tmp_path: Path) -> None:
    examiner = an_examiner(tmp_path, Past(), days=4)
    numbers = [examiner.look(END).document["procedure"]]
    for changes in ({"leverage": 4.0}, {"seed": 1}, {"leverage": 4.0}, {"starting_balance": 900.0}):
        other = replace(examiner, engine=BacktestEngine(QUICK.replace(**changes)))
        numbers.append(other.look(END).document["procedure"])
    other_grid = FEW.model_copy(update={"highest_high_lookback": (5, 10)})
    numbers += [replace(examiner, grid=other_grid).look(END).document["procedure"]]
    numbers += [replace(examiner, market="replay").look(END).document["procedure"]]
    numbers += [replace(examiner, market="simulated").look(END).document["procedure"]]
    assert numbers == [1, 2, 3, 2, 1, 4, 5, 1]


def test_a_number_taken_meanwhile_by_another_process_is_judged_by(tmp_path: Path) -> None:
    examiner = an_examiner(tmp_path, Past(), days=4)

    def meanwhile(start_ms: int, until_ms: int) -> Candles:
        for k in range(10):
            examiner.looks.remember(Look(f"other-{k}", "ETHUSDT", "bybit", 0, 1, 2))
        return CANDLES.between(start_ms, until_ms)

    seen = replace(examiner, history=meanwhile).look(END)
    assert seen.document["procedure"] == 11
    assert seen.record.evidence.chance.alpha == alpha_share(11) != alpha_share(1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EmptyCandlesError("Nothing is there.", "Fetch it."), "There is no record yet. Nothing is there. Fetch it."),
        (ExchangeError("Bybit is silent.", "Wait."), "The record cannot be made. Bybit is silent. Wait."),
        (DiskError("The disk is full.", "Free some."), "The record cannot be made. The disk is full. Free some."),
    ],
)
def test_a_history_that_fails_is_not_tested_with_the_reason(
    tmp_path: Path, error: ShortestPeakError, says: str
) -> None:
    def failing(_start_ms: int, _until_ms: int) -> Candles:
        raise error

    examiner = an_examiner(tmp_path, failing)
    seen = examiner.examine(END)
    assert (seen.seen, seen.document) == (None, {"verdict": "NOT TESTED", "reason": says})
    assert examiner.looks.all() == [], "nobody has seen anything"
    with pytest.raises(type(error)):
        examiner.look(END)


def test_too_few_candles_are_not_tested(tmp_path: Path) -> None:
    examiner = an_examiner(tmp_path, Past(CANDLES.between(END - WINDOW, END)))
    seen = examiner.examine(END)
    assert seen.document["verdict"] == "NOT TESTED"
    assert "a window and a step" in seen.document["reason"]
    with pytest.raises(TooFewCandlesError):
        examiner.look(END)


def test_a_log_that_cannot_be_read_is_not_tested(tmp_path: Path) -> None:
    examiner = an_examiner(tmp_path, Past())
    (tmp_path / "looks.json").write_text('{"schema_version": 99}')
    seen = examiner.examine(END)
    assert seen.document["verdict"] == "NOT TESTED"
    assert "another version" in seen.document["reason"]
