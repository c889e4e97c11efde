"""One account of the look-alike: what the market does to it, and what its key's owner asks of it.

Around one `SimulatedExchange` a pair, all with one wallet. Everything is synchronous: a request is carried out, then
what it caused is published on `bus`, then it is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server import happenings
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.bookkeeper import Bookkeeper, Ids, Telling
from your_short_trade_margin_call.adapters.bybit_server.bus import Bus
from your_short_trade_margin_call.adapters.bybit_server.codes import bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY, Row, fast_execution_row
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRegistry
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount
from your_short_trade_margin_call.adapters.bybit_server.position_rows import stream_position_row, wallet_row
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import RollingCounts
from your_short_trade_margin_call.adapters.bybit_server.request_fields import NOT_A_PAIR
from your_short_trade_margin_call.adapters.bybit_server.statement import EXEC_TYPES, Statement
from your_short_trade_margin_call.domain.words import ExecutionKind
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.playing import play_candle
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.settings import Settings

TOPICS = ("order", "execution", "position", "wallet")
FAST_TOPIC = "execution.fast"
"""A part of `execution`: trades alone, with fewer fields."""


class TradingAccount:
    """An account, known by its API key.

    Args:
        key: the API key.
        secret: what its requests are signed with.
        settings: starting balance and fee rates.
        now_ms: the market's time (UTC ms).
        pairs: the markets it may trade, by symbol.
        config: modes, the key's rights.
        faults: what goes wrong on purpose, from the start; see `arm` for later.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        settings: Settings,
        now_ms: Callable[[], int],
        pairs: Mapping[str, Pair],
        config: AccountConfig | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        self.key, self.secret = key, secret
        self.config = config or AccountConfig()
        self.pairs = pairs
        self.now_ms = now_ms
        self.bus = Bus()
        self.orders = OrderRegistry()
        self.statement = Statement()
        self.counts = RollingCounts()
        self.owned: dict[str, PairAccount] = {}
        """Pairs that have been traded or looked at."""
        self.leverages: dict[str, float] = {}
        self.foreign_rows: list[Row] = []
        """Positions of pairs this server has no market for."""
        self.mode_changed_ms = now_ms()
        self.ids = Ids(key)
        self._settings = settings
        self._faults = faults or FaultPlan.none()
        self._books = Bookkeeper(self.ids, self.orders, self.statement, now_ms, settings.starting_balance)
        self._armed: list[Fault] = []
        self._seq = 0
        self._last_wallet = (settings.starting_balance, 0.0, 0.0)

    def __repr__(self) -> str:
        """Never the secret."""
        return f"TradingAccount({self.key!r})"

    # ---- what the market does -------------------------------------------------------------------

    def run_candle(self, pair: Pair, j: int) -> None:
        """PATH: candle `j` runs; what rests is decided."""
        own = self.own(pair.symbol)
        play_candle(own.sim, pair.market, j)
        self.flush(own)

    def settle(self, pair: Pair, time_ms: int, rate: float, mark_ticks: float) -> None:
        """FUNDING: one settlement."""
        own = self.own(pair.symbol)
        own.funding_rate = rate
        own.sim.settle_funding(time_ms, rate, mark_ticks)
        self.flush(own)

    def opening(self, pair: Pair, j: int, *, mid_ticks: float, mark_ticks: float) -> None:
        """GUARDS: stops and liquidation see the opening of candle `j`; market orders fill there from now on."""
        own = self.own(pair.symbol)
        own.sim.on_opening_quote(int(pair.market.time_ms[j]), mid_ticks, mark_ticks, check_guards=True)
        self.flush(own)

    def quote(self, pair: Pair, time_ms: int, mid_ticks: float, mark_ticks: float, candle_ms: int) -> None:
        """The price shown inside candle `candle_ms`: where market orders fill; nothing that rests looks at it."""
        own = self.own(pair.symbol)
        own.sim.on_opening_quote(time_ms, mid_ticks, mark_ticks, candle_ms=candle_ms, check_guards=False)
        self.flush(own)

    # ---- the pairs ------------------------------------------------------------------------------

    def sim(self, symbol: str) -> SimulatedExchange:
        """The simulated exchange behind a pair, made when it is first wanted."""
        return self.own(symbol).sim

    def own(self, symbol: str) -> PairAccount:
        """This account's part of a pair.

        Raises:
            ApiError: 10001, there is no such pair.
        """
        if symbol not in self.pairs:
            bad_parameter(NOT_A_PAIR)
        if symbol not in self.owned:
            self.owned[symbol] = self._new_pair(self.pairs[symbol])
        own = self.owned[symbol]
        if not own.is_over and own.pair.cursor >= len(own.pair.market.time_ms):
            own.is_over = True
            own.sim.on_market_end()
        return own

    @property
    def wallet_usdt(self) -> float:
        """The wallet balance that all pairs share."""
        if not self.owned:
            return self._settings.starting_balance
        return sum(own.sim.wallet_usdt for own in self.owned.values())

    @property
    def available_usdt(self) -> float:
        """What a new order may cost."""
        if not self.owned:
            return self._settings.starting_balance
        return sum(own.sim.own_available_usdt for own in self.owned.values())

    def leverage_of(self, symbol: str) -> float:
        """What is set for a pair."""
        return self.leverages.get(symbol, self.config.default_leverage)

    def fee_rates(self) -> tuple[float, float]:
        """Taker and maker, as fractions."""
        config, settings = self.config, self._settings
        return (
            settings.taker_fee_rate if config.taker_fee_rate is None else config.taker_fee_rate,
            settings.maker_fee_rate if config.maker_fee_rate is None else config.maker_fee_rate,
        )

    # ---- telling ----------------------------------------------------------------------------------

    def flush(self, own: PairAccount, *, touched: bool = False) -> None:
        """Book what the pair's simulated exchange told, and publish it.

        `touched` says that a request changed something: the position is then told even when it stayed as it was.
        """
        events = own.sim.drain()
        if not own.sim.connected:
            own.sim.reconnect(self.now_ms())
        told = self._books.digest(own, events)
        if told or touched:
            told = _taken_over_first(told, own.last_position)
            own.last_position = stream_position_row(own, self.next_seq())
            told += [("position", own.last_position), *self._wallet_news()]
            for topic, row in self._disturbed(told):
                self._publish(own.symbol, topic, row)

    def next_seq(self) -> int:
        """A number that grows."""
        self._seq += 1
        return self._seq

    def wallet(self) -> Row:
        """The wallet's row."""
        return wallet_row(self.owned.values(), self.wallet_usdt, self.available_usdt)

    # ---- what goes wrong on purpose ---------------------------------------------------------------

    def arm(self, fault: Fault, times: int = 1) -> None:
        """Let the next orders (or, for an event fault, messages) meet a fault.

        `reject`, `late_reject`, `partial_fill` and `partial_then_cancel` wait for the next entries, or orders, that
        they fit; `duplicate_event` and `reordered_event` for the next messages.
        """
        self._armed += [fault] * times

    def disarm(self) -> None:
        """Forget faults that have not struck."""
        self._armed.clear()

    def script_next_write(self, own: PairAccount, *, is_entry: bool, is_market: bool) -> None:
        """Hand the armed faults that fit the coming order to the simulated exchange."""
        fitting = []
        for fault in list(self._armed):
            is_refusal = fault in (Fault.REJECT, Fault.LATE_REJECT)
            fits = is_entry if is_refusal else fault is Fault.PARTIAL_FILL
            if (fits or (fault is Fault.PARTIAL_THEN_CANCEL and is_market)) and fault not in fitting:
                self._armed.remove(fault)
                fitting.append(fault)
        if fitting:
            faults = own.sim.faults
            new = tuple((own.sim.writes + 1, fault) for fault in fitting)
            own.sim.change_faults(replace(faults, scripted=faults.scripted + new))

    # ---- what happens without the program (for tests and the admin) ---------------------------------

    def manual_close(self, symbol: str, lots: int | None = None) -> None:
        """Somebody buys (a part of) the position back by market, by hand."""
        happenings.manual_close(self, symbol, lots)

    def foreign_order(self, symbol: str, lots: int | None = None, price: str | None = None) -> str:
        """Somebody else's resting entry appears; returns its order id."""
        return happenings.foreign_order(self, symbol, lots, price)

    def foreign_position(self, symbol: str, lots: int | None = None) -> None:
        """Somebody else opens a short, here or on a pair this server has no market for."""
        happenings.foreign_position(self, symbol, lots)

    def adl(self, symbol: str, lots: int | None = None) -> None:
        """The venue closes (a part of) the position against somebody else's liquidation."""
        happenings.adl(self, symbol, lots)

    def liquidation_now(self, symbol: str) -> None:
        """The venue takes the position over, wherever the mark stands."""
        happenings.liquidation_now(self, symbol)

    def restart(self) -> None:
        """The service restarted: closed orders are found in the history only."""
        self.orders.forget_recent()

    # ---- inside -----------------------------------------------------------------------------------

    def _new_pair(self, pair: Pair) -> PairAccount:
        taker, maker = self.fee_rates()
        terms = pair.terms._replace(taker_fee_rate=taker, maker_fee_rate=maker)
        start = 0.0 if self.owned else self._settings.starting_balance
        sim = SimulatedExchange(pair.contract, terms, start, pair.market.candle_ms, self._faults)
        own = PairAccount(pair, sim, self.leverage_of(pair.symbol))
        if len(self.pairs) > 1:
            sim.share_wallet(lambda: sum(o.sim.own_available_usdt for o in self.owned.values() if o is not own))
        candle_ms = int(pair.market.time_ms[min(pair.cursor, len(pair.market.time_ms) - 1)])
        sim.on_opening_quote(
            max(candle_ms, self.now_ms()), pair.mid_ticks, pair.mark_ticks, candle_ms=candle_ms, check_guards=False
        )
        return own

    def _wallet_news(self) -> list[Telling]:
        """The wallet, when more than unrealised profit has changed."""
        owned = self.owned.values()
        now = (
            self.wallet_usdt,
            sum(own.position_margin_usdt() for own in owned),
            sum(own.order_margin_usdt() for own in owned),
        )
        if now == self._last_wallet:
            return []
        self._last_wallet = now
        return [("wallet", self.wallet())]

    def _disturbed(self, told: list[Telling]) -> list[Telling]:
        """Messages twice or out of order, where that was armed."""
        if Fault.DUPLICATE_EVENT in self._armed:
            self._armed.remove(Fault.DUPLICATE_EVENT)
            told = [*told[:1], *told]
        if Fault.REORDERED_EVENT in self._armed and len(told) > 1:
            self._armed.remove(Fault.REORDERED_EVENT)
            told = [told[1], told[0], *told[2:]]
        return told

    def _publish(self, symbol: str, topic: str, row: Row) -> None:
        if topic == "execution" and row["execType"] == EXEC_TYPES[ExecutionKind.TRADE]:
            self._publish_fast(fast_execution_row(row))
        for name in (topic, f"{topic}.{CATEGORY}"):
            if self.bus.wants(name):
                seq, now_ms = self.next_seq(), self.now_ms()
                message: dict[str, Any] = {
                    "id": f"{self.config.user_id}_{symbol}_{seq}",
                    "topic": name,
                    "creationTime": now_ms,
                    "data": [row],
                }
                self.bus.publish(name, message)

    def _publish_fast(self, row: Row) -> None:
        for name in (FAST_TOPIC, f"{FAST_TOPIC}.{CATEGORY}"):
            self.bus.publish(name, {"topic": name, "creationTime": self.now_ms(), "data": [row]})


def _taken_over_first(told: list[Telling], position: Row) -> list[Telling]:
    """Before the venue takes a position over, the position says that it is being liquidated."""
    for place, (topic, row) in enumerate(told):
        if topic == "execution" and row["execType"] == EXEC_TYPES[ExecutionKind.LIQUIDATION] and position:
            return [*told[:place], ("position", position | {"positionStatus": "Liq"}), *told[place:]]
    return told
