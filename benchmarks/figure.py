"""Bar charts, drawn as SVG by hand: the documentation needs no plotting package, nor a browser to draw with."""

from __future__ import annotations

import math
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 250, 90, 34, 46
NAMES = 120


def bars(title: str, unit: str, values: list[tuple[str, float, bool]]) -> str:
    """Bars for (name, value, whether it is ours), the smallest first; one grid line a power of ten."""
    values = sorted(values, key=lambda one: one[1])
    low = math.floor(math.log10(values[0][1]))
    high = math.ceil(math.log10(values[-1][1]))
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    height = TOP + ROW * len(values) + 34
    parts = _begin(title, height)
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


Promise = tuple[str, float, float, float, float]
"""A name; what was promised and delivered; the ends of what is likely."""


def promises(title: str, values: list[Promise]) -> str:
    """Two bars a row on one linear axis: promised (light, hatched), delivered (dark) with a line for its interval."""
    low = min(0.0, *(row[3] for row in values))
    high = max(0.0, *(max(row[1], row[4]) for row in values))
    scale = (WIDTH - NAMES - 30) / (high - low)
    height = TOP + ROW * len(values) + 60

    def x(value: float) -> float:
        return NAMES + (value - low) * scale

    parts = [*_begin(title, height), _HATCH]
    step = 2 if high - low > 6 else 1
    for mark in range(step * math.ceil(low / step), math.floor(high) + 1, step):
        stroke = "#666666" if mark == 0 else "#dddddd"
        parts.append(f'<path d="M{x(mark):.1f} {TOP}V{height - 56}" stroke="{stroke}"/>')
        parts.append(f'<text x="{x(mark):.1f}" y="{height - 40}" text-anchor="middle" fill="#666666">{mark:+d}</text>')
    for k, (name, promised, delivered, least, most) in enumerate(values):
        y = TOP + k * ROW
        parts += [
            f'<text x="{NAMES - 10}" y="{y + 21}" text-anchor="end" fill="#222222">{escape(name)}</text>',
            _bar(x(0.0), x(promised), y + 4, "url(#hatch)"),
            _bar(x(0.0), x(delivered), y + 18, "#222222"),
            f'<path d="M{x(least):.1f} {y + 24}H{x(most):.1f}M{x(least):.1f} {y + 20}v8M{x(most):.1f} {y + 20}v8" '
            f'stroke="#D55E00" stroke-width="2" fill="none"/>',
        ]
    return "\n".join([*parts, *_legend(height - 22), "</svg>", ""])


_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternTransform="rotate(45)" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="#A9D5F0"/><path d="M0 0V6" stroke="#0072B2" stroke-width="2"/></pattern></defs>'
)


def _begin(title: str, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]


def _bar(start: float, end: float, y: float, fill: str) -> str:
    return f'<rect x="{min(start, end):.1f}" y="{y}" width="{abs(end - start):.1f}" height="12" fill="{fill}"/>'


def _legend(y: int) -> list[str]:
    return [
        _bar(NAMES, NAMES + 24, y, "url(#hatch)"),
        f'<text x="{NAMES + 30}" y="{y + 11}" fill="#222222">promised</text>',
        _bar(NAMES + 110, NAMES + 134, y, "#222222"),
        f'<text x="{NAMES + 140}" y="{y + 11}" fill="#222222">delivered</text>',
        f'<path d="M{NAMES + 220} {y + 6}h24m-24 -4v8m24 -8v8" stroke="#D55E00" stroke-width="2" fill="none"/>',
        f'<text x="{NAMES + 250}" y="{y + 11}" fill="#222222">where its mean likely lies (90 %)</text>',
    ]
