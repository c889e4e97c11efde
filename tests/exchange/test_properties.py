"""Whatever a trader, a market and bad luck do together: the invariants hold and money is conserved.

Two exchanges live through the same random life; now and then the second is restarted from the first one's state.
They must never differ: the log is a function of inputs and seed, and a restart loses nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from your_short_trade_margin_call.domain.errors import ExchangeError, OrderRefusedError
from your_short_trade_margin_call.domain.messages import Event, Execution, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.book import Triggers
from your_short_trade_margin_call.exchange.desk import Arrival
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

from .world import CANDLE_MS, T0, contract, executions, terms, wallet_from_executions

MOVES = st.sampled_from([-0.2, -0.02, -0.005, -0.001, 0.0, 0.001, 0.005, 0.02, 0.1, 0.4])
RATES = st.sampled_from([0.0, 0.0, 0.05, 0.3])


class ExchangeLife(RuleBasedStateMachine):
    """Random requests and a random market."""

    venue: SimulatedExchange
    shadow: SimulatedExchange

    @initialize(
        balance=st.sampled_from([5.0, 120.0, 1_000.0, 1_000.0, 300_000.0]),
        faults=st.builds(
            FaultPlan,
            seed=st.integers(0, 2**32),
            outage=st.sampled_from([0.0, 0.03]),
            never_arrived=RATES,
            reject=RATES,
            late_reject=RATES,
            lost_answer=RATES,
            late_answer=RATES,
            partial_then_cancel=RATES,
            partial_fill=RATES,
            disconnect=st.sampled_from([0.0, 0.1]),
            duplicate_event=RATES,
            reordered_event=RATES,
            outage_requests=st.integers(1, 4),
        )
        | st.just(FaultPlan.none()),
        spread=st.sampled_from([0.0, 2.0]),
        slippage=st.sampled_from([0.0, 3.0]),
        touch=st.booleans(),
        maker=st.sampled_from([0.0002, 0.001, -0.0001]),
    )
    def begin(
        self, balance: float, faults: FaultPlan, spread: float, slippage: float, touch: bool, maker: float
    ) -> None:
        self.terms = terms(
            spread_bps=spread, slippage_bps=slippage, fill_on_touch=touch, maker_fee_rate=maker, order_reject_prob=0.05
        )
        self.venue, self.shadow = (
            SimulatedExchange(contract(), self.terms, balance, CANDLE_MS, faults) for _ in range(2)
        )
        self.faults, self.balance = faults, balance
        self.candle, self.price, self.time = T0, 10_000.0, T0
        self.ids = 0
        self.told: list[Execution] = []
        self.both(lambda venue: venue.on_quote(self.time, self.price))

    def both(self, act: Callable[[SimulatedExchange], object]) -> None:
        """Do the same to both exchanges; they answer and tell the same."""
        outcomes = [self.outcome(act, venue) for venue in (self.venue, self.shadow)]
        assert outcomes[0] == outcomes[1]
        self.told += executions(outcomes[0][1])

    def outcome(self, act: Callable[[SimulatedExchange], object], venue: SimulatedExchange) -> tuple[str, list[Event]]:
        try:
            answer = repr(act(venue))
        except OrderRefusedError as error:
            answer = error.code
        except ExchangeError as error:
            answer = type(error).__name__
        return answer, venue.drain()

    # ---- the trader -----------------------------------------------------------------------------

    @rule(
        lots=st.sampled_from([1, 10, 100, 100, 1_000, 20_000]),
        leverage=st.sampled_from([10.0, 10.0, 10.0, 10.0, 3.0, 100.0]),
        above=st.sampled_from([None, 0.0, 0.002, 0.05, 0.3]),
        limit_above=st.sampled_from([None, None, -0.01, 0.001, 0.01, 0.1]),
        below=st.sampled_from([None, None, 0.0, 0.002, 0.05]),
        repeat=st.sampled_from([False, False, False, False, True]),
    )
    def enter(
        self,
        lots: int,
        leverage: float,
        above: float | None,
        limit_above: float | None,
        below: float | None,
        repeat: bool,
    ) -> None:
        self.ids += not repeat
        base = self.price * (1 + (limit_above or 0.0))
        request = OrderRequest(
            f"e-{self.ids}",
            Purpose.ENTRY,
            Side.SELL,
            OrderType.MARKET if limit_above is None else OrderType.LIMIT,
            lots,
            price_ticks=None if limit_above is None else math.ceil(base),
            attached_stop_ticks=None if above is None else math.ceil(base * (1 + above)),
            leverage=leverage,
        )
        arrival = Arrival(take_profit_ticks=None if below is None else math.floor(base * (1 - below)))
        self.both(lambda venue: venue.place(request, arrival))

    @precondition(lambda self: self.venue.position is not None or self.ids % 4 == 0)
    @rule(
        lots=st.sampled_from([1, 7, 60, 100_000]),
        kind=st.sampled_from(list(OrderType)),
        distance=st.sampled_from([0.001, 0.01, 0.05]),
    )
    def leave(self, lots: int, kind: OrderType, distance: float) -> None:
        self.ids += 1
        request = OrderRequest(
            f"x-{self.ids}",
            Purpose.CLOSE,
            Side.BUY,
            kind,
            lots,
            price_ticks=math.floor(self.price * (1 - distance)) if kind is OrderType.LIMIT else None,
            trigger_ticks=self.trigger(kind, distance),
            reduce_only=True,
        )
        self.both(lambda venue: venue.place(request))

    @precondition(lambda self: self.venue.position is not None)
    @rule(distance=st.sampled_from([-0.01, 0.0, 0.001, 0.05]))
    def amend(self, distance: float) -> None:
        self.both(lambda venue: venue.amend_stop(math.ceil(self.price * (1 + distance))))

    @rule()
    def remove_stop(self) -> None:
        self.both(lambda venue: venue.amend_stop(0))

    @rule(stop=st.sampled_from([None, 0, -0.01, 0.05]), take_profit=st.sampled_from([None, 0, 0.01, -0.001, -0.05]))
    def amend_attached(self, stop: float | None, take_profit: float | None) -> None:
        """Both at once: None leaves one alone, 0 removes it."""
        ticks = [move and math.ceil(self.price * (1 + move)) for move in (stop, take_profit)]
        self.both(lambda venue: venue.amend_attached(Triggers(*ticks)))

    @rule(
        back=st.integers(0, 5),
        lots=st.sampled_from([None, 1, 50, 200]),
        distance=st.sampled_from([None, -0.01, 0.001, 0.05]),
    )
    def change(self, back: int, lots: int | None, distance: float | None) -> None:
        price = None if distance is None else math.ceil(self.price * (1 + distance))
        for prefix in "xe":
            self.both(lambda venue, p=prefix: venue.amend_order(f"{p}-{self.ids - back}", lots, price, price))

    @precondition(lambda self: self.venue.position is not None)
    @rule(usdt=st.sampled_from([1.0, 20.0, 1e9, -1.0, -20.0]))
    def margin(self, usdt: float) -> None:
        self.both(lambda venue: venue.add_margin(usdt))

    @rule(leverage=st.sampled_from([1.0, 3.0, 10.0, 10.0, 50.0, 100.0]))
    def lever(self, leverage: float) -> None:
        self.both(lambda venue: venue.change_leverage(leverage))

    @rule(back=st.integers(0, 5))
    def cancel(self, back: int) -> None:
        self.both(lambda venue: venue.cancel(f"x-{self.ids - back}"))
        self.both(lambda venue: venue.cancel(f"e-{self.ids - back}"))

    @rule()
    def look(self) -> None:
        self.both(lambda venue: (venue.find(f"e-{self.ids}"), venue.account(self.time - CANDLE_MS)))

    # ---- the market -----------------------------------------------------------------------------

    @rule(move=MOVES, mark_off=st.sampled_from([None, 0.0, 0.01, -0.01]))
    def quote(self, move: float, mark_off: float | None) -> None:
        self.time += 1_000
        self.move_price(move)
        mark = None if mark_off is None else self.price * (1 + mark_off)
        self.both(lambda venue: venue.on_quote(self.time, self.price, mark))

    @rule(
        gap=MOVES,
        up=st.sampled_from([0.0, 0.003, 0.05, 0.5]),
        down=st.sampled_from([0.0, 0.003, 0.05]),
        closes_at=st.floats(0, 1),
        mark_off=st.sampled_from([math.nan, 0.0, 0.02, -0.02]),
        minutes=st.booleans(),
        check_guards=st.booleans(),
    )
    def candle_passes(
        self, gap: float, up: float, down: float, closes_at: float, mark_off: float, minutes: bool, check_guards: bool
    ) -> None:
        self.candle = self.time = self.time - self.time % CANDLE_MS + CANDLE_MS
        self.move_price(gap)
        opening = self.price
        high, low = opening * (1 + up), opening * (1 - down)
        self.price = low + closes_at * (high - low)
        close, off = self.price, 1 + mark_off
        highs = np.array([opening, high, high]) if minutes else np.full(3, np.nan)
        lows = np.array([low, low, opening]) if minutes else np.full(3, np.nan)
        self.both(lambda venue: venue.on_opening_quote(self.candle, opening, opening * off, check_guards=check_guards))
        self.both(
            lambda venue: venue.run_candle(
                self.candle, opening, high, low, close, opening * off, high * off, close * off, highs, lows
            )
        )
        self.time = self.candle + CANDLE_MS - 1

    @rule(rate=st.sampled_from([-0.03, -0.0001, 0.0, 0.0001, 0.03]))
    def funding(self, rate: float) -> None:
        self.time += 1
        self.both(lambda venue: venue.settle_funding(self.time, rate, self.price))

    @precondition(lambda self: self.venue.position is not None)
    @rule(lots=st.integers(1, 50))
    def deleverage(self, lots: int) -> None:
        self.both(lambda venue: venue.auto_deleverage(self.time, lots, math.ceil(self.price)))

    @rule()
    def reconnect(self) -> None:
        self.both(lambda venue: venue.reconnect(self.time))

    @rule()
    def restart(self) -> None:
        state = json.loads(json.dumps(self.venue.to_state(), allow_nan=False))
        self.shadow = SimulatedExchange.from_state(state, contract(), self.terms, self.faults)
        assert self.shadow.to_state() == state

    def trigger(self, kind: OrderType, distance: float) -> int | None:
        if kind is OrderType.TAKE_PROFIT_MARKET:
            return math.floor(self.price * (1 - distance))
        return math.ceil(self.price * (1 + distance)) if kind is OrderType.STOP_MARKET else None

    def move_price(self, move: float) -> None:
        self.price = min(max(self.price * (1 + move), 100.0), 1e6)

    # ---- what always holds ----------------------------------------------------------------------

    @invariant()
    def money_is_conserved(self) -> None:
        rows = self.venue.executions
        scale = max(1.0, self.balance / 1e3)
        explained = wallet_from_executions(self.balance, rows, contract())
        assert self.venue.wallet_usdt == pytest.approx(explained, abs=1e-8 * scale)
        booked = self.balance + math.fsum(row.amount_usdt for row in self.venue.ledger)
        assert self.venue.wallet_usdt == pytest.approx(booked, abs=1e-8 * scale)

    @invariant()
    def the_position_is_what_was_executed(self) -> None:
        trades = [row for row in self.venue.executions if row.kind is not ExecutionKind.FUNDING]
        lots = sum(row.side * row.lots for row in trades)
        assert lots <= 0
        assert lots == (self.venue.position.lots if self.venue.position else 0)

    @invariant()
    def nothing_is_told_that_did_not_happen(self) -> None:
        happened = self.venue.executions
        if self.faults == FaultPlan.none():
            assert tuple(self.told) == happened
        assert set(self.told) <= set(happened)
        assert len({row.exec_id for row in happened}) == len(happened)

    @invariant()
    def the_checks_pass(self) -> None:
        self.venue.check()


ExchangeLife.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestExchangeLife = pytest.mark.filterwarnings("ignore")(ExchangeLife.TestCase)
