"""The money of many trials at once, compiled: lanes side by side, so that one instruction serves several of them.

A lane is a path; each risk fraction has a purse with a place for every lane. What is plain (the size lies in the
lowest tier, no guard comes near, the balance pays the funding) is reckoned here, by the rules' own functions and in
their order. Everything else goes alone (``alone_kernel``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.research.account_kernel import begin_account
from your_short_trade_margin_call.research.ground_kernel import Record
from your_short_trade_margin_call.rules import costs, position
from your_short_trade_margin_call.rules.entry import DUST_USDT
from your_short_trade_margin_call.rules.grid import whole_steps
from your_short_trade_margin_call.rules.jit import jit_inline
from your_short_trade_margin_call.rules.sizing import affordable_lots
from your_short_trade_margin_call.rules.terms import Contract, Terms

LANES = 16
"""Paths that walk side by side: a few vectors, so that the division of one hides the waiting of another."""

ALONE = -1.0
"""`most_lots` of a step that no size passes plainly."""


def _lanes(*names: str) -> list[tuple[str, type[np.float64], tuple[int]]]:
    return [(name, np.float64, (LANES,)) for name in names]


STEP = np.dtype(
    [
        *_lanes(
            "at", "then", "lot_cost", "most_affordable", "most_lots", "mid", "entry", "exit", "fee_rate", "candles"
        ),
        ("first_settlement", np.int64, (LANES,)),
        ("last_settlement", np.int64, (LANES,)),
        ("is_settled", np.int64),
    ]
)
"""One step of every lane: a signal, and what it means to plain shorts.

`at` is the signal and `then` the one after the exit; prices are in ticks. `lot_cost` holds up to `most_affordable`
lots; sizes up to `most_lots` leave where the path does, ALONE admits none. `is_settled` says whether any lane has
funding to settle.
"""

PURSE = np.dtype(
    _lanes("place", "wallet", "win_sum", "loss_sum", "fees", "funding", "wins", "losses", "candles", "capped")
    + _lanes("goes", "lots", "caps", "fee", "left", "settled")
)
"""The accounts of one risk fraction: the signal each meets next, its wallet, its sums.

