"""The record on recorded candles, as tables in docs/evidence.md. `make evidence-table FILES="a.parquet b.parquet"`.

Files are named by pair (``bybit_BTCUSDT_3m.parquet``). One that lacks more than half of its candles is left out, and
named. Beside FILE.parquet, FILE.mark.parquet and FILE.funding.parquet are used where they lie, as
`shortest-peak fetch --out FILE.parquet` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.choosers import CHOOSERS, Chooser, Compared, compare
from benchmarks.figure import promises
from your_short_trade_margin_call import __version__
from your_short_trade_margin_call.composition.markets import file_pair
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.records import odds
from your_short_trade_margin_call.reporting.text import counted, moment
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.record import Record
from your_short_trade_margin_call.research.scan import PairRecord, pair_record, verdicts_among
from your_short_trade_margin_call.settings import ParameterGrid, Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "evidence.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HEAD = ("", "pair", "days", "promised", "delivered", "likely", "in position", "trades", "margin calls", "beyond zero",
        "beyond chance", "verdict")  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A file, its candles and its records, one for each chooser."""

    path: Path
    candles: Candles
    records: tuple[Record, ...]

    @property
    def pair(self) -> PairRecord:
        """What the first chooser's record said, as a scan sees it."""
        return pair_record(self.candles, self.records[0], "")


def candles_of(path: Path) -> Candles:
    """A file with what lies beside it."""
    symbol = file_pair(path)
    if symbol is None:
        raise SystemExit(f"The name of {path.name} does not say which pair it is. Call it BTCUSDT.parquet.")
    beside = {kind: path.with_suffix(f".{kind}.parquet") for kind in ("mark", "funding")}
    return Candles.from_file(path, symbol=symbol, **{kind: file for kind, file in beside.items() if file.exists()})


def measure(path: Path, candles: Candles, choosers: Sequence[Chooser] = CHOOSERS) -> Measured:
    """Walk one file once for each way of choosing."""
    engine = BacktestEngine(Settings())
    return Measured(path, candles, tuple(chooser.walk(engine, candles) for chooser in choosers))


def is_whole(candles: Candles) -> bool:
    """Whether more than half of the candles are there."""
    return candles.missing < len(candles)


def record_row(number: int, measured: Measured) -> tuple[str, ...]:
    """A line of the first table."""
    record = measured.records[0]
    e, pair = record.evidence, measured.pair
    calls = str(e.risk.margin_calls) + (
        f" and {counted(e.risk.liquidations, 'liquidation')}" * bool(e.risk.liquidations)
    )
    return (str(number), pair.symbol, f"{e.days:.0f}", f"{e.promised_pct:+.2f} %", f"{e.mean_pct:+.2f} %",
            f"{e.low_pct:+.2f} to {e.high_pct:+.2f}", f"{100 * pair.in_market_frac:.0f} %", f"{e.trades}", calls,
            odds(e.zero.log_evidence), odds(e.chance.log_evidence), str(e.verdict))  # fmt: skip


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def summary(found: Sequence[Measured]) -> Iterator[str]:
    """The first table in words."""
    records = [one.records[0] for one in found]
    counts = {verdict: sum(record.verdict is verdict for record in records) for verdict in Verdict}
    said = ", ".join(f"{verdict} {count}" for verdict, count in counts.items())
    called = sum(record.evidence.risk.margin_calls + record.evidence.risk.liquidations for record in records)
    folds = sum(record.evidence.folds for record in records)
    mean = sum(float(record.walk.returns.sum()) for record in records) / folds * 100.0
    real = [one.pair.symbol for one, verdict in zip(found, verdicts_among([one.pair for one in found]), strict=True)
            if verdict is Verdict.REAL]  # fmt: skip
    among = f"REAL stays: {', '.join(real)}" if real else "none is REAL"
    yield f"- verdicts, each file judged alone as the first look of one procedure: {said}"
    yield f"- corrected for looking at all {len(found)} (as `scan` does): {among}"
    yield f"- over all {folds:,} folds an account made {mean:+.2f} % a fold; {counted(called, 'margin call')} in "\
          f"{counted(sum(record.evidence.trades for record in records), 'closed trade')}"  # fmt: skip


