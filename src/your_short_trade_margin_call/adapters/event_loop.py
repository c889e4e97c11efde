"""An event loop for one piece of work, in which Ctrl-C is always heard as Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end in a loop of its own, and return what it returns.

    Raises:
        KeyboardInterrupt: Ctrl-C cancelled it, or a polite kill.
    """
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        # Ctrl-C while the loop begins: asyncio cancels the work, and forgets why. Nobody else cancels it.
        raise KeyboardInterrupt from None
