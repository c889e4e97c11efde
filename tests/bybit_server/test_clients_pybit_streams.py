"""pybit's three streams while the server is stepped: each runs in threads of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .clients import (
    KEYS,
    Package,
    ServerThread,
    all_threads_end,
    imported_first,
    point_pybit_at,
    pybit_session,
    pybit_stream,
)
from .trader import OTHER, SYMBOL, T0, Trader

unified_trading = Package("pybit.unified_trading")
_load = imported_first(unified_trading)

LINEAR: dict[str, Any] = {"category": "linear", "symbol": SYMBOL}
ROWS = [
    (1000.0, 1001.0, 999.0, 1000.5),
    (1000.5, 1002.0, 978.0, 985.0),
    (985.0, 990.0, 970.0, 980.0),
    (980.0, 1200.0, 980.0, 1150.0),
    *[(1150.0,) * 4] * 2,
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    trader = Trader(*ROWS, symbols=(SYMBOL, OTHER))
    with all_threads_end(), ServerThread(trader.world) as running:
        point_pybit_at(monkeypatch, running)
        yield running


class Heard:
    """What callbacks are told, in order."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()

    def __call__(self, message: Any) -> None:
        self.messages.put(message)

    def next(self) -> Any:
        """The next message; fails when none comes."""
        return self.messages.get(timeout=PATIENCE_S)

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The rows of the next messages."""
        return [row for _ in range(count) for row in self.next()["data"]]


def words(heard: Heard, count: int) -> list[str]:
    """The next messages in short, of every topic."""
    found = []
    for _ in range(count):
        message = heard.next()
        for row in message["data"]:
            told = {"order": "orderStatus", "execution": "execType", "position": "size"}.get(message["topic"])
            found.append(f"{message['topic']} {row[told]}" if told else message["topic"])
    return found


# ---- the market -------------------------------------------------------------------------------------------


def test_the_public_stream(server: ServerThread) -> None:
    candles, tickers, books, trades = Heard(), Heard(), Heard(), Heard()
    with pybit_stream(unified_trading.WebSocket, channel_type="linear") as stream:
        with server.silent():
            stream.kline_stream(interval=3, symbol=[SYMBOL, OTHER], callback=candles)
            stream.ticker_stream(symbol=SYMBOL, callback=tickers)
            stream.orderbook_stream(depth=1, symbol=SYMBOL, callback=books)
            stream.trade_stream(symbol=SYMBOL, callback=trades)
        first = [candles.next() for _ in range(2)]
        assert {message["topic"] for message in first} == {f"kline.3.{SYMBOL}", f"kline.3.{OTHER}"}
        assert (tickers.next()["data"]["lastPrice"], books.next()["data"]["u"]) == ("1000.00", 1)

        server.step()
        closed = [row for message in (candles.next() for _ in range(4)) for row in message["data"]]
        assert [(row["start"], row["confirm"], row["close"]) for row in closed[:2]] == [(T0, True, "1000.50")] * 2
        assert [(row["start"], row["confirm"]) for row in closed[2:]] == [(T0 + CANDLE_MS, False)] * 2
        told = tickers.next()  # a delta; pybit puts it together
        assert (told["data"]["lastPrice"], told["data"]["fundingIntervalHour"]) == ("1000.50", "8")
        book = books.next()
        assert (book["data"]["b"], book["data"]["a"]) == ([["1000.40", "5.00"]], [["1000.60", "5.00"]])
        assert book["ts"] == T0 + CANDLE_MS
        assert trades.rows(1)[0]["p"] == "1000.50"


def test_a_topic_is_left_and_a_stranger_refused(server: ServerThread) -> None:
    candles, nothing = Heard(), Heard()
    bus = server.world.public
    with pybit_stream(unified_trading.WebSocket, channel_type="linear") as stream:
        with server.silent():
            stream.kline_stream(interval=3, symbol=SYMBOL, callback=candles)
            stream.kline_stream(interval=3, symbol=OTHER, callback=candles)
        for _ in range(2):
            candles.next()
        assert bus.wants(f"kline.3.{OTHER}")
        stream.unsubscribe(f"kline.3.{OTHER}")
        until(lambda: stream.get_subscription_topics() == [f"kline.3.{SYMBOL}"], server)
        assert not bus.wants(f"kline.3.{OTHER}")
        with server.silent():
            # On a refusal pybit forgets the first letter of what it sent, and dies if it does not know that one.
            stream.callback_directory["{"] = nothing
            stream.kline_stream(interval=3, symbol="NOPEUSDT", callback=nothing)
        until(lambda: "{" not in stream.callback_directory, server)
        server.step()
        assert candles.rows(1)[0]["confirm"] is True  # the stream lives on
        assert nothing.messages.empty()


def until(condition: Callable[[], object], server: ServerThread) -> None:
    """Wait, in turns of the server's loop, for a thread of the client to have got so far."""
    for _ in range(round(PATIENCE_S / 0.01)):
        if condition():
            return
        server.run(server.world.timeline.nap(0.01))
    raise AssertionError("it did not happen")


def test_a_cut_stream_comes_back_with_its_topics(server: ServerThread) -> None:
    candles = Heard()
    with pybit_stream(unified_trading.WebSocket, channel_type="linear") as stream:
        with server.silent():
            stream.kline_stream(interval=3, symbol=SYMBOL, callback=candles)
        first, topic = candles.next(), f"kline.3.{SYMBOL}"
        server.run(cut(server))
        until(lambda: not stream.attempting_connection and server.world.public.wants(topic), server)
        assert candles.next()["data"] == first["data"]  # a snapshot again
        server.step()
        assert candles.rows(1)[0]["confirm"] is True


