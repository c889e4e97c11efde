"""Bybit's return codes: what each means and what we do about it, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.exchange.refusals import RefusalCode


class Verdict(StrEnum):
    """What a return code means for the request that got it."""

    DONE = "done"
    """Carried out, or as good as: what was asked for is so."""
    RETRY = "retry"
    """Not carried out, and may be asked again after the cause is gone."""
    UNKNOWN = "unknown"
    """It may have been carried out. A read is asked again; a write is looked up, never sent again."""
    REFUSE = "refuse"
    """Not carried out, and asking again would not help."""
    STOP = "stop"
    """The key is not accepted (any more): nothing can be asked with it."""
    FORBIDDEN = "forbidden"
    """Nothing may be asked from this address for a while."""


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One return code.

    `refusal` is the value of `OrderRefusedError.code` when an order dies of it (a `RefusalCode`, or a `BlockReason`
    that the engine knows); `cure` is what the trader can do.
    """

    code: int
    verdict: Verdict
    refusal: str
    meaning: str
    cure: str = ""


_R, _B = RefusalCode, BlockReason
_NEW_KEY = "Make a new API key on Bybit for this account (mainnet, demo and testnet have keys of their own)."
_KEY_RIGHTS = "Allow this key to trade derivatives (Contract: orders and positions), without withdrawal."
_LESS = "Trade a smaller quantity, or bring more USDT to the account."
_EXITS_ONLY = "Entries wait; exits go on."
_WAIT = "Wait; other programs on this account or address share its limits."


def _rows(verdict: Verdict, refusal: str, codes: dict[int, str], cure: str = "") -> list[CodeRow]:
    return [CodeRow(code, verdict, str(refusal), meaning, cure) for code, meaning in codes.items()]


CODES: tuple[CodeRow, ...] = (
    *_rows(Verdict.DONE, "", {0: "done"}),
    *_rows(
        Verdict.DONE,
        "",
        {
            110025: "position mode not modified",
            110026: "margin mode not modified",
            110027: "margin not modified",
            110043: "leverage not modified",
            34040: "not modified",
        },
    ),
    *_rows(Verdict.RETRY, _B.CLOCK_SKEW, {10002: "timestamp outside the window"}, "Set the computer's clock."),
    *_rows(Verdict.RETRY, _B.RATE_LIMITED, {10006: "too many requests of this kind", 20003: "too frequent"}, _WAIT),
    *_rows(Verdict.RETRY, _R.EXCHANGE_ERROR, {110079: "the order is being processed"}, "Try again."),
    *_rows(
        Verdict.UNKNOWN,
        _R.EXCHANGE_ERROR,
        {
            10000: "server timeout",
            10016: "server error",
            10014: "duplicate request: an earlier one arrived",
            10019: "the service is restarting",
            20006: "duplicate request id",
        },
    ),
    *_rows(
        Verdict.UNKNOWN,
        _B.RATE_LIMITED,
        {429: "overload protection", 10429: "overload protection", 10403: "too many requests from this address"},
        _WAIT,
    ),
    *_rows(
        Verdict.STOP,
        _R.EXCHANGE_ERROR,
        {10003: "API key invalid", 10007: "authentication failed", 33004: "API key expired", -2015: "API key expired"},
        _NEW_KEY,
    ),
    *_rows(Verdict.STOP, _R.EXCHANGE_ERROR, {10004: "wrong signature"}, "Check that the secret belongs to the key."),
    *_rows(Verdict.STOP, _R.EXCHANGE_ERROR, {10005: "permission denied"}, _KEY_RIGHTS),
    *_rows(Verdict.STOP, _R.EXCHANGE_ERROR, {10008: "the user is banned"}, "Ask Bybit's support."),
    *_rows(
        Verdict.STOP,
        _R.EXCHANGE_ERROR,
        {10010: "this address is not on the key's list"},
        "Add this computer's address to the key on Bybit.",
    ),
    *_rows(
        Verdict.FORBIDDEN,
        _B.RATE_LIMITED,
        {10009: "this address is banned", 10018: "too many requests from this address"},
        _WAIT,
    ),
    *_rows(
        Verdict.REFUSE,
        _R.BAD_REQUEST,
        {
            10001: "parameter error",
            10017: "route not found",
            10404: "operation not found",
            10028: "for unified accounts only",
            100028: "not for unified accounts",
            110024: "position mode cannot be switched with a position",
            110028: "position mode cannot be switched with orders",
            110015: "the position is in cross margin",
            110073: "margin mode cannot be set",
            3400045: "margin mode cannot be set",
        },
    ),
    *_rows(
        Verdict.REFUSE,
        _R.EXCHANGE_ERROR,
        {10024: "refused by compliance rules", 10027: "trading is banned for this account"},
        "Ask Bybit's support; nothing is opened until then.",
    ),
    *_rows(
        Verdict.REFUSE,
        _B.INSTRUMENT_NOT_TRADING,
        {
            10029: "the pair is not allowed for this key",
            110021: "open interest limit reached",
            110022: "the position may not grow",
            110023: "the contract is reduce-only",
            110042: "the contract is before its delivery",
            30228: "the contract is being delisted",
        },
        _EXITS_ONLY,
    ),
    *_rows(
        Verdict.REFUSE,
        _R.ORDER_REJECTED,
        {
            110001: "the order does not exist, or it is too late",
            110008: "the order is completed",
            110010: "the order is cancelled",
            110003: "price out of range",
            110020: "too many open orders",
            110064: "the quantity is below what is filled",
            110120: "price beyond the limit",
            110121: "price beyond the limit",
            30208: "price beyond the limit",
            30209: "price beyond the limit",
        },
    ),
    *_rows(Verdict.REFUSE, _R.DUPLICATE_LINK_ID, {110030: "duplicate order id", 110072: "duplicate order link id"}),
    *_rows(Verdict.REFUSE, _R.REDUCE_ONLY, {110017: "nothing left to reduce"}),
    *_rows(Verdict.REFUSE, _R.NO_POSITION, {110033: "there is no position"}),
    *_rows(Verdict.REFUSE, _R.NO_QUOTE, {110118: "no market price"}, "Wait until the pair has quotes."),
    *_rows(Verdict.REFUSE, _R.BELOW_MIN_NOTIONAL, {110094: "order value below the minimum"}, _LESS),
    *_rows(
        Verdict.REFUSE,
        _R.INSUFFICIENT_BALANCE,
        {
            110004: "insufficient wallet balance",
            110006: "insufficient margin",
            110007: "insufficient available balance",
            110012: "insufficient available balance",
            110014: "insufficient balance to add margin",
            110044: "insufficient available margin",
            110045: "insufficient wallet balance",
            110051: "insufficient available balance",
            110052: "insufficient available balance",
            110053: "insufficient available margin",
        },
        _LESS,
    ),
    *_rows(
        Verdict.REFUSE,
        _R.RISK_LIMIT,
        {
            110011: "it would be liquidated at once",
            110039: "it would be liquidated at once",
            110040: "it would be liquidated at once",
            110046: "it would be liquidated at once",
            110085: "beyond the risk limit",
            110089: "beyond the largest risk limit",
            110090: "beyond the risk limit of this leverage",
        },
        _LESS,
    ),
    *_rows(
        Verdict.REFUSE,
        _R.LEVERAGE,
        {110013: "leverage above the risk tier", 110086: "leverage above the risk tier"},
        "Lower the leverage.",
    ),
    *_rows(
        Verdict.REFUSE,
        _R.STOP_WRONG_SIDE,
        {110092: "trigger below the price", 110093: "trigger above the price"},
    ),
)
"""Every code we know. 10001 has many causes: `refusal_code_of` looks at its text too."""

