"""The only place that builds concrete parts, for every command and for MainEngine.

`request` says what was asked; `markets` chooses the market and loads what belongs to it; `parts` builds engines,
`cluster` the executor of their sweeps; `sessions` builds what trades. `live` is about Bybit: reaching it, asking it,
trading on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.composition.cluster import cluster_at
from your_short_trade_margin_call.composition.markets import (
    INVENTED_NOTICE,
    choose_market,
    prepare,
)
from your_short_trade_margin_call.composition.parts import make_backtest_engine, make_optimizer
from your_short_trade_margin_call.composition.request import SIMULATED_SPEED, Prepared, Request

if TYPE_CHECKING:
    from your_short_trade_margin_call.composition.sessions import TradingSession, make_trading_session

__all__ = [
    "INVENTED_NOTICE",
    "SIMULATED_SPEED",
    "Prepared",
    "Request",
    "TradingSession",
    "choose_market",
    "cluster_at",
    "make_backtest_engine",
    "make_optimizer",
    "make_trading_session",
    "prepare",
]


def __getattr__(name: str) -> Any:
    """What trades is loaded on first use: a command that only optimises does not wait for it."""
    if name not in ("TradingSession", "make_trading_session"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from your_short_trade_margin_call.composition import sessions

    return getattr(sessions, name)
