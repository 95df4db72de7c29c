"""Rebuild every account of Hyperliquid's first weeks and hold it against the 62 liquidations."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liqbt.margin.cross import cross_liquidation_price
from liqbt.sources.hyperliquid.accounts import ClosedAccount, closed_accounts
from liqbt.sources.hyperliquid.launch import Launch, read_launch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RATE = 0.01
"""Half of the initial margin at the venue's maximum leverage, 50x for every coin at launch."""
TOLERANCE = 0.005
"""Explained: within half of the maintenance margin of the mark."""
LADDER = (0.001, 0.0025, TOLERANCE, 0.01, 0.02, 0.05)
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.55"


@dataclass(frozen=True)
class Check:
    """One liquidation: rebuilt price over the venue's mark, minus 1, by rule."""

    account: ClosedAccount
    coin: str
    size_coins: float
    mark_usd: float
    price_usd: float
    error: float
    restarted: float
    entry: float
    value_gap: float

    @property
    def explained(self) -> bool:
        """Whether the primary rule holds."""
        return not self.account.isolated and abs(self.error) <= TOLERANCE


def entry_price(launch: Launch, account: ClosedAccount, coin: str) -> float:
    """Return the average price at which the open position of a coin was built."""
    fills = launch.fills
    mine = (
        (fills.user == launch.users.index(account.user))
        & (fills.coin == launch.coins.index(coin))
        & (fills.time_ns < account.time_ns)
    )
    size = cost = 0.0
    rows = np.flatnonzero(mine)
    for side, price, coins in zip(
        fills.side[rows].tolist(),
        fills.price_usd[rows].tolist(),
        fills.size_coins[rows].tolist(),
        strict=True,
    ):
        signed = side * coins
        if size * signed >= 0:
            cost += signed * price
        elif abs(signed) < abs(size):
            cost *= 1.0 + signed / size
        else:
            cost = (size + signed) * price
        size += signed
        if abs(size) < 1e-9:
            size = cost = 0.0
    return cost / size if size else math.nan


def check(launch: Launch, account: ClosedAccount) -> Check:
    """Compute the rebuilt liquidation price of the largest position that was closed."""
    known = [i for i, mark in enumerate(account.mark_usd) if not math.isnan(mark)]
    sizes = [account.size_coins[i] for i in known]
    marks = [account.mark_usd[i] for i in known]
    largest = max(range(len(known)), key=lambda i: abs(sizes[i]) * marks[i])
    complete = len(known) == len(account.coins)

    def price(cash: float) -> float:
        if not complete:  # an isolated one: the marks of the account's other coins are not known
            return math.nan
        rates = [RATE] * len(sizes)
        return cross_liquidation_price(cash, sizes, marks, rates, largest)

    mark, coin = marks[largest], account.coins[known[largest]]
    rebuilt = price(account.cash_usd)
    value = account.cash_usd + sum(q * m for q, m in zip(sizes, marks, strict=True))
    return Check(
        account=account,
        coin=coin,
        size_coins=sizes[largest],
        mark_usd=mark,
        price_usd=rebuilt,
        error=rebuilt / mark - 1.0,
        restarted=price(account.cash_since_last_usd) / mark - 1.0,
        entry=entry_price(launch, account, coin) / mark - 1.0,
        value_gap=value - account.account_value_usd if complete else math.nan,
    )


def within(errors: Sequence[float], limit: float) -> int:
    """Count errors within a limit; NaN is none."""
    return sum(abs(e) <= limit for e in errors)


@dataclass(frozen=True)
class UnderWater:
    """What the rebuild calls below maintenance at the last traded prices.

    `accounts` were so at any fill (deeper than `depth` of their notional), `liquidated` of those
    were liquidated at all; of `liquidations` cross ones `seen` were so at the last fill before.
    """

    depth: float
    accounts: int
    liquidated: int
    liquidations: int
    seen: int


def under_water(launch: Launch, depth: float) -> UnderWater:
    """Walk through all fills in order, marking every account at the last price of each coin."""
    fills, gone = launch.fills, launch.liquidations
    n, k = len(launch.users), len(launch.coins)
    sizes, cash, last = np.zeros((n, k)), np.zeros(n), np.zeros(k)
    times = np.concatenate((launch.ledger.time_ns, gone.time_ns, fills.time_ns))
    what = np.repeat([0, 1, 2], [len(launch.ledger.time_ns), len(gone.time_ns), len(fills.time_ns)])
    row = np.concatenate([np.arange(len(x.time_ns)) for x in (launch.ledger, gone, fills)])
    ever, below, seen = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), 0
    for i in np.lexsort((row, what, times)).tolist():
        j = int(row[i])
        if what[i] == 0:
            cash[launch.ledger.user[j]] += launch.ledger.delta_usd[j]
            continue
        if what[i] == 1:
            seen += bool(below[gone.user[j]] and not gone.isolated[j])
            continue
        user, coin = int(fills.user[j]), int(fills.coin[j])
        signed = float(fills.side[j]) * float(fills.size_coins[j])
        sizes[user, coin] += signed
        if abs(sizes[user, coin]) < 1e-9:
            sizes[user, coin] = 0.0
        cash[user] -= signed * float(fills.price_usd[j])
        last[coin] = fills.price_usd[j]
        notional = np.abs(sizes) @ last
        below = (notional > 1.0) & (cash + sizes @ last < (RATE - depth) * notional)
        ever |= below
    closed = np.zeros(n, dtype=bool)
    closed[gone.user] = True
    return UnderWater(
        depth, int(ever.sum()), int((ever & closed).sum()), int((~gone.isolated).sum()), seen
    )


