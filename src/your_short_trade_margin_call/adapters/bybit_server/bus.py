"""Messages on their way to streams: topics, subscribers, and how far each has been served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

Message = Mapping[str, Any]
Outgoing = Callable[[str, Message], Sequence[Message]]
"""What becomes of a message on its way out: itself, changed, twice, or nothing (faults)."""


def as_it_is(_topic: str, message: Message) -> Sequence[Message]:
    """The honest way out."""
    return (message,)


def encode(message: Message) -> str:
    """A message as compact JSON."""
    return msgspec.json.encode(message).decode()


class Subscriber:
    """One connection's queue: first in, first out. Whoever writes to the socket takes from it and counts `sent`."""

    def __init__(self) -> None:
        self.queued = 0
        self.sent = 0
        self.topics: set[str] = set()
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()

    def put(self, text: str) -> None:
        """Queue one encoded message."""
        self.queued += 1
        self._waiting.append(text)
        self._news.set()

    async def take(self) -> list[str]:
        """Everything that waits, at least one message; the taker adds to `sent` what it has written."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    @property
    def is_served(self) -> bool:
        """Whether everything queued has been written to the socket."""
        return self.sent >= self.queued


class Bus:
    """Topics and who listens to them. A message is encoded once, however many listen.

    Args:
        outgoing: what becomes of messages on their way out.
    """

    def __init__(self, outgoing: Outgoing = as_it_is) -> None:
        self.outgoing = outgoing
        self.published = 0
        """How many messages were published to at least one subscriber."""
        self._listeners: dict[str, list[Subscriber]] = {}

    def subscribe(self, subscriber: Subscriber, topics: Iterable[str]) -> None:
        """Send these topics to the subscriber from now on; once each, however often it asks."""
        for topic in topics:
            listeners = self._listeners.setdefault(topic, [])
            if subscriber not in listeners:
                listeners.append(subscriber)
                subscriber.topics.add(topic)

    def unsubscribe(self, subscriber: Subscriber, topics: Iterable[str] | None = None) -> None:
        """Stop sending these topics, or all."""
        for topic in list(subscriber.topics if topics is None else topics):
            listeners = self._listeners.get(topic, [])
            if subscriber in listeners:
                listeners.remove(subscriber)
            if not listeners:
                self._listeners.pop(topic, None)
            subscriber.topics.discard(topic)

    def wants(self, topic: str) -> bool:
        """Whether anybody listens: if not, the message need not be made."""
        return topic in self._listeners

    def listeners(self, topic: str) -> int:
        """How many listen to a topic."""
        return len(self._listeners.get(topic, ()))

    def subscribers(self) -> set[Subscriber]:
        """Everybody who listens to anything."""
        return {subscriber for listeners in self._listeners.values() for subscriber in listeners}

    def publish(self, topic: str, message: Message) -> None:
        """Queue a message for everybody who listens to its topic."""
        listeners = self._listeners.get(topic)
        if not listeners:
            return
        for out in self.outgoing(topic, message):
            self._send(listeners, out)

    def send_past_faults(self, topic: str, message: Message) -> None:
        """Publish without asking `outgoing`: for a message that a fault held back before."""
        self._send(self._listeners.get(topic, []), message)

    def _send(self, listeners: Sequence[Subscriber], message: Message) -> None:
        if not listeners:
            return
        self.published += 1
        text = encode(message)
        for subscriber in tuple(listeners):
            subscriber.put(text)

    @property
    def is_served(self) -> bool:
        """Whether everything published so far has been written to the sockets."""
        return all(subscriber.is_served for subscriber in self.subscribers())