_BY_CODE = {row.code: row for row in CODES}
_SEE_LIST = "See Bybit's list of error codes."
_NEW_REFUSAL = CodeRow(0, Verdict.REFUSE, str(_R.EXCHANGE_ERROR), "a refusal we do not know", _SEE_LIST)
_NEW_CODE = CodeRow(0, Verdict.UNKNOWN, str(_R.EXCHANGE_ERROR), "a code we do not know", _SEE_LIST)
_TRADE_CODES = range(110_000, 111_000)
"""All documented codes of this family say that an order or a position was not touched."""

_CANCEL = "/v5/order/cancel"
_GONE = frozenset({110001, 110008, 110010})

_TEXTS: tuple[tuple[str, RefusalCode], ...] = (
    ("zero position", _R.NO_POSITION),
    ("position is zero", _R.NO_POSITION),
    ("no position", _R.NO_POSITION),
    ("position not exist", _R.NO_POSITION),
    ("minimum limit", _R.BELOW_MIN_QTY),
    ("less than min", _R.BELOW_MIN_QTY),
    ("lower than min", _R.BELOW_MIN_QTY),
    ("below the min", _R.BELOW_MIN_QTY),
    ("maximum limit", _R.ABOVE_MAX_QTY),
    ("more than max", _R.ABOVE_MAX_QTY),
    ("greater than max", _R.ABOVE_MAX_QTY),
    ("above the max", _R.ABOVE_MAX_QTY),
    ("should greater", _R.STOP_WRONG_SIDE),
    ("should lower", _R.STOP_WRONG_SIDE),
    ("should be higher", _R.STOP_WRONG_SIDE),
    ("should be lower", _R.STOP_WRONG_SIDE),
    ("should be greater", _R.STOP_WRONG_SIDE),
)
"""Parts of the texts of 10001, in lower case."""


def row_of(ret_code: int) -> CodeRow:
    """What is known about a code; one that we do not know is a refusal only in the family of trade errors."""
    return _BY_CODE.get(ret_code, _NEW_REFUSAL if ret_code in _TRADE_CODES else _NEW_CODE)


def verdict_of(ret_code: int, path: str) -> Verdict:
    """What a code means for a request to `path`: a cancel of an order that is gone is done."""
    if ret_code in _GONE and path == _CANCEL:
        return Verdict.DONE
    return row_of(ret_code).verdict


def refusal_code_of(ret_code: int, text: str) -> str:
    """The value of `OrderRefusedError.code` for a code and its text (a `RefusalCode` or a `BlockReason`)."""
    if ret_code == 10001:
        words = text.lower()
        return str(next((code for part, code in _TEXTS if part in words), _R.BAD_REQUEST))
    return row_of(ret_code).refusal or str(_R.EXCHANGE_ERROR)
