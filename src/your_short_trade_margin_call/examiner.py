"""`Examiner`: how good the procedure was over the stored history, looked at honestly (DESIGN 9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from your_short_trade_margin_call.adapters.storage.looks import Look, Looks, procedure_key
from your_short_trade_margin_call.domain.errors import CandleError, ShortestPeakError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.evidence_text import evidence_document, untested
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.evidence import LEAST_TRADES
from your_short_trade_margin_call.research.pooled import Pooled, pooled, windows_of
from your_short_trade_margin_call.research.profits import prepare
from your_short_trade_margin_call.research.record import Record, make_record
from your_short_trade_margin_call.research.statistics.e_values import alpha_share
from your_short_trade_margin_call.research.sweep import is_wide
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.views import Effort, look_at
from your_short_trade_margin_call.settings import ParameterGrid

USUAL_DAYS = 30
MOST_DAYS = 180

History = Callable[[int, int], Candles]
"""Closed candles that open in [start, end), as far back as there are any."""

SURROGATES = 200
"""Markets on which the sweep is repeated: a share of winners beaten is then known to 3.5 %, in half a second."""
FILL_LUCKS = 300
"""Seeds under which the winner's fills are drawn again: at the outer ends of the band 15 lucks are left."""
MOST_VIEWED_TRIALS = 2_000
"""Of a wider grid no views are shown: repeating its sweep so often would take longer than the record."""

_NOT_THE_PROCEDURE = {"starting_balance", "stale_after", "edge"}
"""Settings that do not change what is chosen or how it does."""


@dataclass(frozen=True)
class Seen:
    """A record, the candles it walked, and its document for artefacts."""

    record: Record
    candles: Candles
    document: dict[str, Any]


class Examined(NamedTuple):
    """What a look found, or (None) why there is no record, and what artefacts say of it."""

    seen: Seen | None
    document: dict[str, Any]


@dataclass(frozen=True)
class Examiner:
    """Looks at the record of a procedure on one pair and market.

    Args:
        symbol: the pair.
        market: its name in artefacts.
        engine: walks the history.
        grid: what the procedure tries.
        history: where the candles come from.
        looks: where every look is written down.
        days: how far back the record goes at first; further, to MOST_DAYS, until enough trades have closed.
    """

    symbol: str
    market: str
    engine: BacktestEngine
    grid: ParameterGrid
    history: History
    looks: Looks
    days: float = USUAL_DAYS

    def examine(self, until_ms: int, progress: Progress | None = None) -> Examined:
        """Look at the record that ends at `until_ms`; what hinders that is told in the document."""
        try:
            seen = self.look(until_ms, progress)
            return Examined(seen, seen.document)
        except CandleError as error:
            return Examined(None, untested(f"There is no record yet. {error}"))
        except ShortestPeakError as error:
            return Examined(None, untested(f"The record cannot be made. {error}"))

    def views(
        self, window: Candles, history: Candles | None, progress: Progress | None = None
    ) -> dict[str, Any] | None:
        """What else can be said of a window's winner, and of the choice over a history (None: without), for artefacts.

        Never part of the verdict. None where the grid has more than MOST_VIEWED_TRIALS trials, or its sweep keeps only
        the best of them. `progress` hears of the sweeps that are repeated.

        Raises:
            TooFewCandlesError: the window is too short for the longest lookback.
        """
        if len(self.grid) > MOST_VIEWED_TRIALS or is_wide(len(self.grid)):
            return None
        settings, instrument = self.engine.settings, self.engine.instrument(self.symbol)
        effort = Effort(settings.seed, range(FILL_LUCKS), SURROGATES, of_winners=False)
        heard = None if progress is None else lambda _view, done, total: progress(done, total)
        made = look_at([window], settings, self.grid, effort, instrument=instrument, progress=heard)
        over = None if history is None else self._pooled(history)
        return {**made.document(), "pooled": None if over is None else over.document()}

    def _pooled(self, history: Candles) -> Pooled | None:
        settings, instrument = self.engine.settings, self.engine.instrument(self.symbol)
        trials = grid_params(self.grid, settings)
        lookback = max(trials.highest_high_lookback)
        (market,), account = prepare([history], settings, lookback, instrument)
        return pooled(windows_of(market, settings.window, lookback), account, trials)

    def look(self, until_ms: int, progress: Progress | None = None) -> Seen:
        """Look at the record that ends at `until_ms`, and write down that somebody looked.

        Raises:
            CandleError: there are no, or too few, candles.
            ShortestPeakError: they cannot be had, or the look cannot be written down.
        """
        known = self.looks.known(self._key())
        number = self.looks.next_number(self.market)
        candles = None if known is None else self._continued(known, until_ms)
        if known is not None and candles is not None:
            number = known.number
            record = self._walk(candles, number, progress)
        else:
            candles, record = self._begun(until_ms, number, progress)
        look = self.write_down(candles, record.verdict, number)
        if look.number != number:  # another process looked at something else meanwhile
            record = make_record(record.walk, alpha_share(look.number), self.engine.settings.seed)
        return Seen(record, candles, evidence_document(record, candles, look.number, look.looks))

    def candles_to(self, until_ms: int) -> Candles:
        """The candles of a record that ends at `until_ms`: of the one begun before, else of the usual days.

        Raises:
            CandleError: there are none.
            ShortestPeakError: they cannot be had.
        """
        known = self.looks.known(self._key())
        continued = None if known is None else self._continued(known, until_ms)
        return self.history(self._from_ms(until_ms, self.days), until_ms) if continued is None else continued

    def write_down(self, candles: Candles, verdict: Verdict, number: int = 0) -> Look:
        """Write down that somebody looked at the record of these candles; a record begun before keeps its number.

        Raises:
            ShortestPeakError: it cannot be written.
        """
        look = Look(
            self._key(), self.symbol, self.market, number, candles.start_ms, candles.end_ms, verdict=str(verdict)
        )
        return self.looks.remember(look)

    def _key(self) -> str:
        settings = self.engine.settings.model_dump(mode="json")
        kept = {name: value for name, value in settings.items() if name not in _NOT_THE_PROCEDURE}
        return procedure_key(self.symbol, self.market, self.grid.model_dump(mode="json"), kept)

    def _walk(self, candles: Candles, number: int, progress: Progress | None) -> Record:
        return self.engine.walk_forward(candles, self.grid, progress, alpha=alpha_share(number))

    def _continued(self, known: Look, until_ms: int) -> Candles | None:
        """The candles of a record that was begun before; None where it cannot go on."""
        window_ms = self.engine.settings.window
        if not self.days * DAY_MS <= until_ms - known.from_ms - window_ms <= 2 * MOST_DAYS * DAY_MS:
            return None
        candles = self.history(known.from_ms, until_ms)
        return candles if len(candles) and candles.start_ms == known.from_ms else None

    def _begun(self, until_ms: int, number: int, progress: Progress | None) -> tuple[Candles, Record]:
        """A record of the usual days, or of more until enough trades have closed or there are no more candles."""
        days = self.days
        while True:
            from_ms = self._from_ms(until_ms, days)
            candles = self.history(from_ms, until_ms)
            record = self._walk(candles, number, progress)
            is_all = candles.start_ms > from_ms or days >= MOST_DAYS
            if record.walk.closed_trades >= LEAST_TRADES or is_all:
                return candles, record
            days = min(2 * days, MOST_DAYS)

    def _from_ms(self, until_ms: int, days: float) -> int:
        return until_ms - round(days * DAY_MS) - self.engine.settings.window
