"""The latency benchmark in small: every client's orders arrive, and ours is not far behind anybody."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import latency

CLIENTS = ("ours, stream", "ours, REST", "ccxt.pro, REST")
ROUNDS = 4
FAR = 3.0
"""A ratio of two processes on one machine at one time, the quickest round of each: generous, and no wall time."""


@pytest.mark.parametrize("pairs", [3])
def test_every_order_arrives_and_ours_is_not_far_behind(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "WARM_UP", 2)
    found = {each.client: each for each in latency.measure(CLIENTS, pairs, ROUNDS)}
    assert tuple(found) == CLIENTS
    for each in found.values():
        assert len(each.taken_ms) + each.missing == ROUNDS
        assert len(each.taken_ms), each.client
        assert np.all(each.taken_ms > 0.0)
        assert np.all(each.journal_ms < each.taken_ms)
        assert np.all((each.journal_ms > 0.0) == latency.is_ours(each.client))
        assert each.line().count("|") == 8
    quickest = {name: float(np.min(each.taken_ms - each.journal_ms)) for name, each in found.items()}
    assert quickest["ours, stream"] < FAR * quickest["ccxt.pro, REST"], quickest
    assert quickest["ours, REST"] < FAR * quickest["ccxt.pro, REST"], quickest
