"""The `scan` command: a planted market among noise is found, noise alone is not; a pair that fails is a row."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.face import Face, candle_file
from tests.cli.look_alike import LookAlike, look_alike
from tests.cli.test_walk_forward import PLANTED, flowed
from your_short_trade_margin_call.adapters.storage.looks import Looks
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.record_options import Scanning
from your_short_trade_margin_call.commands.scanning import parse_turnover, scan
from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.reporting.scans import ScannedPair, scan_table
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.research.evidence import Evidence, Risk, Yardstick
from your_short_trade_margin_call.research.scan import PairRecord

NOISE = ("BTCUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT")
DAYS = 20


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of markets without an edge."""
    folder = tmp_path_factory.mktemp("noise")
    for k, symbol in enumerate(NOISE):
        candle_file(folder / f"{symbol}_3m.parquet", days=DAYS, symbol=symbol, seed=100 + k)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    return candle_file(folder / "bybit_ETHUSDT_3m.parquet", days=DAYS, symbol="ETHUSDT", seed=2, **PLANTED)


def test_in_noise_alone_there_is_nothing(face: Face, noise: Path) -> None:
    answer = face("scan", "--candles", noise)
    assert answer.code == 0, answer.err
    assert max(map(len, answer.lines)) <= 80
    assert f"None of the {len(NOISE)} pairs beats luck." in flowed(answer.out)
    assert "evidence of 80.0 : 1" in flowed(answer.out)
    assert all(symbol in answer.out for symbol in NOISE)


def test_a_planted_market_among_noise_is_found(face: Face, noise: Path, planted: Path) -> None:
    answer = face("scan", "--candles", noise, "--candles", planted, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert found["real"] == ["ETHUSDT"]
    first, *others = found["pairs"]
    assert (first["symbol"], first["verdict"]) == ("ETHUSDT", "REAL")
    beyond_chance = [pair["log_evidence_chance"] for pair in others]
    assert beyond_chance == sorted(beyond_chance, reverse=True)
    assert found["judged"] == len(NOISE) + 1
    assert first["trades"] >= 30
    assert first["candles"]["count"] == DAYS * 480


def test_the_answer_names_what_beats_luck(face: Face, noise: Path, planted: Path) -> None:
    answer = face("scan", "--candles", noise, "--candles", planted, "--require-real")
    assert answer.code == 0, answer.err
    assert "ETHUSDT beats luck, 5 pairs looked at" in flowed(answer.out)
    assert "not a forecast" in flowed(answer.out)
    assert face("scan", "--candles", noise, "--require-real").code == 1


def test_symbols_choose_among_the_files(face: Face, noise: Path) -> None:
    found = face("scan", "sol", "xrp", "--candles", noise, "--json").json
    assert {pair["symbol"] for pair in found["pairs"]} == {"SOLUSDT", "XRPUSDT"}


@pytest.mark.parametrize("market", ["bybit", "simulated"])
def test_large_numbers_and_long_names_are_not_cut(market: str) -> None:
    sure = Yardstick(np.array([40.0]), 12.3, 0.0045)
    evidence = Evidence(Verdict.CANNOT_TELL, "", 60, 43_200_000, 1_234, -12.34, -10.12, 23.45, 10.2, sure, sure,
                        Risk(1, 1, 12, 3, 79.0, 40.0))  # fmt: skip
    record = PairRecord("1000000MOGUSDT", evidence, 0.5, 0, 1, 2, "", "exchange")
    printed = io.StringIO()
    screen = Screen(environment={"COLUMNS": "80"}, stream=printed)
    screen.mark_market(market)
    screen.show(scan_table([ScannedPair("1000000MOGUSDT", "1000000MOGUSDT", record, Verdict.CANNOT_TELL)]))
    text = printed.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert all(
        word in text for word in ("CAN'T TELL", "-12.34", "-10.12..+23.45", "+10.2", "1,234", " 15 ", ">1e6 : 1")
    )
    assert "…" not in text


def test_every_pair_counts_as_looked_at(face: Face, noise: Path) -> None:
    """Whoever picks the best of a scan has looked at all of it."""
    for _ in range(2):
        assert face("scan", "--candles", noise).code == 0
    looks = Looks(face.data / "looks.json").all()
    assert [(look.symbol, look.number, look.looks) for look in looks] == [
        (symbol, number, 2) for number, symbol in enumerate(sorted(NOISE), 1)
    ]
    alone = face("walk-forward", "SOL", "--candles", noise / "SOLUSDT_3m.parquet", "--json").json["evidence"]
    assert (alone["procedure"], alone["looks"]) == (1 + sorted(NOISE).index("SOLUSDT"), 3)


def test_two_files_of_a_pair_are_told_apart(face: Face, tmp_path: Path) -> None:
    for name in ("2025-05_BTCUSDT", "2025-06_BTCUSDT"):
        candle_file(tmp_path / f"{name}.parquet", days=3)
    found = face("scan", "--candles", tmp_path, "--json").json
    assert {pair["name"] for pair in found["pairs"]} == {"2025-05_BTCUSDT", "2025-06_BTCUSDT"}


def test_a_pair_that_fails_is_a_row_that_says_why(face: Face, tmp_path: Path) -> None:
    candle_file(tmp_path / "BTCUSDT.parquet", days=3)
    candle_file(tmp_path / "ETHUSDT.parquet", days=1, symbol="ETHUSDT")
    (tmp_path / "SOLUSDT.csv").write_text("ts,open\n1,2\n")
    candle_file(tmp_path / "NOBODYKNOWSUSDT.parquet", days=3)
    answer = face("scan", "--candles", tmp_path)
    assert answer.code == 0, answer.err
    said = flowed(answer.out)
    assert "1 pair on the replay market" in said
    for words in ("Not judged", "ETHUSDT There are 480 candles", "SOLUSDT", "high", "NOBODYKNOWSUSDT"):
        assert words in said, words
    assert "The one pair does not beat luck." in said
    rows = face("scan", "--candles", tmp_path, "--json").json["pairs"]
    assert [row["verdict"] is None for row in rows] == [False, True, True, True]


def test_when_no_pair_can_be_judged_it_is_an_error(face: Face, tmp_path: Path) -> None:
    candle_file(tmp_path / "ETHUSDT.parquet", days=1, symbol="ETHUSDT")
    answer = face("scan", "--candles", tmp_path, "--json")
    assert answer.code == 2
    assert answer.json["error"]["kind"] == "TooFewCandlesError"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ((), "No pair is named"),
        (("BTC", "--turnover", "50M"), "--turnover goes with --all"),
        (("BTC", "--all"), "--all means every pair"),
        (("--all", "--turnover", "much"), "--turnover much"),
        (("BTC", "--days", "0"), "--days 0"),
        (("??",), "pair's name"),
    ],
)
def test_what_cannot_be_is_refused(face: Face, typed: tuple[str, ...], says: str) -> None:
    answer = face("scan", *typed)
    assert answer.code == 2
    assert says in flowed(answer.err)


