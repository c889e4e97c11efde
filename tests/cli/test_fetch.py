"""The `fetch` command: into the store, out into files, told to people and machines, stopped and gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bybit.market_server import CANDLE_MS, DAY_MS, FIRST_DAY, FUNDING, KLINE, MARK, TIME, FakeMarket, serving
from tests.cli.face import Face
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.market.candles import Candles

END = FIRST_DAY + 3 * DAY_MS
THREE_DAYS = ("--days", 3, "--end", "2025-06-01")


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket()


@pytest.fixture
def url(market: FakeMarket) -> Iterator[str]:
    with serving(market) as address:
        yield address


def unmarked(text: str) -> str:
    """The lines without the mark that each of them must carry here."""
    assert all(line.startswith("LOOK-ALIKE ") for line in text.splitlines())
    return "\n".join(line.removeprefix("LOOK-ALIKE ") for line in text.splitlines())


def test_whole_days_are_fetched_and_told(face: Face, url: str) -> None:
    answer = face("fetch", "btc", *THREE_DAYS, "--endpoint", url)
    assert answer.code == 0, answer.err
    said = " ".join(unmarked(answer.out).split())
    assert "2025-05-30 00:00 to 2025-06-02 00:00 UTC" in said
    for words in ("candles 1,440 of 1,440", "gaps 0 gaps, 0 candles missing", "mark 1,440 candles",
                  "funding 9 settlements", "--out FILE.parquet"):  # fmt: skip
        assert words in said
    assert (face.data / "BTCUSDT" / "candles").is_dir()


def test_for_machines(face: Face, url: str, market: FakeMarket) -> None:
    market.lost = {FIRST_DAY + 5 * CANDLE_MS}
    answer = face("fetch", "BTCUSDT", *THREE_DAYS, "--minutes", "--json", "--endpoint", url)
    assert answer.code == 0, answer.err
    document = answer.json
    found = {name: document[name] for name in ("symbol", "days", "candles", "gaps", "missing", "mark_candles",
                                               "minutes", "funding_rows", "start_ms", "end_ms")}  # fmt: skip
    assert found == {"symbol": "BTCUSDT", "days": 3, "candles": 1_439, "gaps": 1, "missing": 1,
                     "mark_candles": 1_439, "minutes": 4_319, "funding_rows": 9, "start_ms": FIRST_DAY,
                     "end_ms": END}  # fmt: skip
    assert document["source"].startswith("loopback-")
    assert document["bytes"] > 10_000
    assert document["seconds"] > 0
    assert Path(document["folder"]).is_dir()


def test_a_second_time_nothing_is_fetched(face: Face, url: str, market: FakeMarket) -> None:
    first = face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json
    market.log.clear()
    second = face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json
    assert (first["new_rows"], second["new_rows"]) == (2 * 1_440 + 10, 0)
    assert second["hash"] == first["hash"]
    compared = [int(query["end"]) - int(query["start"]) + 1 for query in market.asked(KLINE)]
    assert compared == [5 * CANDLE_MS] * 4  # is it still the market of the first time?
    assert market.asked(MARK) + market.asked(FUNDING) == []


def test_without_an_end_it_goes_up_to_now(face: Face, url: str, market: FakeMarket) -> None:
    document = face("fetch", "BTCUSDT", "--days", 1, "--json", "--endpoint", url).json
    assert (document["start_ms"], document["candles"]) == (END - DAY_MS, 580)


def test_the_address_may_come_from_the_environment(face: Face, url: str) -> None:
    assert face("fetch", "BTCUSDT", "--days", 1, SHORTEST_PEAK_ENDPOINT=url).code == 0


def test_one_file_for_each_option(face: Face, url: str, tmp_path: Path) -> None:
    out = tmp_path / "btc.parquet"
    answer = face("fetch", "BTCUSDT", *THREE_DAYS, "--minutes", "--out", out, "--json", "--endpoint", url)
    written = answer.json["written"]
    assert written == {"candles": str(out), "mark": str(tmp_path / "btc.mark.parquet"),
                       "funding": str(tmp_path / "btc.funding.parquet"),
                       "minutes": str(tmp_path / "btc.minutes.parquet")}  # fmt: skip
    read = Candles.from_file(out, symbol="BTCUSDT", **{k: v for k, v in written.items() if k != "candles"})
    assert read.content_hash == answer.json["hash"]
    told = face("fetch", "BTCUSDT", *THREE_DAYS, "--out", out, "--endpoint", url)
    options = "".join(unmarked(told.out).split("Use them with:")[1].split())
    assert options.startswith(f"shortest-peakbacktestBTCUSDT--candles{out}--mark")


def test_the_pair_is_kept_beside_its_candles(face: Face, url: str) -> None:
    folder = Path(face("fetch", "BTCUSDT", "--days", 1, "--json", "--endpoint", url).json["folder"])
    assert (folder / "instrument.json").exists()
    assert not (face.data / "BTCUSDT" / "instrument.json").exists()  # that one is Bybit's own


def test_a_young_pair_begins_at_its_listing(face: Face, url: str, market: FakeMarket) -> None:
    market.launch_ms = FIRST_DAY + DAY_MS + 7_777
    document = face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json
    assert (document["candles"], document["missing"]) == (959, 0)
    assert "listed since 2025-05-31 00:00 UTC" in document["notes"][0]
    nothing = face("fetch", "BTCUSDT", "--days", 1, "--end", "2025-05-30", "--endpoint", url)
    assert (nothing.code, "no candle in these days" in nothing.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("PEPEUSDT",), "Did you mean 1000PEPEUSDT?"),
        (("BTCUSDT", "--days", 0), "--days 0 cannot be"),
        (("BTCUSDT", "--end", "yesterday"), "'yesterday' is no day"),
        (("BTCUSDT", "--end", "2025-06-03"), "has no candle yet"),
        (("BTCUSDT", "--out", "btc.csv"), "no Parquet file by its name"),
        (("BTCUSDT", "--endpoint", "http://api.bybit.com"), "not encrypted"),
        ((), "No pair is named"),
    ],
)
def test_wrong_use(face: Face, url: str, arguments: tuple[object, ...], said: str) -> None:
    answer = face("fetch", *arguments, SHORTEST_PEAK_ENDPOINT=url)
    assert answer.code == 2, answer.err
    assert said in answer.err


def test_nobody_there(face: Face) -> None:
    answer = face("fetch", "BTCUSDT", "--days", 1, "--json")
    assert answer.code == 3
    assert answer.json["error"]["kind"] == "ExchangeError"


def test_another_market_behind_the_same_address(face: Face, url: str, market: FakeMarket) -> None:
    first = face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json
    market.seed = 1
    second = face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json
    assert second["hash"] != first["hash"]
    assert second["candles"] == 1_440
    assert "Another market answers" in second["notes"][0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to a process of its own")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_how_to_go_on(face: Face, market: FakeMarket, number: signal.Signals) -> None:
    """The server answers the first pages, then 10006 for ever: there is time to press Ctrl-C."""
    market.too_many_after = 2
    with serving(market) as url:
        with face.start("fetch", "BTCUSDT", *THREE_DAYS, SHORTEST_PEAK_ENDPOINT=url) as process:
            wait_until(lambda: len([path for path, _ in market.log if path != TIME]) > 6, process)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, (out, err)
        words = [word for word in out.split() if word != "LOOK-ALIKE"]  # each line begins with it
        assert "the same command goes on from there" in " ".join(words)
        market.too_many_after = None
        assert face("fetch", "BTCUSDT", *THREE_DAYS, "--json", "--endpoint", url).json["candles"] == 1_440


def wait_until(is_so: object, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