`wins`, `losses`, `candles` and `capped` (by the order limit) count from when they were last put down. The rest
belongs to the step at hand: whether the lane trades (1 or 0), its size, whether that is capped, the entry fee, what
is left of the wallet, the funding.
"""


@jit_inline
def open_shorts(contract: Contract, fee_rate: float, share: float, step: Record, purse: Record) -> int:
    """Size the entries of a step; returns how many lanes must go alone, from here or from before."""
    n_alone = 0
    least, most = float(max(1, contract.min_lots)), float(contract.max_lots)
    for lane in range(LANES):
        wallet, at, place = purse.wallet[lane], step.at[lane], purse.place[lane]
        affordable = affordable_lots(wallet, share, step.lot_cost[lane])
        whole = whole_steps(affordable)
        lots = whole if whole < most else most
        is_plain = (wallet > DUST_USDT) & (affordable <= step.most_affordable[lane])
        is_plain &= (lots >= least) & (lots <= step.most_lots[lane])
        is_plain &= costs.notional(contract, lots, step.mid[lane]) >= contract.min_notional_usdt
        goes = (place == at) & is_plain
        n_alone += int((place <= at) & (not goes))
        fee = costs.fee(contract, lots, step.entry[lane], fee_rate)
        purse.goes[lane] = 1.0 if goes else 0.0
        purse.lots[lane] = lots
        purse.caps[lane] = 1.0 if whole > most else 0.0
        purse.fee[lane] = fee
        purse.left[lane] = wallet - fee
        purse.settled[lane] = 0.0
    return n_alone


@jit_inline
def settle_shorts(
    contract: Contract, terms: Terms, leverage: float, rates: NDArray[np.float64], marks: NDArray[np.float64],
    step: Record, purse: Record,
) -> int:  # fmt: skip
    """Funding of a step; returns how many lanes must go alone because it would take of their margin.

    `marks` holds the mark price of each settlement.
    """
    n_alone = 0
    for lane in range(LANES):
        lots, entry = purse.lots[lane], step.entry[lane]
        locked = position.position_margin(contract, terms, lots, entry, leverage, 0.0)
        k = step.first_settlement[lane]
        while k < step.last_settlement[lane] and purse.goes[lane] > 0.0:
            received = costs.funding_received(contract, lots, marks[k], rates[k])
            if position.margin_taken_by_funding(purse.left[lane], locked, received) > 0.0:
                purse.goes[lane] = 0.0
                n_alone += 1
            purse.settled[lane] += received
            purse.left[lane] += received
            k += 1
    return n_alone


@jit_inline
def close_shorts(contract: Contract, step: Record, purse: Record) -> None:
    """Leave where the paths do, and book the trades."""
    for lane in range(LANES):
        closing = position.close_at(contract, purse.lots[lane], step.entry[lane], step.exit[lane], step.fee_rate[lane])
        goes, wallet, place, then = purse.goes[lane] > 0.0, purse.wallet[lane], purse.place[lane], step.then[lane]
        after = purse.left[lane] + closing.wallet_change
        pnl = after - wallet
        wins = goes & (pnl > 0.0)
        loses = goes & (not pnl > 0.0)
        caps = purse.caps[lane]
        candles, fees, funding = step.candles[lane], purse.fee[lane] + closing.fee, purse.settled[lane]
        purse.place[lane] = then if goes else place
        purse.wallet[lane] = after if goes else wallet
        purse.win_sum[lane] += pnl if wins else 0.0
        purse.loss_sum[lane] += pnl if loses else 0.0
        purse.wins[lane] += 1.0 if wins else 0.0
        purse.losses[lane] += 1.0 if loses else 0.0
        purse.fees[lane] += fees if goes else 0.0
        purse.funding[lane] += funding if goes else 0.0
        purse.candles[lane] += candles if goes else 0.0
        purse.capped[lane] += caps if goes else 0.0


@jit_inline
def fill_purse(purse: Record, lane: int, wallet: float) -> None:
    """A lane that has not traded."""
    purse.place[lane] = 0.0
    purse.wallet[lane] = wallet
    purse.win_sum[lane] = purse.loss_sum[lane] = purse.fees[lane] = purse.funding[lane] = 0.0
    purse.wins[lane] = purse.losses[lane] = purse.candles[lane] = purse.capped[lane] = 0.0


@jit_inline
def put_down(purse: Record, lane: int, is_clamped: bool, account: Record, summary: Record) -> None:
    """Write a lane into its account and its trial's row. Where a loss limit is on, nothing was traded before."""
    wins, losses = int(purse.wins[lane]), int(purse.losses[lane])
    begin_account(account, purse.wallet[lane])
    account.place = int(purse.place[lane])
    summary.final_balance = account.wallet
    summary.win_sum, summary.loss_sum = purse.win_sum[lane], purse.loss_sum[lane]
    summary.fees, summary.funding = purse.fees[lane], purse.funding[lane]
    summary.wins += wins
    summary.losses += losses
    summary.candles_held += int(purse.candles[lane])
    summary.quantity_clamped += int(purse.capped[lane])
    if is_clamped:
        summary.leverage_clamped += wins + losses
    purse.wins[lane] = purse.losses[lane] = purse.candles[lane] = purse.capped[lane] = 0.0


@jit_inline
def take_up(purse: Record, lane: int, account: Record, summary: Record) -> None:
    """Go on with what an account became on its own."""
    purse.place[lane] = float(account.place)
    purse.wallet[lane] = account.wallet
    purse.win_sum[lane], purse.loss_sum[lane] = summary.win_sum, summary.loss_sum
    purse.fees[lane], purse.funding[lane] = summary.fees, summary.funding
