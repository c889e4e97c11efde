"""The slow, obvious twin of the backtest kernel: DESIGN sections 3 and 4, read aloud in Python.

It is here to be read by a trader and compared with the fast kernel. One candle at a time, one rule per function,
nothing remembered that can be computed again. All arithmetic is `decimal` with 50 digits; a float that strays into
a sum or a comparison raises `decimal.FloatOperation` or `TypeError` instead of blurring the answer.

The account is short-only and holds at most one position. Symbols of DESIGN 4:
EP entry price, Q quantity, L leverage, f taker fee rate, X margin added (here: never above 0, because only funding
that the available balance could not pay changes it), IM initial margin, LP liquidation price, BP bankruptcy price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Context, Decimal, FloatOperation, localcontext
from itertools import pairwise
from typing import NamedTuple, Protocol

ZERO = Decimal(0)
TEN_THOUSAND = Decimal(10_000)
MINUTE_MS = 60_000
DAY_MS = 86_400_000


# ---------------------------------------------------------------------------------------------------------------------
# What goes in
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinTier:
    """One risk tier: it holds notionals above the previous tier's limit, up to its own limit (inclusive, USDT)."""

    limit: Decimal
    mmr: Decimal
    max_leverage: Decimal
    deduction: Decimal


@dataclass(frozen=True)
class TwinInstrument:
    """The contract. `tiers` go from the lowest limit to the highest."""

    tick_size: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    max_leverage: Decimal
    tiers: tuple[TwinTier, ...]


@dataclass(frozen=True)
class TwinSettings:
    """The account and the broker. None switches a rule off; `margin_call_at=None` rides to liquidation."""

    starting_balance: Decimal = Decimal("472")
    leverage: Decimal = Decimal("3")
    max_available_frac: Decimal = Decimal("0.9")
    spread_bps: Decimal = Decimal("2")
    taker_fee_rate: Decimal = Decimal("0.00055")
    maker_fee_rate: Decimal = Decimal("0.0002")
    min_take_profit_pct: Decimal = Decimal("0.0022")
    margin_call_at: Decimal | None = Decimal("0.9")
    fill_on_touch: bool = False
    daily_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    cooldown_ms: int = 0
    candle_ms: int = 180_000


@dataclass(frozen=True)
class TwinParams:
    """One trial. `exit_type` is highest_low, lowest_high, midpoint or take_profit."""

    lookback: int
    exit_type: str
    risk_fraction: Decimal
    take_profit_pct: Decimal
    stop_loss_pct: Decimal | None = None
    max_hold_ms: int | None = None


@dataclass(frozen=True)
class TwinCandle:
    """A closed candle, known by its open time. Prices are used as they are, on the tick grid or not."""

    ts: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Luck(Protocol):
    """The draws, a function of the open time of the candle of the fill (and the purpose, "entry" or "exit")."""

    def slippage_bps(self, candle_open_ms: int, purpose: str) -> float: ...

    def rejected(self, candle_open_ms: int) -> bool: ...


# ---------------------------------------------------------------------------------------------------------------------
# What comes out
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinTrade:
    """A closed round trip. Liquidation price and margin call price as they stood at the exit; funding + = received."""

    entry_time: int
    exit_time: int
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    leverage: Decimal
    target_price: Decimal
    target_source: str
    liquidation_price: Decimal
    margin_call_price: Decimal | None
    entry_fee: Decimal
    exit_fee: Decimal
    funding: Decimal
    pnl_value: Decimal
    pnl_pct: Decimal
    exit_reason: str
    balance_after: Decimal


@dataclass(frozen=True)
class TwinResult:
    """`blocked` holds only the reasons that occurred; `equity` has one value per candle close."""

    trades: list[TwinTrade]
    blocked: dict[str, int]
    equity: list[Decimal]
    final_balance: Decimal
    wins: int
    losses: int
    leverage_clamped: int
    quantity_clamped: int


# ---------------------------------------------------------------------------------------------------------------------
# Exact numbers and the price grid
# ---------------------------------------------------------------------------------------------------------------------