def test_a_folder_without_candles_and_a_file_without_a_pair(face: Face, tmp_path: Path) -> None:
    assert "There is no candle file" in face("scan", "--candles", tmp_path).err
    nameless = candle_file(tmp_path / "prices.parquet", days=3)
    assert "does not say which pair" in face("scan", "--candles", nameless).err
    assert f"no file or folder {tmp_path / 'nowhere'}" in flowed(face("scan", "--candles", tmp_path / "nowhere").err)


def test_amounts_of_turnover() -> None:
    assert [parse_turnover(text) for text in ("50M", "1.5b", "800k", "7")] == [50e6, 1.5e9, 800e3, 7.0]
    with pytest.raises(SettingError):
        parse_turnover("50 apples")


# ---- elsewhere -----------------------------------------------------------------------------------


class Abroad(Executor):
    """Another machine, as far as the work can tell: all that goes there and comes back is pickled."""

    def __init__(self) -> None:
        self.done = 0

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # type: ignore[override]
        answer: Future[Any] = Future()
        work, args = pickle.loads(pickle.dumps((work, args)))
        try:
            answer.set_result(pickle.loads(pickle.dumps(work(*args, **kwargs))))
        except Exception as error:
            answer.set_exception(error)
        self.done += 1
        return answer


def test_pairs_may_be_judged_elsewhere(noise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    abroad = Abroad()
    screen = Screen(environment={"COLUMNS": "80"})
    scan(Scanning(candles=[noise]), Common(), None, False, screen, make_executor=lambda: abroad)
    assert abroad.done == len(NOISE)
    assert "None of the 4 pairs" in flowed(capsys.readouterr().out)


# ---- from an exchange ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[LookAlike]:
    with look_alike(speed=1.0, symbols=("BTCUSDT", "ETHUSDT"), history_hours=60) as running:
        yield running


QUICK = ("--set", "window=12h", "--set", "reoptimize=6h", "--days", "1")


def test_pairs_of_an_exchange_are_fetched_and_judged(face: Face, server: LookAlike) -> None:
    answer = face("scan", "btc", "eth", "doge", "--endpoint", server.url, *QUICK, "--json")
    assert answer.code == 0, answer.err
    rows = {row["symbol"]: row for row in answer.json["pairs"]}
    assert rows["BTCUSDT"]["folds"] == rows["ETHUSDT"]["folds"] == 4
    assert rows["DOGEUSDT"]["why_not"] == "The exchange has no perpetual called DOGEUSDT."
    assert answer.json["market"].startswith("loopback-")


def test_people_see_that_it_is_a_look_alike(face: Face, server: LookAlike) -> None:
    answer = face("scan", "btc", "eth", "--endpoint", server.url, *QUICK)
    assert answer.code == 0, answer.err
    assert max(map(len, answer.lines)) <= 80
    assert "(prices of a look-alike on this computer" in flowed(answer.out.replace("LOOK-ALIKE", ""))


def test_all_pairs_that_are_traded_much(face: Face, server: LookAlike) -> None:
    everything = face("scan", "--all", "--turnover", "1k", "--endpoint", server.url, *QUICK, "--json")
    assert everything.code == 0, everything.err
    assert {row["symbol"] for row in everything.json["pairs"]} == {"BTCUSDT", "ETHUSDT"}
    nothing = face("scan", "--all", "--turnover", "1000B", "--endpoint", server.url, *QUICK, "--json")
    assert nothing.code == 2
    assert "smaller --turnover" in nothing.json["error"]["cure"]


def test_all_pairs_need_bybit(face: Face) -> None:
    assert face("scan", "--all").code == 3
