"""Figures of a log's quality: when each feed is there, how late it is known, what it covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from liqbt.report import formatting as fmt
from liqbt.report.figures.style import GREY, INK, LONG, SHORT, Figure, as_png, as_svg, canvas, label
from liqbt.types import SECOND_NS

_MOST: Final = 60
_SHARE: Final = LinearSegmentedColormap.from_list("share", ["#b8500a", "#e9c9a8", "#1f5fa8"])
_EVENTS: Final = "#7fa6d1"


def feed_name(feed: Mapping[str, Any], limit: int = 64) -> str:
    """Return a feed as words: kind, venue/symbol, and the length of its buckets."""
    span = f" by {fmt.duration(float(feed['span_s']))}" if feed["span_s"] else ""
    kind = str(feed["kind"]).replace("_", " ")
    return fmt.one_line(f"{kind} {feed['venue']}/{feed['symbol']}{span}", limit)


def _times(start_ns: float, end_ns: float, n: int) -> Any:
    edges = np.linspace(start_ns, end_ns, n).astype("datetime64[ns]")
    return mdates.date2num(edges)  # type: ignore[no-untyped-call]


def _time_axis(ax: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    formatter = mdates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(formatter)


def presence_figure(
    value: Mapping[str, Any], feeds: Sequence[Mapping[str, Any]], *, name: str
) -> Figure:
    """Draw when each feed has events: a row a feed, darker where more of its slots are there.

    Parameters
    ----------
    value : mapping
        A log's quality as plain values.
    feeds : sequence of mapping
        Those of its feeds to draw; the first 60.
    name : str
        File name.
    """
    shown = list(feeds)[:_MOST]
    figure = canvas(11.0, 0.19 * len(shown) + 1.25)
    ax = figure.subplots()
    bins = len(shown[0]["presence"])
    last_ns = max(value["end_ns"] + 1, value["start_ns"] + SECOND_NS)  # all at one instant
    edges = _times(value["start_ns"], last_ns, bins + 1)
    for i, feed in enumerate(shown):
        share = np.array(feed["presence"], dtype=np.float64)[None, :]
        y = [i - 0.38, i + 0.38]
        if feed["cadence_s"] is None:
            seen = np.ma.masked_where(share == 0, share)
            flat = LinearSegmentedColormap.from_list("seen", [_EVENTS, _EVENTS])
            ax.pcolormesh(edges, y, seen, cmap=flat, vmin=0, vmax=1, rasterized=True)
            continue
        first, last = _times(feed["first_ns"], feed["last_ns"], 2)
        inside = (edges[1:] > first) & (edges[:-1] < last)
        seen = np.ma.masked_where(~inside[None, :] & (share == 0), share)
        ax.pcolormesh(edges, y, seen, cmap=_SHARE, vmin=0, vmax=1, rasterized=True)
    ax.set_yticks(range(len(shown)), [label(feed_name(f, 48), 48) for f in shown])
    ax.tick_params(axis="y", labelsize=7.5, length=0)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("UTC")
    _time_axis(ax)
    handles = [
        Patch(color=_SHARE(1.0), label="every slot of its cadence"),
        Patch(color=_SHARE(0.5), label="half of them"),
        Patch(color=_SHARE(0.0), label="none: a gap"),
        Patch(color=_EVENTS, label="has events (no cadence)"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    more = fmt.further(len(feeds) - len(shown), "feed", "the table")
    return Figure(
        name=name,
        title="When each feed is there",
        caption=(
            "Blue: all slots of the feed's own cadence have an event; orange: none has. White: the "
            "feed has not begun, has ended, or has no cadence and no events there. A gap shorter "
            f"than a {bins}th of the whole is paler, not orange.{more}"
        ),
        alt="; ".join(
            f"{feed_name(f)}: {fmt.percent(fmt.number(f['complete']), 2)} complete" for f in shown
        ),
        data=as_png(figure),
    )


def latency_figure(feeds: Sequence[Mapping[str, Any]], *, name: str) -> Figure | None:
    """Draw how late each feed is known; None where every latency is one modelled number."""
    shown = [
        f for f in feeds if f["latency_is"] != "modelled" or f["latency_s"][0] != f["latency_s"][-1]
    ][:_MOST]
    if not shown:
        return None
    figure = canvas(11.0, 0.26 * len(shown) + 1.3)
    ax = figure.subplots()
    floor = 1e-4
    for i, feed in enumerate(shown):
        least, low, middle, high, higher, most = (max(float(x), floor) for x in feed["latency_s"])
        colour = SHORT if feed["latency_is"] == "modelled" else LONG
        ax.plot([least, most], [i, i], color=colour, lw=0.8)
        ax.plot([low, high], [i, i], color=colour, lw=3.2, solid_capstyle="butt")
        ax.plot(middle, i, "o", ms=5, color=colour)
        ax.plot(higher, i, "|", ms=8, color=colour)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.set_yticks(range(len(shown)), [label(feed_name(f, 48), 48) for f in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlabel("known so many seconds after the event")
    ax.grid(axis="x", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)
    handles = [
        Line2D([], [], color=LONG, marker="o", lw=3.2, label="observed"),
        Line2D([], [], color=SHORT, marker="o", lw=3.2, label="modelled"),
        Line2D([], [], color=INK, marker="|", ms=8, ls="", label="99%"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return Figure(
        name=name,
        title="How late each feed is known",
        caption=(
            "Dot: median; thick: 5% to 95%; thin: least to most; tick: 99%. Logarithmic; 0 is "
            "drawn at the left edge. Feeds with one modelled number are left out."
        ),
        alt="; ".join(
            f"{feed_name(f)}: median {fmt.duration(float(f['latency_s'][2]))}, {f['latency_is']}"
            for f in shown
        ),
        data=as_svg(figure),
    )


def leaks_figure(leaks: Sequence[Mapping[str, Any]], *, name: str, most: int = 12) -> Figure | None:
    """Draw how each feed answers the returns around its stamp; None where none could be tried.

    Feeds that leak come first, then those that come nearest to it.
    """
    tried = sorted(
        (one for one in leaks if one["offset_s"]),
        key=lambda one: (not one["leaks"], float(one["leak_p"])),
    )
    if not tried:
        return None
    shown = tried[:most]
    rows = -(-len(shown) // 3)
    figure = canvas(11.0, 1.9 * rows + 0.6)
    grid = figure.subplots(rows, 3, squeeze=False)
    for ax, one in zip(grid.flat, shown, strict=False):
        step = float(one["step_s"]) / 60
        middle = (np.array(one["offset_s"]) / 60 + step / 2).tolist()
        colours = [SHORT if x > 0 else LONG for x in middle]
        response, t = np.array(one["response"]), np.array(one["t"])
        error = np.divide(response, t, out=np.zeros_like(response), where=np.isfinite(t) & (t != 0))
        ax.bar(
            middle,
            response,
            width=0.8 * step,
            color=colours,
            yerr=1.96 * np.abs(error),
            error_kw={"ecolor": GREY, "elinewidth": 0.9},
        )
        ax.axvline(0, color=INK, lw=1.1)
        ax.axhline(0, color=GREY, lw=0.6)
        said = "LEAKS" if one["leaks"] else f"p {float(one['leak_p']):.2g}"
        ax.set_title(f"{label(one['feed'], 38)}: {said}", fontsize=7.5)
        ax.tick_params(labelsize=8, color=GREY)
    for ax in grid.flat[len(shown) :]:
        ax.set_axis_off()
    figure.supxlabel("minutes from the stamp to the return", fontsize=9)
    figure.supylabel("response, σ per σ", fontsize=9)
    more = fmt.further(len(tried) - len(shown), "feed", "the table")
    return Figure(
        name=name,
        title="Returns that each feed answers, around its stamp",
        caption=(
            "Least-squares coefficient of each return on the feed's change, both in standard "
            "deviations, with its 95 % interval (each by itself). Blue: returns before the stamp; "
            "orange: after it, which an honest stamp cannot answer; p: of all orange ones "
            "together. "
            f"Feeds that leak come first, then those that come nearest to it.{more}"
        ),
        alt="; ".join(
            f"{fmt.one_line(one['feed'])}: {'leaks' if one['leaks'] else 'no leak seen'}"
            for one in shown
        ),
        data=as_svg(figure),
    )


def coverage_figure(pairs: Sequence[Mapping[str, Any]], *, name: str, most: int = 8) -> Figure:
    """Draw liquidated coins over the decline of open interest, a panel a pair of feeds."""
    shown = sorted(pairs, key=lambda p: (not p["one_venue"], -len(p["days"])))[:most]
    rows = -(-len(shown) // 2)
    figure = canvas(11.0, 2.1 * rows + 0.4)
    grid = figure.subplots(rows, 2, squeeze=False)
    for ax, pair in zip(grid.flat, shown, strict=False):
        _draw_coverage(ax, pair)
    for ax in grid.flat[len(shown) :]:
        ax.set_axis_off()
    figure.supylabel("liquidated / declined, %", fontsize=9)
    more = fmt.further(len(pairs) - len(shown), "pair", "the table")
    return Figure(
        name=name,
        title="Observed liquidations against the open interest that vanished",
        caption=(
            "Coins liquidated in a day over the sum of all declines of open interest between its "
            "snapshots; line: all days together. Blue: both of one venue; orange: of two, which "
            "compares two venues and may exceed 100%. A finer open interest sums more declines, so "
            f"panels at different spacings do not compare.{more}"
        ),
        alt="; ".join(
            f"{fmt.one_line(p['liquidations'])} over {fmt.one_line(p['open_interest'])}: "
            f"{fmt.percent(fmt.number(p['ratio']), 2)}"
            for p in shown
        ),
        data=as_svg(figure),
    )


def _draw_coverage(ax: Axes, pair: Mapping[str, Any]) -> None:
    days = [d for d in pair["days"] if d["declined_coins"] > 0]
    at = np.array([d["day_ns"] for d in days], dtype="datetime64[ns]")
    ratio = [100 * d["liquidated_coins"] / d["declined_coins"] for d in days]
    colour = LONG if pair["one_venue"] else SHORT
    if days:
        x = mdates.date2num(at) + 0.5  # type: ignore[no-untyped-call]
        ax.bar(x, np.maximum(ratio, 1e-3), width=0.8, color=colour)
        ax.axhline(100 * fmt.number(pair["ratio"]), color=INK, lw=1.1)
        if len(days) > 4:
            _time_axis(ax)
        else:
            ax.set_xticks(x, [fmt.day(d["day_ns"]) for d in days])
            ax.set_xlim(x[0] - 2, x[-1] + 2)
        positive = [r for r in ratio if r > 0]
        if positive and max(positive) > 30 * min(positive):
            ax.set_yscale("log")
            ax.set_ylim(bottom=max(min(positive) / 2, 1e-2))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title(
        f"{label(pair['liquidations'], 28)} over {label(pair['open_interest'], 32)}", fontsize=8.5
    )
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=8, color=GREY)
