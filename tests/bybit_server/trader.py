"""A trader on one account of a small world, without sockets: requests go straight to what the routes call.

Tick 0.1 USDT, lot 0.01 coin, price about 1000 USDT. Without spread and slippage a market order fills at the mid. At
10x a short sold at 1000 is bankrupt at 1100 and liquidated at 1094.5.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.account import TOPICS, TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.bus import Subscriber
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError
from your_short_trade_margin_call.adapters.bybit_server.private_routes import QUERIES, WRITES
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.instrument import Instrument, RiskTier
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates
from your_short_trade_margin_call.settings import Settings

T0 = 1_700_000_100_000 - 1_700_000_100_000 % CANDLE_MS
"""Open time of the first candle a trader meets; one of history lies before."""
SYMBOL, OTHER = "TESTUSDT", "OTHERUSDT"

Ohlc = tuple[float, float, float, float]
FLAT: Ohlc = (1000.0, 1001.0, 999.0, 1000.0)
CALM = Settings(spread_bps=0.0, slippage_bps=0.0, order_reject_prob=0.0, starting_balance=1000.0)


class Ear(Subscriber):
    """Hears what a bus says, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []

    def put(self, text: str) -> None:
        self.heard.append(json.loads(text))


def instrument(symbol: str = SYMBOL) -> Instrument:
    """The instrument; its second tier allows 5x above 100,000 USDT."""
    tiers = (RiskTier(100_000.0, 0.005, 100.0, 0.0), RiskTier(1_000_000.0, 0.01, 5.0, 500.0))
    return Instrument(
        symbol, Decimal("0.10"), Decimal("0.01"), Decimal("0.01"), Decimal("500.00"), 5.0, 100.0, tiers, "package"
    )


def market(symbol: str, ohlc: Sequence[Ohlc], funding: Sequence[tuple[int, float]] = ()) -> Market:
    """One candle of history, then these; settlements as (candles after T0, rate)."""
    rows = [FLAT, *ohlc]
    columns = [[row[k] for row in rows] for k in range(4)]
    times = [T0 + CANDLE_MS * (k - 1) for k in range(len(rows))]
    rates = (
        FundingRates.from_columns([T0 + CANDLE_MS * k for k, _ in funding], [rate for _, rate in funding])
        if funding
        else None
    )
    candles = Candles.from_columns(symbol, times, *columns, [100.0] * len(rows), funding=rates)
    return Market(instrument(symbol), candles)


class Trader:
    """Account and world, and everything its streams say (`told`)."""

    def __init__(
        self,
        *ohlc: Ohlc,
        settings: Settings = CALM,
        config: AccountConfig | None = None,
        funding: Sequence[tuple[int, float]] = (),
        symbols: Sequence[str] = (SYMBOL,),
        speed: float = 0.0,
    ) -> None:
        rows = [*ohlc, *([FLAT] * max(0, 3 - len(ohlc)))]
        markets = [market(symbol, rows, funding) for symbol in symbols]
        self.world: World = make_world(markets, settings, history_ms=CANDLE_MS, config=config, speed=speed)
        self.account: TradingAccount = self.world.accounts[DEMO_KEY]
        self.pair = self.world.pairs[SYMBOL]
        self._ear = Ear()
        self.account.bus.subscribe(self._ear, TOPICS)

    def post(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """Return code and result of a write; symbol and category are added."""
        usual = {"category": "linear", "symbol": SYMBOL}
        return self._ask(WRITES[f"/v5/{path}"], {**usual, **body})

    def get(self, path: str, **query: str) -> tuple[int, dict[str, Any]]:
        """Return code and result of a query; the category is added."""
        return self._ask(QUERIES[f"/v5/{path}"], {"category": "linear", **query})

    def _ask(self, act: Any, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            return 0, act(self.account, parameters)
        except ApiError as error:
            return int(error.code), {"text": error.text, **error.result}

    def rows(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The rows of a query that must succeed."""
        code, result = self.get(path, **query)
        assert code == 0, result
        return list(result["list"])

    def told(self, *topics: str) -> list[dict[str, Any]]:
        """Rows that the streams said since last asked, of some topics or all, oldest first."""
        heard, self._ear.heard = self._ear.heard, []
        return [row for message in heard if not topics or message["topic"] in topics for row in message["data"]]

    def words(self) -> list[str]:
        """What the streams said, in short: ``order Filled``, ``execution Trade``, ``position``, ``wallet``."""
        heard, self._ear.heard = self._ear.heard, []
        return [_short(message["topic"], row) for message in heard for row in message["data"]]

    # ---- usual requests -------------------------------------------------------------------------

    def lever(self, leverage: str = "10") -> None:
        """Set the leverage, if it is another one."""
        self.post("position/set-leverage", buyLeverage=leverage, sellLeverage=leverage)

    def short(self, qty: str = "1.00", link_id: str = "entry", **more: Any) -> tuple[int, dict[str, Any]]:
        """A market entry."""
        body = {"side": "Sell", "orderType": "Market", "qty": qty, "positionIdx": 0, "orderLinkId": link_id}
        return self.post("order/create", **{**body, **more})

    def target(self, price: str, qty: str = "1.00", link_id: str = "target", **more: Any) -> tuple[int, dict[str, Any]]:
        """A resting reduce-only buy."""
        body = {"side": "Buy", "orderType": "Limit", "price": price, "qty": qty, "reduceOnly": True}
        return self.post("order/create", **{**body, "timeInForce": "GTC", "orderLinkId": link_id, **more})

    def close(self, qty: str = "1.00", link_id: str = "close", **more: Any) -> tuple[int, dict[str, Any]]:
        """A market exit."""
        body = {"side": "Buy", "orderType": "Market", "qty": qty, "reduceOnly": True, "orderLinkId": link_id}
        return self.post("order/create", **{**body, **more})

    def stop(self, price: str) -> tuple[int, dict[str, Any]]:
        """Move the position's stop."""
        body = {"tpslMode": "Full", "positionIdx": 0, "stopLoss": price, "slTriggerBy": "MarkPrice"}
        return self.post("position/trading-stop", **body)

    def order(self, link_id: str) -> dict[str, Any]:
        """An order by its link id, wherever it is found."""
        (row,) = self.rows("order/history", orderLinkId=link_id)
        return row

    def position(self) -> dict[str, Any]:
        """The position's row."""
        (row,) = self.rows("position/list", symbol=SYMBOL)
        return row

    def wallet(self) -> float:
        """The wallet balance as told."""
        return float(self.rows("account/wallet-balance", accountType="UNIFIED")[0]["coin"][0]["walletBalance"])


def _short(topic: str, row: dict[str, Any]) -> str:
    if topic == "order":
        return f"order {row['orderStatus']}"
    if topic == "execution":
        return f"execution {row['execType']}"
    return topic if topic != "position" else f"position {row['size']}"
