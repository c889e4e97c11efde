"""What the exchange said about a pair, kept for when it cannot be asked: the raw item and its risk tiers.

The kept copy is a file that `--instrument` takes. Bybit's own lies beside the pair's other artefacts; another
source's (testnet, a server on this computer) lies with its candles, so that it is never taken for Bybit's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.files import corrupt, write_json
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.market.instruments import ASSUMED, find_instrument, read_instrument_file
from your_short_trade_margin_call.paths import Paths

BYBIT = "bybit"
"""The source whose candles and instruments are the real ones."""

KEPT = "kept"
"""`Instrument.source` of a kept copy, and its `tiers_source` where it has tiers."""


@dataclass(frozen=True)
class KeptInstruments:
    """The kept copies of one source. `notes` gets a sentence about each that was set aside."""

    paths: Paths
    source: str = BYBIT
    notes: list[str] = field(default_factory=list, compare=False)

    def path(self, symbol: str) -> Path:
        """Where the copy of a pair lies."""
        if self.source == BYBIT:
            return self.paths.instrument(symbol)
        return self.paths.pair(symbol) / "candles" / self.source / "instrument.json"

    def keep(
        self, symbol: str, item: Mapping[str, Any], tiers: Sequence[Mapping[str, Any]], fetched_at_ms: int
    ) -> Path:
        """Write what the exchange said, unchanged, over what it said before; returns where.

        Raises:
            DiskError: it could not be written; the old copy is untouched.
        """
        path = self.path(symbol)
        document = {
            "instrument": dict(item),
            "risk_limit": [dict(row) for row in tiers] or None,
            "fetched_at_ms": fetched_at_ms,
            "source": self.source,
        }
        write_json(path, document)
        return path

    def read(self, symbol: str) -> Instrument | None:
        """The kept copy of a pair; None when there is none. One that cannot be understood is set aside."""
        path = self.path(symbol)
        if not path.exists():
            return None
        try:
            instrument = read_instrument_file(path, symbol)
        except BadInputError as error:
            self.notes.append(corrupt(path, error.message).message)
            return None
        tiers = ASSUMED if instrument.tiers_source == ASSUMED else KEPT
        return replace(instrument, source=KEPT, tiers_source=tiers)

    def or_package(self, symbol: str) -> Instrument:
        """Without the exchange: the kept copy, else the package's table.

        Raises:
            UnknownPairError: neither has the pair; says how to pass one.
        """
        return self.read(symbol) or find_instrument(symbol)
