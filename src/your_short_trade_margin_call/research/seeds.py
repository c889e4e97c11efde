"""Seeded luck for what is estimated by drawing: the same seed and purpose, the same draws."""

from __future__ import annotations

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for a seed (0 or more) and a purpose in words."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *purpose.encode()])))
