"""Before trading the last day is traded once in memory: no order waits for a rule to be compiled or loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, importlib, pkgutil, sys
from pathlib import Path

from your_short_trade_margin_call import rules
from your_short_trade_margin_call.composition import Request, make_trading_session, prepare
from your_short_trade_margin_call.composition.rehearsal import rehearse
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import Settings

def ready():
    names = [f"{rules.__name__}.{found.name}" for found in pkgutil.iter_modules(rules.__path__)]
    modules = [importlib.import_module(name) for name in names]
    kernels = [kernel for module in modules for kernel in vars(module).values() if hasattr(kernel, "overloads")]
    return {(kernel.__name__, signature) for kernel in kernels for signature in kernel.overloads}

settings = Settings(reoptimize=None)
request = Request("SOLUSDT", settings, market=MarketKind.SIMULATED, paths=Paths(Path(sys.argv[1])), speed=float("inf"))
prepared = prepare(request)
params = StrategyParams(highest_high_lookback=40, exit_type="highest_low", risk_fraction=0.95, take_profit_pct=0.008)
before = ready()
rehearsed = rehearse(prepared, params)
after = ready()
left = sorted(path.name for path in Path(sys.argv[1]).rglob("*"))
session = make_trading_session(prepared)
summary = asyncio.run(session.trade(params))
session.close()
print(rehearsed > 0, len(after) > len(before), left, summary.trades > 0, sorted(ready() - after))
"""


def test_trading_asks_for_no_rule_that_the_rehearsal_did_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(data)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "True True [] True []"
