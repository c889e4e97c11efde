"""Numbers as people read them; lines, wraps and marks."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from tests.cli.face import MARK
from your_short_trade_margin_call.commands.worst_loss import worst_loss
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitType
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.reporting import events, text
from your_short_trade_margin_call.reporting.live_line import Now, PositionNow, live_line
from your_short_trade_margin_call.reporting.progress import sweep_progress
from your_short_trade_margin_call.reporting.screen import Screen, doubt_about, mark_of
from your_short_trade_margin_call.settings import Settings

NOON = 1_748_606_400_000
"""2025-05-30 12:00 UTC."""


@pytest.fixture
def page() -> io.StringIO:
    """A pipe."""
    return io.StringIO()


def screen_of(page: io.StringIO) -> Screen:
    return Screen(environment={"COLUMNS": "80"}, stream=page)


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [
        (0, "0 s"),
        (999, "1 s"),
        (45_000, "45 s"),
        (61_000, "1 min 1 s"),
        (43_200_000, "12 h"),
        (86_400_000, "24 h"),
        (90_000_000, "25 h"),
        (183_600_000, "2 d 3 h"),
    ],
)
def test_spans(duration_ms: int, shown: str) -> None:
    assert text.span(duration_ms) == shown


def test_numbers() -> None:
    assert text.signed_usdt(-0.001) == "+0.00 USDT"
    assert text.signed_usdt(1234.5) == "+1,234.50 USDT"
    assert text.signed_percent(-0.004) == "+0.00 %"
    assert text.percent(0.0044) == "0.44 %"
    assert text.price(104123.4, 1) == "104,123.4"
    assert text.quantity(0.0120) == "0.012"
    assert text.quantity(1000.0) == "1,000"
    assert text.listed({"paused": 1, "position_open": 4}) == "position_open 4, paused 1"
    assert text.moment(NOON) == "2025-05-30 12:00"


def test_every_reason_has_words() -> None:
    assert set(events.BLOCKED_BECAUSE) == set(BlockReason)


def test_lines_wrap_below_their_own_text_and_keep_units(page: io.StringIO) -> None:
    screen = screen_of(page)
    screen.mark_market("simulated")
    screen.tell("  costs        ", "spread 2, slippage 3 bps; and then some more words that go up to 1,262.47 USDT")
    first, second = page.getvalue().splitlines()
    assert first == f"{MARK}  costs        spread 2, slippage 3 bps; and then some more words that"
    assert second == f"{MARK}               go up to 1,262.47 USDT"
    screen.tell("", "a path " + "x" * 100)
    assert max(map(len, page.getvalue().splitlines())) == 80


def test_an_empty_line_is_marked_too(page: io.StringIO) -> None:
    screen = screen_of(page)
    screen.mark_market("simulated")
    screen.say()
    assert page.getvalue() == f"{MARK}\n"


def test_a_pipe_gets_no_live_line_and_no_colour(page: io.StringIO) -> None:
    screen = screen_of(page)
    with screen.live(lambda: Text("never shown")):
        screen.say("shown", style="bold red")
    assert page.getvalue() == "shown\n"


def now(position: PositionNow | None = None, **changes: object) -> Now:
    values: dict[str, object] = {
        "symbol": "BTCUSDT", "time_ms": NOON, "price": 104_123.4, "decimals": 1, "to_peak_pct": 0.314,
        "position": position, "equity": 470.0, "starting_balance": 472.0, "next_optimization_ms": NOON + 7_920_000,
    }  # fmt: skip
    return Now(**{**values, **changes})  # type: ignore[arg-type]


def test_the_live_line_flat(page: io.StringIO) -> None:
    screen_of(page).show(live_line(now(halted="paused")))
    assert page.getvalue().splitlines() == [
        "05-30 12:00 UTC  BTCUSDT 104,123.4  next peak +0.31 %  flat",
        "equity 470.00 USDT (-0.42 %)  no entries: paused  optimises in 2 h 12 min",
    ]


def test_the_live_line_short(page: io.StringIO) -> None:
    short = PositionNow(0.012, 104_200.1, 103_740.0, 134_500.2, "margin call", 137_900.1, -1.234)
    screen_of(page).show(live_line(now(short, to_peak_pct=None)))
    flowed = " ".join(page.getvalue().split())
    assert "no signal yet SHORT 0.012 at 104,200.1 -1.23 USDT target 103,740.0" in flowed
    assert "margin call 134,500.2 liquidation 137,900.1" in flowed


def test_the_lines_of_events() -> None:
    entry = {
        "entry_price": 104_200.1, "quantity": 0.012, "leverage": 2.0, "target_price": 103_740.0, "stop_price": None,
        "liquidation_price": 137_900.1, "leverage_clamped": True, "quantity_clamped": False,
    }  # fmt: skip
    line = events.entry_line(NOON, entry, 1)
    assert line.label.plain == "05-30 12:00  ENTRY    "
    assert line.text.plain.endswith("no stop, liquidation 137,900.1, leverage clamped to 2x")
    blocked = events.blocked_line(NOON, "exchange_error", "the order never arrived")
    assert blocked.text.plain == "exchange_error: no entry could be made (the order never arrived)"
    adopted = events.adopted_line(NOON, "lookback 50", -1.0, has_edge=False)
    assert adopted.text.plain == "lookback 50; -1.00 % in its own window: no entries (no_edge)"


def test_a_long_sweep_says_where_it_is(page: io.StringIO) -> None:
    seconds = iter([0.0, 0.0, 10.0, 20.0, 21.0, 30.0, 40.0])
    with sweep_progress(screen_of(page), 1_000, lambda: next(seconds)) as report:
        for done in (100, 200, 300, 1_000):
            report(done, 1_000)
    assert page.getvalue().splitlines() == [
        "Sweep: 100 of 1,000 trials",
        "Sweep: 200 of 1,000 trials, 10/s, 1 min 20 s left",
        "1,000 trials in 40.00 s: 25 a second.",
    ]


@pytest.mark.parametrize(
    ("market", "mark", "doubt"),
    [
        ("simulated", "SIMULATED ", " (invented prices)"),
        ("loopback-8080", "LOOK-ALIKE ", " (prices of a look-alike on this computer, not Bybit's)"),
        ("bybit-testnet", "", " (the testnet's own prices)"),
        ("bybit", "", ""),
        ("replay", "", ""),
    ],
)
def test_a_market_that_is_not_bybits_is_marked(market: str, mark: str, doubt: str) -> None:
    assert (mark_of(market), doubt_about(market)) == (mark, doubt)


# ---- the worst loss ------------------------------------------------------------------------------


def params(risk_fraction: float, stop_loss_pct: float | None = None) -> StrategyParams:
    return StrategyParams(50, ExitType.HIGHEST_LOW, risk_fraction, 0.0044, stop_loss_pct)


def test_the_defaults_risk_most_of_the_balance() -> None:
    loss = worst_loss(Settings(), find_instrument("BTCUSDT"), params(0.95), 60_000.0, 1.0)
    assert loss is not None
    assert loss.notional / loss.balance == pytest.approx(2.7, abs=0.05)
    assert loss.stop_loss / loss.balance == pytest.approx(0.79, abs=0.01)
    assert loss.stop_name == "margin_call"
    assert loss.liquidation_loss > loss.stop_loss
    assert loss.wins_to_recover == pytest.approx(loss.stop_loss / 4.72)


def test_a_smaller_risk_a_stop_and_no_margin_call() -> None:
    half = worst_loss(Settings(), find_instrument("BTCUSDT"), params(0.5), 60_000.0, 0.0)
    assert half is not None
    assert half.stop_loss / half.balance == pytest.approx(0.41, abs=0.01)
    assert half.wins_to_recover is None
    stopped = worst_loss(Settings(), find_instrument("BTCUSDT"), params(0.5, 0.01), 60_000.0, 0.0)
    assert stopped is not None
    assert stopped.stop_name == "stop_loss"
    assert stopped.stop_price == pytest.approx(stopped.entry_price * 1.01, rel=1e-4)
    ridden = worst_loss(Settings(margin_call_at=None), find_instrument("BTCUSDT"), params(0.5), 60_000.0, 0.0)
    assert ridden is not None
    assert (ridden.stop_name, ridden.stop_loss) == ("liquidation", ridden.liquidation_loss)


def test_no_position_no_loss() -> None:
    assert worst_loss(Settings(starting_balance=1.0), find_instrument("BTCUSDT"), params(0.5), 60_000.0, 0.0) is None
