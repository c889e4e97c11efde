"""Every defect of a candle file is a named error that says where; every repair is stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.domain import errors
from your_short_trade_margin_call.market.candles import Candles

from .builders import CANDLE, MINUTE, START, Columns, changed, followed, ordered, rows, without, write

THIRD_ROW = "row 3 (2025-05-29T19:06:00Z)"

DEFECTS: dict[str, tuple[Columns, type[errors.CandleError], str]] = {
    "NaN price": (changed(rows(), "high", 2, math.nan), errors.NotFiniteError, f"{THIRD_ROW}: high is missing or NaN"),
    "infinite price": (changed(rows(), "close", 2, math.inf), errors.NotFiniteError, f"{THIRD_ROW}: close is infinite"),
    "null price": (changed(rows(), "open", 2, None), errors.NotFiniteError, f"{THIRD_ROW}: open is missing"),
    "null time": (changed(rows(), "ts", 2, None), errors.NotFiniteError, "row 3: the time is missing"),
    "infinite volume": (changed(rows(), "volume", 2, math.inf), errors.NotFiniteError, f"{THIRD_ROW}: volume"),
    "NaN volume": (changed(rows(), "volume", 2, math.nan), errors.NotFiniteError, f"{THIRD_ROW}: volume"),
    "zero price": (changed(rows(), "low", 2, 0.0), errors.NotPositiveError, f"{THIRD_ROW}: low is 0"),
    "negative price": (changed(rows(), "open", 2, -1.0), errors.NotPositiveError, f"{THIRD_ROW}: open is -1"),
    "negative volume": (changed(rows(), "volume", 2, -0.5), errors.NotPositiveError, f"{THIRD_ROW}: volume is -0.5"),
    "high below low": (changed(rows(), "high", 2, 90.0), errors.HighBelowLowError, f"{THIRD_ROW}: high is below low"),
    "open above high": (changed(rows(), "open", 2, 109.0), errors.HighBelowLowError, f"{THIRD_ROW}: open 109 lies"),
    "close below low": (changed(rows(), "close", 2, 50.0), errors.HighBelowLowError, f"{THIRD_ROW}: close 50 lies"),
    "disorder": (ordered(rows(), [0, 1, 3, 2, 4, 5]), errors.DisorderError, "row 4 (2025-05-29T19:06:00Z) comes after"),
    "newest first": (ordered(rows(), [5, 4, 3, 2, 1, 0]), errors.DisorderError, "row 2 (2025-05-29T19:12:00Z)"),
    "two contents": (
        changed(ordered(rows(), [0, 1, 1, 2, 3, 4]), "close", 2, 100.5),
        errors.DuplicateCandleError,
        "row 3 (2025-05-29T19:03:00Z) has the time of the row before but another close",
    ),
    "off the minute": (changed(rows(), "ts", 2, START + 2 * CANDLE + 1), errors.MisalignedError, "not a whole minute"),
    "off the candle grid": (rows(start=START + MINUTE), errors.MisalignedError, "does not open on the 3-minute grid"),
    "a fraction of a millisecond": (changed(rows(), "ts", 2, START + 0.5), errors.MisalignedError, "no whole number"),
    "seconds": (rows(start=START // 1000, step=180), errors.MisalignedError, "looks like seconds"),
    "microseconds": (rows(start=START * 1000, step=CANDLE * 1000), errors.MisalignedError, "microseconds"),
    "before 1970": (rows(start=-CANDLE), errors.MisalignedError, "before 1970"),
    "text": (changed(rows(), "close", 2, "n/a"), errors.CandleTypeError, "close"),
    "truth": (rows() | {"close": [True] * 6}, errors.CandleTypeError, "close holds Bool"),
    "no rows": (rows(0), errors.EmptyCandlesError, "no rows"),
    "five minutes": (rows(step=5 * MINUTE, start=START), errors.TimeframeError, "looks like 5-minute candles"),
    "fifteen minutes": (rows(step=15 * MINUTE), errors.TimeframeError, "looks like 15-minute candles"),
    "an hour": (rows(step=60 * MINUTE), errors.TimeframeError, "looks like 1-hour candles"),
    "a day": (rows(step=1_440 * MINUTE), errors.TimeframeError, "looks like 1-day candles"),
    "five minutes with gaps": (
        without(rows(12, step=5 * MINUTE), 2, 7, 8),
        errors.TimeframeError,
        "looks like 5-minute candles",
    ),
    "15 minutes, all 3 apart or more": (without(rows(9, step=15 * MINUTE), 1, 2), errors.TimeframeError, "15-minute"),
    "minutes, then candles": (followed(rows(90, step=MINUTE), 30, CANDLE), errors.TimeframeError, "3-minute"),
    "candles, then minutes": (
        followed(rows(30), 90, MINUTE),
        errors.TimeframeError,
        "row 1 (2025-05-29T19:00:00Z): 3-minute candles begin among 1-minute ones",
    ),
    "candles, then 15 minutes": (followed(rows(30), 30, 15 * MINUTE), errors.TimeframeError, "15-minute candles begin"),
    "minutes that make no candle": (without(rows(6, step=MINUTE), 1, 5), errors.EmptyCandlesError, "no three minutes"),
}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_a_named_error_that_says_where(name: str, suffix: str, tmp_path: Path) -> None:
    columns, kind, words = DEFECTS[name]
    path = write(tmp_path / f"BTC{suffix}", columns)
    with pytest.raises(errors.CandleError) as caught:
        Candles.from_file(path, symbol="BTCUSDT")
    if suffix == ".parquet" or words != "close holds Bool":
        assert type(caught.value) is kind
        assert words in str(caught.value)
    assert "BTC" in caught.value.message
    assert caught.value.cure
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", [name for name in DEFECTS if name not in ("no rows", "truth")])
def test_arrays_are_checked_like_files(name: str) -> None:
    columns, kind, _ = DEFECTS[name]
    with pytest.raises(kind):
        Candles.from_columns("BTCUSDT", *columns.values())


@pytest.mark.parametrize("column", ["ts", "open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_missing_column_is_named_beside_those_found(column: str, suffix: str, tmp_path: Path) -> None:
    columns = {("Other" if name == column else name): values for name, values in rows().items()}
    path = write(tmp_path / f"BTC{suffix}", columns)
    with pytest.raises(errors.MissingColumnError, match=rf"lacks {column}; it has .*Other"):
        Candles.from_file(path, symbol="BTCUSDT")


def test_what_is_no_table_is_named_in_a_few_words(tmp_path: Path) -> None:
    path = tmp_path / "BTC.csv"
    path.write_text(",".join(f"{'x' * 200}{k}" for k in range(5_000)) + "\n", encoding="utf-8")
    with pytest.raises(errors.MissingColumnError, match=r"it has x{40}…, .*, …\.") as caught:
        Candles.from_csv(path, symbol="BTCUSDT")
    assert len(caught.value.message) < 600


def test_text_in_a_csv_names_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "BTC.csv", changed(rows(), "close", 2, "n/a"))
    with pytest.raises(errors.CandleTypeError, match=r"row 3: column close holds 'n/a'"):
        Candles.from_csv(path, symbol="BTCUSDT")


def test_numbers_as_text_in_parquet_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "BTC.parquet", rows() | {"close": [str(x) for x in rows()["close"]]})
    with pytest.raises(errors.CandleTypeError, match="column close holds String"):
        Candles.from_parquet(path, symbol="BTCUSDT")


def test_dates_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "BTC.parquet"
    pl.DataFrame(rows()).with_columns(pl.from_epoch("ts", "ms")).write_parquet(path)
    with pytest.raises(errors.CandleTypeError, match="UTC milliseconds"):
        Candles.from_parquet(path, symbol="BTCUSDT")
    times = np.array(rows()["ts"], dtype="datetime64[ms]")
    with pytest.raises(errors.CandleTypeError, match="UTC milliseconds"):
        Candles.from_columns("BTCUSDT", times, *list(rows().values())[1:])


def _absent(folder: Path) -> Path:
    return folder / "none.parquet"


def _a_folder(folder: Path) -> Path:
    (folder / "folder.csv").mkdir()
    return folder / "folder.csv"


def _unknown_suffix(folder: Path) -> Path:
    return write(folder / "BTC.csv", rows()).rename(folder / "BTC.xlsx")


def _not_parquet(folder: Path) -> Path:
    return write(folder / "BTC.csv", rows()).rename(folder / "BTC.parquet")


def _cut_short(folder: Path) -> Path:
    path = write(folder / "BTC.parquet", rows(500))
    path.write_bytes(path.read_bytes()[:-40])
    return path


def _ragged(folder: Path) -> Path:
    path = folder / "BTC.csv"
    path.write_text("ts,open,high,low,close,volume\n1,2,3\n1,2,3,4,5,6,7\n", encoding="utf-8")
    return path


def _binary_csv(folder: Path) -> Path:
    path = folder / "BTC.csv"
    path.write_bytes(b"ts,open,high,low,close,volume\n\xff\xfe\x00,1,1,1,1,1\n")
    return path


@pytest.mark.parametrize(
    "make",
    [_absent, _a_folder, _unknown_suffix, _not_parquet, _cut_short, _ragged, _binary_csv],
    ids=lambda f: f.__name__,
)
def test_what_is_no_candle_file_is_said_to_be_none(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(errors.NotACandleFileError):
        Candles.from_file(make(tmp_path), symbol="BTCUSDT")


@pytest.mark.parametrize("content", ["", "ts,open,high,low,close,volume\n"])
def test_a_csv_without_rows_is_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "BTC.csv").write_text(content, encoding="utf-8")
    with pytest.raises(errors.EmptyCandlesError):
        Candles.from_csv(tmp_path / "BTC.csv", symbol="BTCUSDT")


def test_a_path_is_not_searched_for_wildcards(tmp_path: Path) -> None:
    write(tmp_path / "BTC1.csv", rows())
    with pytest.raises(errors.NotACandleFileError):
        Candles.from_csv(tmp_path / "BTC[0-9].csv", symbol="BTCUSDT")


CSV_TEXT = st.text('0123456789.,-eNa\n\r"; \t\ufeff', max_size=80)


@given(
    head=st.sampled_from(["", "ts,open,high,low,close,volume\n", "\ufeffts,open,high,low,close,volume\r\n"]),
    text=CSV_TEXT,
)
@settings(max_examples=150, deadline=None)
def test_no_text_whatever_crashes_the_reader(head: str, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_text(head + text, encoding="utf-8", newline="")
    with suppress(errors.CandleError):
        Candles.from_csv(path, symbol="BTCUSDT")


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_damage_whatever_crashes_the_reader(
    place: float, value: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("parquet") / "any.parquet", rows())
    damaged = bytearray(path.read_bytes())
    damaged[int(place * len(damaged))] = value
    path.write_bytes(damaged[: int(place * len(damaged))] if cut else damaged)
    with suppress(errors.CandleError):
        Candles.from_parquet(path, symbol="BTCUSDT")


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    text = write(tmp_path / "BTC.csv", rows()).read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "BTC.csv").write_text("\ufeff" + text, encoding="utf-8", newline="")
    assert Candles.from_csv(tmp_path / "BTC.csv", symbol="BTCUSDT") == Candles.from_columns("BTCUSDT", *rows().values())


def test_columns_of_different_length_are_refused() -> None:
    columns = rows() | {"close": [1.0, 2.0]}
    with pytest.raises(errors.CandleTypeError, match="differ in length"):
        Candles.from_columns("BTCUSDT", *columns.values())


@pytest.mark.parametrize("close", [[[1.0], [2.0]], 5.0, [[1.0], [2.0, 3.0]], ["1", "2"], [object(), 1.0]])
def test_a_column_is_one_row_of_numbers(close: object) -> None:
    with pytest.raises(errors.CandleTypeError):
        Candles.from_columns("BTCUSDT", [0, CANDLE], [1, 1], [2, 2], [1, 1], close)  # type: ignore[arg-type]


# ---- repairs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_identical_duplicates_are_dropped_and_counted(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"BTC{suffix}", ordered(rows(), [0, 1, 1, 1, 2, 3, 3, 4, 5]))
    candles = Candles.from_file(path, symbol="BTCUSDT")
    assert candles == Candles.from_columns("BTCUSDT", *rows().values())
    assert (candles.quality.rows_read, candles.quality.duplicates_dropped) == (9, 3)
    assert candles.quality.notes == (f"BTC{suffix}: 3 identical duplicate rows dropped.",)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_empty_volume_is_zero_and_said_to_be(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"BTC{suffix}", changed(changed(rows(), "volume", 1, None), "volume", 4, None))
    candles = Candles.from_file(path, symbol="BTCUSDT")
    assert candles.volume.tolist() == [10.0, 0.0, 12.0, 13.0, 0.0, 15.0]
    assert candles.quality.null_volumes == 2
    assert candles.quality.notes == (f"BTC{suffix}: 2 empty volumes read as 0.",)


def test_a_volume_that_is_empty_throughout_is_zero(tmp_path: Path) -> None:
    candles = Candles.from_file(write(tmp_path / "BTC.csv", rows() | {"volume": [None] * 6}), symbol="BTCUSDT")
    assert candles.volume.tolist() == [0.0] * 6


def test_a_good_file_needs_no_note(tmp_path: Path) -> None:
    candles = Candles.from_file(write(tmp_path / "BTC.csv", rows()), symbol="BTCUSDT")
    assert candles.quality.notes == ()
    assert candles.quality.rows_read == len(candles) == 6


# ---- what a file may look like --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_round_trip_keeps_every_bit(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(7).uniform(0.1, 0.2, 6)
    columns = rows() | {"close": (np.array(rows()["close"]) + noise).tolist()}
    candles = Candles.from_file(write(tmp_path / f"BTC{suffix}", columns), symbol="BTCUSDT")
    for name, values in columns.items():
        got = candles.time_ms if name == "ts" else getattr(candles, name)
        assert got.tolist() == values
    assert candles.time_ms.dtype == np.int64
    assert all(getattr(candles, name).dtype == np.float64 for name in ("open", "high", "low", "close", "volume"))


def test_other_columns_are_ignored_and_whole_numbers_are_fine(tmp_path: Path) -> None:
    whole = {name: [int(x) for x in values] for name, values in rows().items()}
    path = write(tmp_path / "BTC.csv", whole | {"turnover": ["", "x", "", "", "", ""]})
    assert Candles.from_file(path, symbol="BTCUSDT") == Candles.from_columns("BTCUSDT", *rows().values())


@pytest.mark.parametrize("kind", [pl.Float32, pl.Float64])
def test_single_precision_is_taken_as_the_decimals_it_prints(kind: type[pl.DataType], tmp_path: Path) -> None:
    tenths = {name: [round(x + 0.1, 1) for x in rows()[name]] for name in ("open", "high", "low", "close", "volume")}
    frame = pl.DataFrame({"ts": rows()["ts"], **tenths}).with_columns(pl.col(list(tenths)).cast(kind))
    frame.write_parquet(tmp_path / "BTC.parquet")
    frame.write_csv(tmp_path / "BTC.csv")
    exact = Candles.from_columns("BTCUSDT", rows()["ts"], *tenths.values())
    arrays = (frame[name].to_numpy() for name in tenths)
    assert Candles.from_file(tmp_path / "BTC.parquet", symbol="BTCUSDT") == exact
    assert Candles.from_file(tmp_path / "BTC.csv", symbol="BTCUSDT") == exact
    assert Candles.from_columns("BTCUSDT", rows()["ts"], *arrays) == exact


def test_times_in_single_precision_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "BTC.parquet"
    pl.DataFrame(rows(1)).with_columns(pl.col("ts").cast(pl.Float32)).write_parquet(path)
    with pytest.raises(errors.MisalignedError, match="not a whole minute"):
        Candles.from_parquet(path, symbol="BTCUSDT")


def test_times_may_be_written_as_floats_and_numbers_with_blanks(tmp_path: Path) -> None:
    lines = ["ts, open ,high,low,close,volume".replace(" ", ""), "1.7485452e12, 100,102,99 ,101,10.0"]
    (tmp_path / "BTC.csv").write_text("\n".join(lines), encoding="utf-8")
    candles = Candles.from_csv(tmp_path / "BTC.csv", symbol="BTCUSDT")
    assert candles.time_ms.tolist() == [START]
    assert (candles.open[0], candles.low[0]) == (100.0, 99.0)


def test_a_symbol_column_selects_the_pair_however_it_is_spelled(tmp_path: Path) -> None:
    both = {name: values + values for name, values in rows().items()}
    path = write(tmp_path / "all.parquet", both | {"symbol": ["BTC/USDT:USDT"] * 6 + ["ETHUSDT"] * 6})
    assert Candles.from_file(path, symbol="btc").symbol == "BTCUSDT"
    assert len(Candles.from_file(path, symbol="eth")) == 6
    with pytest.raises(errors.UnknownPairError, match="no rows of SOLUSDT; it has BTC/USDT:USDT, ETHUSDT"):
        Candles.from_file(path, symbol="SOL")


def test_one_row_is_a_candle_where_it_can_be_one() -> None:
    assert len(Candles.from_columns("BTCUSDT", *rows(1).values())) == 1
    with pytest.raises(errors.EmptyCandlesError):
        Candles.from_columns("BTCUSDT", *rows(1, start=START + MINUTE).values())


def test_a_stated_timeframe_needs_no_guess() -> None:
    apart = rows(2, step=15 * MINUTE)
    assert Candles.from_columns("BTCUSDT", *apart.values(), timeframe_ms=CANDLE).missing == 4
    with pytest.raises(errors.TimeframeError):
        Candles.from_columns("BTCUSDT", *apart.values(), timeframe_ms=15 * MINUTE)
    with pytest.raises(errors.MisalignedError):
        Candles.from_columns("BTCUSDT", *rows(start=START + MINUTE).values(), timeframe_ms=CANDLE)


# ---- minutes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_minutes_become_candles_on_the_epoch_grid(suffix: str, tmp_path: Path) -> None:
    minutes = rows(14, step=MINUTE, start=START - MINUTE)  # one before the grid, four whole candles, one after
    candles = Candles.from_file(write(tmp_path / f"BTC{suffix}", minutes), symbol="BTCUSDT")
    assert candles.time_ms.tolist() == [START + CANDLE * k for k in range(4)]
    assert candles.open.tolist() == [101.0, 104.0, 107.0, 110.0]
    assert candles.high.tolist() == [105.0, 108.0, 111.0, 114.0]
    assert candles.low.tolist() == [100.0, 103.0, 106.0, 109.0]
    assert candles.close.tolist() == [104.0, 107.0, 110.0, 113.0]
    assert candles.volume.tolist() == [36.0, 45.0, 54.0, 63.0]
    assert candles.quality.partial_buckets_dropped == 2
    assert candles.quality.notes == (f"BTC{suffix}: 2 incomplete 3-minute candles dropped, for want of a minute.",)
    assert candles.quality.source_timeframe_ms == MINUTE
    assert candles.minutes is not None
    assert candles.minutes.time_ms.tolist() == minutes["ts"][1:13]
    assert candles.minutes.high.tolist() == minutes["high"][1:13]


def test_a_missing_minute_drops_its_candle_and_leaves_a_gap() -> None:
    candles = Candles.from_columns("BTCUSDT", *without(rows(12, step=MINUTE), 4).values())
    assert candles.time_ms.tolist() == [START, START + 2 * CANDLE, START + 3 * CANDLE]
    assert (candles.gaps, candles.missing, candles.quality.partial_buckets_dropped) == (1, 1, 1)
    assert candles.minutes is not None
    assert len(candles.minutes) == 9


def test_a_long_hole_in_minutes_stays_a_hole() -> None:
    minutes = {
        name: a + b
        for (name, a), b in zip(
            rows(6, step=MINUTE).items(), rows(6, step=MINUTE, start=START + 50 * CANDLE).values(), strict=True
        )
    }
    candles = Candles.from_columns("BTCUSDT", *minutes.values())
    assert (len(candles), candles.gaps, candles.missing) == (4, 1, 48)
    assert candles.quality.partial_buckets_dropped == 0


@pytest.mark.parametrize("column", ["high", "low", "open"])
def test_a_price_no_market_made(column: str) -> None:
    time_ms = [180_000 * k for k in range(5_000_000, 5_000_010)]
    prices = {name: [100.0] * 10 for name in ("open", "high", "low", "close")}
    prices[column][4] = 0.01 if column == "low" else 1e30
    prices["high"][4] = max(prices["high"][4], prices[column][4])
    with pytest.raises(errors.ImplausiblePriceError, match="20 times"):
        Candles.from_columns("BTCUSDT", time_ms, **prices)


def test_far_apart_across_a_gap_is_history_not_a_defect() -> None:
    time_ms = [900_000_000_000, 900_000_180_000, 990_000_000_000]
    prices = [1.0, 1.0, 50.0]
    candles = Candles.from_columns("BTCUSDT", time_ms, prices, prices, prices, prices)
    assert candles.gaps == 1
