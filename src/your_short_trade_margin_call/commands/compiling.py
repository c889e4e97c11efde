"""The `compile` command: every kernel compiled and kept, by doing once in small what the program does."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from your_short_trade_margin_call.adapters.storage.files import locked
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.first_start import LOCK_NAME
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.composition import Request, make_optimizer, prepare
from your_short_trade_margin_call.composition.rehearsal import rehearse
from your_short_trade_margin_call.domain.errors import DiskError
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.rules.jit import kernels_folder

_PATIENCE_S = 600.0
_POLITENESS = 10


def compile_rules(common: Common, screen: Screen) -> None:
    """Optimise, test and trade an invented market that nobody sees. Others on this computer come first.

    Raises:
        DiskError: there is no folder to keep kernels in.
        BusyError: another process has been compiling for ten minutes.
    """
    folder = kernels_folder()
    if folder is None:
        raise DiskError("Compiled rules cannot be kept here.", "Set NUMBA_CACHE_DIR to a folder that can be written.")
    with suppress(AttributeError, OSError):  # not on Windows
        os.nice(_POLITENESS)
    screen.say("Compiling the rules takes about a minute, longer on a busy computer; seconds where it was done before.")
    began_s = stopwatch_s()
    with locked(folder / LOCK_NAME, _PATIENCE_S), tempfile.TemporaryDirectory() as nowhere:
        _live_once(Paths(Path(nowhere)))
    taken_s = stopwatch_s() - began_s
    if common.json:
        print_json({"folder": str(folder), "elapsed_s": round(taken_s, 3)})
    screen.say(f"Compiled in {taken_s:.0f} s, and kept in {folder}.")


def _live_once(paths: Paths) -> None:
    prepared = prepare(Request("BTCUSDT", market=MarketKind.SIMULATED, paths=paths))
    optimization = make_optimizer(prepared).optimize(prepared.start_ms, with_views=True)
    rehearse(prepared, optimization.params)
