"""What Bybit sends, field by field: msgspec structs for answers and stream messages.

What must be there for safety has no default: a message without it is refused as a whole. Everything else may be
missing, or null, and is then an empty string, zero or None. Words of the exchange (statuses, kinds) stay plain
strings: a word we do not know must not cost us the message. Numbers stay decimal strings (`numbers.py` reads them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct, field

from your_short_trade_margin_call.adapters.bybit.wire_account import (
    AccountInfo,
    ApiKeyInfo,
    FeeRateList,
    FeeRateRow,
    Wallet,
    WalletCoin,
    WalletList,
)
from your_short_trade_margin_call.adapters.bybit.wire_base import Flag, Row, Text, Whole

# Written elsewhere, but part of this vocabulary.
__all__ = ["AccountInfo", "ApiKeyInfo", "FeeRateList", "FeeRateRow", "Wallet", "WalletCoin", "WalletList"]

NOTHING = Raw(b"{}")
"""An empty result."""


class Envelope(Struct, frozen=True, gc=False, rename="camel"):
    """Around every REST answer; `result` is decoded once the code is known. `time`: server time in ms, 0 if absent."""

    ret_code: int
    ret_msg: str | None = ""
    result: Raw = NOTHING
    time: int = 0


class Empty(Struct, frozen=True, gc=False):
    """A result with nothing we need."""


class ServerTime(Row, frozen=True, gc=False):
    """``/v5/market/time``; the envelope's `time` says the same in ms."""

    time_second: Text = ""
    time_nano: Text = ""


# ---- market ------------------------------------------------------------------------------------


class CandleList(Row, frozen=True, gc=False):
    """``/v5/market/kline`` and ``mark-price-kline``: newest first, the running candle included.

    A row: open time (ms), open, high, low, close, and for last prices volume and turnover.
    """

    rows: list[tuple[str, ...]] = field(name="list")
    symbol: Text = ""
    category: Text = ""


class InstrumentList(Row, frozen=True, gc=False):
    """``/v5/market/instruments-info``; rows stay as they came, for `market.instruments.parse_instrument`."""

    rows: list[dict[str, Any]] = field(name="list")
    next_page_cursor: Text = ""


class RiskLimitList(Row, frozen=True, gc=False):
    """``/v5/market/risk-limit``; rows stay as they came, for `market.instruments.parse_instrument`."""

    rows: list[dict[str, Any]] = field(name="list")
    next_page_cursor: Text = ""


class FundingRow(Struct, frozen=True, gc=False, rename="camel"):
    """One settlement: the rate, and when (ms, as text)."""

    symbol: str
    funding_rate: str
    funding_rate_timestamp: str


class FundingList(Struct, frozen=True, gc=False):
    """``/v5/market/funding/history``: settled rates, newest first."""

    rows: list[FundingRow] = field(name="list")


class Ticker(Struct, frozen=True, gc=False, rename="camel"):
    """A ticker, whole or only what changed: None means "as before" in a delta, "not told" in a snapshot."""

    symbol: str
    last_price: str | None = None
    index_price: str | None = None
    mark_price: str | None = None
    bid1_price: str | None = field(default=None, name="bid1Price")
    bid1_size: str | None = field(default=None, name="bid1Size")
    ask1_price: str | None = field(default=None, name="ask1Price")
    ask1_size: str | None = field(default=None, name="ask1Size")
    funding_rate: str | None = None
    next_funding_time: str | None = None
    funding_interval_hour: str | None = None
    funding_cap: str | None = None
    turnover24h: str | None = field(default=None, name="turnover24h")
    delivery_time: str | None = None


class TickerList(Row, frozen=True, gc=False):
    """``/v5/market/tickers``."""

    rows: list[Ticker] = field(name="list")
    category: Text = ""


class Book(Struct, frozen=True, gc=False):
    """An order book: bids and asks as (price, size), best first. `ts` only in REST answers."""

    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int = 0
    seq: int = 0
    ts: int = 0


# ---- orders, executions, positions -----------------------------------------------------------------


class OrderAck(Row, frozen=True, gc=False):
    """The answer to create, amend and cancel: accepted, not executed."""

    order_id: Text = ""
    order_link_id: Text = ""


if TYPE_CHECKING:
    Acks = list[OrderAck]
else:
    Acks = list[OrderAck] | None


class AckList(Row, frozen=True, gc=False):
    """The answer to cancel-all: what is being cancelled."""

    rows: Acks = field(name="list", default_factory=list)


class OrderRow(Row, frozen=True, gc=False):
    """An order, from ``/v5/order/realtime``, ``/v5/order/history`` or the stream. Times in ms, as text."""

    order_id: str
    symbol: str
    side: str
    qty: str
    order_status: str
    order_link_id: Text = ""
    order_type: Text = ""
    price: Text = ""
    avg_price: Text = ""
    leaves_qty: Text = ""
    cum_exec_qty: Text = ""
    cum_exec_value: Text = ""
    cum_exec_fee: Text = ""
    time_in_force: Text = ""
    stop_order_type: Text = ""
    trigger_price: Text = ""
    trigger_by: Text = ""
    trigger_direction: Whole = 0
    take_profit: Text = ""
    stop_loss: Text = ""
    sl_trigger_by: Text = ""
    tpsl_mode: Text = ""
    create_type: Text = ""
    cancel_type: Text = ""
    reject_reason: Text = ""
    reduce_only: Flag = False
    close_on_trigger: Flag = False
    position_idx: Whole = 0
    category: Text = ""
    created_time: Text = ""
    updated_time: Text = ""


class OrderList(Row, frozen=True, gc=False):
    """``/v5/order/realtime`` and ``/v5/order/history``: newest first."""

    rows: list[OrderRow] = field(name="list")
    next_page_cursor: Text = ""


