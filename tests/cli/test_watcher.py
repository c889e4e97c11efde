"""The watcher never stops the engine, except when nobody reads any more."""

from __future__ import annotations

import io
from typing import Any

import pytest

from your_short_trade_margin_call.commands.trading_run import FATE_UNKNOWN, what_stays
from your_short_trade_margin_call.commands.watcher import Desk, TradingWatcher
from your_short_trade_margin_call.domain.messages import Candle
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitType
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.rules.entry import new_tally
from your_short_trade_margin_call.settings import Settings
from your_short_trade_margin_call.trading.commands import RecordBlocked, RecordEntry, RecordEquity, RecordNote
from your_short_trade_margin_call.trading.state import EngineState, Halt, make_context

NOON = 1_748_606_400_000


class Stream(io.StringIO):
    """Standard output whose reader may go."""

    is_gone = False

    def write(self, text: str) -> int:
        if self.is_gone:
            raise BrokenPipeError
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


def watcher(stream: Stream, seconds: list[float] | None = None) -> TradingWatcher:
    context = make_context(Settings(), find_instrument("BTCUSDT"), 3)
    passing = iter(seconds or [0.0] * 100)
    screen = Screen(environment={"COLUMNS": "80"}, stream=stream)
    return TradingWatcher(screen, Desk(context, lambda: NOON + 3_600_000, lambda: next(passing)))


def state(**changes: object) -> EngineState:
    candles = tuple(Candle(NOON + 180_000 * k, 1000.0, 1010.0 + k, 990.0, 1000.0) for k in range(3))
    params = StrategyParams(3, ExitType.MIDPOINT, 0.5, 0.0044)
    values: dict[str, object] = {"window": candles, "params": params, "price_ticks": 1000.0, "time_ms": NOON}
    return EngineState(472.0, new_tally(472.0), **{**values, **changes})  # type: ignore[arg-type]


def test_records_become_lines(stream: Stream) -> None:
    watching = watcher(stream)
    watching.recorded(RecordBlocked(NOON, BlockReason.PAUSED), state())
    watching.recorded(RecordEquity(NOON, 472.0, 472.0), state())
    watching.recorded(RecordNote(NOON, "adopted", {"has_edge": True}), state())
    blocked, adopted = stream.getvalue().splitlines()
    assert blocked == "05-30 12:03  BLOCKED  paused: entries are paused; `resume` lifts it"
    assert adopted == "05-30 12:00  ADOPTED  lookback 3, midpoint, risk 0.5, take profit 0.44 %"


def test_the_distance_to_the_next_peak(stream: Stream) -> None:
    watching = watcher(stream)
    assert watching.now() is None
    watching.moved(state())
    now = watching.now()
    assert now is not None
    assert now.to_peak_pct == pytest.approx(1.2)  # the highest high of three is 1012 ticks, the price 1000
    assert (now.equity, now.halted, now.position) == (472.0, "", None)
    watching.moved(state(window=state().window[:2], paused=True))
    now = watching.now()
    assert now is not None
    assert (now.to_peak_pct, now.halted) == (None, "paused")


def test_the_live_line_says_why_there_are_no_entries(stream: Stream) -> None:
    watching = watcher(stream)
    causes: dict[str, dict[str, object]] = {
        "": {},
        "no_edge": {"has_edge": False},
        "exchange silent": {"halts": ((Halt.EXCHANGE_SILENT, "nobody answers"),), "has_edge": False},
        "disk trouble, clock skew": {
            "halts": ((Halt.DISK_TROUBLE, "full"),),
            "conditions": frozenset({BlockReason.CLOCK_SKEW}),
        },
        "paused, foreign order, not connected": {
            "paused": True,
            "halts": ((Halt.FOREIGN_ORDER, "by-hand"),),
            "connected": False,
        },
    }
    for words, changes in causes.items():
        watching.moved(state(**changes))
        now = watching.now()
        assert now is not None
        assert now.halted == words


def test_a_halt_is_told_in_words(stream: Stream) -> None:
    watching = watcher(stream)
    watching.recorded(RecordNote(NOON, "key_refused", {"why": "API key expired."}), state())
    text = " ".join(stream.getvalue().split())
    assert text.startswith("05-30 12:00 PROBLEM no entries: the exchange refuses the key (API key expired)")


def test_a_pipe_hears_of_the_state_now_and_then(stream: Stream) -> None:
    watching = watcher(stream, [0.0, 1.0, 14.0, 16.0, 17.0, 32.0])
    for _ in range(5):
        watching.moved(state())
    assert stream.getvalue().count("BTCUSDT") == 2


def test_a_line_that_cannot_be_shown_stops_nothing(stream: Stream) -> None:
    watching = watcher(stream)
    watching.recorded(RecordEntry(NOON, {"nonsense": float("nan")}), state())
    watching.recorded(RecordBlocked(NOON, BlockReason.PAUSED), state())
    assert "a line could not be shown" in stream.getvalue()
    assert "paused" in stream.getvalue()


def test_a_reader_that_has_gone_ends_it(stream: Stream) -> None:
    watching = watcher(stream)
    stream.is_gone = True
    with pytest.raises(BrokenPipeError):
        watching.recorded(RecordBlocked(NOON, BlockReason.PAUSED), state())


def test_an_entry_on_its_way_is_not_called_nothing(stream: Stream) -> None:
    """Stopped while nobody knows what became of an entry: the trader must look."""
    watching = watcher(stream)
    watching.moved(state())
    prepared: Any = None  # only asked where the engine never came to speak
    assert what_stays(prepared, watching, is_open=False) == "nothing"
    assert what_stays(prepared, watching, is_open=True) == FATE_UNKNOWN
