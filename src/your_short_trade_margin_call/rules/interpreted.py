"""Kernels run by Python itself: the same source, uncompiled.

A first start would wait for the compiler far longer than a day's sweep takes. Here the interpreter runs the very
functions that the compiler would read, and comes to the same bits: both reckon in IEEE doubles, in the order written.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

_PACKAGE = __name__.partition(".")[0]


_IS_ON: ContextVar[bool] = ContextVar("is_interpreting", default=False)


def is_interpreting() -> bool:
    """Whether kernels that this thread calls are interpreted at the moment."""
    return _IS_ON.get()


@contextmanager
def interpreting() -> Iterator[None]:
    """Kernels that this thread calls are interpreted; for work so small that compiling would take longer.

    Raises:
        ArithmeticError: Python refuses what a compiled kernel reckons with: a division by nothing, a number too large
            for an integer. The work may be half done, and is to be done again, compiled.
        ValueError: the same, for what is not a number.
    """
    before = _IS_ON.set(True)
    try:
        yield
    finally:
        _IS_ON.reset(before)


def interpret(kernel: Any, arguments: tuple[Any, ...]) -> Any:
    """What a kernel returns, and does to its arrays."""
    with np.errstate(all="ignore"):
        return _as_returned(uncompiled(kernel)(*map(_as_taken, arguments)))


@cache
def uncompiled(kernel: Any) -> Callable[..., Any]:
    """A kernel's function, which calls uncompiled ones only.

    For rules of a few operations that Python calls one at a time: handing values to a compiled kernel costs more.
    """
    function = kernel.py_func
    names = function.__code__.co_names
    known = {name: _as_known(function.__globals__[name], names) for name in names if name in function.__globals__}
    return FunctionType(
        function.__code__, {"__builtins__": builtins, **known}, function.__name__, function.__defaults__
    )


def _as_known(value: Any, names: tuple[str, ...]) -> Any:
    """A global as an uncompiled function knows it: kernels, and our modules with what it names of them."""
    if isinstance(value, Dispatcher):
        return uncompiled(value)
    if isinstance(value, ModuleType) and value.__name__.startswith(_PACKAGE):
        named = (name for name in names if hasattr(value, name))
        return SimpleNamespace(**{name: _as_known(getattr(value, name), ()) for name in named})
    return value


def _as_taken(value: Any) -> Any:
    """An argument as the functions take it: fields are attributes, and numbers divide and overflow as compiled."""
    if isinstance(value, np.ndarray):
        return value.view(np.recarray) if value.dtype.names else value
    if isinstance(value, tuple):
        return _remade(value, map(_as_taken, value))
    return np.float64(value) if isinstance(value, float) else value


def _as_returned(value: Any) -> Any:
    """A result as a compiled kernel returns it: in Python's own numbers."""
    if isinstance(value, tuple):
        return _remade(value, map(_as_returned, value))
    return value.item() if isinstance(value, np.generic) else value


def _remade(value: tuple[Any, ...], items: Iterable[Any]) -> tuple[Any, ...]:
    """A tuple of the same kind, named or not."""
    make: Callable[[Iterable[Any]], tuple[Any, ...]] = getattr(value, "_make", tuple)
    return make(items)
