"""Requests that only look: orders, executions, positions, wallet, log, key. Each returns the answer's `result`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from your_short_trade_margin_call.adapters.bybit_server.codes import bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.happenings import foreign_rows
from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.order_requests import ORDER_FILTERS
from your_short_trade_margin_call.adapters.bybit_server.order_rows import (
    CATEGORY,
    COIN,
    Row,
    closed_pnl_row,
    execution_row,
    history_row,
    log_row,
    order_row,
)
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord
from your_short_trade_margin_call.adapters.bybit_server.position_rows import position_row
from your_short_trade_margin_call.adapters.bybit_server.request_fields import LONGEST_RANGE_MS, NOT_A_PAIR, Fields
from your_short_trade_margin_call.adapters.bybit_server.statement import EXEC_TYPES, LOG_TYPES
from your_short_trade_margin_call.domain.spans import DAY_MS

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount

Query = Mapping[str, str]
Answer = dict[str, Any]
Look = Callable[["TradingAccount", Query], Answer]


class Numbered(Protocol):
    """A row that knows its place in its list."""

    @property
    def number(self) -> int:
        """From 1, growing."""


Item = TypeVar("Item", bound=Numbered)

ELSEWHERE = ("spot", "inverse", "option")
"""Kinds of markets that this server has none of."""

_CURSOR = re.compile(r"(?:%3D|=)([0-9]{1,18})", re.IGNORECASE)


def nothing_elsewhere(look: Look) -> Look:
    """Of other kinds of markets a unified account has nothing to list; clients ask for all kinds in one go."""

    @wraps(look)
    def answer(account: TradingAccount, query: Query) -> Answer:
        category = query.get("category", "")
        if category in ELSEWHERE:
            return {"list": [], "nextPageCursor": "", "category": category}
        return look(account, query)

    return answer


@nothing_elsewhere
def open_orders(account: TradingAccount, query: Query) -> Answer:
    """order/realtime: open orders, and by id or with openOnly=1 the last 500 that closed; newest first."""
    fields = _linear(query)
    by_id = bool(fields.text("orderId") or fields.text("orderLinkId"))
    if not (by_id or any(fields.text(name) for name in ("symbol", "baseCoin", "settleCoin"))):
        bad_parameter("params error: symbol, baseCoin or settleCoin is missing")
    closed_too = by_id or fields.whole("openOnly", 0) == 1
    pool = account.orders.everything if closed_too else account.orders.open()
    found = [r for r in _orders(account, fields, pool) if account.orders.is_recent(r)]
    return _page(fields, found, lambda r: order_row(r, account.pairs[r.symbol]), default=20, most=50)


@nothing_elsewhere
def order_history(account: TradingAccount, query: Query) -> Answer:
    """order/history: whatever became of orders, newest first; those without a fill are forgotten in time."""
    fields = _linear(query)
    now_ms = account.now_ms()
    first, last = fields.time_range(now_ms)
    found = [r for r in _orders(account, fields, account.orders.everything) if first <= r.created_ms <= last]
    status = fields.text("orderStatus")
    found = [r for r in found if status in ("", r.status) and _is_remembered(r, now_ms)]
    return _page(fields, found, lambda r: history_row(r, account.pairs[r.symbol]), default=20, most=50)


@nothing_elsewhere
def executions(account: TradingAccount, query: Query) -> Answer:
    """execution/list: fills, funding, take-overs; newest first."""
    fields = _linear(query)
    first, last = fields.time_range(account.now_ms())
    exec_type = fields.choice("execType", ("", *EXEC_TYPES.values(), "Settle", "Delivery", "BlockTrade"))
    wanted = {name: fields.text(name) for name in ("symbol", "orderId", "orderLinkId")}
    if wanted["symbol"]:
        account.own(wanted["symbol"])
    rows = [b for b in account.statement.booked if first <= b.execution.time_ms <= last]
    rows = [
        b
        for b in rows
        if wanted["symbol"] in ("", b.pair.symbol)
        and wanted["orderId"] in ("", b.order_id)
        and wanted["orderLinkId"] in ("", b.order.link_id if b.order else None)
        and exec_type in ("", b.exec_type)
    ]
    return _page(fields, rows, execution_row, default=50, most=100)


@nothing_elsewhere
def positions(account: TradingAccount, query: Query) -> Answer:
    """position/list: of a symbol (a row even when flat), or everything open that settles in a coin."""
    fields = _linear(query)
    symbol, settle = fields.text("symbol"), fields.text("settleCoin")
    if not (symbol or settle or fields.text("baseCoin")):
        bad_parameter("params error: symbol or settleCoin is missing")
    fields.limit(20, 200)
    foreign = foreign_rows(account, symbol)
    if symbol:
        own = [] if foreign and symbol not in account.pairs else [account.own(symbol)]
    else:
        own = [one for one in account.owned.values() if one.lots and settle in ("", COIN)]
    rows = [position_row(one, account.next_seq()) for one in own] + foreign
    if account.config.position_mode:
        rows = [row | {"positionIdx": index} for row in rows for index in (1, 2) if _is_of(row, index)]
    return {"list": rows, "nextPageCursor": "", "category": CATEGORY}


@nothing_elsewhere
def closed_pnl(account: TradingAccount, query: Query) -> Answer:
    """position/closed-pnl: what each closing order made; newest first."""
    fields = _linear(query)
    first, last = fields.time_range(account.now_ms())
    symbol = fields.text("symbol")
    rows = [r for r in account.statement.closed if first <= r.updated_ms <= last and symbol in ("", r.pair.symbol)]
    return _page(fields, rows, closed_pnl_row, default=50, most=100)


def symbol_info(account: TradingAccount, query: Query) -> Answer:
    """position/symbol-info: the leverage of a pair, with or without a position."""
    symbol = _linear(query).needed("symbol")
    own = account.own(symbol)
    side = "Sell" if own.lots else ""
    row = {"symbol": symbol, "leverage": number_text(own.leverage), "side": side, "positionIdx": 0}
    return {"category": CATEGORY, "list": [row]}


def wallet_balance(account: TradingAccount, query: Query) -> Answer:
    """account/wallet-balance: the unified wallet."""
    fields = Fields(query)
    if fields.needed("accountType") != "UNIFIED":
        bad_parameter("accountType only support UNIFIED.")
    wanted = set(filter(None, fields.text("coin").split(",")))
    row = account.wallet()
    row["coin"] = [coin for coin in row["coin"] if not wanted or coin["coin"] in wanted]
    return {"list": [row]}


def account_info(account: TradingAccount, query: Query) -> Answer:
    """account/info: margin mode and kind of account."""
    return {
        "marginMode": account.config.margin_mode,
        "updatedTime": str(account.mode_changed_ms),
        "unifiedMarginStatus": account.config.unified_status,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def fee_rate(account: TradingAccount, query: Query) -> Answer:
    """account/fee-rate: of a pair, or of all; not on a demo account."""
    fields = _linear(query)
    if account.config.demo:
        bad_parameter("Not supported on demo trading")
    symbol = fields.text("symbol")
    if symbol and symbol not in account.pairs:
        bad_parameter(NOT_A_PAIR)
    taker, maker = (number_text(rate) for rate in account.fee_rates())
    symbols = [symbol] if symbol else list(account.pairs)
    return {"list": [{"symbol": name, "takerFeeRate": taker, "makerFeeRate": maker} for name in symbols]}


def transaction_log(account: TradingAccount, query: Query) -> Answer:
    """account/transaction-log: every change of the wallet; newest first."""
    fields = Fields(query)
    first, last = fields.time_range(account.now_ms(), DAY_MS)
    wanted = fields.text("type")
    if fields.text("currency") not in ("", COIN) or fields.text("category") not in ("", CATEGORY):
        return {"nextPageCursor": "", "list": []}
    rows = [b for b in account.statement.booked if first <= b.execution.time_ms <= last]
    rows = [b for b in rows if wanted in ("", LOG_TYPES[b.kind])]
    user = account.config.user_id
    page = _page(fields, rows, lambda b: log_row(b, LOG_TYPES[b.kind], user), default=20, most=50)
    return {"nextPageCursor": page["nextPageCursor"], "list": page["list"]}


def query_api(account: TradingAccount, query: Query) -> Answer:
    """user/query-api: what the key may do. Never the secret."""
    config, nothing = account.config, "0"
    return {
        "id": "2208369",
        "note": "look-alike",
        "apiKey": account.key,
        "readOnly": int(config.read_only),
        "secret": "",
        "permissions": config.permissions,
        "ips": config.ips or ["*"],
        "type": 1,
        "deadlineDay": config.deadline_days,
        "expiredAt": config.expires_at,
        "createdAt": datetime.fromtimestamp(account.mode_changed_ms / 1e3, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "unified": 0,
        "uta": config.uta,
        "userID": config.user_id,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": nothing,
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": config.is_master,
        "parentUid": nothing if config.is_master else "1448938",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
        "userIDInt64": str(config.user_id),
        "inviterIDInt64": nothing,
        "affiliateIDInt64": nothing,
    }


def coin_info(account: TradingAccount, query: Query) -> Answer:
    """asset/coin/query-info: the one coin, which clients ask for when they start."""
    coin = Fields(query).text("coin")
    row = {"name": COIN, "coin": COIN, "remainAmount": "0", "chains": []}
    return {"rows": [row] if coin in ("", COIN) else []}


# ---- small parts ----------------------------------------------------------------------------------


def _linear(query: Query) -> Fields:
    fields = Fields(query)
    fields.check_category()
    return fields


def _is_of(row: Row, index: int) -> bool:
    """In hedge mode a short is of index 2; flat pairs show both."""
    return row["side"] == "" or index == 2


def _orders(account: TradingAccount, fields: Fields, pool: Iterable[OrderRecord]) -> list[OrderRecord]:
    """What the query's ids, symbol, coins and filter leave of some orders, oldest first."""
    order_id, link_id, symbol = (fields.text(name) for name in ("orderId", "orderLinkId", "symbol"))
    if symbol:
        account.own(symbol)
    if order_id or link_id:
        record = account.orders.find(order_id, link_id)
        pool = [] if record is None else [record]
    base, settle = fields.text("baseCoin"), fields.text("settleCoin")
    fits = ORDER_FILTERS[fields.choice("orderFilter", tuple(ORDER_FILTERS))]
    return [
        r
        for r in pool
        if fits(r)
        and symbol in ("", r.symbol)
        and base in ("", account.pairs[r.symbol].item["baseCoin"])
        and settle in ("", COIN)
    ]


def _is_remembered(record: OrderRecord, now_ms: int) -> bool:
    """Orders with fills are for ever in the history, others for seven days, or one once they ended."""
    if record.filled_lots:
        return True
    if record.is_open:
        return now_ms - record.created_ms <= LONGEST_RANGE_MS
    return now_ms - record.updated_ms <= DAY_MS


def _page(fields: Fields, rows: Sequence[Item], shape: Callable[[Item], Row], *, default: int, most: int) -> Answer:
    """A page, newest first. The cursor is the number of the last row shown: what is older follows."""
    limit, cursor = fields.limit(default, most), fields.text("cursor")
    left = list(reversed(rows))
    if cursor:
        found = _CURSOR.search(cursor)
        if found is None:
            bad_parameter("params error: cursor invalid")
        left = [row for row in left if row.number < int(found[1])]
    shown = left[:limit]
    following = f"page_token%3D{shown[-1].number}%26" if len(left) > limit else ""
    return {"list": [shape(row) for row in shown], "nextPageCursor": following, "category": CATEGORY}
