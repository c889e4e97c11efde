"""Whether a signal may be traded, and how large: the checks in their order (DESIGN 3)."""

from __future__ import annotations

import math
from typing import NamedTuple

from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.rules.costs import notional
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.sizing import Size, largest_size
from your_short_trade_margin_call.rules.terms import Contract, Terms

ALLOWED = -1
DUST_USDT = 1e-9
"""A balance of at most this much is nothing: what rounding leaves of an emptied wallet."""

_INSUFFICIENT = BlockReason.INSUFFICIENT_BALANCE.code
_MIN_QTY = BlockReason.BELOW_MIN_QTY.code
_MIN_NOTIONAL = BlockReason.BELOW_MIN_NOTIONAL.code
_DAILY_LOSS = BlockReason.DAILY_LOSS.code
_MAX_DRAWDOWN = BlockReason.MAX_DRAWDOWN.code
_COOLDOWN = BlockReason.COOLDOWN.code


class Tally(NamedTuple):
    """What the loss limits remember: the day and its first wallet, the highest flat wallet, the last loss."""

    day: int
    day_start_wallet: float
    peak_wallet: float
    cooldown_from_ms: int


class Plan(NamedTuple):
    """The answer to a signal: ALLOWED with a size, or the code of a BlockReason."""

    block: int
    size: Size


@jit_inline
def new_tally(wallet: float) -> Tally:
    """The memory of an account that has not traded."""
    return Tally(-1, wallet, wallet, -(1 << 60))


@jit_inline
def begin_day(tally: Tally, wallet: float, time_ms: int) -> Tally:
    """Called before anything changes the wallet at `time_ms`: a new UTC day remembers its first wallet."""
    day = time_ms // DAY_MS
    if day == tally.day:
        return tally
    return Tally(day, wallet, tally.peak_wallet, tally.cooldown_from_ms)


@jit_inline
def after_trade(tally: Tally, wallet: float, pnl: float, candle_close_ms: int) -> Tally:
    """Called when a trade has closed: a loss starts the cooldown at the close of its candle."""
    cooldown_from = candle_close_ms if pnl <= 0.0 else tally.cooldown_from_ms
    return Tally(tally.day, tally.day_start_wallet, max(tally.peak_wallet, wallet), cooldown_from)


@jit
def limit_block(terms: Terms, tally: Tally, wallet: float, time_ms: int) -> int:
    """The loss limit that forbids an entry at `time_ms`, or ALLOWED. NaN and 0 switch limits off."""
    if not math.isnan(terms.daily_loss) and wallet <= tally.day_start_wallet * (1.0 - terms.daily_loss):
        return _DAILY_LOSS
    if not math.isnan(terms.max_drawdown) and wallet <= tally.peak_wallet * (1.0 - terms.max_drawdown):
        return _MAX_DRAWDOWN
    if terms.cooldown_ms > 0 and time_ms < tally.cooldown_from_ms + terms.cooldown_ms:
        return _COOLDOWN
    return ALLOWED


@jit_inline
def _judged(contract: Contract, size: Size, mid_ticks: float) -> Plan:
    """Whether a size is large enough for the exchange."""
    if size.lots < max(1, contract.min_lots):
        return Plan(_MIN_QTY, size)
    if notional(contract, size.lots, mid_ticks) < contract.min_notional_usdt:
        return Plan(_MIN_NOTIONAL, size)
    return Plan(ALLOWED, size)


@jit
def plan_entry(contract: Contract, terms: Terms, risk_fraction: float, available: float, mid_ticks: float) -> Plan:
    """Size an entry at the reference mid, or say why there is none."""
    budget = available * min(risk_fraction, terms.max_available_frac)
    if available <= DUST_USDT:
        return Plan(_INSUFFICIENT, Size(0, terms.leverage, False, False))
    return _judged(contract, largest_size(contract, terms, budget, mid_ticks), mid_ticks)