def provenance(found: Sequence[Measured], left_out: Sequence[str] = ()) -> Iterator[str]:
    """What it takes to repeat this."""
    settings = Settings()
    yield (
        f"Version {__version__}; default settings (hash {settings.fingerprint()}, seed {settings.seed}) and grid "
        f"({len(ParameterGrid())} trials); window 24 h, step 12 h. The files, with the hash of their content:"
    )
    yield ""
    for number, one in enumerate(found, 1):
        candles = one.candles
        missing = f", {candles.missing:,} missing" if candles.missing else ""
        extras = {"mark prices": candles.mark, "funding": candles.funding}
        beside = "".join(f", with {name}" for name, extra in extras.items() if extra is not None)
        yield (f"{number}. `{one.path.name}` {candles.content_hash}: {moment(candles.start_ms)} to "
               f"{moment(candles.end_ms)}, {len(candles):,} candles{missing}{beside}")  # fmt: skip
    if left_out:
        yield ""
        yield f"Left out, because more than half of their candles are missing: {', '.join(left_out)}."


def comparison(found: Sequence[Measured], choosers: Sequence[Chooser] = CHOOSERS) -> Iterator[str]:
    """The second table, and what follows from it."""
    records = {chooser.name: [one.records[k] for one in found] for k, chooser in enumerate(choosers)}
    head = ("chosen by", "promised", "delivered", "beyond the default", "likely", "trades", "margin calls")
    compared = compare(records)
    rows = [
        (one.name, f"{one.promised_pct:+.2f} %", f"{one.delivered_pct:+.3f} %", *_beyond(one, compared[0]),
         f"{one.trades:,}", f"{one.margin_calls:,}")
        for one in compared
    ]  # fmt: skip
    yield from markdown(head, rows)
    yield from ("", conclusion(compared))


def _beyond(one: Compared, default: Compared) -> tuple[str, str]:
    if one is default:
        return "", ""
    return f"{one.beyond_pct:+.3f} %", f"{one.low_pct:+.3f} to {one.high_pct:+.3f}"


def conclusion(compared: Sequence[Compared]) -> str:
    """Which ways of choosing delivered more than the default, fold by fold, beyond luck."""
    folds = f"over {compared[0].folds:,} folds, each paired with the default's"
    better = [f"*{one.name}*" for one in compared if one.is_better]
    if better:
        return f"More than the default, beyond luck, delivered {folds}: {', '.join(better)}."
    return f"No other way of choosing delivered more than the default beyond luck, {folds}."


def measured_part(
    found: Sequence[Measured], choosers: Sequence[Chooser] = CHOOSERS, left_out: Sequence[str] = ()
) -> str:
    """All that stands between the marks of the page."""
    rows = [record_row(number, one) for number, one in enumerate(found, 1)]
    ways = ("", "### Ways of choosing", "", *comparison(found, choosers))
    made_of = ("", "### What this was made of", "", *provenance(found, left_out), "")
    return "\n".join([BEGIN, "", *markdown(HEAD, rows), "", *summary(found), *ways, *made_of, END])


def write_page(
    page: Path, found: Sequence[Measured], choosers: Sequence[Chooser] = CHOOSERS, left_out: Sequence[str] = ()
) -> None:
    """Put the tables between the marks of a page, and draw the figure beside it."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + measured_part(found, choosers, left_out) + after, encoding="utf-8")
    drawn = [(f"{number} {one.pair.symbol}", one.records[0].evidence) for number, one in enumerate(found, 1)]
    bars = [(name, e.promised_pct, e.mean_pct, e.low_pct, e.high_pct) for name, e in drawn]
    title = "Promised in the window of the choice, delivered after it: % of equity a fold"
    page.with_suffix(".svg").write_text(promises(title, bars), encoding="utf-8")


def main(arguments: Sequence[str], page: Path = PAGE) -> None:
    """Measure every file named, and write the page."""
    if not arguments:
        raise SystemExit('Name candle files: make evidence-table FILES="BTCUSDT.parquet ETHUSDT.parquet"')
    found, left_out = list[Measured](), list[str]()
    for path in map(Path, arguments):
        candles = candles_of(path)
        if not is_whole(candles):
            left_out.append(f"`{path.name}`")
            continue
        found.append(measure(path, candles))
        print("  ".join(record_row(len(found), found[-1])), flush=True)
    write_page(page, found, left_out=left_out)


if __name__ == "__main__":
    main(sys.argv[1:])
