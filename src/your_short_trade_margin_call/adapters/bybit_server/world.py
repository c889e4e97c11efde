"""The world behind the sockets: time, pairs, accounts, and the order in which a market crosses a candle boundary."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from your_short_trade_margin_call.adapters.bybit_server.bus import Bus, Message
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.publishing import PublicFace
from your_short_trade_margin_call.adapters.bybit_server.request_log import RequestLog
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFault, SocketFaults
from your_short_trade_margin_call.adapters.bybit_server.timeline import Timeline
from your_short_trade_margin_call.settings import Settings

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount

PUSHES_A_SECOND = 20
"""A pair's price moves at most so often in a real second."""
MOVES_A_SECOND = 400
"""All prices together move at most so often in a real second: many pairs must not cost a whole processor."""
MOST_MOVES = 24
"""A pair's price moves at most so often inside a candle."""
REPEAT_BOOK_S = 3.0
_LONGEST_NAP_S = 1.0


class Group(NamedTuple):
    """Pairs that do the same phase at the same moment (UTC ms)."""

    due_ms: int
    phase: Phase
    pairs: tuple[PairMarket, ...]


class World:
    """Pairs and accounts in one market time.

    All pairs that close together do each phase together: every path, then every close, and so on.

    Args:
        pairs: each stands in its candle at the timeline's present moment.
        settings: starting balance and fees of new accounts.
        timeline: running or stepped.
        log: takes a sentence about what happened to the market.
    """

    def __init__(
        self,
        pairs: Iterable[PairMarket],
        settings: Settings,
        timeline: Timeline,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.settings, self.timeline = settings, timeline
        self.pairs: dict[str, PairMarket] = {pair.symbol: pair for pair in pairs}
        self.accounts: dict[str, TradingAccount] = {}
        self.faults = SocketFaults()
        self.public = Bus(self.outgoing)
        self.requests = RequestLog(timeline.stopwatch_s)
        self.outgoing_hooks: list[Callable[[str, Message], Message]] = []
        """Each may change a stream's message on its way out (faults of the sockets)."""
        self._log = log or (lambda _sentence: None)
        now_ms, announce = timeline.now_ms, self._announce_closed
        self.faces = {pair.symbol: PublicFace(pair, self.public, now_ms, announce) for pair in self.pairs.values()}
        self._moves = dict.fromkeys(self.pairs, 0)
        self._moved_s = dict.fromkeys(self.pairs, timeline.stopwatch_s())
        self._late: list[tuple[str, Message]] = []
        self._caught_up_ms = timeline.now_ms()

    def add_account(self, account: TradingAccount) -> None:
        """Let an account trade here, known by its key."""
        self.accounts[account.key] = account
        account.bus.outgoing = self.outgoing

    def restart(self) -> None:
        """What a restart of the service changes: books count from 1 again, recent orders are forgotten."""
        for pair in self.pairs.values():
            pair.tape.restart()
        for account in self.accounts.values():
            account.restart()

    def outgoing(self, topic: str, message: Message) -> tuple[Message, ...]:
        """What becomes of a stream's message on its way out."""
        for change in self.outgoing_hooks:
            message = change(topic, message)
        return (message,)

    # ---- one phase --------------------------------------------------------------------------------

    def do_phase(self, pair: PairMarket) -> Phase:
        """Move one pair to its next phase: accounts first, then the public. Returns the phase; none when it is over.

        Time stands at the close of the candle - 1 ms on its path, at the boundary from then on.
        """
        due_ms, phase = pair.due_ms, pair.phase.next
        if due_ms is None:
            return pair.phase
        pair.phase = phase
        with self.timeline.standing_at(due_ms - 1 if phase is Phase.PATH else due_ms):
            self._DO[phase](self, pair)
        return phase

    def _path(self, pair: PairMarket) -> None:
        for account in self.accounts.values():
            account.run_candle(pair, pair.cursor)
        pair.finish_candle()

    def _close(self, pair: PairMarket) -> None:
        pair.close_candle()
        self.faces[pair.symbol].closed()
        if pair.is_over:
            self._log(f"{pair.symbol}: the candles have run out; the last price stands")

    def _funding(self, pair: PairMarket) -> None:
        market, j = pair.market, pair.cursor
        for k in range(int(market.funding_first[j]), int(market.funding_first[j + 1])):
            moment, rate = int(market.funding_time_ms[k]), float(market.funding_rate[k])
            for account in self.accounts.values():
                account.settle(pair, moment, rate, float(market.mark_close[j - 1]))
        pair.settled_ms = pair.open_ms(j)

    def _guards(self, pair: PairMarket) -> None:
        pair.reach_opening()
        for account in self.accounts.values():
            account.opening(pair, pair.cursor, mid_ticks=pair.mid_ticks, mark_ticks=pair.mark_ticks)

    def _quote(self, pair: PairMarket) -> None:
        pair.open_candle()
        self._moves[pair.symbol] = 0
        self._moved_s[pair.symbol] = self.timeline.stopwatch_s()
        self.faces[pair.symbol].opened()

    _DO: ClassVar[dict[Phase, Callable[[World, PairMarket], None]]] = {
        Phase.PATH: _path,
        Phase.CLOSE: _close,
        Phase.FUNDING: _funding,
        Phase.GUARDS: _guards,
        Phase.QUOTE: _quote,
    }

    def _announce_closed(self, topic: str, message: Message) -> None:
        """Send a closed candle, unless a fault loses, delays or doubles it."""
        if self.faults.take((SocketFault.LOST_CANDLE,), topic):
            return
        if late := self.faults.take((SocketFault.LATE_CONFIRM,), topic):
            if late.ms:
                asyncio.get_running_loop().call_later(late.ms / 1_000.0, self.public.publish, topic, message)
            else:
                self._late.append((topic, message))
            return
        self.public.publish(topic, message)
        if self.faults.take((SocketFault.DUPLICATE_CONFIRM,), topic):
            self.public.publish(topic, message)

    # ---- many pairs -------------------------------------------------------------------------------

    def next_group(self) -> Group | None:
        """The pairs whose next phase comes first; None when all candles have run out."""
        coming = [
            (due, pair.phase.next.value, pair) for pair in self.pairs.values() if (due := pair.due_ms) is not None
        ]
        if not coming:
            return None
        due_ms, phase = min((due, phase) for due, phase, _ in coming)
        return Group(due_ms, Phase(phase), tuple(p for due, own, p in coming if (due, own) == (due_ms, phase)))

    def step_phase(self) -> Group | None:
        """Do the next phase, of all pairs that it is due for at one moment; None when nothing is left to do."""
        group = self.next_group()
        if group is None:
            return None
        for pair in group.pairs:
            self.do_phase(pair)
        if group.phase is Phase.QUOTE:
            self.send_late()
        return group

    def step(self, candles: int = 1) -> int:
        """Go on until so many boundaries are crossed, without waiting for anybody; how many were."""
        for done in range(candles):
            while (group := self.step_phase()) is not None and group.phase is not Phase.QUOTE:
                pass
            if group is None:
                return done
        return candles

    def send_late(self) -> None:
        """Announce the closed candles that a fault held back."""
        late, self._late = self._late, []
        for topic, message in late:
            self.public.publish(topic, message)

    # ---- running time -----------------------------------------------------------------------------

    def advance(self) -> None:
        """On running time: do whatever is due by now. Called before every request too, so no answer is behind."""
        if self.timeline.is_stepped:
            return
        now_ms = self._caught_up_ms = self.timeline.now_ms()
        while (group := self.next_group()) is not None and group.due_ms <= now_ms:
            self.step_phase()
        for pair in self.pairs.values():
            if pair.phase is Phase.QUOTE and not pair.is_over:
                self._move_inside(pair, now_ms)

    @property
    def answer_ms(self) -> int:
        """The time an answer carries: that up to which everything in it is known, not the instants spent on it since.

        A client takes a candle as complete once the time of the answer has passed its close.
        """
        known_ms = self.timeline.now_ms() if self.timeline.is_stepped else self._caught_up_ms
        return known_ms + self.timeline.offset_ms

    async def run(self) -> None:
        """On running time: keep going, for ever; after the last candle, time alone goes on."""
        while True:
            self.advance()
            await self.timeline.wait_until(self._next_moment_ms(), _LONGEST_NAP_S)

    @property
    def moves_a_candle(self) -> int:
        """How often the price moves inside a candle: fewer times the faster time runs, never when it is stepped."""
        if self.timeline.is_stepped:
            return 0
        a_second = min(PUSHES_A_SECOND, MOVES_A_SECOND / len(self.pairs))
        return min(MOST_MOVES, math.floor(a_second * self.settings.candle_ms / 1_000.0 / self.timeline.speed))

    def _move_inside(self, pair: PairMarket, now_ms: int) -> None:
        steps = self.moves_a_candle + 1
        place = min((now_ms - pair.open_ms(pair.cursor)) * steps // pair.market.candle_ms, steps - 1)
        if place <= self._moves[pair.symbol]:
            return
        self._moves[pair.symbol] = place
        self.move_pair(pair, self._moment_of(pair, place))

    def move_pair(self, pair: PairMarket, moment_ms: int) -> None:
        """Show the price of the running candle at a moment inside it; market orders fill there from now on."""
        with self.timeline.standing_at(moment_ms):
            pair.move_inside(moment_ms)
            for account in self.accounts.values():
                account.quote(pair, moment_ms, pair.mid_ticks, pair.mark_ticks, pair.open_ms(pair.cursor))
            self._moved_s[pair.symbol] = self.timeline.stopwatch_s()
            self.faces[pair.symbol].moved()

    def _moment_of(self, pair: PairMarket, place: int) -> int:
        return pair.open_ms(pair.cursor) + place * pair.market.candle_ms // (self.moves_a_candle + 1)

    def _next_moment_ms(self) -> int:
        moments = []
        for pair in self.pairs.values():
            if (due_ms := pair.due_ms) is not None:
                inside = self._moment_of(pair, self._moves[pair.symbol] + 1) if pair.phase is Phase.QUOTE else due_ms
                moments.append(min(due_ms, inside))
        return min(moments, default=self.timeline.now_ms() + math.ceil(self.timeline.speed * 1_000))

    def repeat_books(self) -> None:
        """Send the books again that have not changed for 3 real seconds."""
        now_s = self.timeline.stopwatch_s()
        for symbol, moved_s in self._moved_s.items():
            if now_s - moved_s >= REPEAT_BOOK_S:
                self._moved_s[symbol] = now_s
                self.faces[symbol].repeat_book()

    # ---- how it stands ------------------------------------------------------------------------------

    def buses(self) -> tuple[Bus, ...]:
        """The public bus and those of the accounts."""
        return (self.public, *(account.bus for account in self.accounts.values()))

    @property
    def published(self) -> int:
        """How many messages were sent to anybody so far."""
        return sum(bus.published for bus in self.buses())

    @property
    def is_served(self) -> bool:
        """Whether everything published has been written to the sockets."""
        return all(bus.is_served for bus in self.buses())

    def as_json(self) -> dict[str, Any]:
        """Time, speed and where each pair stands."""
        pairs = {
            pair.symbol: {
                "cursor": pair.cursor,
                "candles": len(pair.candles),
                "phase": pair.phase.name,
                "is_over": pair.is_over,
                "last": pair.price_text(pair.last_ticks),
                "mark": pair.price_text(pair.mark_ticks),
            }
            for pair in self.pairs.values()
        }
        time_ms = {"time_ms": self.timeline.now_ms(), "shown_ms": self.timeline.shown_ms()}
        return {**time_ms, "speed": self.timeline.speed, "published": self.published, "pairs": pairs}
