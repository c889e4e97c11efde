"""Where every artefact lives. Importing this creates nothing; writers make the folders they need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def data_root() -> Path:
    """``data/your`` below the current folder, or ``$SHORTEST_PEAK_DATA_DIR``."""
    override = os.environ.get("SHORTEST_PEAK_DATA_DIR")
    return Path(override) if override else Path("data") / "your"


@dataclass(frozen=True, slots=True)
class Paths:
    """All paths below one root folder."""

    root: Path

    @classmethod
    def default(cls) -> Paths:
        """Paths below `data_root()`."""
        return cls(data_root())

    @property
    def best_params(self) -> Path:
        """The latest best parameters of any pair."""
        return self.root / "best_params.json"

    @property
    def optimization_queue(self) -> Path:
        """The queue of optimisation runs."""
        return self.root / "optimization_queue.json"

    @property
    def looks(self) -> Path:
        """The log of looks at records: what shares the chance of a false REAL."""
        return self.root / "looks.json"

    def pair(self, symbol: str) -> Path:
        """The folder of one pair."""
        return self.root / symbol

    def pair_best_params(self, symbol: str, market: str) -> Path:
        """Best parameters of one pair; a market that is not the real one has files of its own."""
        return self.pair(symbol) / f"best_params{_suffix(market)}.json"

    def sweep_table(self, symbol: str, market: str) -> Path:
        """The last sweep's table, best first: one row a trial; of a wide sweep the best."""
        return self.pair(symbol) / f"sweep{_suffix(market)}.parquet"

    def wide_table(self, symbol: str, market: str) -> Path:
        """All trials of the last wide sweep, in the order they were run."""
        return self.pair(symbol) / f"sweep-wide{_suffix(market)}.parquet"

    def walk_forward(self, symbol: str, market: str) -> Path:
        """The last walk-forward's record; its folds lie beside it, as Parquet."""
        return self.pair(symbol) / f"walk-forward{_suffix(market)}.json"

    def journal(self, symbol: str, account: str, market: str) -> Path:
        """The journal: one per account, market and pair."""
        return self.pair(symbol) / f"journal-{account}-{market}.sqlite"

    def paper_account(self, symbol: str, market: str) -> Path:
        """The paper account of a pair on a live market; it outlives the program."""
        return self.pair(symbol) / f"paper-account-{market}.json"

    def controls(self, symbol: str) -> Path:
        """The trader's standing wishes for a pair: pause, flatten."""
        return self.pair(symbol) / "controls.json"

    def instrument(self, symbol: str) -> Path:
        """The kept copy of the exchange's description of a pair."""
        return self.pair(symbol) / "instrument.json"


def is_real_market(market: str) -> bool:
    """Whether a market's prices are those that money is traded at: not invented, a testnet's or a look-alike's."""
    return market in ("bybit", "replay") or market.startswith("bybit-at-")


def is_look_alike(market: str) -> bool:
    """Whether a market is that of a server on this computer; what stands behind it may be another one tomorrow."""
    return market.startswith("loopback")


def _suffix(market: str) -> str:
    return "" if is_real_market(market) else f".{market}"
