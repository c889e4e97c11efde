"""How long tests wait for what must come. How fast this computer is at the moment decides none of them."""

from __future__ import annotations

PATIENCE_S = 300.0
"""Nothing takes this long where all is well; whoever has waited so long waits for ever."""
