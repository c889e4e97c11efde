"""What executions did to the wallet: the other side of "fills + fees + funding = change of the wallet"."""

from __future__ import annotations

import math
from collections.abc import Iterable

from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind, Side


def wallet_change(executions: Iterable[Execution], tick_size: float, lot_size: float) -> float:
    """The change of a short-only account's wallet over executions in their order, in USDT.

    Sales average the entry; buying back (trade, liquidation, ADL) realises entry minus exit; every fee is
    subtracted, and a funding settlement is all fee. An open position counts nothing but its fees.

    Args:
        executions: oldest first, beginning flat.
        tick_size: USDT per tick.
        lot_size: base coin per lot.

    Raises:
        BrokenInvariantError: more was bought back than had been sold.
    """
    lots, proceeds = 0, 0.0
    changes: list[float] = []
    for execution in executions:
        changes.append(-execution.fee_usdt)
        if execution.kind is ExecutionKind.FUNDING:
            continue
        if execution.side is Side.SELL:
            lots, proceeds = lots + execution.lots, proceeds + execution.lots * execution.price_ticks
            continue
        if execution.lots > lots:
            raise BrokenInvariantError(
                f"Execution {execution.exec_id} buys back {execution.lots} lots of a short of {lots}.",
                "Compare the journal with the exchange's list of executions: the journal lacks a sale.",
            )
        # All of it at once when it goes flat, so that no dust of rounding stays behind.
        cost_basis = proceeds if execution.lots == lots else proceeds * execution.lots / lots
        changes.append((cost_basis - execution.lots * execution.price_ticks) * tick_size * lot_size)
        lots, proceeds = lots - execution.lots, proceeds - cost_basis
    return math.fsum(changes)
