"""What is asked of Bybit before trading, and by `doctor`. How answers are judged is in `preflight_*.py`.

Nothing is changed by asking. `ensure_leverage` sets the pair's leverage, right before trading begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any, Protocol, TypeVar

from your_short_trade_margin_call.adapters.bybit import preflight_account as of_account
from your_short_trade_margin_call.adapters.bybit import preflight_market as of_market
from your_short_trade_margin_call.adapters.bybit import wire
from your_short_trade_margin_call.adapters.bybit.paging import Params, all_pages
from your_short_trade_margin_call.adapters.bybit.preflight_account import Ours
from your_short_trade_margin_call.domain.checks import Check, failed
from your_short_trade_margin_call.domain.errors import ExchangeError, KeyRefusedError, ShortestPeakError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.settings import Settings

T = TypeVar("T")

CONTRACTS: tuple[Params, ...] = (
    {"category": "linear", "settleCoin": "USDT"},
    {"category": "linear", "settleCoin": "USDC"},
    {"category": "inverse"},
    {"category": "option"},
)
"""Where a unified account may hold positions."""
SPOT: Params = {"category": "spot"}
"""Where orders may rest besides."""


class Asks(Protocol):
    """What the checks need of `rest.Rest`."""

    async def get(self, path: str, params: dict[str, str | int | None], kind: type[T], *, signed: bool = False) -> T:
        """The decoded result of a question."""

    async def post(self, path: str, body: dict[str, object], kind: type[T], *, is_exit: bool) -> T:
        """The decoded result of a setting."""

    async def sync_clock(self) -> None:
        """Measure the server's clock."""


class Describes(Protocol):
    """What the checks need of `market_data.MarketData`."""

    async def instrument(self, symbol: str) -> tuple[Instrument, dict[str, Any]]:
        """The pair as the exchange describes it, parsed and raw."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """How to measure this computer's clock against the server's.

    `offset_ms` is server minus computer after `Asks.sync_clock`; `round_trip_ms` that of the best sample.
    """

    now_ms: Callable[[], int]
    offset_ms: Callable[[], float]
    round_trip_ms: Callable[[], float]
    limit_ms: float
    is_look_alike: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What trading will rest on: the account kind, the pair, the settings, and what the journal holds."""

    account: Account
    symbol: str
    settings: Settings
    needed_usdt: float
    leverage: float
    ours: Ours = field(default_factory=Ours)


@dataclass(frozen=True, slots=True)
class Findings:
    """All checks in the order they were made, and the account's own fee rates where it told them."""

    checks: tuple[Check, ...]
    taker_fee_rate: float | None = None
    maker_fee_rate: float | None = None
    is_reached: bool = True
    instrument: Instrument | None = None

    def settings(self, settings: Settings) -> Settings:
        """The settings with the account's own fees, if it told them."""
        if self.taker_fee_rate is None or self.maker_fee_rate is None:
            return settings
        return settings.replace(taker_fee_rate=self.taker_fee_rate, maker_fee_rate=self.maker_fee_rate)


async def preflight_public(url: str, rest: Asks, market: Describes, clock: ClockFacts, symbol: str | None) -> Findings:
    """The checks that need no key: the endpoint, the clock, the instrument."""
    try:
        await rest.sync_clock()
    except ExchangeError as error:
        return Findings((of_market.check_not_reached(url, error),), is_reached=False)
    checks = [
        of_market.check_reached(url),
        of_market.check_clock(clock.offset_ms(), clock.round_trip_ms(), clock.limit_ms, clock.is_look_alike),
    ]
    instrument = None
    if symbol is not None:
        try:
            instrument, item = await market.instrument(symbol)
            checks += of_market.check_instrument(item, instrument)
        except ShortestPeakError as error:
            checks.append(of_market.check_instrument_unknown(symbol, error))
    return Findings(tuple(checks), instrument=instrument)


async def preflight_private(rest: Asks, terms: Terms, now_ms: int) -> Findings:
    """The checks of a key and its account; where the key is refused there is nothing more to ask."""
    try:
        key = await rest.get("/v5/user/query-api", {}, wire.ApiKeyInfo, signed=True)
    except KeyRefusedError as error:
        return Findings((of_account.check_key_refused(terms.account, error),))
    except ExchangeError as error:
        return Findings((_not_told(of_account.KEY, error),))
    checks = list(of_account.check_key(key, terms.account, now_ms))
    checks += await _account(rest, key)
    checks += await _wallet(rest, terms)
    checks += await _open(rest, terms)
    fees, check = await _fees(rest, terms)
    taker, maker = (None, None) if fees is None else (float(fees.taker_fee_rate), float(fees.maker_fee_rate))
    return Findings((*checks, check), taker, maker)


async def preflight(
    url: str, rest: Asks, market: Describes, clock: ClockFacts, terms: Terms, *, has_keys: bool
) -> Findings:
    """All checks: the public ones and, with keys and a server that answers, those of the account."""
    public = await preflight_public(url, rest, market, clock, terms.symbol)
    if not public.is_reached or not has_keys:
        return public
    most = public.instrument.max_leverage if public.instrument else terms.leverage
    private = await preflight_private(rest, replace(terms, leverage=min(terms.leverage, most)), clock.now_ms())
    return replace(private, checks=public.checks + private.checks, instrument=public.instrument)


