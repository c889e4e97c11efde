"""Decimal strings to ticks and lots and back, exactly; signatures against known ones; the codes; the timing."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.adapters.bybit import ret_codes
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.numbers import Grid, decimal_of, float_of, int_of, plain
from your_short_trade_margin_call.adapters.bybit.ret_codes import CODES, Verdict, refusal_code_of, verdict_of
from your_short_trade_margin_call.adapters.bybit.signing import Signer, body_bytes, query_text
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.exchange.refusals import RefusalCode
from your_short_trade_margin_call.rules.terms import to_ticks

STEPS = ["0.10", "0.01", "0.5", "0.00001", "0.0000001", "1", "5", "10", "0.0025"]


def grid(tick: str = "0.10", step: str = "0.001") -> Grid:
    instrument = Instrument(
        "BTCUSDT", Decimal(tick), Decimal(step), Decimal(step), Decimal(100), 5.0, 100.0, (), "assumed"
    )
    return Grid(instrument)


GRIDS = {step: grid(step, step) for step in STEPS}


def test_prices() -> None:
    assert grid().ticks("104123.4") == 1_041_234.0
    assert grid().ticks("104123.45") == pytest.approx(1_041_234.5)
    assert grid().whole_ticks("104123.40") == 1_041_234
    assert grid().whole_ticks("104123.45") is None
    assert grid().whole_ticks("") is None
    assert grid().whole_ticks("0") == 0
    assert grid().price_text(1_041_234) == "104123.4"
    assert grid("0.00001").price_text(1) == "0.00001"
    assert grid("10").price_text(123) == "1230"


def test_quantities() -> None:
    assert grid().lots("0.017") == 17
    assert grid().lots("0") == grid().lots("") == 0
    assert grid().qty_text(1_000) == "1"
    assert grid(step="100").qty_text(12) == "1200"
    with pytest.raises(ExchangeError, match="no multiple") as caught:
        grid().lots("0.0175")
    assert caught.value.cure


@settings(deadline=None)
@given(st.sampled_from(STEPS), st.integers(0, 10**9))
def test_there_and_back_is_exact_and_plain(step: str, count: int) -> None:
    there = GRIDS[step]
    text = there.price_text(count)
    assert "e" not in text.lower()
    assert Decimal(text) == Decimal(step) * count
    assert there.whole_ticks(text) == count == there.lots(there.qty_text(count))
    assert there.ticks(text) == count


@settings(deadline=None)
@given(st.sampled_from(STEPS), st.decimals(0, 10**6, places=7))
def test_ticks_are_those_of_recorded_candles(step: str, price: Decimal) -> None:
    assert GRIDS[step].ticks(str(price)) == to_ticks(np.array([float(price)]), float(Decimal(step)))[0]


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "1,5", "0x10", "1e400000", "1e-400000"])
def test_nonsense_is_a_named_error(text: str) -> None:
    for read in (decimal_of, float_of, int_of, grid().ticks, grid().whole_ticks, grid().lots):
        with pytest.raises(ExchangeError):
            read(text)


def test_small_readers() -> None:
    assert (float_of("1.5"), float_of(""), float_of("", 2.0)) == (1.5, 0.0, 2.0)
    assert (int_of("1700000000000"), int_of(""), int_of("", -1)) == (1_700_000_000_000, 0, -1)
    assert (plain(Decimal("1E+3")), plain(Decimal("0.500")), plain(Decimal("0"))) == ("1000", "0.5", "0")
    with pytest.raises(ExchangeError, match="whole"):
        int_of("1.5")
    with pytest.raises(ExchangeError, match="no price"):
        grid().ticks("")


# ---- signatures --------------------------------------------------------------------------------


def test_signatures_against_ones_worked_out_elsewhere() -> None:
    """`openssl dgst -sha256 -hmac secret` over the bytes."""
    signer = Signer(Keys("key", "secret"), 5_000)
    headers = signer.headers(1_700_000_000_000, b"category=linear&symbol=BTCUSDT")
    assert headers == {
        "X-BAPI-API-KEY": "key",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-TIMESTAMP": "1700000000000",
        "X-BAPI-SIGN": "3906b813750309cce9879a975510651953382a28592d69104d0b599e3d201f40",
    }
    login = (
        b'{"op":"auth","args":["key",1700000010000,"7ccf9bb4db01ad0e1ee2c3eef8d8b4730fc9bcab069e44972f6723cde7f692f3"]}'
    )
    assert signer.stream_login(1_700_000_010_000) == login
    assert signer.hide("a key b") == "a (key) b"


def test_queries_and_bodies() -> None:
    assert query_text({}) == ""
    assert query_text({"b": 1, "a": None, "c": "x y+z&w"}) == "b=1&c=x%20y%2Bz%26w"
    assert query_text({"cursor": "132766%3A2%2C132766%3A2"}) == "cursor=132766%3A2%2C132766%3A2"
    assert body_bytes({"a": "1", "b": None, "c": True}) == b'{"a":"1","c":true}'


# ---- codes -------------------------------------------------------------------------------------

DOCUMENTED = """
429 10000 10016 10001 10002 10003 33004 -2015 10004 10005 10006 10010 10014 10018 10017 10029 10024 10027 10028 100028
110001 110003 110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 110008 110010 110011 110046 110039
110040 110013 110015 110017 110020 110021 110022 110023 110042 30228 110024 110028 110025 110026 110027 110043 110030
110072 110073 3400045 110079 110085 110086 110089 110090 110092 110093 110094 110118 110120 110121 30208 30209 20003
20006 10429 10403 10404 10019 34040 110033 110064
"""


def test_every_documented_code_is_in_the_table_once() -> None:
    known = [row.code for row in CODES]
    assert len(known) == len(set(known))
    assert {int(text) for text in DOCUMENTED.split()} <= set(known)


def test_every_row_says_what_it_means_in_words_the_engine_knows() -> None:
    words = {code.value for code in RefusalCode} | {reason.value for reason in BlockReason}
    for row in CODES:
        assert row.meaning
        assert row.refusal in words or (row.verdict is Verdict.DONE and not row.refusal), row
        assert row.cure or row.verdict not in (Verdict.STOP, Verdict.FORBIDDEN), row


@pytest.mark.parametrize(
    ("ret_code", "verdict"),
    [
        (0, Verdict.DONE),
        (110043, Verdict.DONE),
        (34040, Verdict.DONE),
        (10002, Verdict.RETRY),
        (10006, Verdict.RETRY),
        (10000, Verdict.UNKNOWN),
        (10016, Verdict.UNKNOWN),
        (10014, Verdict.UNKNOWN),
        (110072, Verdict.REFUSE),
        (110001, Verdict.REFUSE),
        (10003, Verdict.STOP),
        (33004, Verdict.STOP),
        (10018, Verdict.FORBIDDEN),
        (110998, Verdict.REFUSE),
        (55555, Verdict.UNKNOWN),
    ],
)
def test_verdicts(ret_code: int, verdict: Verdict) -> None:
    assert verdict_of(ret_code, "/v5/order/create") is verdict


def test_a_cancel_of_an_order_that_is_gone_is_done() -> None:
    for gone in (110001, 110008, 110010):
        assert verdict_of(gone, "/v5/order/cancel") is Verdict.DONE
        assert verdict_of(gone, "/v5/order/amend") is Verdict.REFUSE
        assert verdict_of(gone, "/v5/order/cancel-all") is Verdict.REFUSE


def test_only_what_the_engine_may_repeat_is_called_skewed_or_limited() -> None:
    assert refusal_code_of(10002, "") == "clock_skew"
    assert refusal_code_of(10006, "") == "rate_limited"
    assert refusal_code_of(0, "") == "exchange_error"
    assert refusal_code_of(10001, "something new") == "bad_request"
    assert ret_codes.row_of(777).code == 0


def test_faster_timing_scales_waits_and_nothing_else() -> None:
    fast = Timing().faster(10)
    assert fast.request_timeout_s == 0.5
    assert fast.reconnect_s[0] == pytest.approx(0.01)
    assert fast.retry_s[0] == pytest.approx(0.02)
    assert fast.forbidden_s == 60
    assert (fast.recv_window_ms, fast.max_skew_ms) == (5_000, 500)
    assert fast.largest_answer_bytes == Timing().largest_answer_bytes
