"""Money is conserved, funding has the right signs, and liquidation tells its story in the right order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.exchange.faults import Fault

from .trader import CALM, FLAT, OTHER, SYMBOL, Trader


def all_rows(trader: Trader, path: str) -> list[dict[str, str]]:
    """Every row of a paged query, oldest first."""
    rows: list[dict[str, str]] = []
    cursor = ""
    while True:
        _, page = trader.get(path, limit="50", **({"cursor": cursor} if cursor else {}))
        rows += page["list"]
        cursor = page["nextPageCursor"]
        if not cursor:
            return rows[::-1]


def check_books(trader: Trader) -> None:
    """The wallet is explained three times: by the log, by the executions, and by closed profit."""
    start = Decimal(str(CALM.starting_balance))
    wallet = Decimal(str(trader.wallet()))
    log = all_rows(trader, "account/transaction-log")
    balance = start
    for row in log:
        parts = Decimal(row["cashFlow"]) + Decimal(row["funding"] or "0") - Decimal(row["fee"])
        assert Decimal(row["change"]) == parts
        balance += parts
        assert abs(Decimal(row["cashBalance"]) - balance) < Decimal("1e-8")
    assert abs(wallet - balance) < Decimal("1e-8")
    closed = sum((Decimal(row["closedPnl"]) for row in all_rows(trader, "position/closed-pnl")), Decimal(0))
    funding = sum((Decimal(row["funding"] or "0") for row in log), Decimal(0))
    still_open = sum(own.story.open_fee for own in trader.account.owned.values())
    assert abs(start + closed + funding - Decimal(str(still_open)) - wallet) < Decimal("1e-8")
    told = {row["execId"]: row for row in trader.told("execution")}
    listed = all_rows(trader, "execution/list")
    assert [row["tradeId"] for row in log] == [row["execId"] for row in listed]
    assert set(told) == {row["execId"] for row in listed}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("short"), st.integers(1, 300)),
        st.tuples(st.just("close"), st.integers(1, 300)),
        st.tuples(st.just("target"), st.integers(1, 200)),
        st.tuples(st.just("stop"), st.integers(1, 200)),
        st.tuples(st.just("margin"), st.integers(-20, 60)),
        st.tuples(st.just("fault"), st.integers(0, 5)),
        st.tuples(st.just("step"), st.just(1)),
        st.tuples(st.just("adl"), st.integers(1, 100)),
        st.tuples(st.just("by_hand"), st.integers(1, 100)),
    ),
    max_size=25,
)
MOVES = st.lists(st.floats(0.9, 1.12), min_size=12, max_size=12)
FAULTS = [
    Fault.REJECT,
    Fault.LATE_REJECT,
    Fault.PARTIAL_FILL,
    Fault.PARTIAL_THEN_CANCEL,
    Fault.DUPLICATE_EVENT,
    Fault.REORDERED_EVENT,
]


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, moves=MOVES, rate=st.sampled_from([0.0, 0.01, -0.01, -0.2]))
def test_money_is_conserved(actions: list[tuple[str, int]], moves: list[float], rate: float) -> None:
    candles, price = [], 1_000.0
    for move in moves:
        opened, price = price, round(price * move, 1)
        candles.append((opened, round(max(opened, price) * 1.01, 1), round(min(opened, price) * 0.99, 1), price))
    funding = [(k, rate) for k in range(1, 12)] if rate else []
    trader = Trader(*candles, funding=funding, settings=CALM.replace(spread_bps=4.0, slippage_bps=3.0))
    for number, (what, size) in enumerate(actions):
        act(trader, what, size, f"{what}-{number}")
        trader.account.sim(SYMBOL).check()
    check_books(trader)


def act(trader: Trader, what: str, size: int, link_id: str) -> None:
    """One thing that happens, whatever the account says to it."""
    price, qty = trader.pair.mid_ticks / 10, f"{size / 100:.2f}"
    if what == "short":
        trader.short(qty, link_id, stopLoss=f"{price * (1 + size / 2_000):.1f}")
    elif what == "close":
        trader.close(qty, link_id)
    elif what == "target":
        trader.target(f"{price * (1 - size / 2_000):.1f}", qty, link_id)
    elif what == "stop":
        trader.stop(f"{price * (1 + size / 2_000):.1f}")
    elif what == "margin":
        trader.post("position/add-margin", margin=str(size))
    elif what == "fault":
        trader.account.arm(FAULTS[size])
    elif what == "step":
        trader.world.step(1)
    elif trader.account.own(SYMBOL).lots:
        happen = trader.account.adl if what == "adl" else trader.account.manual_close
        happen(SYMBOL, size)


def test_two_pairs_book_into_one_wallet() -> None:
    trader = Trader((1000.0, 1200.0, 990.0, 1150.0), FLAT, FLAT, symbols=(SYMBOL, OTHER), funding=[(2, -0.01)])
    trader.short("1.00")
    trader.short("2.00", "other", symbol=OTHER, stopLoss="1050.00")
    trader.world.step(1)
    trader.short("0.50", "again", symbol=OTHER)
    trader.world.step(1)
    kinds = {row["execType"] for row in all_rows(trader, "execution/list")}
    assert kinds == {"Trade", "BustTrade", "Funding"}
    check_books(trader)


@pytest.mark.parametrize(
    ("rate", "fee", "fee_rate", "funding"), [(0.0005, "-0.5", "-0.0005", "0.5"), (-0.002, "2", "0.002", "-2")]
)
def test_signs_of_funding(rate: float, fee: str, fee_rate: str, funding: str) -> None:
    """Executions: a fee, positive when paid. The log: the wallet's side, positive when received."""
    trader = Trader(FLAT, FLAT, FLAT, funding=[(1, rate)])
    trader.short()
    trader.told()
    trader.world.step(1)
    (row,) = trader.told("execution")
    assert (row["execType"], row["execFee"], row["feeRate"]) == ("Funding", fee, fee_rate)
    assert (row["side"], row["execQty"], row["orderType"], row["execPrice"]) == ("Sell", "1.00", "UNKNOWN", "1000.00")
    (log,) = trader.rows("account/transaction-log", type="SETTLEMENT")
    assert (log["funding"], log["change"], log["fee"]) == (funding, funding, "0")
    assert float(trader.position()["curRealisedPnl"]) == pytest.approx(-0.55 + float(funding))


