"""What a command was asked to work on, and what became of it once its market was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.invented_past import invented_past
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import ParameterGrid, Settings

if TYPE_CHECKING:
    from your_short_trade_margin_call.composition.live import Live

SIMULATED_SPEED = 600.0

Tell = Callable[[str], None]
"""How the user is told something while a market is chosen."""


@dataclass(frozen=True)
class Request:
    """What a command was asked to work on."""

    symbol: str
    settings: Settings = field(default_factory=Settings)
    grid: ParameterGrid = field(default_factory=ParameterGrid)
    market: MarketKind = MarketKind.AUTO
    account: Account = Account.PAPER
    paths: Paths = field(default_factory=Paths.default)
    candles: Path | None = None
    mark: Path | None = None
    funding: Path | None = None
    minutes: Path | None = None
    timerange_ms: tuple[int, int] | None = None
    instrument: Path | None = None
    speed: float | None = None
    """Times real time; None takes the market's own (600 invented, as fast as possible replayed)."""
    wall_ms: int | None = None
    """How long trading may take in real time, waiting for Bybit included."""
    trades: bool = False
    """Whether the command trades: only then is Bybit waited for, and asked about the account."""
    endpoint: str | None = None
    """Another address for Bybit's; None takes the account's usual one."""
    keys: Path | None = None
    """The file of keys; None looks at the environment and the usual place."""
    capital_usdt: float | None = None
    """What a real account begins with; None takes the settings' starting balance."""
    risk_fraction: float | None = None
    """The one risk fraction to trade with; None leaves it to the grid."""
    max_notional_usdt: float | None = None
    """The largest worth of a position at its entry; None sets no limit, 0 takes the smallest quantity there is."""
    wants_evidence: bool = True
    """Whether the procedure is tested against luck whenever it chooses."""
    despite_evidence: bool = False
    """Whether real money may be traded without the verdict REAL."""


@dataclass(frozen=True)
class Prepared:
    """A request with its market chosen, its instrument and candles loaded.

    `live` is set on Bybit. `label` is the market's name in paths and artefacts: a look-alike and the testnet have
    names of their own, so that they never touch what belongs to the real market.
    """

    request: Request
    market: MarketKind
    instrument: Instrument
    candles: Candles
    notices: tuple[str, ...]
    label: str = ""
    live: Live | None = None

    @property
    def name(self) -> str:
        """The market's name in paths and artefacts."""
        return self.label or str(self.market)

    @property
    def is_invented(self) -> bool:
        """Whether prices are made up."""
        return self.market is MarketKind.SIMULATED

    @property
    def start_ms(self) -> int:
        """Where trading begins: now on Bybit (the last close), else after the first window of the candles."""
        if self.live is not None:
            return self.candles.end_ms
        return self.candles.start_ms + self.request.settings.window

    @property
    def lane(self) -> str | None:
        """Whose runs of the queue are this request's: the account's on Bybit, nobody's elsewhere."""
        return None if self.live is None else str(self.request.account)

    @property
    def journal(self) -> Path:
        """The journal of this account, market and pair."""
        return self.request.paths.journal(self.request.symbol, self.request.account, self.name)

    def history(self, start_ms: int, until_ms: int) -> Candles:
        """Closed candles that open in [start, until), as far back as there are any.

        Raises:
            CandleError: there are none.
            ExchangeError: some are not kept, and the exchange cannot be asked.
        """
        if self.live is not None:
            return self.live.source.window(until_ms, until_ms - start_ms)
        if self.is_invented and start_ms < self.candles.start_ms:
            return invented_past(self.candles, self.request.settings, start_ms).between(start_ms, until_ms)
        return self.candles.between(start_ms, until_ms)

    def window(self, until_ms: int, window_ms: int) -> Candles:
        """Candles that closed in (until - window, until] (`main_engine.CandleSource`)."""
        if self.live is not None and until_ms > self.candles.end_ms:
            return self.live.source.window(until_ms, window_ms)
        step = self.request.settings.candle_ms
        return self.candles.between(until_ms - window_ms, until_ms - step + 1)
