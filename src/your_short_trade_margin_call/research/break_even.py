"""The cost at which a parameter set's profit in its window is gone, beside the cost that it pays.

Cost is counted per side (an entry is one, its exit another) in basis points of the notional of the fill. What a side
pays in a backtest is its fee, and where it is a market order half the spread and the slippage of its luck. The extra
cost is added to both fee rates, taker and maker: so it falls on every fill alike, resting targets included, and leaves
prices, targets and their order as they are. Size shrinks a little with it, as it would on the exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.research.profits import Account, profits
from your_short_trade_margin_call.research.running import trace
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import Trials, only_trial
from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.market_arrays import MarketArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_BPS = 5_000.0
"""Half the notional a side: beyond, nobody looks."""
RESOLUTION_BPS = 1e-3
"""How exactly the cost is found."""
_STEPS = 64
"""Steps in which the way to where a straight line would cross zero is looked at."""
_AT_MARKET = tuple(ExitReason(name).code for name in ("margin_call", "stop_loss", "max_hold", "end_of_data"))


@dataclass(frozen=True)
class BreakEven:
    """What a side costs, and how much more it may cost; basis points of notional.

    `paid_bps` is the mean over the sides of the trades, weighted by notional; None without a trade. `extra_bps` is the
    smallest cost on top at which there is no profit: 0 where there is none as it is, None where it takes more than
    MOST_BPS. `rises_again` says that some cost beyond, in the next steps looked at, would bring a profit back, as
    happens when a cost forbids a losing trade.
    """

    pnl_pct: float
    paid_bps: float | None
    extra_bps: float | None
    rises_again: bool

    @property
    def dies_at_bps(self) -> float | None:
        """The whole cost of a side at which the profit is gone; None where there is no profit to lose, or no end."""
        if self.paid_bps is None or self.extra_bps is None or self.pnl_pct <= 0.0:
            return None
        return self.paid_bps + self.extra_bps

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "dies_at_bps": self.dies_at_bps}


def break_even(market: MarketArrays, account: Account, params: StrategyParams) -> BreakEven:
    """Run the backtest again at higher and higher cost. `params` say all (`trials.with_defaults`).

    Profit mostly falls as cost rises, but not surely: lots are whole, and an order too dear is not sent. So the way up
    is looked at in steps, and halved only between the last step with a profit and the first without. A gap between two
    steps may hide a narrower dip.
    """
    alone = only_trial(params)

    def pnl(extra_bps: float) -> float:
        return float(profits(market, at_cost(account, extra_bps), alone).pnl_pct[0])

    paid, turnover = _paid(market, account, alone)
    own = pnl(0.0)
    if own <= 0.0:
        return BreakEven(own, paid, 0.0, False)
    straight = own / 100.0 * account.starting_balance / turnover * 1e4
    return BreakEven(own, paid, *first_without_profit(pnl, max(RESOLUTION_BPS, straight / _STEPS)))


def first_without_profit(pnl: Callable[[float], float], step: float) -> tuple[float | None, bool]:
    """The smallest x up to MOST_BPS with pnl(x) <= 0, None without any, and whether a profit comes back beyond it.

    There is a profit at 0. Looks every `step`, from 64 steps on every 64th part of the way.
    """
    low, high = 0.0, step
    while pnl(high) > 0.0:
        low, high = high, high + max(step, high / _STEPS)
        if high > MOST_BPS:
            return None, False
    rises_again = any(pnl(high + k * step) > 0.0 for k in range(1, _STEPS // 2))
    while high - low > RESOLUTION_BPS:
        middle = (low + high) / 2.0
        low, high = (middle, high) if pnl(middle) > 0.0 else (low, middle)
    return high, rises_again


def at_cost(account: Account, extra_bps: float) -> Account:
    """The account where every fill costs so much more of its notional."""
    terms, extra = account.terms, extra_bps / 1e4
    dearer = terms._replace(taker_fee_rate=terms.taker_fee_rate + extra, maker_fee_rate=terms.maker_fee_rate + extra)
    return account._replace(terms=dearer)


def _paid(market: MarketArrays, account: Account, alone: Trials) -> tuple[float | None, float]:
    """What a side cost (bps of notional; None without a trade), and the notional of all sides (USDT)."""
    contract, terms, start = account
    field = make_field(market, contract, terms, alone.highest_high_lookback[0])
    made = trace(field, alone, np.zeros(1, dtype=np.int64), start)
    count = int(made.summary["wins"][0] + made.summary["losses"][0])
    if not count:
        return None, 0.0
    column = dict(zip(TRADE_COLUMNS, made.trades[:count].T, strict=True))
    worth = column["lots"] * contract.lot_size * contract.tick_size
    sold, bought = worth * column["entry_ticks"], worth * column["exit_ticks"]
    slipped = sold * _at_market(market, account, column["entry_index"], luck.ENTRY_SLIPPAGE)
    at_market = np.isin(column["exit_reason"], _AT_MARKET)
    slipped += np.where(at_market, bought * _at_market(market, account, column["exit_index"], luck.EXIT_SLIPPAGE), 0.0)
    turnover = float((sold + bought).sum())
    return (float(made.summary["fees"][0]) + float(slipped.sum())) / turnover * 1e4, turnover


def _at_market(market: MarketArrays, account: Account, candles: Floats, purpose: np.uint64) -> Floats:
    """What market orders in some candles lose to spread and slippage, a fraction."""
    terms, times = account.terms, market.time_ms[candles.astype(np.int64)].tolist()
    slippage = [luck.slippage_bps(terms.luck_key, time_ms, purpose, terms.slippage_bps) for time_ms in times]
    return (terms.spread_bps / 2.0 + np.array(slippage)) / 1e4
