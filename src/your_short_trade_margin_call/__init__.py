"""Shortest Peak Reversal: a short-only Bybit bot that tests whether its own backtest is luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Loaded on first use: `--help` must not wait for a compiler.
_HOMES = {
    "BacktestEngine": "research.backtest_engine",
    "Candles": "market.candles",
    "LiveTradingEngine": "trading.live_trading_engine",
    "MainEngine": "main_engine",
    "ParameterGrid": "settings",
    "Settings": "settings",
    "StrategyParams": "domain.params",
}

if TYPE_CHECKING:
    from your_short_trade_margin_call.domain.params import StrategyParams
    from your_short_trade_margin_call.main_engine import MainEngine
    from your_short_trade_margin_call.market.candles import Candles
    from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
    from your_short_trade_margin_call.settings import ParameterGrid, Settings
    from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine

__all__ = [
    "BacktestEngine",
    "Candles",
    "LiveTradingEngine",
    "MainEngine",
    "ParameterGrid",
    "Settings",
    "StrategyParams",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