def summary(checks: Sequence[Check], water: Sequence[UnderWater]) -> str:
    """Return the counts as Markdown."""
    cross = [c for c in checks if not c.account.isolated]
    n, held = len(checks), sum(c.account.sizes_agree for c in checks)
    ratio = [c.account.account_value_usd / c.account.notional_usd for c in cross]
    explained = sum(c.explained for c in checks)
    lines = [
        f"**{explained} of {n} liquidations are explained**: cross-margined, and the rebuilt "
        f"liquidation price within {TOLERANCE:.1%} of the mark at which the venue closed the "
        f"account ({explained} of {len(cross)} cross-margined ones; "
        f"{n - len(cross)} isolated ones cannot be: their margin is in no file).",
        "",
        f"- Positions: in {held} of {n} the rebuilt sizes are what the liquidation closed.",
        f"- The venue's own account value was {min(ratio):.2%} to {max(ratio):.3%} of the notional "
        f"(median {np.median(ratio):.2%}) when it closed a cross-margined account: never above the "
        f"{RATE:.0%} that the rule says.",
        f"- Median absolute error of the price, cross: "
        f"{np.nanmedian([abs(c.error) for c in cross]):.2%}.",
        "",
        "| rule, 54 cross-margined | " + " | ".join(f"≤ {x:.2%}" for x in LADDER) + " |",
        "|---|" + "---|" * len(LADDER),
    ]
    lines[-2] = lines[-2].replace("54", str(len(cross)))
    for name, errors in (
        ("rebuilt from the account's first day", [c.error for c in cross]),
        ("restarted at its last liquidation", [c.restarted for c in cross]),
        ("the nearer of the two", [_nearer(c) for c in cross]),
        ("no rule: the average entry price", [c.entry for c in cross]),
    ):
        lines.append(f"| {name} | " + " | ".join(str(within(errors, x)) for x in LADDER) + " |")
    lines += [
        "",
        "What is missing where it is not explained, in cash (rebuilt account value minus the "
        "venue's, at the venue's marks):",
        "",
        "| liquidations | count | median gap, USD | gap over notional, median |",
        "|---|---|---|---|",
    ]
    groups = {
        "explained": [c for c in cross if c.explained],
        "rebuilt too rich (money left by no ledger row)": [
            c for c in cross if not c.explained and c.value_gap > 0
        ],
        "rebuilt too poor (money came by no ledger row)": [
            c for c in cross if not c.explained and c.value_gap <= 0
        ],
    }
    for name, group in groups.items():
        gap = [c.value_gap for c in group]
        share = [c.value_gap / c.account.notional_usd for c in group]
        lines.append(f"| {name} | {len(group)} | {np.median(gap):.2f} | {np.median(share):.2%} |")
    few = [c for c in cross if c.account.ledger_updates <= 1]
    many = [c for c in cross if c.account.ledger_updates > 1]
    lines += [
        "",
        f"Of accounts with at most one ledger row {sum(c.explained for c in few)} of {len(few)} "
        f"are explained, of those with more {sum(c.explained for c in many)} of {len(many)}.",
    ]
    stayed, gone = _what_stayed(checks)
    lines += [
        "",
        f"{stayed + gone} of those too rich are accounts that were liquidated again later: "
        f"the later price is nearer with the surplus still in the account in {stayed}, nearer "
        f"without it in {gone}. Where it stayed, the venue had closed less than the account, "
        "whatever the row says.",
        "",
        "The other way round, at the last traded price of each coin: which accounts does the "
        "rebuild call below maintenance?",
        "",
        "| below by | accounts ever so | of them liquidated | cross liquidations so just before |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| more than {w.depth:.1%} of notional | {w.accounts} | {w.liquidated} | "
        f"{w.seen} of {w.liquidations} |"
        for w in water
    ]
    return "\n".join(lines)


