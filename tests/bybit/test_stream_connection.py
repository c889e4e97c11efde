"""One connection: subscribed before it counts, pinged, noticed when it dies, back again, undisturbed by nonsense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from tests.bybit.fake_bybit import KEYS, QUICK, SYMBOL, T0, FakeBybit, client, serving, until
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.signing import Signer
from your_short_trade_margin_call.adapters.bybit.stream import Stream
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.wire import StreamMessage
from your_short_trade_margin_call.domain.errors import ExchangeError, KeyRefusedError, SubscriptionRefusedError

TOPICS = (f"tickers.{SYMBOL}", f"orderbook.1.{SYMBOL}")


@dataclass
class Diary:
    """Writes down what a stream says."""

    news: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    topics_when_up: list[int] = field(default_factory=list)
    bybit: FakeBybit | None = None
    is_clumsy: bool = False

    def came_up(self, stream: Stream) -> None:
        self.news.append("up")
        if self.bybit is not None:
            self.topics_when_up.append(len(self.bybit.lines[-1].topics))

    def went_down(self, stream: Stream, why: str) -> None:
        self.news.append("down")

    def faulted(self, stream: Stream, what: str) -> None:
        self.faults.append(what)

    def broke(self, error: BaseException) -> None:
        self.news.append(f"broke {error!r}")

    def take(self, message: StreamMessage) -> None:
        if self.is_clumsy:
            raise ValueError("I dropped it")
        self.taken.append(bytes(message.data).decode())


@asynccontextmanager
async def connected(
    bybit: FakeBybit, diary: Diary, *, timing: Timing = QUICK, private: bool = False, open_it: bool = True
) -> AsyncIterator[Stream]:
    diary.bybit = bybit
    async with serving(bybit), client(bybit, timing) as rest:
        signer = Signer(KEYS, 5_000)

        async def login() -> bytes:
            return signer.stream_login(bybit.now_ms + 10_000)

        stream = Stream(
            rest.session,
            rest.endpoint.private_stream if private else rest.endpoint.public_stream,
            ("order", "execution") if private else TOPICS,
            diary.take,
            diary,
            clock=rest.clock,
            timing=timing,
            login=login if private else None,
            must_flow=lambda: bybit.speed > 0,
        )
        try:
            if open_it:
                await stream.open()
            yield stream
        finally:
            await stream.close()


def test_it_is_up_only_when_every_topic_is_acknowledged() -> None:
    async def go() -> None:
        diary = Diary()
        async with connected(FakeBybit(), diary) as stream:
            assert stream.is_up
            assert diary.topics_when_up == [len(TOPICS)]
        assert not stream.is_up
        assert diary.news == ["up"]  # a close of our own is no loss

    asyncio.run(go())


def test_a_private_stream_logs_in_first_with_an_expiry_ahead() -> None:
    async def go() -> None:
        bybit = FakeBybit()
        async with connected(bybit, Diary(), private=True):
            assert bybit.lines[0].is_logged_in
            assert bybit.logins == [T0 + 10_000]

    asyncio.run(go())


def test_messages_arrive_in_order_and_all_of_them_are_counted() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            for i in range(200):
                await bybit.ticker(T0 + i, lastPrice=str(i))
            await until(lambda: stream.seen == bybit.sent)
            assert [f'"{i}"' in text for i, text in enumerate(diary.taken)] == [True] * 200

    asyncio.run(go())


def test_after_a_drop_it_comes_back_with_all_its_topics() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            for round_ in range(1, 4):
                await bybit.drop()
                await until(lambda done=round_ + 1: stream.connections == done)
            assert diary.news == ["up", "down", "up", "down", "up", "down", "up"]
            assert diary.topics_when_up == [2, 2, 2, 2]
            await bybit.ticker(T0, lastPrice="5")
            await until(lambda: diary.taken)

    asyncio.run(go())


def test_a_half_open_connection_is_noticed_in_time() -> None:
    """The socket stays, nobody speaks: no data, no pong."""

    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            line = bybit.lines[0]
            line.is_deaf = True
            await until(lambda: "down" in diary.news)
            await until(lambda: stream.connections == 2)
            assert stream.is_up

    asyncio.run(go())


def test_pongs_keep_a_quiet_private_stream_alive() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        timing = Timing().faster(10)  # a busy machine may stand still for longer than a shorter silence
        async with connected(bybit, diary, private=True, timing=timing):
            await asyncio.sleep(2 * timing.silence_s)
            await until(lambda: bybit.lines[0].pings >= 4)
            assert diary.news == ["up"]

    asyncio.run(go())


def test_a_public_stream_that_only_pongs_is_dead() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(speed=1.0), Diary()
        async with connected(bybit, diary, timing=Timing().faster(40)):
            await until(lambda: "down" in diary.news)

    asyncio.run(go())


def test_a_busy_stream_is_pinged_all_the_same() -> None:
    async def go() -> None:
        bybit = FakeBybit(speed=1.0)
        timing = replace(Timing(), ping_every_s=0.2)  # a busy machine may stand still for longer than a fast silence
        async with connected(bybit, Diary(), timing=timing) as stream:
            line = bybit.lines[0]
            give_up_s = time.monotonic() + PATIENCE_S
            while line.pings < 3:
                assert time.monotonic() < give_up_s
                await bybit.ticker(T0, lastPrice="5")
                await asyncio.sleep(0.005)
            assert stream.connections == 1

    asyncio.run(go())


NONSENSE = [
    '{"topic":"tickers.BTCUSDT","type":"delta","ts":1,"da',
    "{}",
    "[1,2,3]",
    "null",
    "",
    '{"ret_msg":"who are you?"}',
    '{"op":"unheard","success":true}',
    '{"topic":5}',
    '{"topic":"tickers.BTCUSDT","ts":"soon"}',
    '{"topic":"tickers.BTCUSDT","data":\ud83d}'.encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_costs_only_itself(text: str) -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            await bybit.push(text)
            await bybit.ticker(T0, lastPrice="5")
            await until(lambda: stream.seen == bybit.sent)
            assert len(diary.taken) == 1
            assert stream.connections == 1
            assert sum(stream.faults.values()) == 1

    asyncio.run(go())


def test_bytes_that_are_no_text_cost_only_themselves() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            await bybit.lines[0].ws.send_bytes(b'{"topic":"\xff\xfe"')
            await bybit.ticker(T0, lastPrice="5")
            await until(lambda: diary.taken)
            assert stream.faults["unreadable"] == 1
            assert diary.faults

    asyncio.run(go())


def test_an_exception_in_the_handler_is_counted_and_survived() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary(is_clumsy=True)
        async with connected(bybit, diary) as stream:
            await bybit.ticker(T0, lastPrice="5")
            await until(lambda: stream.faults["ValueError"] == 1)
            assert "I dropped it" in diary.faults[0]
            diary.is_clumsy = False
            await bybit.ticker(T0, lastPrice="6")
            await until(lambda: diary.taken)
            assert diary.news == ["up"]

    asyncio.run(go())


def test_a_refused_topic_is_a_named_error() -> None:
    async def go() -> None:
        bybit = FakeBybit(refused_topics={TOPICS[1]})
        async with connected(bybit, Diary(), open_it=False) as stream:
            with pytest.raises(SubscriptionRefusedError, match=r"handler not found,topic:orderbook\.1"):
                await stream.open()

    asyncio.run(go())


def test_a_refused_key_is_a_named_error_that_does_not_name_it() -> None:
    async def go() -> None:
        bybit = FakeBybit(accepts_key=False)
        async with connected(bybit, Diary(), private=True, open_it=False) as stream:
            with pytest.raises(KeyRefusedError) as caught:
                await stream.open()
            assert KEYS.key not in str(caught.value)
            assert KEYS.secret not in repr(stream.__dict__)

    asyncio.run(go())


def test_a_topic_refused_later_is_counted_and_tried_again() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        async with connected(bybit, diary) as stream:
            bybit.refused_topics = {TOPICS[0]}
            await bybit.drop()
            await until(lambda: stream.faults["refused"] >= 2)
            assert not stream.is_up
            bybit.refused_topics = set()
            await until(lambda: stream.is_up)
            assert diary.news == ["up", "down", "up"]

    asyncio.run(go())


def test_an_exchange_that_never_acknowledges_cannot_be_reached() -> None:
    async def go() -> None:
        bybit = FakeBybit(acknowledges=False)
        async with connected(bybit, Diary(), timing=Timing().faster(40), open_it=False) as stream:
            with pytest.raises(ExchangeError, match="cannot be reached"):
                await stream.open()
            assert bybit.connections["public"] >= 1

    asyncio.run(go())


def test_failed_tries_wait_ever_longer_by_the_table() -> None:
    async def go() -> None:
        bybit, diary = FakeBybit(), Diary()
        timing = replace(QUICK, reconnect_s=(0.0, 0.01, 0.02, 0.5))
        async with connected(bybit, diary, timing=timing) as stream:
            bybit.accepts_connections = False
            await bybit.drop()
            await asyncio.sleep(0.4)
            bybit.accepts_connections = True
            assert not stream.is_up
            assert bybit.connections["public"] == 1
            await until(lambda: stream.is_up)

    asyncio.run(go())


def test_closing_while_it_reconnects_ends_at_once() -> None:
    async def go() -> None:
        bybit = FakeBybit()
        timing = replace(QUICK, reconnect_s=(10 * PATIENCE_S,))
        async with connected(bybit, Diary(), timing=timing) as stream:
            await bybit.drop()
            await until(lambda: not stream.is_up)
            async with asyncio.timeout(PATIENCE_S):
                await stream.close()
                await stream.close()

    asyncio.run(go())
