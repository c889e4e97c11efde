"""What stands on disk about each pair, read without disturbing whoever is writing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.controls import read_controls
from your_short_trade_margin_call.adapters.storage.files import is_in_use
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind, MarketKind
from your_short_trade_margin_call.paths import Paths

_PASSING = (MarketKind.SIMULATED, MarketKind.REPLAY)


@dataclass(frozen=True, slots=True)
class OpenShort:
    """An open short as the journal knows it; its exits are those of the entry. Prices in USDT, moments UTC ms."""

    entry_time: int
    quantity: float
    entry_price: float
    target_price: float
    stop_price: float | None
    liquidation_price: float


@dataclass(frozen=True, slots=True)
class JournalStanding:
    """One journal: one account, market and pair. `error` is why it could not be read, then the rest is empty.

    `is_trading` says whether a process writes it now.
    """

    account: str
    market: str
    path: str
    written_ms: int
    position: OpenShort | None = None
    trades: int = 0
    wins: int = 0
    wallet: float | None = None
    equity: float | None = None
    starting_balance: float | None = None
    last_candle_ms: int | None = None
    blocked: dict[str, int] | None = None
    params: dict[str, Any] | None = None
    error: str | None = None
    is_trading: bool = False


@dataclass(frozen=True, slots=True)
class PairStanding:
    """One pair: the trader's wishes, and its journals."""

    symbol: str
    paused: bool
    flatten: bool
    note: str
    journals: tuple[JournalStanding, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def known_pairs(paths: Paths) -> tuple[str, ...]:
    """Pairs that have a folder, in alphabetical order."""
    if not paths.root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in paths.root.iterdir() if entry.is_dir() and _is_pair(entry.name)))


def pair_standing(paths: Paths, symbol: str) -> PairStanding:
    """Everything about one pair."""
    controls = read_controls(paths.controls(symbol))
    files = sorted(path for path in paths.pair(symbol).glob("journal-*.sqlite") if "." not in path.stem)
    journals = tuple(_journal_standing(path) for path in files)
    return PairStanding(symbol, controls.paused, controls.flatten, controls.note, journals)


def open_shorts(paths: Paths, journal: Path | None = None) -> tuple[str, ...]:
    """A sentence about every short that is open on Bybit, on paper there, or at a look-alike; or by one journal.

    What replayed and invented runs left open is gone with them.
    """
    pairs = (pair_standing(paths, symbol) for symbol in known_pairs(paths))
    return tuple(said for pair in pairs for said in shorts_of(pair, journal))


def shorts_of(pair: PairStanding, journal: Path | None = None) -> tuple[str, ...]:
    """The same for one pair."""
    said = []
    for standing in pair.journals:
        is_meant = Path(standing.path) == journal if journal else standing.market not in _PASSING
        if is_meant and standing.position is not None:
            size, price = f"{standing.position.quantity:.8g}", f"{standing.position.entry_price:,.8g}"
            said.append(f"{pair.symbol} short {size} at {price} ({standing.account} account)")
    return tuple(said)


def _is_pair(name: str) -> bool:
    return name.endswith("USDT") and name.isalnum() and name.isupper()


def _journal_standing(path: Path) -> JournalStanding:
    _, account, market = path.stem.split("-", 2)
    wal = path.with_name(f"{path.name}-wal")
    written_ms = int(1_000 * max(file.stat().st_mtime for file in (path, wal) if file.exists()))
    head = JournalStanding(account, market, str(path), written_ms, is_trading=is_in_use(path))
    try:
        with SqliteJournal(path, read_only=True) as journal:
            return _read(head, journal)
    except ShortestPeakError as error:
        return replace(head, error=str(error))


def _read(head: JournalStanding, journal: SqliteJournal) -> JournalStanding:
    trades, equity, adoption = journal.trades(), journal.equity_rows(), journal.last_adoption()
    position = _open_short(journal.executions(), journal.events_of("entry"))
    wallet, worth = equity[-1][1:] if equity else (None, None)
    if position is None and trades:  # the market may have ended after the last candle's equity was written
        wallet = worth = trades[-1]["balance_after"]
    return replace(
        head,
        position=position,
        trades=len(trades),
        wins=sum(row["pnl_value"] > 0 for row in trades),
        wallet=wallet,
        equity=worth,
        starting_balance=equity[0][1] if equity else None,
        last_candle_ms=journal.last_candle_ms(),
        blocked=journal.blocked_counts(),
        params=json.loads(adoption[1])["params"] if adoption else None,
    )


def _open_short(executions: Sequence[Execution], entries: Sequence[tuple[int, str]]) -> OpenShort | None:
    """What is sold and not bought back, with the exits that the last entry wrote down."""
    open_lots = sum(-e.side * e.lots for e in executions if e.kind is not ExecutionKind.FUNDING)
    sold = [e for e in executions if e.side < 0 and e.kind is ExecutionKind.TRADE]
    if open_lots <= 0 or not entries or not sold or entries[-1][0] != sold[-1].candle_ms:
        return None
    time_ms, text = entries[-1]
    detail = json.loads(text)
    return OpenShort(
        entry_time=time_ms,
        quantity=detail["quantity"],
        entry_price=detail["entry_price"],
        target_price=detail["target_price"],
        stop_price=detail["stop_price"],
        liquidation_price=detail["liquidation_price"],
    )
