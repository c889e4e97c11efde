"""The paper account's file: whole after every change, so that a kill at any moment loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from your_short_trade_margin_call.adapters.storage.files import corrupt, read_json, write_atomically
from your_short_trade_margin_call.domain.errors import ArtefactError

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class PaperState:
    """What a restart needs: the simulated exchange, and up to when (UTC ms) it has lived through the market."""

    symbol: str
    lived_ms: int
    exchange: dict[str, Any]


class PaperAccountFile:
    """One paper account of one pair, as JSON.

    The whole account is written each time, in one atomic step, with the kept history of executions and orders: the
    exchange numbers executions by their count, so none may be dropped. A month of busy trading is below a megabyte.

    Args:
        path: the file; its folder is made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = 0
        """How often it was written by this object."""

    def load(self) -> PaperState | None:
        """The account as it was; None when there is none yet.

        Raises:
            ArtefactError: the file is corrupt (it was set aside) or of another version.
            DiskError: it could not be read.
        """
        document = read_json(self.path)
        if document is None:
            return None
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ArtefactError(
                f"{self.path} is of version {version}; this program knows {SCHEMA_VERSION}.",
                "Use the program that wrote it, or move the file away to begin with a new paper account.",
            )
        try:
            return PaperState(str(document["symbol"]), int(document["lived_ms"]), dict(document["exchange"]))
        except (KeyError, TypeError, ValueError) as error:
            raise corrupt(self.path, f"a field is missing or wrong ({error!r})") from error

    def save(self, state: PaperState) -> None:
        """Write the account; when this returns it is on the disk.

        Raises:
            DiskError: it could not be written; the old file is untouched.
        """
        document = {
            "schema_version": SCHEMA_VERSION,
            "symbol": state.symbol,
            "lived_ms": state.lived_ms,
            "exchange": state.exchange,
        }
        write_atomically(self.path, msgspec.json.encode(document))
        self.writes += 1
