"""What trading costs: fees, funding, and the price of taking liquidity. Money in USDT, prices in ticks."""

from __future__ import annotations

from your_short_trade_margin_call.rules.grid import ceil_step, floor_step
from your_short_trade_margin_call.rules.jit import jit_inline
from your_short_trade_margin_call.rules.terms import Contract


@jit_inline
def notional(contract: Contract, lots: float, ticks: float) -> float:
    """Quantity times price, in USDT."""
    return (lots * contract.lot_size) * (ticks * contract.tick_size)


@jit_inline
def fee(contract: Contract, lots: float, ticks: float, rate: float) -> float:
    """Fee of a fill: notional at the fill price times the rate."""
    return notional(contract, lots, ticks) * rate


@jit_inline
def funding_received(contract: Contract, lots: float, mark_ticks: float, rate: float) -> float:
    """What a short of `lots` receives at a settlement; negative when it pays (a negative rate)."""
    return notional(contract, lots, mark_ticks) * rate


@jit_inline
def sell_fill(mid_ticks: float, spread_bps: float, slippage_bps: float) -> int:
    """Fill of a market sell: half the spread and the slippage below the mid, down to the tick."""
    return floor_step(mid_ticks * (1.0 - (spread_bps / 2.0 + slippage_bps) / 1e4))


@jit_inline
def buy_fill(reference_ticks: float, spread_bps: float, slippage_bps: float) -> int:
    """Fill of a market buy: half the spread and the slippage above the reference, up to the tick."""
    return ceil_step(reference_ticks * (1.0 + (spread_bps / 2.0 + slippage_bps) / 1e4))
