"""The `serve-exchange` command: the look-alike of Bybit on this computer, until Ctrl-C."""

from __future__ import annotations

import math
import sys
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import (
    DEMO_KEY,
    DEMO_SECRET,
    Market,
    invented_market,
    make_world,
)
from your_short_trade_margin_call.adapters.bybit_server.rehearsal import rehearse
from your_short_trade_margin_call.adapters.bybit_server.timeline import STEPPED
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.system_clock import SystemClock
from your_short_trade_margin_call.commands.asking import DEFAULT_PAIR
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.serving_options import Serving
from your_short_trade_margin_call.commands.typed import days_ms, make_settings, parse_speed
from your_short_trade_margin_call.domain.errors import BadInputError, SettingError
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import moment
from your_short_trade_margin_call.market.instruments import find_instrument, package_instruments, read_instrument_file
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.settings import Settings

_FAST = 600.0
_REAL = 1.0
_DAYS_WHEN_FAST, _DAYS_WHEN_SLOWER = 3.0, 7.0


def serve(symbols: list[str], serving: Serving, screen: Screen) -> None:
    """Serve until Ctrl-C.

    Raises:
        BadInputError: the options contradict each other, or candles cannot be used.
        BusyError: a port is taken.
    """
    common = Common(json=serving.json, config=serving.config, assignments=serving.assignments, seed=serving.seed)
    settings, speed = make_settings(common), _speed(serving)
    markets = _markets([parse_symbol(symbol) for symbol in symbols], serving, settings, speed)
    if serving.candles is None:
        screen.mark_market(MarketKind.SIMULATED)
    rehearse(settings)
    key, secret = serving.key or DEMO_KEY, serving.secret or DEMO_SECRET
    present_ms = SystemClock().now_ms if _is_present(serving, speed) else None
    world = make_world(markets, settings, speed=speed, keys={key: secret}, present_ms=present_ms, log=_Once(screen))
    try:
        run_async(_serve(Server(world), serving, screen))
    except KeyboardInterrupt:
        screen.say("Stopped.")


async def _serve(server: Server, serving: Serving, screen: Screen) -> None:
    await server.start(port=serving.port, admin_port=serving.admin_port)
    try:
        document = _document(server, is_invented=serving.candles is None)
        if serving.json:
            print_json(document)
            sys.stdout.flush()
        _introduce(screen, document, server.world)
        await server.wait()
    finally:
        await server.stop()


def _speed(serving: Serving) -> float:
    if serving.step:
        return STEPPED
    speed = parse_speed(serving.speed)
    if speed is None or math.isinf(speed):
        raise SettingError(f"--speed {serving.speed} cannot be served.", "Give a number such as 600, or --step.")
    return speed


# ---- the market -----------------------------------------------------------------------------------------


def _markets(symbols: list[str], serving: Serving, settings: Settings, speed: float) -> list[Market]:
    """One recorded pair, or invented ones: those named, else all that the package knows."""
    if serving.candles is not None:
        return [_recorded(symbols, serving)]
    if serving.mark or serving.funding or serving.minutes:
        raise BadInputError("--mark, --funding and --minutes go with --candles.", "Add --candles FILE.")
    if serving.instrument is not None and len(symbols) != 1:
        raise BadInputError("--instrument is about one pair.", "Name that pair.")
    days = serving.days or (_DAYS_WHEN_FAST if speed >= _FAST else _DAYS_WHEN_SLOWER)
    days_ms(days)  # refuses what makes no sense
    names = list(dict.fromkeys(symbols)) or list(package_instruments())
    given = read_instrument_file(serving.instrument, names[0]) if serving.instrument else None
    now_ms = SystemClock().now_ms() if _is_present(serving, speed) else None
    return [invented_market(name, settings, days, given, now_ms=now_ms) for name in names]


def _is_present(serving: Serving, speed: float) -> bool:
    """Whether the market's time is the real time: clients then need not follow the server's clock."""
    return serving.candles is None and speed == _REAL


def _recorded(symbols: list[str], serving: Serving) -> Market:
    if len(symbols) != 1 or serving.candles is None:
        raise BadInputError("--candles holds one pair.", "Name that pair, and no other.")
    if serving.days is not None:
        raise BadInputError("--days is about invented markets.", "Leave it out, or leave --candles out.")
    symbol = symbols[0]
    instrument = read_instrument_file(serving.instrument, symbol) if serving.instrument else find_instrument(symbol)
    candles = Candles.from_file(
        serving.candles, symbol=symbol, mark=serving.mark, funding=serving.funding, minutes=serving.minutes
    )
    return Market(instrument, candles)


# ---- what is said ---------------------------------------------------------------------------------------


class _Once:
    """Says the first sentence of each kind; pairs in front of a colon do not make another kind."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._said = screen, set[str]()

    def __call__(self, sentence: str) -> None:
        """Say it, unless something like it was said."""
        kind = sentence.partition(": ")[2] or sentence
        if kind not in self._said:
            self._said.add(kind)
            self._screen.say(f"{sentence}.")


def _document(server: Server, *, is_invented: bool) -> dict[str, Any]:
    """Addresses and the account, for machines."""
    world = server.world
    stream = server.url.replace("http", "ws", 1)
    account = next(iter(world.accounts.values()))
    return {
        "url": server.url,
        "public_stream": f"{stream}/v5/public/linear",
        "private_stream": f"{stream}/v5/private",
        "trade_stream": f"{stream}/v5/trade",
        "admin_url": server.admin_url,
        "key": account.key,
        "secret": account.secret,
        "market": "simulated" if is_invented else "replay",
        "speed": world.timeline.speed,
        "time_ms": world.timeline.now_ms(),
        "symbols": sorted(world.pairs),
    }


def _introduce(screen: Screen, document: dict[str, Any], world: World) -> None:
    last_ms = max(int(pair.market.time_ms[-1]) + pair.market.candle_ms for pair in world.pairs.values())
    pace = f"{document['speed']:g} times real time" if document["speed"] else "stepped by the admin"
    screen.say("A look-alike of Bybit V5 for this computer only; no money, no Bybit.", style="bold")
    screen.tell("exchange  ", document["url"])
    screen.tell("streams   ", f"{document['public_stream']}, /v5/private, /v5/trade")
    screen.tell("admin     ", f"{document['admin_url']} (GET /state; POST /step, /faults, /happen)")
    screen.tell("pairs     ", ", ".join(document["symbols"]))
    screen.tell("time      ", f"{moment(document['time_ms'])}, {pace}; candles up to {moment(last_ms)}")
    screen.tell("account   ", f"key {document['key']}, secret {document['secret']} (open nothing but this server)")
    symbol = DEFAULT_PAIR if DEFAULT_PAIR in document["symbols"] else document["symbols"][0]
    screen.tell("on paper  ", f"shortest-peak run {symbol} --market bybit --endpoint {document['url']}")
    screen.tell("on demo   ", f"shortest-peak run {symbol} --account demo --endpoint {document['url']}")
    screen.tell("  with    ", f"BYBIT_DEMO_API_KEY={document['key']} BYBIT_DEMO_API_SECRET={document['secret']}")
    screen.tell("others    ", "ccxt: exchange.urls['api']; pybit: session.endpoint")
    screen.tell("end       ", "Ctrl-C")
