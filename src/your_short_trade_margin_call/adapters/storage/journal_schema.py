"""The journal's tables, the statement of each write, and how rows become messages again.

`seq` is the order of writing. What the journal promises to hold once is UNIQUE. Money is REAL, in USDT.
Not INSERT OR IGNORE: that would also drop, silently, a row with a missing value.
"""

from __future__ import annotations

import sqlite3

from your_short_trade_margin_call.domain.messages import Execution, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderType, Purpose, Side

SCHEMA_VERSION = 1

TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE intents (
        seq INTEGER PRIMARY KEY, link_id TEXT NOT NULL UNIQUE, purpose TEXT NOT NULL, side INTEGER NOT NULL,
        order_type TEXT NOT NULL, lots INTEGER NOT NULL, price_ticks INTEGER, trigger_ticks INTEGER,
        reduce_only INTEGER NOT NULL, attached_stop_ticks INTEGER, leverage REAL,
        time_ms INTEGER NOT NULL, context TEXT NOT NULL)""",
    """CREATE TABLE outcomes (
        seq INTEGER PRIMARY KEY, link_id TEXT NOT NULL, outcome TEXT NOT NULL, time_ms INTEGER NOT NULL)""",
    "CREATE INDEX outcomes_by_link ON outcomes (link_id)",
    """CREATE TABLE executions (
        seq INTEGER PRIMARY KEY, exec_id TEXT NOT NULL UNIQUE, link_id TEXT NOT NULL, kind TEXT NOT NULL,
        side INTEGER NOT NULL, lots INTEGER NOT NULL, price_ticks REAL NOT NULL, fee_usdt REAL NOT NULL,
        is_maker INTEGER NOT NULL, time_ms INTEGER NOT NULL, candle_ms INTEGER NOT NULL,
        from_stop INTEGER NOT NULL)""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL)""",
    "CREATE INDEX events_by_kind ON events (kind)",
    """CREATE TABLE blocked (
        seq INTEGER PRIMARY KEY, candle_ms INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (candle_ms, reason))""",
    """CREATE TABLE equity (
        seq INTEGER PRIMARY KEY, candle_ms INTEGER NOT NULL UNIQUE, wallet_usdt REAL NOT NULL,
        equity_usdt REAL NOT NULL)""",
    """CREATE TABLE trades (
        seq INTEGER PRIMARY KEY, entry_time INTEGER NOT NULL UNIQUE, exit_time INTEGER, entry_price REAL,
        exit_price REAL, quantity REAL, leverage REAL, target_price REAL, target_source TEXT,
        liquidation_price REAL, margin_call_price REAL, entry_fee REAL, exit_fee REAL, funding REAL,
        pnl_value REAL, pnl_pct REAL, exit_reason TEXT, balance_after REAL, more TEXT NOT NULL)""",
    "CREATE TABLE adoptions (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, params TEXT NOT NULL)",
)

# One statement a write, by the name that the test hooks hear.
WRITES = {
    "intent": """INSERT INTO intents (link_id, purpose, side, order_type, lots, price_ticks, trigger_ticks,
        reduce_only, attached_stop_ticks, leverage, time_ms, context)
        VALUES (:link_id, :purpose, :side, :order_type, :lots, :price_ticks, :trigger_ticks,
        :reduce_only, :attached_stop_ticks, :leverage, :time_ms, :context)
        ON CONFLICT (link_id) DO NOTHING""",
    "outcome": "INSERT INTO outcomes (link_id, outcome, time_ms) VALUES (:link_id, :outcome, :time_ms)",
    "execution": """INSERT INTO executions (exec_id, link_id, kind, side, lots, price_ticks, fee_usdt, is_maker,
        time_ms, candle_ms, from_stop)
        VALUES (:exec_id, :link_id, :kind, :side, :lots, :price_ticks, :fee_usdt, :is_maker,
        :time_ms, :candle_ms, :from_stop)
        ON CONFLICT (exec_id) DO NOTHING""",
    "event": "INSERT INTO events (time_ms, kind, detail) VALUES (:time_ms, :kind, :detail)",
    "blocked": """INSERT INTO blocked (candle_ms, reason, detail) VALUES (:candle_ms, :reason, :detail)
        ON CONFLICT (candle_ms, reason) DO NOTHING""",
    "equity": """INSERT INTO equity (candle_ms, wallet_usdt, equity_usdt)
        VALUES (:candle_ms, :wallet_usdt, :equity_usdt) ON CONFLICT (candle_ms) DO NOTHING""",
    "trade": """INSERT INTO trades (entry_time, exit_time, entry_price, exit_price, quantity, leverage, target_price,
        target_source, liquidation_price, margin_call_price, entry_fee, exit_fee, funding, pnl_value, pnl_pct,
        exit_reason, balance_after, more)
        VALUES (:entry_time, :exit_time, :entry_price, :exit_price, :quantity, :leverage, :target_price,
        :target_source, :liquidation_price, :margin_call_price, :entry_fee, :exit_fee, :funding, :pnl_value, :pnl_pct,
        :exit_reason, :balance_after, :more)
        ON CONFLICT (entry_time) DO NOTHING""",
    "adopt": "INSERT INTO adoptions (time_ms, params) VALUES (:time_ms, :params)",
    "set_meta": """INSERT INTO meta (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value""",
}
# On the disk when the call returns; a power cut may take the last few of the others.
DURABLE_WRITES = frozenset({"intent", "adopt", "set_meta"})

ALL_INTENTS = """SELECT *,
    (SELECT outcome FROM outcomes WHERE outcomes.link_id = intents.link_id ORDER BY seq DESC LIMIT 1) AS last_outcome
    FROM intents ORDER BY seq"""


def request_of(row: sqlite3.Row) -> OrderRequest:
    """The request in a row of `intents`."""
    return OrderRequest(
        link_id=row["link_id"],
        purpose=Purpose(row["purpose"]),
        side=Side(row["side"]),
        order_type=OrderType(row["order_type"]),
        lots=row["lots"],
        price_ticks=row["price_ticks"],
        trigger_ticks=row["trigger_ticks"],
        reduce_only=bool(row["reduce_only"]),
        attached_stop_ticks=row["attached_stop_ticks"],
        leverage=row["leverage"],
    )


def execution_of(row: sqlite3.Row) -> Execution:
    """The execution in a row of `executions`."""
    return Execution(
        exec_id=row["exec_id"],
        link_id=row["link_id"],
        kind=ExecutionKind(row["kind"]),
        side=Side(row["side"]),
        lots=row["lots"],
        price_ticks=row["price_ticks"],
        fee_usdt=row["fee_usdt"],
        is_maker=bool(row["is_maker"]),
        time_ms=row["time_ms"],
        candle_ms=row["candle_ms"],
        from_stop=bool(row["from_stop"]),
    )
