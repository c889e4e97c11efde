"""The statistics are numpy alone: the packages that judge them in the tests are not needed to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import your_short_trade_margin_call.research.statistics as room

HEAVY = ("arch", "dask", "pandas", "plotly", "polars", "purgedcv", "scipy", "skfolio")


def test_nothing_heavy_is_imported() -> None:
    """In a process where importing such a package fails, as if it were not there."""
    folder = Path(room.__file__).parent
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    assert {"bootstrap", "e_values", "overfitting", "sharpe"} <= set(names)
    absent = f"import sys; sys.modules.update(dict.fromkeys({HEAVY}))"
    script = "\n".join([absent, *(f"import {room.__name__}.{name}" for name in names), "print('fine')"])
    environment = {**os.environ, "PYTHONPATH": str(folder.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.split() == ["fine"], done.stderr