def _what_stayed(checks: Sequence[Check]) -> tuple[int, int]:
    """Count surpluses that a later liquidation of the same account says had stayed, or gone."""
    stayed = gone = 0
    for i, c in enumerate(checks):
        later = [d for d in checks[i + 1 :] if d.account.user == c.account.user]
        if c.account.isolated or c.explained or not c.value_gap > 0 or not later:
            continue
        stayed += abs(later[0].error) < abs(later[0].restarted)
        gone += abs(later[0].error) > abs(later[0].restarted)
    return stayed, gone


def _nearer(c: Check) -> float:
    both = [e for e in (c.error, c.restarted) if not math.isnan(e)]
    return min(both, key=abs) if both else math.nan


def table(checks: Sequence[Check]) -> str:
    """Return every liquidation as a Markdown row."""
    lines = [
        "| time (UTC) | account | margin | coin (largest) | size, coins | mark, USD "
        "| rebuilt price, USD | error | restarted | venue's value / notional | value gap, USD "
        "| explained |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for c in checks:
        a = c.account
        when = np.datetime64(a.time_ns, "ns").astype("datetime64[s]")
        more = f" +{len(a.coins) - 1}" if len(a.coins) > 1 else ""
        lines.append(
            f"| {when} | {a.user[:7]} | {'isolated' if a.isolated else 'cross'} | {c.coin}{more} "
            f"| {c.size_coins:.6g} | {c.mark_usd:.6g} | {_num(c.price_usd, '.6g')} "
            f"| {_num(c.error, '+.2%')} | {_num(c.restarted, '+.2%')} "
            f"| {a.account_value_usd / a.notional_usd:.2%} | {_num(c.value_gap, '+.2f')} "
            f"| {'yes' if c.explained else 'no'} |"
        )
    return "\n".join(lines)


def _num(value: float, form: str) -> str:
    return "—" if math.isnan(value) else format(value, form)


def figure(checks: Sequence[Check], path: Path) -> None:
    """Draw how near the rebuilt prices are to the marks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cross = [c for c in checks if not c.account.isolated]
    drawn = Figure(figsize=(11, 4.4), layout="constrained")
    FigureCanvasAgg(drawn)
    left, right = drawn.subplots(1, 2, width_ratios=(1.25, 1))
    for name, errors, colour, style in (
        ("rebuilt from the first day", [c.error for c in cross], BLUE, "-"),
        ("restarted at the last liquidation", [c.restarted for c in cross], ORANGE, "--"),
        ("no rule: average entry price", [c.entry for c in cross], GREY, ":"),
    ):
        size = np.sort([100 * abs(e) if not math.isnan(e) else np.inf for e in errors])
        left.step(
            np.maximum(size, 1e-3),
            np.arange(1, len(size) + 1),
            colour,
            ls=style,
            where="post",
            label=name,
        )
    left.axvline(100 * TOLERANCE, color="0.3", lw=0.8)
    left.annotate(
        "tolerance", (100 * TOLERANCE, 2), xytext=(4, 0), textcoords="offset points", fontsize=8
    )
    left.set_xscale("log")
    left.set_xlim(2e-3, 200)
    left.set_ylim(0, len(cross) + 1)
    left.set_xticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    left.set_xlabel("|rebuilt liquidation price / mark − 1|, %")
    left.set_ylabel(f"cross-margined liquidations, of {len(cross)}")
    left.legend(frameon=False, fontsize=9, loc="upper left")
    ratio = [100 * c.account.account_value_usd / c.account.notional_usd for c in cross]
    ok = [c.explained for c in cross]
    right.hist(
        [
            [r for r, o in zip(ratio, ok, strict=True) if o],
            [r for r, o in zip(ratio, ok, strict=True) if not o],
        ],
        bins=np.arange(0.25, 1.051, 0.05),
        stacked=True,
        color=[BLUE, "#E8A87C"],
        label=["explained", "not explained"],
    )
    right.axvline(100 * RATE, color="0.3", lw=0.8)
    right.annotate(
        "1%: the rule",
        (100 * RATE, right.get_ylim()[1] * 0.97),
        xytext=(-4, 0),
        textcoords="offset points",
        fontsize=8,
        ha="right",
        va="top",
    )
    right.set_xlabel("the venue's account value when closed, % of notional")
    right.set_ylabel("cross-margined liquidations")
    right.legend(frameon=False, fontsize=9, loc="upper left")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Rebuild, check, print the summary, write the table and the figure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    data = Path(os.environ.get("LIQBT_DATA", ROOT.parent / "shared" / "data"))
    launch = read_launch(data / "hyperliquid" / "2023-launch")
    checks = [check(launch, account) for account in closed_accounts(launch)]
    text = summary(checks, [under_water(launch, depth) for depth in (0.0, 0.01)])
    print(text)
    (HERE / "table.md").write_text(f"{text}\n\n{table(checks)}\n", encoding="utf-8")
    figure(checks, HERE / "errors.png")


if __name__ == "__main__":
    main()
