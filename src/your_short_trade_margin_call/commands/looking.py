"""The commands that only look: `status` and `queue`."""

from __future__ import annotations

from rich.table import Table

from your_short_trade_margin_call.adapters.storage.artefacts import params_of
from your_short_trade_margin_call.adapters.storage.optimization_queue import Entry, OptimizationQueue
from your_short_trade_margin_call.adapters.system_clock import SystemClock
from your_short_trade_margin_call.commands.asking import named_pair
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.standing import (
    JournalStanding,
    OpenShort,
    PairStanding,
    known_pairs,
    pair_standing,
)
from your_short_trade_margin_call.commands.typed import check_settings
from your_short_trade_margin_call.domain.errors import UnknownPairError
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import INVENTED_MARK, LOOK_ALIKE_MARK, Screen, mark_of
from your_short_trade_margin_call.reporting.sheets import Rows, params_text, show_rows, trades_text
from your_short_trade_margin_call.reporting.text import listed, moment, price, quantity, signed_percent, span, usdt

_USUAL_DECIMALS = 4


def status(common: Common, screen: Screen) -> None:
    """What each pair stands at."""
    check_settings(common)
    paths, symbol = Paths.default(), named_pair(common)
    pairs = known_pairs(paths)
    shown = [pair_standing(paths, name) for name in pairs if symbol in (None, name)]
    if common.json:
        print_json({"pairs": [pair.as_dict() for pair in shown]})
        return
    if not shown:
        where = f"{symbol} in {paths.root}" if symbol else str(paths.root)
        screen.say(f"Nothing is recorded for {where} yet." if symbol else f"Nothing is recorded in {where} yet.")
    for pair in shown:
        _show_pair(screen, pair)


def _show_pair(screen: Screen, pair: PairStanding) -> None:
    if not pair.journals:
        screen.heading(f"{pair.symbol}: never traded")
        show_rows(screen, _wishes(pair))
    for journal in pair.journals:
        # A pair may stand on several markets: each has its mark, the real one none.
        screen.mark_market(journal.market)
        screen.heading(f"{pair.symbol} on the {journal.market} market, {journal.account} account")
        show_rows(screen, _journal_rows(pair.symbol, journal) + _wishes(pair))
    screen.mark = ""


def _journal_rows(symbol: str, journal: JournalStanding) -> Rows:
    if journal.error is not None:
        return [("journal", journal.error)]
    decimals = _decimals(symbol)
    rows = [("process", "trades now" if journal.is_trading else "none trades now")]
    rows.append(("position", "flat" if journal.position is None else _position(journal.position, decimals)))
    if journal.wallet is not None and journal.equity is not None and journal.starting_balance is not None:
        change = 100.0 * (journal.equity / journal.starting_balance - 1.0)
        rows.append(("wallet", f"{usdt(journal.wallet)}, equity {usdt(journal.equity)} ({signed_percent(change)})"))
    rows.append(("trades", trades_text(journal.trades, journal.wins)))
    rows.append(("blocked", listed(journal.blocked or {})))
    if journal.params is not None:
        rows.append(("parameters", params_text(params_of({"params": journal.params}))))
    candle = "none yet" if journal.last_candle_ms is None else f"{moment(journal.last_candle_ms)} UTC"
    ago = span(SystemClock().now_ms() - journal.written_ms)
    rows.append(("last candle", f"{candle}; journal written {ago} ago"))
    return rows


def _position(position: OpenShort, decimals: int) -> str:
    stop = "no stop" if position.stop_price is None else f"stop {price(position.stop_price, decimals)}"
    return (
        f"short {quantity(position.quantity)} at {price(position.entry_price, decimals)} since "
        f"{moment(position.entry_time)} UTC, target {price(position.target_price, decimals)}, {stop}, "
        f"liquidation {price(position.liquidation_price, decimals)}"
    )


def _wishes(pair: PairStanding) -> Rows:
    words = "FLATTEN: what is open is closed, no entries" if pair.flatten else "PAUSED: no entries"
    rows = [("controls", words if pair.paused or pair.flatten else "entries allowed")]
    return [*rows, ("note", pair.note)] if pair.note else rows


def _decimals(symbol: str) -> int:
    try:
        return find_instrument(symbol).price_decimals
    except UnknownPairError:
        return _USUAL_DECIMALS


# ---- queue ---------------------------------------------------------------------------------------


def queue(common: Common, screen: Screen) -> None:
    """Which optimisations are planned, running, done."""
    check_settings(common)
    waiting, symbol = OptimizationQueue(Paths.default().optimization_queue), named_pair(common)
    entries = [entry for entry in waiting.entries() if symbol in (None, entry.symbol)]
    if common.json:
        print_json({"entries": [entry.to_json() for entry in entries], "notices": waiting.notes})
        return
    for note in waiting.notes:
        screen.say(note, style="yellow")
    if not entries:
        screen.say("No optimisation is planned. The main job and `trade` plan the next one 12 hours ahead.")
    for mark in ("", LOOK_ALIKE_MARK, INVENTED_MARK):
        part = [entry for entry in entries if mark_of(entry.market) == mark]
        if part:
            screen.mark = mark
            screen.show(_queue_table(part))
    screen.mark = ""


def _queue_table(entries: list[Entry]) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim", collapse_padding=True)
    for name in ("due (UTC)", "pair", "market", "status"):
        table.add_column(name, no_wrap=True)
    table.add_column("what became of it", overflow="fold")
    for entry in entries:
        table.add_row(moment(entry.due_ms), entry.symbol, entry.market, str(entry.status), _fate(entry))
    return table


def _fate(entry: Entry) -> str:
    retried = f"{entry.attempts} processes died running it" if entry.attempts else ""
    return "; ".join(part for part in (entry.error or "", retried) if part)