class ExecutionRow(Row, frozen=True, gc=False):
    """An execution, from ``/v5/execution/list`` or the stream: a fill, a funding settlement, a take-over.

    `exec_fee` is positive when paid. `exec_time` in ms, as text.
    """

    exec_id: str
    symbol: str
    side: str
    exec_type: str
    exec_qty: str
    exec_price: str
    exec_fee: str
    exec_time: str
    order_id: Text = ""
    order_link_id: Text = ""
    order_type: Text = ""
    stop_order_type: Text = ""
    create_type: Text = ""
    exec_value: Text = ""
    fee_rate: Text = ""
    fee_currency: Text = ""
    closed_size: Text = ""
    leaves_qty: Text = ""
    order_qty: Text = ""
    order_price: Text = ""
    mark_price: Text = ""
    exec_pnl: Text = ""
    is_maker: Flag = False
    category: Text = ""
    seq: Whole = 0


class ExecutionList(Row, frozen=True, gc=False):
    """``/v5/execution/list``: newest first, funding included."""

    rows: list[ExecutionRow] = field(name="list")
    next_page_cursor: Text = ""


class PositionRow(Row, frozen=True, gc=False):
    """A position; flat is side "" and size "0". The entry is `avg_price` in REST, `entry_price` on the stream."""

    symbol: str
    side: str
    size: str
    position_idx: Whole = 0
    avg_price: Text = ""
    entry_price: Text = ""
    leverage: Text = ""
    position_value: Text = ""
    mark_price: Text = ""
    liq_price: Text = ""
    take_profit: Text = ""
    stop_loss: Text = ""
    position_im: Text = field(default="", name="positionIM")
    position_mm: Text = field(default="", name="positionMM")
    position_balance: Text = ""
    unrealised_pnl: Text = ""
    cur_realised_pnl: Text = ""
    cum_realised_pnl: Text = ""
    position_status: Text = ""
    tpsl_mode: Text = ""
    trade_mode: Whole = 0
    auto_add_margin: Whole = 0
    adl_rank_indicator: Whole = 0
    is_reduce_only: Flag = False
    category: Text = ""
    created_time: Text = ""
    updated_time: Text = ""
    seq: Whole = 0

    @property
    def entry_text(self) -> str:
        """The average entry price, whatever it is called here."""
        return self.avg_price or self.entry_price


class PositionList(Row, frozen=True, gc=False):
    """``/v5/position/list``."""

    rows: list[PositionRow] = field(name="list")
    next_page_cursor: Text = ""


# ---- streams -------------------------------------------------------------------------------------


class TradeHeader(Struct, frozen=True, gc=False):
    """The header of an answer on the stream for orders: what REST says in headers of HTTP, and the time (ms, text)."""

    allowed: str = field(default="", name="X-Bapi-Limit")
    left: str = field(default="", name="X-Bapi-Limit-Status")
    reset_ms: str = field(default="", name="X-Bapi-Limit-Reset-Timestamp")
    time_ms: str = field(default="", name="Timenow")


class StreamMessage(Struct, frozen=True, gc=False):
    """Any message of any stream: data (`topic` is set) or an answer to what we sent (`op` is set, or `ret_code`).

    `data` is decoded by topic with the decoders below. `ts` (public) and `creation_time` (private) are server time
    in ms, 0 if absent. `request_id` and `header` are of the stream for orders.
    """

    topic: str | None = None
    type: str | None = None
    ts: int = 0
    creation_time: int = field(default=0, name="creationTime")
    cts: int = 0
    data: Raw = NOTHING
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | int | None = None
    conn_id: str | None = None
    args: Raw = NOTHING
    ret_code: int | None = field(default=None, name="retCode")
    ret_text: str | None = field(default=None, name="retMsg")
    request_id: str | int | None = field(default=None, name="reqId")
    header: Raw = NOTHING

    @property
    def is_accepted(self) -> bool | None:
        """Whether what we said was accepted; None when this answers nothing. The stream for orders tells a code."""
        if self.success is None and self.ret_code is not None:
            return self.ret_code == 0
        return self.success

    @property
    def server_ms(self) -> int:
        """When the server made it, in ms; 0 if it does not say."""
        return self.ts or self.creation_time

    @property
    def is_pong(self) -> bool:
        """Whether it answers a ping; the public streams call the answer ``ping``."""
        return self.op in ("pong", "ping")


class StreamCandle(Struct, frozen=True, gc=False):
    """A candle on the stream: prices as text, times in ms; `confirm` is true once it has closed."""

    start: int
    end: int
    open: str
    high: str
    low: str
    close: str
    confirm: bool
    interval: str = ""
    volume: str = ""
    turnover: str = ""
    timestamp: int = 0


STREAM = msgspec.json.Decoder(StreamMessage)
"""Decodes any message of a stream; raises msgspec.DecodeError (ValidationError is one) on nonsense."""
STREAM_CANDLES = msgspec.json.Decoder(list[StreamCandle])
"""`data` of ``kline.*``."""
STREAM_TICKER = msgspec.json.Decoder(Ticker)
"""`data` of ``tickers.*``."""
STREAM_BOOK = msgspec.json.Decoder(Book)
"""`data` of ``orderbook.*``."""
STREAM_ORDERS = msgspec.json.Decoder(list[OrderRow])
"""`data` of ``order``."""
STREAM_EXECUTIONS = msgspec.json.Decoder(list[ExecutionRow])
"""`data` of ``execution``."""
STREAM_POSITIONS = msgspec.json.Decoder(list[PositionRow])
"""`data` of ``position``."""
STREAM_WALLETS = msgspec.json.Decoder(list[Wallet])
"""`data` of ``wallet``."""