async def ensure_leverage(rest: Asks, symbol: str, wanted: float) -> Check:
    """Set the pair's leverage and read it back; left alone while a position is open, or where it fits already.

    Raises:
        ExchangeError: it was not told.
    """
    own = await _own_rows(rest, symbol)
    is_open = any(float(row.size or 0) for row in own)
    if is_open or of_account.is_leverage(own[0].leverage if own else "", wanted):
        return _leverage(own, wanted, will_be_set=True)
    text = f"{wanted:.2f}".rstrip("0").rstrip(".")
    body: dict[str, object] = {"category": "linear", "symbol": symbol, "buyLeverage": text, "sellLeverage": text}
    await rest.post("/v5/position/set-leverage", body, wire.Empty, is_exit=False)
    return _leverage(await _own_rows(rest, symbol), wanted, will_be_set=False)


def _leverage(own: list[wire.PositionRow], wanted: float, *, will_be_set: bool) -> Check:
    is_open = any(float(row.size or 0) for row in own)
    return of_account.check_leverage(own[0].leverage if own else "", wanted, will_be_set, is_open)


async def _own_rows(rest: Asks, symbol: str) -> list[wire.PositionRow]:
    """The rows of one pair: one even when flat, two in hedge mode."""
    params: dict[str, str | int | None] = {"category": "linear", "symbol": symbol}
    return (await rest.get("/v5/position/list", params, wire.PositionList, signed=True)).rows


# ---- one question after the other ----------------------------------------------------------------


async def _account(rest: Asks, key: wire.ApiKeyInfo) -> tuple[Check, ...]:
    try:
        info = await rest.get("/v5/account/info", {}, wire.AccountInfo, signed=True)
    except ExchangeError as error:
        return (_not_told(of_account.MARGIN_MODE, error),)
    return of_account.check_unified(info, key), of_account.check_margin_mode(info)


async def _wallet(rest: Asks, terms: Terms) -> tuple[Check, ...]:
    try:
        held = await rest.get(
            "/v5/account/wallet-balance", {"accountType": "UNIFIED", "coin": "USDT"}, wire.WalletList, signed=True
        )
    except ExchangeError as error:
        return (_not_told(of_account.WALLET, error),)
    return (of_account.check_wallet(held.rows, terms.needed_usdt, terms.ours.is_first),)


async def _open(rest: Asks, terms: Terms) -> list[Check]:
    """Positions and orders in all markets, then the mode and the leverage of this one."""
    try:
        own = await _own_rows(rest, terms.symbol)
        every = await _all_positions(rest)
        orders = await _all_orders(rest)
    except ExchangeError as error:
        return [_not_told(of_account.POSITIONS, error)]
    checks = [
        of_account.check_position_mode([*own, *every]),
        of_account.check_positions(every, terms.symbol, terms.ours),
        of_account.check_orders(orders, terms.symbol, terms.ours),
    ]
    return [*checks, _leverage(own, terms.leverage, will_be_set=True)]


async def _fees(rest: Asks, terms: Terms) -> tuple[wire.FeeRateRow | None, Check]:
    """The demo environment lacks this question; everybody else must answer it."""
    settings = terms.settings
    try:
        told = await rest.get(
            "/v5/account/fee-rate", {"category": "linear", "symbol": terms.symbol}, wire.FeeRateList, signed=True
        )
        row = told.rows[0] if told.rows else None
    except ExchangeError as error:
        if terms.account is not Account.DEMO:
            return None, _not_told(of_account.FEES, error)
        row = None
    return row, of_account.check_fees(row, settings.taker_fee_rate, settings.maker_fee_rate)


async def _all_positions(rest: Asks) -> list[wire.PositionRow]:
    """Open positions in every market of the account, each once."""
    path = "/v5/position/list"
    found: dict[tuple[str, int, str], wire.PositionRow] = {}
    for market in CONTRACTS:
        ask = partial(rest.get, path, kind=wire.PositionList, signed=True)
        for page in await all_pages(ask, market | {"limit": 200}, path):
            found |= {(row.symbol, row.position_idx, row.side): row for row in page.rows}
    return list(found.values())


async def _all_orders(rest: Asks) -> list[wire.OrderRow]:
    """Active and conditional ones, in every market: some answers leave the latter out unless asked for by name."""
    path = "/v5/order/realtime"
    found: dict[str, wire.OrderRow] = {}
    for market, kind in product((*CONTRACTS, SPOT), ("Order", "StopOrder")):
        ask = partial(rest.get, path, kind=wire.OrderList, signed=True)
        for page in await all_pages(ask, market | {"orderFilter": kind, "openOnly": 0, "limit": 50}, path):
            found |= {row.order_id: row for row in page.rows}
    return list(found.values())


def _not_told(name: str, error: ShortestPeakError) -> Check:
    return failed(name, f"not told: {error.message}", error.cure or "Try again; if it stays, see Bybit's status page.")