async def cut(server: ServerThread) -> None:
    """Cut every stream."""
    server.server.streams.drop()


@pytest.mark.parametrize("kind", ["public", "private", "trade"])
def test_both_kinds_of_pings_are_answered(server: ServerThread, kind: str) -> None:
    """A frame of the protocol first, and upon its answer a message; without answers pybit would give up."""
    options = {"trade": KEYS, "private": {**KEYS, "channel_type": "private"}, "public": {"channel_type": "linear"}}
    make = unified_trading.WebSocketTrading if kind == "trade" else unified_trading.WebSocket
    with pybit_stream(make, **options[kind], ping_interval=0.3) as stream:
        until(lambda: stream.ws.last_pong_tm, server)
        first = stream.ws.last_pong_tm
        until(lambda: stream.ws.last_pong_tm > first, server)
        assert stream.wst.is_alive()


# ---- an account -------------------------------------------------------------------------------------------


def test_the_private_stream_tells_of_a_whole_trade(server: ServerThread) -> None:
    heard = Heard()
    with (
        pybit_session(server.url) as session,
        pybit_stream(unified_trading.WebSocket, channel_type="private", **KEYS) as stream,
    ):
        with server.silent():
            for listen in (stream.order_stream, stream.execution_stream, stream.position_stream, stream.wallet_stream):
                listen(callback=heard)
        account = server.world.accounts[DEMO_KEY]
        until(lambda: account.bus.wants("wallet") and stream.auth, server)

        asked = {"qty": "1.00", "stopLoss": "1080.00", "slTriggerBy": "MarkPrice"}
        session.place_order(**LINEAR, side="Sell", orderType="Market", **asked)
        assert words(heard, 6) == [
            *("order New", "execution Trade", "order Filled", "order Untriggered"),
            *("position 1.00", "wallet"),
        ]
        session.place_order(
            **LINEAR, side="Buy", orderType="Limit", qty="0.40", price="979.00", reduceOnly=True, orderLinkId="target"
        )
        assert words(heard, 2) == ["order New", "position 1.00"]
        session.amend_order(**LINEAR, orderLinkId="target", qty="0.50")
        assert words(heard, 2) == ["order New", "position 1.00"]
        server.step(2)
        assert words(heard, 4) == ["execution Trade", "order Filled", "position 0.50", "wallet"]
        server.step(2)
        last = words(heard, heard.messages.qsize())
        assert [word for word in last if word.startswith("order")] == ["order Triggered", "order Filled"]
        assert last[-2:] == ["position 0", "wallet"]


def test_the_trade_stream_places_changes_and_cancels(server: ServerThread) -> None:
    said, refused = Heard(), Heard()
    with (
        pybit_stream(unified_trading.WebSocketTrading, **KEYS, recv_window=8000, referral_id="bot") as stream,
        pybit_session(server.url) as session,
    ):

        def ask(operation: Callable[..., None], **body: Any) -> None:
            with server.silent():
                operation(said, refused, **LINEAR, **body)

        ask(stream.place_order, side="Sell", orderType="Market", qty="1.00", orderLinkId="entry")
        created = said.next()
        assert (created["op"], created["data"]["orderLinkId"], created["header"]["X-Bapi-Limit"]) == (
            *("order.create", "entry"),
            "10",
        )
        ask(
            stream.place_order,
            **{"side": "Buy", "orderType": "Limit", "qty": "0.50", "price": "900.00"},
            **{"reduceOnly": True, "orderLinkId": "target"},
        )
        target = said.next()["data"]["orderId"]
        ask(stream.amend_order, orderId=target, price="910.00")
        assert said.next()["op"] == "order.amend"
        (row,) = session.get_open_orders(**LINEAR)["result"]["list"]
        assert (row["orderId"], row["price"]) == (target, "910.00")
        ask(stream.cancel_order, orderLinkId="target")
        assert said.next()["data"] == {"orderId": target, "orderLinkId": "target"}
        ask(stream.cancel_order, orderLinkId="target")
        assert refused.next()["retCode"] == 110001
        ask(stream.place_order, side="Sell", orderType="Market", qty="1.00", orderLinkId="entry")
        assert refused.next()["retCode"] == 110072
        orders = [{"symbol": SYMBOL, "side": "Buy", "orderType": "Limit", "reduceOnly": True} for _ in range(2)]
        prices = [order | {"qty": "0.10", "price": f"{900 + k}.00"} for k, order in enumerate(orders)]
        with server.silent():
            stream.place_batch_order(said, refused, category="linear", request=prices)
        assert [row["code"] for row in said.next()["retExtInfo"]["list"]] == [0, 0]
        assert [row.method for row in server.world.requests.writes] == ["WS"] * 7


@pytest.mark.filterwarnings(
    # pybit raises in its own thread when it is not let in: that is how it tells.
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)
@pytest.mark.parametrize("kind", ["private", "trade"])
def test_a_wrong_secret_opens_no_stream(server: ServerThread, kind: str) -> None:
    wrong = {**KEYS, "api_secret": DEMO_SECRET[::-1]}
    make = unified_trading.WebSocketTrading if kind == "trade" else unified_trading.WebSocket
    options = {} if kind == "trade" else {"channel_type": "private"}
    with pybit_stream(make, **wrong, **options) as stream:
        until(lambda: not stream.wst.is_alive(), server)
        assert stream.auth is False
