"""The gates of `--account mainnet`, each alone, against a look-alike with play money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.cli.face import Answer, Face, terminal
from tests.cli.look_alike import LookAlike, at, keys_for, look_alike
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.commands.real_money import evidence_missing, with_risk
from your_short_trade_margin_call.composition import Prepared, Request, prepare
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Account, ExitType, MarketKind
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import Settings

MAINNET = ("--account", "mainnet", "--capital", "200", "--risk-fraction", "0.3")
KEYS = keys_for(Account.MAINNET)


@pytest.fixture
def server() -> Iterator[LookAlike]:
    with look_alike() as running:
        yield running


def run(face: Face, server: LookAlike, *more: object) -> Answer:
    return face("BTC", *at(face, server), *MAINNET, "--confirm", "btc", "--for", "3s", *more, **KEYS)


def test_without_evidence_nothing_is_traded(face: Face, server: LookAlike) -> None:
    answer = run(face, server)
    assert answer.code == 1
    assert "the verdict is NOT TESTED, not REAL" in answer.err
    assert "--despite-evidence" in answer.err
    assert "Trading on" not in answer.out
    assert not list((face.data / "BTCUSDT").glob("journal*"))


def test_despite_evidence_the_smallest_quantity_is_traded(face: Face, server: LookAlike) -> None:
    answer = run(face, server, "--despite-evidence", "--for", "8s")
    assert answer.code == 0, answer.err
    order = ["Checks of the mainnet account", "What a trade can lose", "  liquidation  at ",
             "Real money: 200.00 USDT", "the smallest quantity", "Trading on mainnet"]  # fmt: skip
    places = [answer.out.index(part) for part in order]
    assert places == sorted(places)
    assert answer.out.count("What a trade can lose") == 1
    assert "  position     worth 6" in answer.out, "0.001 BTC"
    with SqliteJournal(next((face.data / "BTCUSDT").glob("journal-mainnet-*.sqlite")), read_only=True) as journal:
        entries = [request for request, *_ in journal.intents() if str(request.purpose) == "entry"]
        assert entries, "it never traded: the test proves nothing"
        assert {request.lots for request in entries} == {1}


def test_the_risk_fraction_is_never_optimised(face: Face, server: LookAlike) -> None:
    answer = run(face, server, "--no-trade", "--json")
    assert answer.code == 0
    assert answer.json["optimization"]["best"]["risk_fraction"] == 0.3
    assert answer.json["optimization"]["trials"] == 4


def test_a_check_that_fails_ends_it_before_anything_else(face: Face, server: LookAlike) -> None:
    server.configure(margin_mode="REGULAR_MARGIN")
    try:
        answer = run(face, server, "--despite-evidence")
    finally:
        server.configure(margin_mode="ISOLATED_MARGIN")
    assert answer.code == 1
    assert "margin mode: cross" in answer.err
    assert "trial" not in answer.out


def test_the_loss_is_shown_to_those_who_ask_for_json_too(face: Face, server: LookAlike) -> None:
    answer = run(face, server, "--despite-evidence", "--json", "--for", "1s")
    assert answer.code == 0
    assert answer.err.index("  liquidation  at ") < answer.err.index("Real money: 200.00 USDT")


def test_for_machines_the_refusal_is_one_json_object(face: Face, server: LookAlike) -> None:
    answer = run(face, server, "--json")
    assert answer.code == 1
    assert answer.json["error"]["kind"] == "NotAllowedError"


def test_trade_passes_the_same_gates(face: Face, server: LookAlike) -> None:
    assert run(face, server, "--no-trade").code == 0
    typed = ("--endpoint", server.url, "--set", "window=6h", *MAINNET, "--for", "2s")
    refused = face("trade", "BTC", *typed, "--confirm", "BTCUSDT", **KEYS)
    assert refused.code == 1
    assert "No real money on this" in refused.err
    traded = face("trade", "BTC", *typed, "--confirm", "BTCUSDT", "--despite-evidence", "--max-notional", "100", **KEYS)
    assert traded.code == 0, traded.err
    assert "risk 0.3" in traded.out


@pytest.mark.parametrize(("answer", "code"), [("BTCUSDT", 0), ("yes", 1), ("", 1)])
def test_at_a_terminal_the_pair_is_typed(face: Face, server: LookAlike, answer: str, code: int) -> None:
    face.data.mkdir(parents=True)
    args = ("BTC", *at(face, server), *MAINNET, "--despite-evidence", "--for", "1s")
    with terminal(face, *args, **KEYS) as shown:
        shown.wait_for("Type BTCUSDT to trade it:")
        shown.type(f"{answer}\n")
        assert shown.wait_for_end() == code
        assert ("Not confirmed: nothing was sent" in shown.text) == bool(code)


def test_keys_of_another_kind_are_not_taken(face: Face, server: LookAlike, tmp_path: Path) -> None:
    typed = ("BTC", *at(face, server), *MAINNET, "--confirm", "BTC", "--despite-evidence")
    answer = face(*typed, XDG_CONFIG_HOME=str(tmp_path), **keys_for(Account.DEMO))
    assert answer.code == 2
    assert "There are no keys for mainnet" in answer.err
    server.configure(is_key_invalid=True)
    try:
        refused = face(*typed, **KEYS)
    finally:
        server.configure(is_key_invalid=False)
    assert refused.code == 1
    assert "never interchangeable" in refused.out.replace("\n", " ").replace("  ", " ") + refused.err


# ---- evidence, alone -----------------------------------------------------------------------------

NOW_MS = 1_750_000_000_000
PARAMS = {"highest_high_lookback": 10, "exit_type": "midpoint", "risk_fraction": 0.3, "take_profit_pct": 0.0044}


def prepared(tmp_path: Path, face_settings: Settings) -> Prepared:
    asked = Request("BTCUSDT", settings=face_settings, market=MarketKind.SIMULATED, paths=Paths(tmp_path))
    made = prepare(asked)
    return replace(made, request=replace(made.request, account=Account.MAINNET, risk_fraction=0.3), label="bybit")


def document(settings: Settings, **changes: Any) -> dict[str, Any]:
    written = datetime.fromtimestamp((NOW_MS - 3_600_000) / 1_000, tz=timezone.utc).isoformat()
    usual = {"evidence": {"verdict": "REAL"}, "market": "bybit", "symbol": "BTCUSDT", "generated_at": written,
             "settings_hash": settings.fingerprint(), "params": PARAMS}  # fmt: skip
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ""),
        ({"evidence": {"verdict": "LUCK"}}, "the verdict is LUCK"),
        ({"evidence": None}, "NOT TESTED"),
        ({"market": "replay"}, "on the replay market"),
        ({"symbol": "ETHUSDT"}, "about ETHUSDT"),
        ({"settings_hash": "0"}, "other settings or fees"),
        ({"params": {**PARAMS, "risk_fraction": 0.5}}, "risk fraction of 0.5"),
        ({"generated_at": NOW_MS - 25 * 3_600_000}, "25 h old"),
        ({"generated_at": "some day"}, "old"),
    ],
)
def test_evidence_must_be_about_exactly_this(tmp_path: Path, changes: dict[str, Any], missing: str) -> None:
    settings = Settings(window=3_600_000)
    said = evidence_missing(prepared(tmp_path, settings), document(settings, **changes), NOW_MS)
    assert missing in said if missing else said == ""


def test_a_typed_risk_fraction_replaces_the_saved_one() -> None:
    params = StrategyParams(10, ExitType.MIDPOINT, 0.95, 0.0044)
    assert with_risk(params, 0.1).risk_fraction == 0.1
    assert with_risk(params, None) == params
