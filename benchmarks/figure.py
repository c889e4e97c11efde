"""A bar chart on a logarithmic axis, drawn as SVG by hand: the documentation needs no plotting package."""

from __future__ import annotations

import math
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 250, 90, 34, 46


def bars(title: str, unit: str, values: list[tuple[str, float, bool]]) -> str:
    """Bars for (name, value, whether it is ours), the smallest first; one grid line a power of ten."""
    values = sorted(values, key=lambda one: one[1])
    low = math.floor(math.log10(values[0][1]))
    high = math.ceil(math.log10(values[-1][1]))
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    height = TOP + ROW * len(values) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        parts.append(f'<path d="M{x:.1f} {TOP}V{height - 30}" stroke="#dddddd"/>')
        label = f"{10.0**power:g}"
        parts.append(f'<text x="{x:.1f}" y="{height - 12}" text-anchor="middle" fill="#666666">{label}</text>')
    for k, (name, value, is_ours) in enumerate(values):
        y, length = TOP + k * ROW, (math.log10(value) - low) * scale
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 21}" text-anchor="end" fill="#222222">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y + 7}" width="{length:.1f}" height="20" fill="{_colour(is_ours)}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 21}" fill="#222222">{value:,.3g} {escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _colour(is_ours: bool) -> str:
    return "#0f6e56" if is_ours else "#9aa5b1"