def test_who_opened_at_the_settlement_pays_nothing() -> None:
    trader = Trader(FLAT, FLAT, FLAT, funding=[(1, 0.0005)])
    for _ in range(3):  # path, close, funding
        trader.world.step_phase()
    trader.short()
    trader.world.step(1)
    assert trader.rows("execution/list", execType="Funding") == []


def test_a_liquidation_tells_its_story() -> None:
    trader = Trader((1000.0, 1120.0, 990.0, 1110.0))
    trader.short(stopLoss="1200.00", slTriggerBy="MarkPrice")
    trader.target("900.00")
    trader.told()
    wallet = trader.wallet()
    margin = float(trader.rows("account/wallet-balance", accountType="UNIFIED")[0]["coin"][0]["totalPositionIM"])
    trader.world.step(1)
    heard = trader.told()
    stop, target, before, execution, takeover, after, told_wallet = heard
    assert (stop["stopOrderType"], stop["cancelType"]) == ("StopLoss", "CancelByTpSlTsClear")
    assert (target["orderLinkId"], target["cancelType"]) == ("target", "CancelByPrepareLiq")
    assert (before["positionStatus"], before["size"]) == ("Liq", "1.00")
    assert (execution["execType"], execution["execPrice"], execution["side"]) == ("BustTrade", "1100.00", "Buy")
    assert takeover["createType"] == execution["createType"] == "CreateByTakeOver_PassThrough"
    assert (takeover["orderStatus"], takeover["orderLinkId"]) == ("Filled", "")
    assert (after["size"], after["side"]) == ("0", "")
    assert told_wallet["coin"][0]["walletBalance"] == f"{wallet - margin:.3f}"
    (log,) = trader.rows("account/transaction-log", type="LIQUIDATION")
    assert float(log["change"]) == pytest.approx(-margin)
    (closed,) = trader.rows("position/closed-pnl", symbol=SYMBOL)
    assert (closed["execType"], closed["side"]) == ("BustTrade", "Buy")
    assert float(closed["closedPnl"]) == pytest.approx(-margin - 0.55)
    check_after_told(trader, heard)


def check_after_told(trader: Trader, heard: list[dict[str, str]]) -> None:
    """What was told can be looked up."""
    listed = {row["execId"] for row in trader.rows("execution/list", symbol=SYMBOL)}
    assert {row["execId"] for row in heard if "execId" in row} <= listed


def test_closed_profit_is_counted_per_closing_order() -> None:
    trader = Trader((1000.0, 1001.0, 980.0, 990.0))
    trader.account.arm(Fault.PARTIAL_FILL)
    trader.short("1.00")
    trader.account.arm(Fault.PARTIAL_FILL)
    trader.close("0.60", "half")
    trader.world.step(1)
    trader.close("0.40", "rest")
    rest, half = trader.rows("position/closed-pnl", symbol=SYMBOL)
    assert (half["closedSize"], rest["closedSize"]) == ("0.60", "0.40")
    assert int(half["fillCount"]) > 1
    assert float(half["closedPnl"]) == pytest.approx(-0.6 * 0.55 - 0.6 * 0.55)
    assert float(rest["avgEntryPrice"]) == pytest.approx(1000.0)
    assert float(rest["avgExitPrice"]) == float(trader.order("rest")["avgPrice"])
    check_books(trader)
