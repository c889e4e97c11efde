"""Hand-computed scenarios for the slow twin. Every expected number is worked out in a comment, not by the program.

The house position of most tests: a balance of 1000, leverage 2, taker 0.1 %, maker 0.05 %, no spread, no slippage,
risk 0.5 (a budget of 500), lots of 1, ticks of 0.1, one tier with MMR 0.005. A signal is sold at 100:

    order cost of one coin   100/2 + 100*0.001 + 100*1.5*0.001 = 50.25    -> 500/50.25 = 9.95 -> Q = 9
    entry fee                9*100*0.001                       = 0.9
    initial margin           9*100/2 + 9*150*0.001             = 451.35
    liquidation              100*1.5/1.005 = 149.2537          -> 149.2
    margin call              100 + 0.9*49.2 = 144.28           -> 144.2
    bankruptcy               100*1.5                           = 150
    target                   100*(1 - 0.02)                    = 98
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, FloatOperation
from typing import Any

import pytest

from .slow_backtest import (
    Position,
    TwinCandle,
    TwinInstrument,
    TwinParams,
    TwinResult,
    TwinSettings,
    TwinTier,
    TwinTrade,
    bankruptcy_price,
    exact_arithmetic,
    exact_liquidation_price,
    initial_margin,
    position_margin,
    round_down,
    round_up,
    slow_backtest,
)

D = Decimal
STEP = 180_000
MIDNIGHT = 20_000 * 86_400_000
NOON = MIDNIGHT + 43_200_000

INSTRUMENT = TwinInstrument(
    tick_size=D("0.1"),
    qty_step=D("1"),
    min_qty=D("1"),
    max_qty=D("1000"),
    min_notional=D("5"),
    max_leverage=D("100"),
    tiers=(TwinTier(limit=D("1000000"), mmr=D("0.005"), max_leverage=D("100"), deduction=D("0")),),
)
SETTINGS = TwinSettings(
    starting_balance=D("1000"),
    leverage=D("2"),
    spread_bps=D("0"),
    taker_fee_rate=D("0.001"),
    maker_fee_rate=D("0.0005"),
)
PARAMS = TwinParams(lookback=2, exit_type="take_profit", risk_fraction=D("0.5"), take_profit_pct=D("0.02"))

Prices = tuple[str, str, str, str]
QUIET: Prices = ("99.5", "100", "99", "99.5")  # never a signal: close = open
SIGNAL: Prices = ("100", "101", "99.5", "99.8")  # a new peak that failed
HOLD: Prices = ("100", "100.5", "99", "100")  # the open at which a signal is sold; nothing happens
WIN: Prices = ("100", "100.4", "97.9", "98.5")  # trades through 98; no peak
BEFORE: list[Prices] = [QUIET, QUIET, SIGNAL]  # candles 0, 1, 2: sold at the open of candle 3


class FixedLuck:
    """The same slippage every time; rejects the candles named."""

    def __init__(self, entry: float = 0.0, exit_: float = 0.0, rejects: Sequence[int] = ()) -> None:
        self.slippage = {"entry": entry, "exit": exit_}
        self.rejects = rejects

    def slippage_bps(self, candle_open_ms: int, purpose: str) -> float:
        return self.slippage[purpose]

    def rejected(self, candle_open_ms: int) -> bool:
        return candle_open_ms in self.rejects


def at(n: int, start: int = NOON) -> int:
    """Open time of candle n."""
    return start + n * STEP


def candle(ts: int, prices: Prices) -> TwinCandle:
    return TwinCandle(ts, *(D(price) for price in prices))


def series(rows: Sequence[Prices], start: int = NOON) -> list[TwinCandle]:
    return [candle(at(n, start), row) for n, row in enumerate(rows)]


def run(
    rows: Sequence[Prices],
    *,
    start: int = NOON,
    instrument: TwinInstrument = INSTRUMENT,
    settings: TwinSettings = SETTINGS,
    params: TwinParams = PARAMS,
    luck: FixedLuck | None = None,
    funding: Sequence[tuple[int, Decimal]] = (),
    mark: Mapping[int, TwinCandle] | None = None,
    minutes: Mapping[int, TwinCandle] | None = None,
) -> TwinResult:
    candles = series(rows, start)
    luck = luck or FixedLuck()
    return slow_backtest(candles, instrument, settings, params, luck, funding=funding, mark=mark, minutes=minutes)


def only_trade(result: TwinResult) -> TwinTrade:
    assert len(result.trades) == 1
    return result.trades[0]


def near(value: Decimal, expected: str, tolerance: str = "0.000001") -> bool:
    return abs(value - D(expected)) < D(tolerance)


def test_a_winner_through_the_target_with_every_column() -> None:
    # 9*(100-98) = 18; exit fee 9*98*0.0005 = 0.441; 18 - 0.9 - 0.441 = 16.659
    result = run([*BEFORE, WIN, QUIET])
    assert only_trade(result) == TwinTrade(
        entry_time=at(3),
        exit_time=at(3),  # the candle of the fill may decide the exit, all of it
        entry_price=D("100"),
        exit_price=D("98"),
        quantity=D("9"),
        leverage=D("2"),
        target_price=D("98"),
        target_source="take_profit",
        liquidation_price=D("149.2"),
        margin_call_price=D("144.2"),
        entry_fee=D("0.9"),
        exit_fee=D("0.441"),
        funding=D("0"),
        pnl_value=D("16.659"),
        pnl_pct=D("1.6659"),
        exit_reason="target",
        balance_after=D("1016.659"),
    )
    assert (result.wins, result.losses, result.final_balance) == (1, 0, D("1016.659"))
    assert result.equity == [D("1000"), D("1000"), D("1000"), D("1016.659"), D("1016.659")]
    assert (result.blocked, result.leverage_clamped, result.quantity_clamped) == ({}, 0, 0)


def test_a_touch_of_the_target_fills_only_when_asked() -> None:
    touch: Prices = ("100", "100.5", "98", "99")
    # end of data: bought back at the close, 99: 9 - 0.9 - 9*99*0.001 = 9 - 0.9 - 0.891 = 7.209
    trade = only_trade(run([*BEFORE, touch]))
    assert (trade.exit_reason, trade.pnl_value) == ("end_of_data", D("7.209"))
    trade = only_trade(run([*BEFORE, touch], settings=replace(SETTINGS, fill_on_touch=True)))
    assert (trade.exit_reason, trade.pnl_value) == ("target", D("16.659"))


def test_spread_and_slippage_are_rounded_against_us() -> None:
    # entry: 100*(1 - (1+3)/1e4) = 99.96 -> 99.9 ; size from the mid: still 9 ; fee 9*99.9*0.001 = 0.8991
    # liquidation 99.9*1.5/1.005 = 149.104 -> 149.1 ; margin call 99.9 + 0.9*49.2 = 144.18 -> 144.1
    # exit: 144.1*(1 + (1+5)/1e4) = 144.18646 -> 144.2 ; fee 9*144.2*0.001 = 1.2978
    # 9*(99.9-144.2) = -398.7 ; -398.7 - 0.8991 - 1.2978 = -400.8969 ; balance 599.1031
    adverse: Prices = ("100", "144.1", "99", "120")
    settings = replace(SETTINGS, spread_bps=D("2"))
    trade = only_trade(run([*BEFORE, adverse], settings=settings, luck=FixedLuck(entry=3.0, exit_=5.0)))
    assert (trade.entry_price, trade.quantity, trade.entry_fee) == (D("99.9"), D("9"), D("0.8991"))
    assert (trade.liquidation_price, trade.margin_call_price) == (D("149.1"), D("144.1"))
    assert trade.target_price == D("97.9")  # 99.9*0.98 = 97.902
    assert (trade.exit_reason, trade.exit_price, trade.exit_fee) == ("margin_call", D("144.2"), D("1.2978"))
    assert (trade.pnl_value, trade.balance_after) == (D("-400.8969"), D("599.1031"))


def test_the_margin_call_fills_at_its_trigger_or_at_a_worse_open() -> None:
    # at 144.2: 9*(-44.2) = -397.8 ; fee 1.2978 ; -397.8 - 0.9 - 1.2978 = -399.9978
    trade = only_trade(run([*BEFORE, HOLD, ("120", "155", "97", "100")]))
    assert (trade.exit_reason, trade.exit_price, trade.pnl_value) == ("margin_call", D("144.2"), D("-399.9978"))
    assert trade.exit_time == at(4)
    # opens at 145, below the liquidation price: 9*(-45) = -405 ; fee 1.305 ; -405 - 0.9 - 1.305 = -407.205
    trade = only_trade(run([*BEFORE, HOLD, ("145", "146", "97", "100")]))
    assert (trade.exit_reason, trade.exit_price, trade.pnl_value) == ("margin_call", D("145"), D("-407.205"))
    # a high one tick below the trigger is no margin call
    trade = only_trade(run([*BEFORE, HOLD, ("120", "144.1", "97", "100")]))
    assert trade.exit_reason == "target"


def test_a_liquidation_loses_the_position_margin_exactly() -> None:
    # 0.9 + 451.35 = 452.25 ; the same by the columns: 9*(100-150) - 0.9 - 9*150*0.001 = -450 - 0.9 - 1.35
    trade = only_trade(run([*BEFORE, HOLD, ("149.2", "160", "97", "100")]))
    assert (trade.exit_reason, trade.exit_price, trade.exit_fee) == ("liquidation", D("150"), D("1.35"))
    assert (trade.pnl_value, trade.balance_after) == (D("-452.25"), D("547.75"))


def test_without_a_stop_the_high_liquidates() -> None:
    ride = replace(SETTINGS, margin_call_at=None)
    trade = only_trade(run([*BEFORE, ("100", "149.1", "99", "100")], settings=ride))
    assert (trade.exit_reason, trade.margin_call_price) == ("end_of_data", None)
    trade = only_trade(run([*BEFORE, ("100", "149.2", "99", "100")], settings=ride))
    assert (trade.exit_reason, trade.pnl_value) == ("liquidation", D("-452.25"))
    # a trigger at the liquidation price itself is no stop
    at_liquidation = replace(SETTINGS, margin_call_at=D("1"))
    trade = only_trade(run([*BEFORE, ("100", "149.2", "99", "100")], settings=at_liquidation))
    assert (trade.exit_reason, trade.margin_call_price) == ("liquidation", D("149.2"))


def test_the_nearer_stop_is_active_and_the_stop_loss_wins_a_tie() -> None:
    adverse: Prices = ("100", "160", "99", "100")

    def exit_with(stop_loss_pct: str, settings: TwinSettings = SETTINGS) -> tuple[str, Decimal]:
        trade = only_trade(
            run([*BEFORE, adverse], params=replace(PARAMS, stop_loss_pct=D(stop_loss_pct)), settings=settings)
        )
        return trade.exit_reason, trade.exit_price

    assert exit_with("0.0155") == ("stop_loss", D("101.5"))  # 101.55 -> 101.5
    assert exit_with("0.442") == ("stop_loss", D("144.2"))  # a tie with the margin call
    assert exit_with("0.443") == ("margin_call", D("144.2"))  # 144.3 is further away
    ride = replace(SETTINGS, margin_call_at=None)
    assert exit_with("0.491", ride) == ("stop_loss", D("149.1"))
    assert exit_with("0.492", ride) == ("liquidation", D("150"))  # 149.2 is the liquidation price: no stop


def test_in_a_doubtful_candle_the_adverse_move_comes_first_unless_the_minutes_say_otherwise() -> None:
    doubtful: Prices = ("100", "145", "97", "100")
    down: Prices = ("100", "101", "97.5", "98")
    up: Prices = ("98", "145", "98", "120")
    both: Prices = ("100", "145", "97", "100")
    neither: Prices = ("100", "101", "99", "100")

    def reason(*rows: Prices, settings: TwinSettings = SETTINGS) -> str:
        minutes = {at(3) + n * 60_000: candle(at(3) + n * 60_000, row) for n, row in enumerate(rows)}
        return only_trade(run([*BEFORE, doubtful], minutes=minutes, settings=settings)).exit_reason

    assert only_trade(run([*BEFORE, doubtful])).exit_reason == "margin_call"
    assert reason(down, up, neither) == "target"
    assert reason(neither, down, up) == "target"
    assert reason(up, down, neither) == "margin_call"
    assert reason(both, down, neither) == "margin_call"  # the first minute that decides touched both
    assert reason(neither, neither, neither) == "margin_call"
    assert reason(down, up) == "margin_call"  # a minute is missing
    # without a stop the level of doubt is the liquidation price, 149.2: 145 is not adverse at all
    assert reason(up, down, neither, settings=replace(SETTINGS, margin_call_at=None)) == "target"
    # opened at or above liquidation: minutes are not asked
    opened_beyond: Prices = ("149.2", "150", "97", "100")
    minutes = {at(4) + n * 60_000: candle(at(4) + n * 60_000, down) for n in range(3)}
    assert only_trade(run([*BEFORE, HOLD, opened_beyond], minutes=minutes)).exit_reason == "liquidation"


def test_mark_prices_decide_whether_and_last_prices_decide_how_much() -> None:
    calm: Prices = ("100", "110", "99", "100")
    # the last price spikes, the mark does not: nothing happens, and the target may fill
    trade = only_trade(run([*BEFORE, ("100", "160", "97", "100")], mark={at(3): candle(at(3), calm)}))
    assert trade.exit_reason == "target"
    # the mark reaches 144.2 and the last price does not: bought at max(144.2, last open 100)
    trade = only_trade(run([*BEFORE, HOLD], mark={at(3): candle(at(3), ("100", "144.2", "99", "100"))}))
    assert (trade.exit_reason, trade.exit_price) == ("margin_call", D("144.2"))
    # the mark opens at the liquidation price
    trade = only_trade(run([*BEFORE, HOLD], mark={at(3): candle(at(3), ("149.2", "150", "99", "100"))}))
    assert trade.exit_reason == "liquidation"
    # a mark candle that went low fills nothing; a candle without a mark uses last prices
    trade = only_trade(run([*BEFORE, HOLD, WIN], mark={at(3): candle(at(3), ("100", "100", "90", "100"))}))
    assert (trade.exit_reason, trade.exit_time) == ("target", at(4))


def test_the_target_is_the_level_where_it_pays_and_a_take_profit_elsewhere() -> None:
    # before the signal: lows 98.17 and 98.25, highs 100 and 99.4; the level must be at or below 100*(1-0.0022) = 99.78
    rows: list[Prices] = [("99.5", "100", "98.17", "99.5"), ("99", "99.4", "98.25", "99"), SIGNAL, WIN]

    def target_of(exit_type: str) -> tuple[Decimal, str]:
        trade = only_trade(run(rows, params=replace(PARAMS, exit_type=exit_type)))
        return trade.target_price, trade.target_source

    assert target_of("highest_low") == (D("98.2"), "level")  # 98.25 -> 98.2
    assert target_of("lowest_high") == (D("99.4"), "level")
    assert target_of("midpoint") == (D("98.8"), "level")  # (98.25 + 99.4)/2 = 98.825 -> 98.8
    assert target_of("take_profit") == (D("98"), "take_profit")

    # highs of 100 are above 99.78; 99.78 itself still pays (ticks of 0.01)
    cents = replace(INSTRUMENT, tick_size=D("0.01"))
    for low, expected in (("99.78", (D("99.78"), "level")), ("99.79", (D("98"), "take_profit"))):
        before: Prices = ("99.9", "100", low, "99.9")
        result = run([before, before, SIGNAL, WIN], instrument=cents, params=replace(PARAMS, exit_type="highest_low"))
        trade = only_trade(result)
        assert (trade.target_price, trade.target_source) == expected
    trade = only_trade(run([*BEFORE, WIN], params=replace(PARAMS, exit_type="lowest_high")))
    assert trade.target_source == "take_profit"


def test_a_signal_is_a_new_peak_that_failed_on_contiguous_candles() -> None:
    assert len(run([QUIET, QUIET, ("100", "100", "99", "99.9"), HOLD]).trades) == 1  # an equal high is a new peak
    assert run([QUIET, QUIET, ("100", "99.9", "99", "99.5"), HOLD]).trades == []  # a lower one is not
    assert run([QUIET, QUIET, ("100", "101", "99", "100"), HOLD]).trades == []  # close = open did not fail
    assert run([QUIET, SIGNAL, HOLD]).trades == []  # only one candle before it
    # a hole between candle 0 and the rest: no window, no signal, nothing counted
    rows = series([*BEFORE, HOLD])
    holed = [replace(rows[0], ts=rows[0].ts - STEP), *rows[1:]]
    result = slow_backtest(holed, INSTRUMENT, SETTINGS, PARAMS, FixedLuck())
    assert (result.trades, result.blocked) == ([], {})


def test_blocked_by_a_gap_by_an_open_position_and_silence_on_the_last_candle() -> None:
    rows = series([*BEFORE, HOLD])
    gap = [*rows[:3], replace(rows[3], ts=rows[3].ts + STEP)]
    result = slow_backtest(gap, INSTRUMENT, SETTINGS, PARAMS, FixedLuck())
    assert (result.trades, result.blocked) == ([], {"stream_gap": 1})
    # the last candle is a signal: neither traded nor counted, flat or not
    assert run(BEFORE).blocked == {}
    assert run([*BEFORE, HOLD, SIGNAL]).blocked == {}
    # a second signal (candle 4, high 101 >= 101) while the short is open
    assert run([*BEFORE, HOLD, SIGNAL, HOLD]).blocked == {"position_open": 1}
    # the short sold at candle 3 wins in candle 4, which is itself a signal: flat at its close, so it counts
    win_and_signal: Prices = ("100", "101", "97", "98")
    result = run([*BEFORE, HOLD, win_and_signal, HOLD])
    assert result.blocked == {}
    assert [(trade.entry_time, trade.exit_time) for trade in result.trades] == [(at(3), at(4)), (at(5), at(5))]


def test_the_brokers_checks() -> None:
    rows = [*BEFORE, HOLD]
    assert run(rows, instrument=replace(INSTRUMENT, min_qty=D("10"))).blocked == {"below_min_qty": 1}
    assert run(rows, instrument=replace(INSTRUMENT, qty_step=D("10"))).blocked == {"below_min_qty": 1}  # 9.95 -> 0
    assert run(rows, instrument=replace(INSTRUMENT, min_notional=D("900.1"))).blocked == {"below_min_notional": 1}
    assert run(rows, instrument=replace(INSTRUMENT, min_notional=D("900"))).blocked == {}  # 9*100 is enough
    assert run(rows, luck=FixedLuck(rejects=[at(3)])).blocked == {"order_rejected": 1}
    assert run(rows, luck=FixedLuck(rejects=[at(2), at(4)])).blocked == {}
    # the reject is asked last
    result = run(rows, luck=FixedLuck(rejects=[at(3)]), instrument=replace(INSTRUMENT, min_qty=D("10")))
    assert result.blocked == {"below_min_qty": 1}
    assert run(rows, settings=replace(SETTINGS, starting_balance=D("0"))).blocked == {"insufficient_balance": 1}


def test_size_at_the_cap_of_the_available_balance_and_exactly_on_the_lot() -> None:
    # min(0.95, 0.9)*1000 = 900 ; 900/50.25 = 17.91 -> 17
    assert only_trade(run([*BEFORE, WIN], params=replace(PARAMS, risk_fraction=D("0.95")))).quantity == D("17")
    # leverage 3: one coin costs (100 + 0.3 + 0.4)/3 = 100.7/3 ; a budget of 0.5*201.4 = 100.7 buys exactly 3
    thirds = replace(SETTINGS, leverage=D("3"), starting_balance=D("201.4"))
    assert only_trade(run([*BEFORE, WIN], settings=thirds)).quantity == D("3")
    short_by_a_hair = replace(thirds, starting_balance=D("201.3999"))
    assert only_trade(run([*BEFORE, WIN], settings=short_by_a_hair)).quantity == D("2")


TIERS = (
    TwinTier(limit=D("500"), mmr=D("0.01"), max_leverage=D("10"), deduction=D("0")),
    TwinTier(limit=D("1000"), mmr=D("0.02"), max_leverage=D("2"), deduction=D("5")),
    TwinTier(limit=D("1000000"), mmr=D("0.03"), max_leverage=D("1"), deduction=D("15")),
)


def test_the_tiers_cap_leverage_and_quantity() -> None:
    # wanted leverage 5, mid 100, budget 500:
    #   tier 1, 5x: one coin 20 + 0.1 + 0.12 = 20.22 -> 24.7, limit 500/100 = 5 -> 5 (notional 500, inside: inclusive)
    #   tier 2, 2x: 9.95 -> 9 (900, inside)          tier 3, 1x: one coin 100.3 -> 4 (400, below the tier: no)
    settings = replace(SETTINGS, leverage=D("5"))
    ladder = replace(INSTRUMENT, tiers=TIERS)

    def opened(max_qty: str = "1000", risk: str = "0.5") -> tuple[Decimal, Decimal, int, int]:
        instrument = replace(ladder, max_qty=D(max_qty))
        result = run(
            [*BEFORE, WIN], instrument=instrument, settings=settings, params=replace(PARAMS, risk_fraction=D(risk))
        )
        trade = only_trade(result)
        return trade.quantity, trade.leverage, result.leverage_clamped, result.quantity_clamped

    assert opened() == (D("9"), D("2"), 1, 0)
    assert opened(max_qty="9") == (D("9"), D("2"), 1, 0)  # 9 anyway
    assert opened(max_qty="7") == (D("7"), D("2"), 1, 1)  # 700: still tier 2
    assert opened(max_qty="4") == (D("4"), D("5"), 0, 1)  # 400: only tier 1
    # budget 200: tier 1 pays 9.8, its limit says 5; tier 2 pays 3 (300, below the tier): the limit bound, not max_qty
    assert opened(risk="0.2") == (D("5"), D("5"), 0, 0)
    # the instrument's own cap
    result = run([*BEFORE, WIN], instrument=replace(INSTRUMENT, max_leverage=D("2")), settings=settings)
    assert (only_trade(result).leverage, result.leverage_clamped) == (D("2"), 1)


def test_the_liquidation_price_is_solved_in_the_tier_it_falls_into() -> None:
    # Q 9, L 2: tier 1: 1350/1.01 = 1336 > 500 ; tier 2: 1355/1.02 = 1328 > 1000 ; tier 3: 1365/1.03 = 1325.2, inside
    # 1365/9.27 = 147.249 -> 147.2 ; margin call 100 + 0.9*47.2 = 142.48 -> 142.4
    settings = replace(SETTINGS, leverage=D("5"))
    trade = only_trade(run([*BEFORE, WIN], instrument=replace(INSTRUMENT, tiers=TIERS), settings=settings))
    assert (trade.liquidation_price, trade.margin_call_price) == (D("147.2"), D("142.4"))
    # beyond the last tier: the last tier. 1355/9.18 = 147.603 -> 147.6
    trade = only_trade(run([*BEFORE, WIN], instrument=replace(INSTRUMENT, tiers=TIERS[:2]), settings=settings))
    assert trade.liquidation_price == D("147.6")
    # a third that ends: 301.5*(4/3)/1.005 = 400 exactly, not one tick below
    calm: Prices = ("300", "301", "299", "300")
    rows: list[Prices] = [calm, calm, ("301", "302", "300", "300.5"), ("301.5", "302", "290", "295")]
    trade = only_trade(run(rows, settings=replace(SETTINGS, leverage=D("3"))))
    assert (trade.entry_price, trade.liquidation_price) == (D("301.5"), D("400"))


def test_bybit_worked_examples_for_a_short() -> None:
    # shared/bybit/examples.json: derived-short-40000-50x, -extra3000, derived-short-50000-10x
    fee = D("0.00055")
    tiers = INSTRUMENT.tiers
    base = Position(
        entry_time=0,
        entry_price=D("40000"),
        quantity=D("1"),
        leverage=D("50"),
        entry_fee=D("22"),
        target_price=D("1"),
        target_source="level",
        wallet_before_entry=D("0"),
    )
    with exact_arithmetic():
        assert near(exact_liquidation_price(base, tiers, fee), "40597.01492537")
        assert (initial_margin(base, fee), bankruptcy_price(base, fee)) == (D("822.44"), D("40800"))
        more = replace(base, extra_margin=D("3000"))
        assert near(exact_liquidation_price(more, tiers, fee), "43580.44866368")
        assert near(bankruptcy_price(more, fee), "43798.350907")
        assert position_margin(more, fee) == D("3822.44")
        ten = replace(base, entry_price=D("50000"), leverage=D("10"))
        assert near(exact_liquidation_price(ten, tiers, fee), "54726.3681592")
        assert (initial_margin(ten, fee), bankruptcy_price(ten, fee)) == (D("5030.25"), D("55000"))


def test_funding_is_received_after_the_entry_and_before_the_exit() -> None:
    # sold at candle 3, wins in candle 5. Due at its opening: opened too late. Due at candle 4: 9*100*0.0001 = 0.09
    # (close of candle 3). Due at candle 5, before its path: close of candle 4 = 100, -0.0002: -0.18. Later: flat.
    rates = [(at(6), D("1")), (at(3), D("1")), (at(4), D("0.0001")), (at(5), D("-0.0002"))]
    result = run([*BEFORE, HOLD, HOLD, WIN, QUIET], funding=rates)
    trade = only_trade(result)
    assert trade.funding == D("-0.09")
    assert (trade.pnl_value, trade.balance_after) == (D("16.569"), D("1016.569"))  # 16.659 - 0.09
    # equity: 999.1 at the close of candle 3 (100), then the receipt, then the payment and the win
    assert result.equity[3:] == [D("999.1"), D("999.19"), D("1016.569"), D("1016.569")]
    # at the mark close of the candle before: 9*101*0.0001 = 0.0909
    mark = {at(3): candle(at(3), ("100", "101", "99", "101"))}
    trade = only_trade(run([*BEFORE, HOLD, WIN], funding=[(at(4), D("0.0001"))], mark=mark))
    assert trade.funding == D("0.0909")
    # inside a gap: booked before the next candle, at the last close before it
    rows = series([*BEFORE, HOLD, WIN])
    gap = [*rows[:4], replace(rows[4], ts=at(9))]
    due = [(at(6), D("0.0001")), (at(8) + 1, D("0.0001"))]
    trade = only_trade(slow_backtest(gap, INSTRUMENT, SETTINGS, PARAMS, FixedLuck(), funding=due))
    assert (trade.funding, trade.exit_time) == (D("0.18"), at(9))


def test_funding_that_the_balance_cannot_pay_comes_out_of_the_margin() -> None:
    # available after the entry: 1000 - 0.9 - 451.35 = 547.75. A rate of -0.5 costs 9*100*0.5 = 450: paid, X stays 0
    trade = only_trade(run([*BEFORE, HOLD, WIN], funding=[(at(4), D("-0.5"))]))
    assert (trade.liquidation_price, trade.pnl_value) == (D("149.2"), D("-433.341"))  # 16.659 - 450
    # a rate of -1 costs 900: X = -(900 - 547.75) = -352.25 ; wallet 999.1 - 900 = 99.1 = 451.35 - 352.25
    # LP (1350 - 352.25/1.001)/9.045 = 998.101898/9.045 = 110.3485 -> 110.3 ; margin call 100 + 0.9*10.3 -> 109.2
    # bought at 109.2: 9*(-9.2) = -82.8 ; fee 9*109.2*0.001 = 0.9828
    # -82.8 - 0.9 - 0.9828 - 900 = -984.6828 ; balance 15.3172
    due = [(at(4), D("-1"))]
    trade = only_trade(run([*BEFORE, HOLD, ("100", "109.2", "99", "100")], funding=due))
    assert (trade.liquidation_price, trade.margin_call_price) == (D("110.3"), D("109.2"))
    assert (trade.exit_reason, trade.pnl_value, trade.balance_after) == ("margin_call", D("-984.6828"), D("15.3172"))
    # liquidated: the wallet loses 99.1, all it has. BP 150 - 352.25/(9*1.001) = 150 - 39.099789 = 110.900211
    # and the next signal (candle 6, sold at candle 7) meets an empty account: exactly 0
    beyond: Prices = ("110.3", "111", "109", "110.3")
    after: list[Prices] = [("110", "111", "109", "110"), ("111", "112", "109", "110"), HOLD]
    result = run([*BEFORE, HOLD, beyond, *after], funding=due)
    trade = only_trade(result)
    assert (trade.exit_reason, trade.pnl_value, trade.pnl_pct) == ("liquidation", D("-1000"), D("-100"))
    assert near(trade.exit_price, "110.900211")
    assert result.final_balance == 0
    assert result.blocked == {"insufficient_balance": 1}
    # a receipt leaves X as it is
    due = [(at(4), D("-1")), (at(5), D("0.5"))]
    trade = only_trade(run([*BEFORE, HOLD, HOLD, WIN], funding=due))
    assert (trade.liquidation_price, trade.funding) == (D("110.3"), D("-450"))


def test_max_hold_closes_at_the_open_after_so_long() -> None:
    # sold at candle 3, held 2 candles: bought at the open of candle 5, 100.1: 9*(-0.1) - 0.9 - 9*100.1*0.001
    # = -0.9 - 0.9 - 0.9009 = -2.7009. The signal of candle 4 was blocked; that of candle 5 counts.
    params = replace(PARAMS, max_hold_ms=2 * STEP)
    signal_5: Prices = ("100.1", "101", "97", "99.8")  # its low would have won, but the account is flat by then
    result = run([*BEFORE, HOLD, SIGNAL, signal_5, HOLD], params=params)
    first, second = result.trades
    assert (first.exit_reason, first.exit_time, first.exit_price) == ("max_hold", at(5), D("100.1"))
    assert first.pnl_value == D("-2.7009")
    assert (second.entry_time, second.exit_reason) == (at(6), "end_of_data")
    assert result.blocked == {"position_open": 1}
    # funding due at that boundary comes first: 9*99.8*0.0001 = 0.08982
    result = run([*BEFORE, HOLD, SIGNAL, signal_5], params=params, funding=[(at(5), D("0.0001"))])
    assert only_trade(result).funding == D("0.08982")
    # an adverse open comes first, even if the candle passes the target
    trade = only_trade(run([*BEFORE, HOLD, HOLD, ("145", "145", "97", "100")], params=params))
    assert (trade.exit_reason, trade.exit_price) == ("margin_call", D("145"))
    trade = only_trade(run([*BEFORE, HOLD, HOLD, ("149.2", "150", "97", "100")], params=params))
    assert trade.exit_reason == "liquidation"
    mark = {at(5): candle(at(5), ("144.2", "145", "99", "100"))}
    trade = only_trade(run([*BEFORE, HOLD, HOLD, WIN], params=params, mark=mark))
    assert (trade.exit_reason, trade.exit_price) == ("margin_call", D("144.2"))
    # the target in an earlier candle is not disturbed
    assert only_trade(run([*BEFORE, HOLD, WIN, HOLD], params=params)).exit_reason == "target"


def test_the_end_of_the_data_buys_back_at_the_last_close() -> None:
    # last close 100.5, slippage 10 bps: 100.5*1.001 = 100.6005 -> 100.7 ; 9*(-0.7) - 0.9 - 9*100.7*0.001
    # = -6.3 - 0.9 - 0.9063 = -8.1063
    down: Prices = ("100", "100.5", "99", "99.5")
    last: Prices = ("100", "100.8", "99", "100.5")
    result = run([*BEFORE, HOLD, down, last], luck=FixedLuck(exit_=10.0))
    trade = only_trade(result)
    assert (trade.exit_reason, trade.exit_time, trade.exit_price) == ("end_of_data", at(5), D("100.7"))
    assert (trade.pnl_value, result.final_balance) == (D("-8.1063"), D("991.8937"))
    assert (result.wins, result.losses) == (0, 1)
    # marked at the closes 100 and 99.5 (999.1 + 9*0.5), then the wallet
    assert result.equity == [D("1000")] * 3 + [D("999.1"), D("1003.6"), D("991.8937")]


LOSE: Prices = ("100", "101", "99", "100.5")  # reaches a stop-loss of 1 %: 101
STOP_1 = replace(PARAMS, stop_loss_pct=D("0.01"))
# -9 - 0.9 - 9*101*0.001 = -10.809 -> 989.191 ; candle 4 is a signal again, sold at candle 5
LOST_ONCE: list[Prices] = [*BEFORE, LOSE, SIGNAL, HOLD]


def blocked_after_a_loss(start: int = NOON, **limits: Any) -> dict[str, int]:
    settings = replace(SETTINGS, **limits)
    result = run(LOST_ONCE, start=start, settings=settings, params=STOP_1)
    assert result.trades[0].balance_after == D("989.191")
    return result.blocked


def test_daily_loss_and_the_turn_of_the_day() -> None:
    assert blocked_after_a_loss(daily_loss=D("0.01")) == {"daily_loss": 1}  # 989.191 <= 990
    assert blocked_after_a_loss(daily_loss=D("0.010809")) == {"daily_loss": 1}  # equal
    assert blocked_after_a_loss(daily_loss=D("0.0109")) == {}  # 989.1 is below
    # the day begins with candle 5: the loss (time of candle 3) belongs to yesterday
    assert blocked_after_a_loss(start=MIDNIGHT - 5 * STEP, daily_loss=D("0.01")) == {}
    # with candle 4, too; with candle 3: entry and exit both have its open time, 00:00, and belong to the new day
    assert blocked_after_a_loss(start=MIDNIGHT - 4 * STEP, daily_loss=D("0.01")) == {}
    assert blocked_after_a_loss(start=MIDNIGHT - 3 * STEP, daily_loss=D("0.01")) == {"daily_loss": 1}


def test_cooldown_counts_from_the_close_of_the_losing_candle() -> None:
    # lost in candle 3, which closes at the open of 4; the entry would be at the open of 5
    assert blocked_after_a_loss(cooldown_ms=STEP) == {}
    assert blocked_after_a_loss(cooldown_ms=STEP + 1) == {"cooldown": 1}
    # after a winner there is none
    win_and_signal: Prices = ("100", "101", "97", "98")
    settings = replace(SETTINGS, cooldown_ms=100 * STEP)
    assert len(run([*BEFORE, win_and_signal, HOLD], settings=settings).trades) == 2


def test_max_drawdown_counts_from_the_highest_flat_wallet() -> None:
    # a win: 1016.659. Then budget 508.3295/50.25 = 10.1 -> Q 10, a stop-loss: -10 - 1 - 1.01 = -12.01 -> 1004.649
    rows = [*BEFORE, WIN, *BEFORE, LOSE, SIGNAL, HOLD]

    def outcome(drawdown: str) -> dict[str, int]:
        result = run(rows, params=STOP_1, settings=replace(SETTINGS, max_drawdown=D(drawdown)))
        assert result.trades[1].balance_after == D("1004.649")
        return result.blocked

    assert outcome("0.01") == {"max_drawdown": 1}  # 1016.659*0.99 = 1006.49
    assert outcome("0.012") == {}  # 1016.659*0.988 = 1004.459
    # the order of the limits, and a limit before the broker's checks
    everything: dict[str, Any] = {"daily_loss": D("0.01"), "max_drawdown": D("0.01"), "cooldown_ms": 10 * STEP}
    assert blocked_after_a_loss(**everything) == {"daily_loss": 1}
    everything["daily_loss"] = D("0.5")
    assert blocked_after_a_loss(**everything) == {"max_drawdown": 1}
    everything["max_drawdown"] = D("0.5")
    assert blocked_after_a_loss(**everything) == {"cooldown": 1}


def test_rounding_to_a_step_and_no_floats() -> None:
    tick = D("0.1")
    assert (round_down(D("100.19"), tick), round_up(D("100.11"), tick)) == (D("100.1"), D("100.2"))
    assert (round_down(D("100.1"), tick), round_up(D("100.1"), tick)) == (D("100.1"), D("100.1"))
    assert (round_down(D("-0.11"), tick), round_up(D("-0.19"), tick)) == (D("-0.2"), D("-0.1"))
    rows = series([*BEFORE, HOLD])
    rows[3] = replace(rows[3], high=150.0)  # type: ignore[arg-type]
    with pytest.raises((FloatOperation, TypeError)):
        slow_backtest(rows, INSTRUMENT, SETTINGS, PARAMS, FixedLuck())
