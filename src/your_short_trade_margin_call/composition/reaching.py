"""Reaching Bybit: where it is for an account, whether it answers, and waiting until it does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint, endpoint_for
from your_short_trade_margin_call.adapters.bybit.history import source_of
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.wire import ServerTime
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.system_clock import SystemClock, pause_s, stopwatch_s
from your_short_trade_margin_call.composition.request import Request, Tell
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError
from your_short_trade_margin_call.domain.words import Account

TRY_S = 3.0
"""How long Bybit may take to answer before another market is chosen."""

_TRYING = replace(Timing(), request_timeout_s=2.5, connect_timeout_s=2.0, retry_s=())
_TIME_PATH = "/v5/market/time"
_CURE = (
    "Check the network and the address (`shortest-peak doctor` says more). --market simulated and --candles FILE need "
    "no Bybit."
)
_WAITS_S = (1.0, 2.0, 5.0, 10.0, 20.0)


def account_endpoint(request: Request) -> Endpoint:
    """Where the account is.

    Raises:
        SettingError: the address does not fit the account.
    """
    return endpoint_for(request.account, request.endpoint)


def public_endpoint(request: Request) -> Endpoint:
    """Where the prices of the account's market are: a demo account trades on the real ones.

    Raises:
        SettingError: the address does not fit the account.
    """
    own = account_endpoint(request)
    if own.account is Account.TESTNET:
        return own
    override = request.endpoint if own.is_loopback else own.rest.replace("//api-demo.", "//api.")
    return endpoint_for(Account.PAPER, override)


def label_of(request: Request) -> str:
    """The market's name in paths and artefacts: that of its candles, so that two markets never share a file."""
    return source_of(public_endpoint(request))


def has_journal(request: Request) -> bool:
    """Whether this pair was traded on this account there before."""
    return request.paths.journal(request.symbol, request.account, label_of(request)).exists()


def new_clock() -> ServerClock:
    """The exchange's time, not known yet."""
    return ServerClock(SystemClock().now_ms, stopwatch_s)


def try_bybit(request: Request) -> ExchangeError | None:
    """Ask Bybit for its time; None when it told it, else why not. Takes `TRY_S` at most."""
    return run_async(_asked(public_endpoint(request)))


def wait_for_bybit(request: Request, error: ExchangeError, tell: Tell) -> int:
    """Wait until Bybit answers; returns how long that took, in ms of real time.

    Raises:
        ExchangeError: `--for` is over before it does.
    """
    tell(
        f"{request.symbol} has a journal of Bybit, so another market will not do: waiting for Bybit. "
        f"{error.message} Ctrl-C ends the waiting; what rests on the exchange stays there."
    )
    started_s = stopwatch_s()
    run_async(_until_it_answers(request, error, started_s))
    waited_ms = round(1_000 * (stopwatch_s() - started_s))
    tell(f"Bybit answers again after {waited_ms / 1_000:,.0f} s.")
    return waited_ms


async def _until_it_answers(request: Request, error: ExchangeError, started_s: float) -> None:
    endpoint, tries = public_endpoint(request), 0
    last: ExchangeError | None = error
    while last is not None:
        wait_s = _WAITS_S[min(tries, len(_WAITS_S) - 1)]
        if request.wall_ms is not None:
            left_s = request.wall_ms / 1_000 - (stopwatch_s() - started_s)
            if left_s <= 0:
                raise ExchangeError(f"--for is over and Bybit never answered: {last.message}", last.cure)
            wait_s = min(wait_s, left_s)
        await pause_s(wait_s)
        tries += 1
        last = await _asked(endpoint)


async def _asked(endpoint: Endpoint) -> ExchangeError | None:
    try:
        async with asyncio.timeout(TRY_S), Rest.open(endpoint, _TRYING, new_clock()) as rest:
            await rest.get(_TIME_PATH, {}, ServerTime)
    except TimeoutError:
        return ExchangeError(f"Bybit did not answer at {endpoint.rest} within {TRY_S:g} s.", _CURE)
    except ForbiddenError as error:
        return error
    except ExchangeError as error:
        why = error.message.partition(f"{_TIME_PATH}: ")[2] or error.message
        return ExchangeError(f"Bybit did not answer at {endpoint.rest}: {why.rstrip('.')}.", _CURE)
    return None
