"""Figures, each made once, with plotly: the commands write them as pages, reports embed them.

Readable without colour: what is promised is light and hatched, what was delivered dark and plain, lines differ in
their dashes. Colours are those of Okabe & Ito (2008), which the colour-blind can tell apart.
"""

from __future__ import annotations

import math
import textwrap
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.reporting.records import fold_params

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from your_short_trade_margin_call.research.record import Record

BLUE, SKY, ORANGE, INK, GRID = "#0072B2", "#A9D5F0", "#D55E00", "#222222", "#E3E3E3"
_LINE = 100
"""Letters in a line below the title: it does not wrap by itself."""
_HOVER = "%{x|%Y-%m-%d %H:%M} UTC<br>%{customdata}<br>%{y:+.2f} %"


def record_figure(record: Record, title: str, doubt: str = "") -> Figure:
    """Promised beside delivered, a pair of bars a fold; below them equity, marked, beside that of chance shorts.

    `title` says whose record it is; behind it stand the verdict and the doubt about the market's prices.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.55, 0.45])
    for trace in _bars(record):
        figure.add_trace(trace, row=1, col=1)
    for trace in _lines(record):
        figure.add_trace(trace, row=2, col=1)
    figure.add_hline(y=record.walk.start_wallet, line={"color": "#999999", "width": 1}, row=2, col=1)
    figure.update_yaxes(title_text="% a fold", ticksuffix=" %", row=1, col=1)
    figure.update_yaxes(title_text="equity, USDT", row=2, col=1)
    figure.update_layout(**_layout(f"{title}: {record.verdict}{doubt}", _below(record)))
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#888888")
    return figure


def figure_page(figure: Figure) -> str:
    """A page of its own with all it needs inside: it opens without a network."""
    page = figure.to_html(full_html=True, include_plotlyjs=True, config=_CONFIG)
    return str(page).replace("<head>", '<head><meta name="viewport" content="width=device-width">', 1)


_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "plotlyServerURL": "",
    "toImageButtonOptions": {"format": "svg", "filename": "walk-forward"},
}


def _bars(record: Record) -> list[Any]:
    from plotly.graph_objects import Bar

    folds = record.folds
    when = [_utc(time_ms) for time_ms in folds["start_time"]]
    chosen = [fold_params(fold) for fold in folds.to_dicts()]
    shared = {"x": when, "customdata": chosen, "hovertemplate": _HOVER}
    hatched = {"color": SKY, "line": {"color": BLUE, "width": 1}, "pattern": {"shape": "/", "fgcolor": BLUE, "size": 5}}
    return [
        Bar(name="promised, where it was chosen", y=folds["promised_pct"].to_list(), marker=hatched, **shared),
        Bar(name="delivered, after", y=folds["return_pct"].to_list(), marker={"color": INK}, **shared),
    ]


def _lines(record: Record) -> list[Any]:
    """Equity at the end of each fold, beginning with the start; that of chance shorts compounds their returns."""
    from plotly.graph_objects import Scatter

    walk = record.walk
    ends = [*walk.starts_ms.tolist(), int(walk.starts_ms[-1]) + walk.procedure.step_ms]
    when = [_utc(time_ms) for time_ms in ends]
    own = walk.equity[walk.firsts - 1]
    hover = "%{x|%Y-%m-%d %H:%M} UTC<br>%{y:,.2f} USDT"
    return [
        Scatter(name="equity, open position marked", x=when, y=own.tolist(), mode="lines+markers", hovertemplate=hover,
                line={"color": INK, "width": 2}, marker={"size": 4}),
        Scatter(name="shorts at random moments", x=when, y=chance_equity(record).tolist(), mode="lines",
                line={"color": ORANGE, "width": 2, "dash": "dash"}, hovertemplate=hover),
    ]  # fmt: skip


def chance_equity(record: Record) -> NDArray[np.float64]:
    """What an account that earned the mean return of chance shorts would hold at the end of each fold, in USDT."""
    import numpy as np

    walk = record.walk
    begun = np.concatenate((np.ones(1), np.cumprod(1.0 + record.chance.returns)))
    return np.asarray(walk.start_wallet * begun[walk.firsts - walk.firsts[0]])


def _below(record: Record) -> str:
    """The headline under the title."""
    e = record.evidence
    likely = f", likely {e.low_pct:+.2f} to {e.high_pct:+.2f} %" if math.isfinite(e.high_pct) else ""
    promised = "" if math.isnan(e.promised_pct) else f"promised {e.promised_pct:+.2f} %, "
    said = f"{promised}delivered {e.mean_pct:+.2f} % a fold{likely}; {e.folds} folds, {e.trades} trades. {e.reason}"
    return "<br>".join(textwrap.wrap(said, _LINE))


def _layout(title: str, below: str) -> dict[str, Any]:
    return {
        "title": {
            "text": f"<b>{title}</b><br><span style='font-size:13px'>{below}</span>",
            "x": 0.02,
            "xanchor": "left",
        },
        "template": "plotly_white",
        "font": {"family": "system-ui, sans-serif", "color": INK},
        "barmode": "group",
        "bargap": 0.25,
        "bargroupgap": 0.0,
        "legend": {"orientation": "h", "y": -0.07, "yanchor": "top", "x": 0.0},
        "hovermode": "closest",
        "margin": {"l": 70, "r": 20, "t": 110, "b": 60},
    }


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1_000, tz=timezone.utc).replace(tzinfo=None)