def exact_arithmetic() -> AbstractContextManager[Context]:
    """50 digits, and an error when a float takes part. Everything below runs inside this."""
    context = Context(prec=50)
    context.traps[FloatOperation] = True
    return localcontext(context)


def exact(number: float) -> Decimal:
    """The number a float prints as: 0.1 means one tenth."""
    return Decimal(repr(float(number)))


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The highest multiple of `step` that is not above `value`."""
    steps = value // step  # Decimal's // cuts towards zero
    if steps * step > value:
        steps -= 1
    return steps * step


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """The lowest multiple of `step` that is not below `value`."""
    steps = value // step
    if steps * step < value:
        steps += 1
    return steps * step


# ---------------------------------------------------------------------------------------------------------------------
# Signal, levels, target (DESIGN 3)
# ---------------------------------------------------------------------------------------------------------------------


def are_contiguous(candles: Sequence[TwinCandle], candle_ms: int) -> bool:
    """Each candle opens exactly one candle length after the one before."""
    return all(after.ts - before.ts == candle_ms for before, after in pairwise(candles))


def is_signal(candles: Sequence[TwinCandle], i: int, lookback: int, candle_ms: int) -> bool:
    """`high[i] >= highest_high` and `close[i] < open[i]`: a new peak that failed. Needs L+1 contiguous candles."""
    if i < lookback:
        return False
    if not are_contiguous(candles[i - lookback : i + 1], candle_ms):
        return False
    highest_high = max(candle.high for candle in candles[i - lookback : i])
    return candles[i].high >= highest_high and candles[i].close < candles[i].open


def level(candles: Sequence[TwinCandle], i: int, params: TwinParams) -> Decimal | None:
    """The price level named by `exit_type`, over the L candles before the signal candle `i`."""
    before = candles[i - params.lookback : i]
    highest_low = max(candle.low for candle in before)
    lowest_high = min(candle.high for candle in before)
    if params.exit_type == "highest_low":
        return highest_low
    if params.exit_type == "lowest_high":
        return lowest_high
    if params.exit_type == "midpoint":
        return (highest_low + lowest_high) / 2
    if params.exit_type == "take_profit":
        return None
    raise ValueError(f"unknown exit type: {params.exit_type}")


def target(
    entry_price: Decimal, price_level: Decimal | None, tick: Decimal, settings: TwinSettings, params: TwinParams
) -> tuple[Decimal, str]:
    """The level, if it lies at or below `entry * (1 - min_take_profit_pct)`; else `entry * (1 - take_profit_pct)`."""
    if price_level is not None and price_level <= entry_price * (1 - settings.min_take_profit_pct):
        return round_down(price_level, tick), "level"
    return round_down(entry_price * (1 - params.take_profit_pct), tick), "take_profit"


# ---------------------------------------------------------------------------------------------------------------------
# Size (DESIGN 3, "Size", and the order cost of DESIGN 4)
# ---------------------------------------------------------------------------------------------------------------------


def affordable_quantity(budget: Decimal, price: Decimal, leverage: Decimal, fee_rate: Decimal) -> Decimal:
    """budget / (P/L + P*f + P*(1+1/L)*f), not yet on the lot grid.

    Above and below the line multiplied by L, so that a leverage of 3 leaves no rounded third in the middle.
    """
    return budget * leverage / (price * (1 + leverage * fee_rate + (leverage + 1) * fee_rate))


def choose_size(
    budget: Decimal, mid: Decimal, instrument: TwinInstrument, settings: TwinSettings
) -> tuple[Decimal, Decimal]:
    """Quantity and leverage: over the tiers, the largest quantity whose notional at the mid lies in that tier.

    Quantity 0 when no tier has one.
    """
    best_quantity, best_leverage = ZERO, settings.leverage
    previous_limit = ZERO
    for tier in instrument.tiers:
        leverage = min(settings.leverage, instrument.max_leverage, tier.max_leverage)
        wanted = min(
            affordable_quantity(budget, mid, leverage, settings.taker_fee_rate),
            tier.limit / mid,
            instrument.max_qty,
        )
        quantity = round_down(wanted, instrument.qty_step)
        lies_in_tier = previous_limit < quantity * mid <= tier.limit
        if quantity > best_quantity and lies_in_tier:
            best_quantity, best_leverage = quantity, leverage
        previous_limit = tier.limit
    return best_quantity, best_leverage


def max_qty_decided(
    quantity: Decimal, budget: Decimal, mid: Decimal, instrument: TwinInstrument, settings: TwinSettings
) -> bool:
    """Would the quantity have been larger without the `max_qty` cap?"""
    uncapped = replace(instrument, max_qty=Decimal("Infinity"))
    quantity_without_cap, _ = choose_size(budget, mid, uncapped, settings)
    return quantity_without_cap > quantity


# ---------------------------------------------------------------------------------------------------------------------
# The open position and its margin (DESIGN 4)
# ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Position:
    """An open short. Only `extra_margin` (X) and `funding` change during its life."""

    entry_time: int
    entry_price: Decimal
    quantity: Decimal
    leverage: Decimal
    entry_fee: Decimal
    target_price: Decimal
    target_source: str
    wallet_before_entry: Decimal
    extra_margin: Decimal = ZERO
    funding: Decimal = ZERO


class Stop(NamedTuple):
    """A stop-market order to buy: its trigger, and the reason it will give."""

    price: Decimal
    reason: str


def close_fee_reserve(position: Position, fee_rate: Decimal) -> Decimal:
    """`Q*EP*(1+1/L)*f`."""
    return position.quantity * (position.entry_price + position.entry_price / position.leverage) * fee_rate


def initial_margin(position: Position, fee_rate: Decimal) -> Decimal:
    """`Q*EP/L + reserve`.

    The only amount of money that may never end (a third), so it is kept to 30 decimals: then every later sum of
    wallet, margin and funding is exact, and a wallet that is used up is 0 and not 1e-48.
    """
    margin = position.quantity * position.entry_price / position.leverage + close_fee_reserve(position, fee_rate)
    return margin.quantize(Decimal("1e-30"))


def position_margin(position: Position, fee_rate: Decimal) -> Decimal:
    """`IM + X`: what a liquidation takes."""
    return initial_margin(position, fee_rate) + position.extra_margin


def bankruptcy_price(position: Position, fee_rate: Decimal) -> Decimal:
    """`EP*(1+1/L) + X/(Q*(1+f))`, not rounded."""
    return (
        position.entry_price
        + position.entry_price / position.leverage
        + position.extra_margin / (position.quantity * (1 + fee_rate))
    )


def exact_liquidation_price(position: Position, tiers: Sequence[TwinTier], fee_rate: Decimal) -> Decimal:
    """`(EP*Q + EP*Q/L + X/(1+f) + ded) / (Q + Q*MMR)`, solved in the tier that contains `Q * LP`.

    From the lowest tier up: the first whose limit `Q * LP` does not exceed; beyond the last limit, the last tier.
    (`Q * LP <= limit` is asked without dividing.)
    """
    value = position.entry_price * position.quantity
    sums = value + value / position.leverage + position.extra_margin / (1 + fee_rate)
    for tier in tiers:
        if sums + tier.deduction <= tier.limit * (1 + tier.mmr):
            break
    return (sums + tier.deduction) / (position.quantity + position.quantity * tier.mmr)


def liquidation_price(position: Position, instrument: TwinInstrument, settings: TwinSettings) -> Decimal:
    """Rounded down to the tick."""
    return round_down(
        exact_liquidation_price(position, instrument.tiers, settings.taker_fee_rate), instrument.tick_size
    )


def margin_call_price(position: Position, instrument: TwinInstrument, settings: TwinSettings) -> Decimal | None:
    """`entry + margin_call_at * (liquidation - entry)`, rounded down to the tick; None when switched off."""
    if settings.margin_call_at is None:
        return None
    way_to_liquidation = liquidation_price(position, instrument, settings) - position.entry_price
    return round_down(position.entry_price + settings.margin_call_at * way_to_liquidation, instrument.tick_size)


def stop_loss_price(position: Position, instrument: TwinInstrument, params: TwinParams) -> Decimal | None:
    """`entry * (1 + stop_loss_pct)`, rounded down to the tick; None when switched off."""
    if params.stop_loss_pct is None:
        return None
    return round_down(position.entry_price * (1 + params.stop_loss_pct), instrument.tick_size)


def active_stop(
    position: Position, instrument: TwinInstrument, settings: TwinSettings, params: TwinParams
) -> Stop | None:
    """Stop-loss or margin call, whichever is nearer (on a tie: stop_loss). At or above the liquidation price: none."""
    liquidation = liquidation_price(position, instrument, settings)
    stop_loss = stop_loss_price(position, instrument, params)
    margin_call = margin_call_price(position, instrument, settings)
    nearest: Stop | None = None
    if stop_loss is not None and stop_loss < liquidation:
        nearest = Stop(stop_loss, "stop_loss")
    if margin_call is not None and margin_call < liquidation:
        if nearest is None or margin_call < nearest.price:
            nearest = Stop(margin_call, "margin_call")
    return nearest


# ---------------------------------------------------------------------------------------------------------------------
# The walk
# ---------------------------------------------------------------------------------------------------------------------


class Walk:
    """One account, walked through the candles in the order of DESIGN 3."""

    def __init__(
        self,
        candles: Sequence[TwinCandle],
        instrument: TwinInstrument,
        settings: TwinSettings,
        params: TwinParams,
        luck: Luck,
        funding: Sequence[tuple[int, Decimal]],
        mark: Mapping[int, TwinCandle] | None,
        minutes: Mapping[int, TwinCandle] | None,
    ) -> None:
        self.candles = candles
        self.instrument = instrument
        self.settings = settings
        self.params = params
        self.luck = luck
        self.funding_rates = sorted(funding)
        self.mark = mark if mark is not None else {}
        self.minutes = minutes if minutes is not None else {}

        self.wallet = settings.starting_balance
        self.wallet_history: list[tuple[int, Decimal]] = []  # (time, wallet after), every change
        self.peak_wallet = settings.starting_balance  # highest wallet while flat
        self.last_losing_exit_time: int | None = None
        self.position: Position | None = None
        self.trades: list[TwinTrade] = []
        self.blocked: dict[str, int] = {}
        self.equity: list[Decimal] = []
        self.leverage_clamped = 0
        self.quantity_clamped = 0

    # -- the order of things ------------------------------------------------------------------------------------------

    def run(self) -> TwinResult:
        """Candle after candle: its opening boundary, its path, its close."""
        for j in range(len(self.candles)):
            if j > 0:
                self.boundary(j)
            self.path(j)
            if j == len(self.candles) - 1:
                self.end_of_data()
            self.equity.append(self.equity_at_close(j))
        return self.result()

    def boundary(self, j: int) -> None:
        """The close of j-1 is the opening of j: funding, then the max_hold close, then the signal of j-1."""
        open_at_the_close = self.position is not None
        self.settle_funding(j)
        self.close_after_max_hold(j)
        self.act_on_signal(j - 1, open_at_the_close)

    def result(self) -> TwinResult:
        """A win is a profit above 0; everything else is a loss."""
        wins = sum(1 for trade in self.trades if trade.pnl_value > 0)
        return TwinResult(
            trades=self.trades,
            blocked=self.blocked,
            equity=self.equity,
            final_balance=self.wallet,
            wins=wins,
            losses=len(self.trades) - wins,
            leverage_clamped=self.leverage_clamped,
            quantity_clamped=self.quantity_clamped,
        )

    # -- entry --------------------------------------------------------------------------------------------------------

    def act_on_signal(self, i: int, open_at_the_close: bool) -> None:
        """A signal at the close of `i` opens a short at the open of `i+1`, or is counted as blocked."""
        if not is_signal(self.candles, i, self.params.lookback, self.settings.candle_ms):
            return
        if open_at_the_close:
            self.block("position_open")
            return
        following = self.candles[i + 1]
        if following.ts != self.candles[i].ts + self.settings.candle_ms:
            self.block("stream_gap")
            return
        reason = self.limit_that_blocks(following.ts)
        if reason is not None:
            self.block(reason)
            return
        self.try_to_enter(i, following)

    def block(self, reason: str) -> None:
        self.blocked[reason] = self.blocked.get(reason, 0) + 1

    def limit_that_blocks(self, now: int) -> str | None:
        """The trader's own limits, in this order; asked only while flat."""
        settings = self.settings
        if settings.daily_loss is not None:
            if self.wallet <= self.wallet_at_start_of_day(now) * (1 - settings.daily_loss):
                return "daily_loss"
        if settings.max_drawdown is not None:
            if self.wallet <= self.peak_wallet * (1 - settings.max_drawdown):
                return "max_drawdown"
        if settings.cooldown_ms > 0 and self.last_losing_exit_time is not None:
            close_of_losing_candle = self.last_losing_exit_time + settings.candle_ms
            if now < close_of_losing_candle + settings.cooldown_ms:
                return "cooldown"
        return None

    def wallet_at_start_of_day(self, now: int) -> Decimal:
        """The wallet after everything with a time strictly before 00:00 UTC of this day."""
        midnight = now - now % DAY_MS
        wallet = self.settings.starting_balance
        for time, wallet_after in self.wallet_history:
            if time < midnight:
                wallet = wallet_after
        return wallet

    def try_to_enter(self, i: int, following: TwinCandle) -> None:
        """The broker's checks, in this order; then the fill."""
        available = self.available_balance()
        if available <= 0:
            self.block("insufficient_balance")
            return
        mid = following.open
        budget = available * min(self.params.risk_fraction, self.settings.max_available_frac)
        quantity, leverage = choose_size(budget, mid, self.instrument, self.settings)
        if quantity == 0 or quantity < self.instrument.min_qty:
            self.block("below_min_qty")
            return
        if quantity * mid < self.instrument.min_notional:
            self.block("below_min_notional")
            return
        if self.luck.rejected(following.ts):
            self.block("order_rejected")
            return
        if leverage < self.settings.leverage:
            self.leverage_clamped += 1
        if max_qty_decided(quantity, budget, mid, self.instrument, self.settings):
            self.quantity_clamped += 1
        self.open_short(i, following, quantity, leverage)

    def open_short(self, i: int, following: TwinCandle, quantity: Decimal, leverage: Decimal) -> None:
        """Market sell at `mid * (1 - (spread/2 + slippage)/1e4)`, rounded down; the taker fee leaves the wallet."""
        tick = self.instrument.tick_size
        entry_price = round_down(following.open * (1 - self.market_cost(following, "entry")), tick)
        entry_fee = quantity * entry_price * self.settings.taker_fee_rate
        price_level = level(self.candles, i, self.params)
        target_price, target_source = target(entry_price, price_level, tick, self.settings, self.params)
        self.position = Position(
            entry_time=following.ts,
            entry_price=entry_price,
            quantity=quantity,
            leverage=leverage,
            entry_fee=entry_fee,
            target_price=target_price,
            target_source=target_source,
            wallet_before_entry=self.wallet,
        )
        self.change_wallet(following.ts, -entry_fee)

    def market_cost(self, candle: TwinCandle, purpose: str) -> Decimal:
        """Half the spread plus the slippage, as a fraction of the price."""
        slippage_bps = exact(self.luck.slippage_bps(candle.ts, purpose))
        return (self.settings.spread_bps / 2 + slippage_bps) / TEN_THOUSAND

    # -- the path of a candle: the adverse move first -----------------------------------------------------------------

    def path(self, j: int) -> None:
        """(1) opens at or above liquidation; (2) reaches the stop, or liquidation without one; (3) the target.

        A candle that opens at or above its stop is not doubtful: no minutes are asked.

        Mark prices decide whether (1) and (2) happen; the target and all fills look at last prices.
        """
        if self.position is None:
            return
        candle = self.candles[j]
        if self.opens_beyond_liquidation(candle):
            self.liquidate(candle)
            return
        if self.opens_beyond_stop(candle):
            self.adverse_exit(candle)
            return
        adverse = self.mark_candle(candle).high >= self.adverse_level()
        favourable = self.passes_target(candle)
        if adverse and favourable and self.minutes_put_target_first(candle):
            self.fill_target(candle)
        elif adverse:
            self.adverse_exit(candle)
        elif favourable:
            self.fill_target(candle)

    def mark_candle(self, candle: TwinCandle) -> TwinCandle:
        """The mark-price candle, or the last prices where there is none."""
        return self.mark.get(candle.ts, candle)

    def opens_beyond_liquidation(self, candle: TwinCandle) -> bool:
        return self.mark_candle(candle).open >= self.liquidation_price()

    def opens_beyond_stop(self, candle: TwinCandle) -> bool:
        stop = self.stop()
        return stop is not None and self.mark_candle(candle).open >= stop.price

    def liquidation_price(self) -> Decimal:
        return liquidation_price(self.open_position(), self.instrument, self.settings)

    def stop(self) -> Stop | None:
        return active_stop(self.open_position(), self.instrument, self.settings, self.params)

    def adverse_level(self) -> Decimal:
        """The price at which the short is lost: the stop, or the liquidation price where there is no stop."""
        stop = self.stop()
        return stop.price if stop is not None else self.liquidation_price()

    def passes_target(self, candle: TwinCandle) -> bool:
        """The candle trades through the target (`low < target`), or touches it with `fill_on_touch`."""
        target_price = self.open_position().target_price
        if self.settings.fill_on_touch:
            return candle.low <= target_price
        return candle.low < target_price

    def minutes_put_target_first(self, candle: TwinCandle) -> bool:
        """A doubtful candle's minutes show the target touched in a minute before the loss side was.

        Unknown minutes, both sides in one minute, or a loss side that no minute's last price reached (only the
        mark did) leave the doubt: then the adverse move came first.
        """
        times = [candle.ts, candle.ts + MINUTE_MS, candle.ts + 2 * MINUTE_MS]
        if not all(time in self.minutes for time in times):
            return False
        minutes = [self.minutes[time] for time in times]
        lost = [minute.high >= self.adverse_level() for minute in minutes]
        won = [self.passes_target(minute) for minute in minutes]
        return True in lost and True in won and won.index(True) < lost.index(True)

    def adverse_exit(self, candle: TwinCandle) -> None:
        """The stop fills; without a stop the exchange liquidates."""
        stop = self.stop()
        if stop is None:
            self.liquidate(candle)
        else:
            self.market_buy(candle, max(stop.price, candle.open), stop.reason)

    # -- exits --------------------------------------------------------------------------------------------------------

    def fill_target(self, candle: TwinCandle) -> None:
        """The resting limit buy fills at its own price, at the maker fee."""
        self.buy_back(candle, self.open_position().target_price, self.settings.maker_fee_rate, "target")

    def market_buy(self, candle: TwinCandle, price: Decimal, reason: str) -> None:
        """`price * (1 + (spread/2 + slippage)/1e4)`, rounded up to the tick, at the taker fee."""
        fill_price = round_up(price * (1 + self.market_cost(candle, "exit")), self.instrument.tick_size)
        self.buy_back(candle, fill_price, self.settings.taker_fee_rate, reason)

    def buy_back(self, candle: TwinCandle, price: Decimal, fee_rate: Decimal, reason: str) -> None:
        """Profit net of both fees and the funding."""
        position = self.open_position()
        gross = position.quantity * (position.entry_price - price)
        exit_fee = position.quantity * price * fee_rate
        self.change_wallet(candle.ts, gross - exit_fee)
        pnl = gross - position.entry_fee - exit_fee + position.funding
        self.record_trade(candle, price, exit_fee, pnl, reason)

    def liquidate(self, candle: TwinCandle) -> None:
        """The exchange closes at the bankruptcy price: the wallet loses the position margin, IM + X, exactly."""
        position = self.open_position()
        fee_rate = self.settings.taker_fee_rate
        price = bankruptcy_price(position, fee_rate)
        exit_fee = position.quantity * price * fee_rate
        self.change_wallet(candle.ts, -position_margin(position, fee_rate))
        pnl = self.wallet - position.wallet_before_entry
        self.record_trade(candle, price, exit_fee, pnl, "liquidation")

    def close_after_max_hold(self, j: int) -> None:
        """Held for `max_hold_ms` at the open of `j`: bought at that open, unless an adverse open comes first."""
        if self.position is None or self.params.max_hold_ms is None:
            return
        candle = self.candles[j]
        if candle.ts - self.position.entry_time < self.params.max_hold_ms:
            return
        if self.mark_candle(candle).open >= self.adverse_level():
            if self.opens_beyond_liquidation(candle):
                self.liquidate(candle)
            else:
                self.adverse_exit(candle)
        else:
            self.market_buy(candle, candle.open, "max_hold")

    def end_of_data(self) -> None:
        """A position that is still open is bought back at the last close as a market order."""
        if self.position is not None:
            last = self.candles[-1]
            self.market_buy(last, last.close, "end_of_data")

    def record_trade(
        self, candle: TwinCandle, exit_price: Decimal, exit_fee: Decimal, pnl: Decimal, reason: str
    ) -> None:
        """Write the trade down, be flat, and remember what the limits ask for."""
        position = self.open_position()
        trade = TwinTrade(
            entry_time=position.entry_time,
            exit_time=candle.ts,
            entry_price=position.entry_price,
            exit_price=exit_price,
            quantity=position.quantity,
            leverage=position.leverage,
            target_price=position.target_price,
            target_source=position.target_source,
            liquidation_price=self.liquidation_price(),
            margin_call_price=margin_call_price(position, self.instrument, self.settings),
            entry_fee=position.entry_fee,
            exit_fee=exit_fee,
            funding=position.funding,
            pnl_value=pnl,
            pnl_pct=100 * pnl / self.settings.starting_balance,
            exit_reason=reason,
            balance_after=self.wallet,
        )
        self.trades.append(trade)
        self.position = None
        self.peak_wallet = max(self.peak_wallet, self.wallet)
        if pnl <= 0:
            self.last_losing_exit_time = candle.ts

    # -- money --------------------------------------------------------------------------------------------------------

    def settle_funding(self, j: int) -> None:
        """Settlements after the open of j-1, up to and including the open of j, for a short opened before them."""
        before, now = self.candles[j - 1], self.candles[j]
        mark_price = self.mark_candle(before).close
        for time, rate in self.funding_rates:
            if self.position is not None and before.ts < time <= now.ts and self.position.entry_time < time:
                self.book_funding(time, self.position.quantity * mark_price * rate)

    def book_funding(self, time: int, amount: Decimal) -> None:
        """Received: into the wallet. Paid: out of it; what the available balance cannot pay reduces X as well."""
        position = self.open_position()
        shortfall = -amount - self.available_balance()
        if amount < 0 and shortfall > 0:
            position.extra_margin -= shortfall
        position.funding += amount
        self.change_wallet(time, amount)

    def available_balance(self) -> Decimal:
        """The wallet without the position margin; unrealised profit is not spendable."""
        if self.position is None:
            return self.wallet
        return max(ZERO, self.wallet - position_margin(self.position, self.settings.taker_fee_rate))

    def change_wallet(self, time: int, amount: Decimal) -> None:
        self.wallet += amount
        self.wallet_history.append((time, self.wallet))

    def equity_at_close(self, j: int) -> Decimal:
        """The wallet, plus the open position marked at the last close."""
        if self.position is None:
            return self.wallet
        return self.wallet + self.position.quantity * (self.position.entry_price - self.candles[j].close)

    def open_position(self) -> Position:
        assert self.position is not None, "asked for a position on a flat account"
        return self.position


def slow_backtest(
    candles: Sequence[TwinCandle],
    instrument: TwinInstrument,
    settings: TwinSettings,
    params: TwinParams,
    luck: Luck,
    *,
    funding: Sequence[tuple[int, Decimal]] = (),
    mark: Mapping[int, TwinCandle] | None = None,
    minutes: Mapping[int, TwinCandle] | None = None,
) -> TwinResult:
    """Trade `params` over `candles` by the rules of DESIGN 3 and 4.

    `funding` holds (settlement time, rate); `mark` and `minutes` are keyed by open time.
    """
    with exact_arithmetic():
        return Walk(candles, instrument, settings, params, luck, funding, mark, minutes).run()
