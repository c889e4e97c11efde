"""Every note of the trading engine is told in words, with the prices and sizes of its pair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import your_short_trade_margin_call.trading
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.reporting.engine_notes import NOTES, OVER, PROBLEMS, engine_note_line
from your_short_trade_margin_call.trading.state import Halt

BTC = find_instrument("BTCUSDT")
NOON = 1_748_606_400_000
_WRITTEN = re.compile(r"""(?:\.note|\.note_once|\.guarded|RecordNote)\(\s*(?:[\w.]+,\s*)?"(\w+)\"""")
ELSEWHERE = {"adopted", "condition"}
"""Told by lines of their own."""


def kinds_written() -> Iterator[str]:
    """The names of all notes in the sources of the engine."""
    for file in Path(your_short_trade_margin_call.trading.__path__[0]).glob("*.py"):
        yield from _WRITTEN.findall(file.read_text())


def shown(kind: str, detail: dict[str, Any]) -> tuple[str, str]:
    line = engine_note_line(NOON, kind, detail, BTC)
    return line.word, line.text.plain


def test_each_kind_has_words() -> None:
    found = set(kinds_written())
    assert {"naked", "stop_refused", "halt_over", "heartbeat_failed", "condition"} <= found, (
        "the search finds too little"
    )
    assert found - ELSEWHERE - set(PROBLEMS) - set(NOTES) == set()
    assert {str(halt) for halt in Halt} <= set(PROBLEMS)
    assert {str(halt) for halt in Halt} - set(OVER) == {"position_mismatch"}, "that one lasts until a restart"


@pytest.mark.parametrize(
    ("kind", "detail", "word", "text"),
    [
        (
            "stream_lost",
            {},
            "PROBLEM",
            "the connection is lost. An open short keeps its stop and its target on the exchange.",
        ),
        (
            "exchange_silent",
            {"why": "the stream: nobody answers."},
            "PROBLEM",
            "no entries: the exchange does not answer (the stream: nobody answers). It is asked again. An open "
            "short keeps its stop and its target on the exchange.",
        ),
        (
            "position_mismatch",
            {"exchange_lots": -30, "our_lots": -21, "known_lots": 0},
            "PROBLEM",
            "the exchange holds short 0.03, by our executions it is short 0.021: what is left of ours is closed, and "
            "there are no entries until the program is started again. Look at the account before that.",
        ),
        (
            "foreign_order",
            {"why": "orders that are not ours: by-hand"},
            "PROBLEM",
            "no entries: orders that are not ours: by-hand. Cancel or close it by hand: the program needs an account "
            "of its own.",
        ),
        (
            "stop_refused",
            {"trigger_ticks": 770_000, "why": "price is past", "standing": None, "closes": True},
            "PROBLEM",
            "the stop could not be placed (price is past): the position is closed at once",
        ),
        (
            "stop_refused",
            {"trigger_ticks": 770_000, "why": "busy", "standing": 769_000, "closes": False},
            "PROBLEM",
            "the stop could not be moved to 77,000.0 (busy): it stays at 76,900.0 and is tried again",
        ),
        (
            "stop_missing",
            {"lots": 21},
            "PROBLEM",
            "the exchange shows no stop for the short of 0.021: it is set at once",
        ),
        (
            "liquidation_drift",
            {"exchange_ticks": 765_000.0, "our_ticks": 790_000.0, "stop_ticks": 770_000},
            "PROBLEM",
            "the exchange would liquidate at 76,500.0, by our margin rules it is 79,000.0. That is before the stop: "
            "add margin, or `flatten`.",
        ),
        (
            "liquidation_drift",
            {"exchange_ticks": 795_000.0, "our_ticks": 790_000.0, "stop_ticks": 770_000},
            "PROBLEM",
            "the exchange would liquidate at 79,500.0, by our margin rules it is 79,000.0.",
        ),
        (
            "closed_by_others",
            {"exec_id": "x", "kind": "adl", "lots": 21},
            "PROBLEM",
            "the exchange (deleveraging or settlement) bought 0.021 of the short back",
        ),
        (
            "foreign_execution",
            {"exec_id": "x", "side": -1, "lots": 5},
            "PROBLEM",
            "somebody else sold 0.005 in this account",
        ),
        (
            "condition",
            {"condition": "instrument_not_trading", "is_on": True, "why": "BTCUSDT leaves the exchange"},
            "PROBLEM",
            "no entries: the pair does not trade (BTCUSDT leaves the exchange). An open short is closed.",
        ),
        (
            "condition",
            {"condition": "clock_skew", "is_on": False, "why": ""},
            "NOTE",
            "over: this computer's clock is off",
        ),
        ("halt_over", {"was": "disk_trouble", "still": ""}, "NOTE", "everything is on the disk again"),
        (
            "halt_over",
            {"was": "exchange_silent", "still": "somebody else trades this account"},
            "NOTE",
            "the exchange answers again; still no entries: somebody else trades this account",
        ),
        (
            "close_failed",
            {},
            "PROBLEM",
            "closing failed ? times (no reason is told): no entries, and it is tried again",
        ),
        ("news", {"a": 1}, "NOTE", "news {'a': 1}"),
    ],
)
def test_what_is_said(kind: str, detail: dict[str, Any], word: str, text: str) -> None:
    told = shown(kind, detail)
    assert told[0] == word
    assert told[1].startswith(text)


def test_all_others_can_be_said() -> None:
    detail = {"exchange_lots": 0, "our_lots": 0, "lots": 1, "side": 1, "kind": "trade", "by_usdt": 1.5, "was": "?"}
    ticks = {"exchange_ticks": 1.0, "our_ticks": 2.0, "stop_ticks": 1.5, "trigger_ticks": 3}
    for kind in {**PROBLEMS, **NOTES}:
        _, text = shown(kind, {**detail, **ticks})
        assert kind not in text.split(), "the name is no word for people"
