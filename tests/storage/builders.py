"""Small, complete examples of what is stored."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, NoReturn

from your_short_trade_margin_call.domain.messages import Execution, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderType, Purpose, Side


def a_document(**changes: Any) -> dict[str, Any]:
    """Best parameters as `optimize` writes them."""
    return {
        "schema_version": 1,
        "generated_at": "2025-06-01T00:00:00Z",
        "symbol": "BTCUSDT",
        "market": "bybit",
        "candles": {"start_ms": 0, "end_ms": 86_400_000, "count": 480, "hash": "abc"},
        "settings_hash": "def",
        "settings": {"leverage": 3.0},
        "seed": 42,
        "program_version": "1.0.0",
        "elapsed_s": 1.5,
        "params": {
            "highest_high_lookback": 50,
            "exit_type": "highest_low",
            "risk_fraction": 0.5,
            "take_profit_pct": 0.0044,
            "stop_loss_pct": None,
            "max_hold_ms": None,
        },
        "results": {"pnl_pct": 2.1},
        "evidence": {"verdict": "LUCK"},
        **changes,
    }


def an_entry(link_id: str = "BTCUSDT-1-entry-0", **changes: Any) -> OrderRequest:
    """An entry order, with every field that an entry has."""
    fields: dict[str, Any] = {
        "link_id": link_id,
        "purpose": Purpose.ENTRY,
        "side": Side.SELL,
        "order_type": OrderType.MARKET,
        "lots": 13,
        "attached_stop_ticks": 1_300_000,
        "leverage": 3.0,
        **changes,
    }
    return OrderRequest(**fields)


def an_execution(
    exec_id: str, side: Side = Side.SELL, lots: int = 1, price_ticks: float = 1000.0, **changes: Any
) -> Execution:
    """A fill; 0.1 USDT of fee unless told otherwise."""
    fields: dict[str, Any] = {
        "exec_id": exec_id,
        "link_id": "an-order",
        "kind": ExecutionKind.TRADE,
        "side": side,
        "lots": lots,
        "price_ticks": price_ticks,
        "fee_usdt": 0.1,
        "is_maker": False,
        "time_ms": 1_000,
        "candle_ms": 0,
        **changes,
    }
    return Execution(**fields)


def a_trade(entry_time: int, **changes: Any) -> dict[str, object]:
    """A trade row."""
    return {
        "entry_time": entry_time,
        "exit_time": entry_time + 360_000,
        "entry_price": 100.5,
        "exit_price": 100.0,
        "quantity": 0.013,
        "leverage": 3.0,
        "target_price": 100.0,
        "target_source": "level",
        "liquidation_price": 133.2,
        "margin_call_price": 130.0,
        "entry_fee": 0.01,
        "exit_fee": 0.005,
        "funding": 0.0,
        "pnl_value": 0.4,
        "pnl_pct": 0.08,
        "exit_reason": "target",
        "balance_after": 472.4,
        **changes,
    }


def failing(code: int) -> Callable[..., NoReturn]:
    """A stand-in for a system call that fails with this errno, whatever it is given."""

    def fail(*_args: object, **_named: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


FULL, READ_ONLY, DENIED = errno.ENOSPC, errno.EROFS, errno.EACCES
