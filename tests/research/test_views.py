"""All views of one window together: each is what its own function says, and the document is plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.real_candles import FILES, needs_recorded_candles, pair_of
from your_short_trade_margin_call.domain.errors import BadInputError, TooFewCandlesError, UnknownPairError
from your_short_trade_margin_call.domain.words import Objective
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.break_even import break_even
from your_short_trade_margin_call.research.fill_luck import fill_luck, fill_luck_of_winners
from your_short_trade_margin_call.research.plateau import plateau_of
from your_short_trade_margin_call.research.profits import prepare
from your_short_trade_margin_call.research.selection import choose
from your_short_trade_margin_call.research.surrogates import surrogate_winners
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.views import Effort, Views, look_at
from your_short_trade_margin_call.settings import ParameterGrid, Settings

DAYS = generate(SyntheticMarket(seed=21, minutes=3 * 1_440, edge=8.0))
WINDOWS = [DAYS.rows(480 * k, 480 * (k + 1)) for k in range(3)]
LITTLE = Effort(seed=3, fill_seeds=range(20), surrogates=16)
GRID = ParameterGrid()


def ticking(seconds: Iterator[int]) -> float:
    """A stopwatch that moves on by one second a look."""
    return float(next(seconds))


@pytest.fixture(scope="module")
def views() -> Views:
    seconds = iter(range(100))
    return look_at(WINDOWS[-1:], Settings(), GRID, LITTLE, stopwatch=lambda: ticking(seconds))


def test_each_view_is_what_its_function_says(views: Views) -> None:
    settings, candles = Settings(), WINDOWS[-1]
    trials = grid_params(GRID, settings)
    sweep = BacktestEngine(settings).sweep(candles, GRID)
    (market,), account = prepare([candles], settings, 70)
    best, winner = sweep.best, int(sweep.order[0])
    assert (views.chosen, views.pnl_pct, views.trials) == (best, sweep.best_metrics.pnl_pct, 336)
    assert (views.symbol, views.start_ms, views.end_ms) == ("BTCUSDT", candles.start_ms, candles.end_ms)
    assert views.plateau == plateau_of(trials, sweep.columns["pnl_pct"], winner)
    assert views.break_even == break_even(market, account, best)
    alone = fill_luck(market, account, best, "BTCUSDT", range(20))
    winners = fill_luck_of_winners([market], account, trials, "BTCUSDT", range(20))
    shuffled = surrogate_winners([market], account, trials, seed=3, count=16)
    assert views.fill_luck.pnl_pct.tolist() == alone.pnl_pct.tolist()
    assert views.fill_luck_of_winners is not None
    assert views.fill_luck_of_winners.pnl_pct.tolist() == winners.pnl_pct.tolist()
    assert views.surrogates.pnl_pct.tolist() == shuffled.pnl_pct.tolist()
    assert views.surrogates.real_pct == views.pnl_pct


def test_the_document_is_plain_json(views: Views) -> None:
    document = views.document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert type(document["chosen"]["exit_type"]) is str
    assert document["surrogates"]["surrogates"] == 16
    assert document["fill_luck"]["lucks"] == 20
    assert document["objective"] == "pnl_pct"


def test_the_dear_view_may_be_left_out(views: Views) -> None:
    made = look_at(WINDOWS[-1:], Settings(), GRID, LITTLE._replace(of_winners=False))
    assert made.fill_luck_of_winners is None
    assert made.document() == {**views.document(), "fill_luck_of_winners": None, "elapsed_s": {}}


def test_each_view_was_timed(views: Views) -> None:
    names = ("sweep", "plateau", "fill_luck", "break_even", "fill_luck_of_winners", "surrogates")
    assert views.elapsed_s == dict.fromkeys(names, 1.0)
    untimed = look_at(WINDOWS[-1:], Settings(), GRID, Effort(3, range(2), 2))
    assert untimed.elapsed_s == {}


@pytest.mark.parametrize("objective", list(Objective))
def test_the_objective_chooses(objective: Objective) -> None:
    settings = Settings()
    made = look_at(WINDOWS, settings, GRID, Effort(3, range(2), 2), objective=objective)
    sweeps = [BacktestEngine(settings).sweep(candles, GRID) for candles in WINDOWS]
    chosen = choose(objective, sweeps)
    assert made.chosen == grid_params(GRID, settings)[chosen]
    assert made.pnl_pct == sweeps[-1].columns["pnl_pct"][chosen]
    expected = [sweep.columns["pnl_pct"][chosen] for sweep in (sweeps if objective.is_pooled else sweeps[-1:])]
    assert made.surrogates.real_pct == pytest.approx(np.mean(expected), abs=1e-12)


def test_progress_tells_which_view_is_at_work() -> None:
    told: list[tuple[str, int, int]] = []
    look_at(WINDOWS[-1:], Settings(), GRID, LITTLE, progress=lambda *step: told.append(step))
    assert told[-1] == ("surrogates", 16, 16)
    assert [view for view, done, total in told if done == total] == ["fill_luck_of_winners", "surrogates"]


def test_a_raised_flag_leaves_the_views_with_what_they_have() -> None:
    stop = np.ones(1, dtype=np.bool_)
    made = look_at(WINDOWS[-1:], Settings(), GRID, LITTLE, stop=stop)
    assert made.fill_luck_of_winners is not None
    assert (len(made.surrogates.pnl_pct), len(made.fill_luck_of_winners.pnl_pct)) == (0, 0)
    assert made.surrogates.p_value == 1.0
    assert len(made.fill_luck.pnl_pct) == 20
    json.dumps(made.document(), allow_nan=False)


def test_a_stop_loss_of_the_settings_is_in_every_view() -> None:
    """Trials without one of their own take the settings', in the sweep as in the repetitions."""
    made = look_at(WINDOWS[-1:], Settings(stop_loss_pct=0.004), GRID, Effort(3, range(2), 2))
    assert made.chosen.stop_loss_pct == 0.004
    assert made.break_even.pnl_pct == made.pnl_pct


def test_bad_input_is_named() -> None:
    with pytest.raises(BadInputError, match="one pair"):
        look_at([], Settings(), GRID, LITTLE)
    with pytest.raises(BadInputError, match="one pair"):
        look_at([WINDOWS[0], replace(WINDOWS[1], symbol="ETHUSDT")], Settings(), GRID, LITTLE)
    with pytest.raises(TooFewCandlesError, match="lookback of 70"):
        look_at([DAYS.rows(0, 71)], Settings(), GRID, LITTLE)


def test_a_pair_nobody_knows_wants_its_instrument() -> None:
    stranger = replace(WINDOWS[-1], symbol="NOBODYUSDT")
    with pytest.raises(UnknownPairError):
        look_at([stranger], Settings(), GRID, LITTLE)
    given = replace(find_instrument("BTCUSDT"), symbol="NOBODYUSDT")
    made = look_at([stranger], Settings(), GRID, Effort(3, range(2), 2), instrument=given)
    assert made.symbol == "NOBODYUSDT"


@pytest.mark.real
@needs_recorded_candles
def test_a_recorded_day() -> None:
    """Real candles, with gaps and all: the views stand, and surrogates have the real drift."""
    path = next(path for path in FILES if "bybit" in path.name)
    candles = Candles.from_parquet(path, symbol=pair_of(path)).rows(0, 480)
    made = look_at([candles], Settings(), GRID, LITTLE)
    assert len(made.surrogates.pnl_pct) == 16
    assert made.plateau.neighbours > 0
    json.dumps(made.document(), allow_nan=False)
