"""Naive twins: every kernel once more in plain Python, sharing no helper with it.

Each section is written from the definition, not from the kernel, and imports the standard library
alone. Slow is fine; obvious is the point.
"""

from __future__ import annotations

import math

# --- evaluation: first passages and episodes -------------------------------------------------


def first_passage(
    low: list[float], high: list[float], first: int, stop: int, *, above: bool, level: float
) -> int:
    """The first entry of `first:stop` that touches `level`, or -1; a touch is closed."""
    for i in range(first, stop):
        if high[i] >= level if above else low[i] <= level:
            return i
    return -1


def link_clusters(
    snapshots: list[tuple[int, list[tuple[int, float, float, bool]]]],
    horizon_ns: int,
    least_overlap: float,
) -> list[list[tuple[int, bool]]]:
    """Per snapshot `(at, [(side, low, high, eligible)])`: per cluster, (episode or -1, birth)."""
    episodes: list[dict] = []
    result = []
    for at, clusters in snapshots:
        found = []
        geometry: dict[int, list[tuple[float, int]]] = {}
        existing = len(episodes)
        for position, (side, low, high, eligible) in enumerate(clusters):
            candidates = []
            for number in range(existing):
                episode = episodes[number]
                if episode["side"] != side or at >= episode["birth"] + horizon_ns:
                    continue
                union = 0.0
                meet = 0.0
                if low < episode["high"] and episode["low"] < high:
                    meet = min(high, episode["high"]) - max(low, episode["low"])
                    union = (high - low) + (episode["high"] - episode["low"]) - meet
                if meet > 0 and meet / union >= least_overlap:
                    candidates.append((-meet / union, number))
            if candidates:
                share, number = min(candidates)
                geometry.setdefault(number, []).append((share, position))
                found.append((number, False))
            elif eligible:
                episodes.append({"side": side, "birth": at, "low": low, "high": high})
                found.append((len(episodes) - 1, True))
            else:
                found.append((-1, False))
        for number, matches in geometry.items():
            _, position = min(matches)
            episodes[number]["low"], episodes[number]["high"] = clusters[position][1:3]
        result.append(found)
    return result


# --- simulate: the market's engine ------------------------------------------------------------


class NaiveMarket:
    """The simulated market from its rules, scanning every position at every point of the path.

    Sides are 0 (long) and 1 (short). `rules` is a mapping of the fixed values; `tiers` a list of
    (cap_usd, rate, amount_usd, max_leverage), lowest first; newcomers are (bracket, life) pairs.
    """

    def __init__(self, rules, tiers, leverages, clock_h):
        self.rules, self.tiers, self.leverages, self.clock_h = rules, tiers, leverages, clock_h
        self.positions = []
        self.calendar = []  # (side, due step, running number, position), kept sorted when used
        self.forced = []

    def liquidation_price(self, entry, leverage, side, coins):
        """Solve margin + profit = rate · notional − amount, tier by tier, at its own notional."""
        if leverage <= 1:
            return (0.0, math.inf)[side]  # backed in full: never liquidated
        found = []
        floor = 0.0
        for cap, rate, amount, _ in self.tiers:
            if side == 0:
                price = (entry - entry / leverage - amount / coins) / (1 - rate)
            else:
                price = (entry + entry / leverage + amount / coins) / (1 + rate)
            if floor <= coins * price < cap:
                found.append(price)
            floor = cap
        return found[0] if found else 0.0

    def bracket_allowed(self, bracket, notional):
        """The highest bracket, no higher than asked, that the notional's tier permits."""
        limit = next((t[3] for t in self.tiers if notional < t[0]), self.tiers[-1][3])
        fitting = [b for b in range(bracket + 1) if self.leverages[b] <= limit]
        return max(fitting) if fitting else 0

    def open(self, side, newcomer, lots, price, index, step):
        coins = lots * self.rules["lot_coins"]
        bracket = self.bracket_allowed(newcomer[0], coins * price)
        self.positions.append(
            {
                "side": side,
                "bracket": bracket,
                "lots": lots,
                "left": lots,
                "entry": price,
                "trigger": self.liquidation_price(price, self.leverages[bracket], side, coins),
                "life_h": newcomer[1] * self.rules["life_h"],
                "opened": index,
                "closed": -1,
                "fate": 0,
                "waited": False,
            }
        )
        self.wait(len(self.positions) - 1, step, self.positions[-1]["life_h"])

    def wait(self, i, step, hours):
        """Due at the first later step by whose end so many hours ran on the exits' clock."""
        steps = len(self.clock_h) - 1
        until = self.clock_h[step + 1] + hours
        due = next((k for k in range(step + 1, steps) if self.clock_h[k + 1] >= until), steps)
        number = max((c[2] for c in self.calendar), default=-1) + 1
        self.calendar.append((self.positions[i]["side"], due, number, i))

    def close(self, i, lots, fate, index):
        p = self.positions[i]
        p["left"] -= lots
        if p["left"] == 0:
            p["fate"], p["closed"] = fate, index
            self.calendar = [c for c in self.calendar if c[3] != i]

    def total(self, side):
        return sum(p["left"] for p in self.positions if p["side"] == side)

    def bin_of(self, price):
        r = self.rules
        if price <= 0:
            return 0
        if price == math.inf:
            return 2 * r["half_bins"]
        at = math.floor(math.log(price / r["anchor"]) / r["bin_step"]) + r["half_bins"]
        return min(max(at, 0), 2 * r["half_bins"])

    def direction(self, price):
        """Side of the densest of the smoothed bins within reach, in contracts."""
        lots = [{}, {}]
        for p in self.positions:
            at = self.bin_of(p["trigger"])
            lots[p["side"]][at] = lots[p["side"]].get(at, 0) + p["left"]
        mark, best = self.bin_of(price), [0, 0]
        for side, sign in ((0, -1), (1, 1)):
            for away in range(1, self.rules["reach_bins"] + 1):
                centre = mark + sign * away
                near = [(4 - abs(k)) * lots[side].get(centre + k, 0) for k in range(-3, 4)]
                best[side] = max(best[side], sum(near))
        return (best[1] > best[0]) - (best[0] > best[1])

    def liquidate(self, price, index):
        """Close all that the price has reached; the other side's soonest-due leave for it."""
        flow = [0, 0]
        for side in (0, 1):
            for i, p in enumerate(self.positions):
                hit = price <= p["trigger"] if side == 0 else price >= p["trigger"]
                if p["side"] == side and p["left"] > 0 and hit:
                    flow[side] += p["left"]
                    self.forced.append((i, index, p["left"]))
                    self.close(i, p["left"], 2, index)
            need = flow[side]
            for c in sorted(c for c in self.calendar if c[0] == 1 - side):
                taken = min(need, self.positions[c[3]]["left"])
                if taken > 0:
                    self.close(c[3], taken, 1, index)
                    need -= taken
        return flow

    def leave(self, side, step, price, index):
        """Those due leave, except that a loser waits once more."""
        gone = 0
        for c in sorted(c for c in self.calendar if c[0] == side and c[1] == step):
            p = self.positions[c[3]]
            loses = price < p["entry"] if side == 0 else price > p["entry"]
            if loses and not p["waited"] and self.rules["loser_wait"] > 0:
                p["waited"] = True
                self.calendar.remove(c)
                self.wait(c[3], step, self.rules["loser_wait"] * p["life_h"])
            else:
                gone += p["left"]
                self.close(c[3], p["left"], 1, index)
        return gone


def simulated_market(script, rules, tiers, leverages):
    """Run a `NaiveMarket`; `script` is a mapping of plain lists.

    Returns the market, prices, flows per step as ((opened, left, liquidated) long, … short), open
    interest per step and displacement per step.
    """
    m = NaiveMarket(rules, tiers, leverages, script["clock_h"])
    subs, warm = rules["substeps"], rules["warmup_steps"]
    x = script["start"]
    prices, flows, interest, displaced = [rules["anchor"] * math.exp(x)], [], [], []
    for offset, lots, pair in zip(
        script["first_offset"], script["pair_lots"], script["pair"], strict=False
    ):
        entry = prices[0] * math.exp(offset)
        coins = lots * rules["lot_coins"]
        for side in (0, 1):
            bracket = m.bracket_allowed(pair[side][0], coins * entry)
            at = m.liquidation_price(entry, leverages[bracket], side, coins)
            if (prices[0] <= at) if side == 0 else (prices[0] >= at):
                entry = prices[0]
        for side in (0, 1):
            m.open(side, pair[side], lots, entry, 0, 0)
    for step, pull in enumerate(script["pull"]):
        flow = [[0, 0, 0], [0, 0, 0]]
        pull = pull * m.direction(prices[-1]) if pull > 0 else 0.0
        displaced.append(pull * subs)
        for sub in range(step * subs, (step + 1) * subs):
            x = x + script["noise"][sub] + pull
            if sub + 1 == warm * subs:
                x = 0.0
            price = rules["anchor"] * math.exp(x)
            prices.append(price)
            forced = m.liquidate(price, sub + 1)
            for side in (0, 1):
                flow[side][2] += forced[side]
                flow[1 - side][1] += forced[side]
            for j in range(script["pair_from"][sub], script["pair_from"][sub + 1]):
                held = max(m.total(0), 1)
                chance = (rules["level_lots"] / held) ** rules["pull_power"] / rules["oversample"]
                if script["pair_keep"][j] < chance:
                    for side in (0, 1):
                        lots = script["pair_lots"][j]
                        m.open(side, script["pair"][j][side], lots, price, sub + 1, step)
                        flow[side][0] += lots
        index = (step + 1) * subs
        gone = [m.leave(side, step, prices[-1], index) for side in (0, 1)]
        for side in (0, 1):
            flow[side][1] += gone[side]
            if gone[side] > gone[1 - side]:
                lots = gone[side] - gone[1 - side]
                m.open(side, script["churn"][step], lots, prices[-1], index, step)
                flow[side][0] += lots
        flows.append(flow)
        interest.append(m.total(0))
    return m, prices, flows, interest, displaced


def autoregression(shocks, start, keep, scale):
    """x[i + 1] = keep · x[i] + scale · shocks[i]."""
    out = [start]
    for shock in shocks:
        out.append(keep * out[-1] + scale * shock)
    return out


# --- log and tape: occurrence, canonical order, duplicates ------------------------------------
# A row is a dict: kind (int), venue, symbol, seq, ts_known, ts_event, side, span_s and payload.


def float_bits(value: float) -> int:
    """The bits of a float, -0.0 as 0.0 and every NaN as one, as an unsigned number."""
    if value != value:
        return 0x7FF8000000000000
    sign, scale, number = value < 0, 0, abs(value)
    if number == 0.0:
        return 0
    if number == math.inf:
        scale, number = 2047, 1.0
    else:
        number, exponent = math.frexp(number)
        number, scale = number * 2, exponent - 1 + 1023
        if scale <= 0:
            number, scale = number * 2.0 ** (scale - 1) + 1.0, 0
    return (int(sign) << 63) | (scale << 52) | int((number - 1.0) * 2**52)


def same_event_key(row: dict) -> tuple:
    """What makes two rows of one file identical."""
    bits = tuple(float_bits(v) for v in row["payload"])
    names = (row["kind"], row["venue"], row["symbol"], row["seq"])
    return (*names, row["ts_event"], row["side"], row["span_s"], bits)


def occurrences(rows: list[dict]) -> list[int]:
    """Each row's running number among identical rows of its file, earliest known first."""
    out = []
    for i, row in enumerate(rows):
        before = 0
        for j, other in enumerate(rows):
            if same_event_key(other) == same_event_key(row):
                earlier = (other["ts_known"], j) < (row["ts_known"], i)
                before += 1 if earlier else 0
        out.append(0 if row["seq"] >= 0 else before)
    return out


def tape(files: list[list[dict]]) -> list[dict]:
    """All rows of all files in canonical order, each event once."""
    numbered = []
    for rows in files:
        for row, occurrence in zip(rows, occurrences(rows), strict=True):
            numbered.append({**row, "occurrence": occurrence})

    def place(row: dict) -> tuple:
        bits = tuple(float_bits(v) for v in row["payload"])
        times = (row["ts_known"], row["ts_event"], row["kind"], row["venue"], row["symbol"])
        return (*times, row["seq"], row["side"], row["span_s"], bits, row["occurrence"])

    out, seen = [], set()
    for row in sorted(numbered, key=place):
        if row["seq"] >= 0:
            identity = (row["kind"], row["venue"], row["symbol"], "id", row["seq"])
        else:
            identity = (*same_event_key(row), row["occurrence"])
        if identity not in seen:
            seen.add(identity)
            out.append(row)
    return out


def fewest_going_back(numbers: list[int], times: list[int]) -> int:
    """How few rows must go so that time never falls as the number rises (quadratic)."""
    rows = sorted(zip(numbers, times, strict=True))
    longest = []
    for i, (_, time) in enumerate(rows):
        best = [longest[j] for j in range(i) if rows[j][1] <= time]
        longest.append(1 + max(best, default=0))
    return len(rows) - max(longest, default=0)


def bootstrap_ratio(
    place: list[float], renew: list[float], block: float, total: list[float], count: list[float]
) -> float:
    """One replication: blocks of days that begin anywhere and wrap around the end."""
    days: list[int] = []
    for uniform, again in zip(place[: len(total)], renew, strict=False):
        begins = not days or again <= 1 / block
        days.append(math.floor(uniform * len(total)) if begins else (days[-1] + 1) % len(total))
    episodes = math.fsum(count[d] for d in days)
    return math.fsum(total[d] for d in days) / episodes if episodes > 0 else math.nan


# --- margin: the liquidation price of one isolated linear position -------------------------------


def maintenance(notional: float, tiers: list[tuple[float, float, float, float]]) -> float:
    """Maintenance margin; a tier is (floor, cap, rate, amount), the last goes on for ever."""
    held = [t for t in tiers if notional >= t[0]]
    _, _, rate, amount = held[-1]
    return rate * notional - amount


def liquidation_price(
    entry: float,
    leverage: float,
    is_long: bool,
    size: float,
    tiers: list[tuple[float, float, float, float]],
) -> float:
    """The first price, going against the position from its entry, at which its margin is short.

    Between two floors both equity and maintenance are straight lines in the price.
    """
    margin = entry * size / leverage
    steps = [floor / size for floor, _, _, _ in tiers]
    if is_long:
        top = entry
        for floor, rate, amount in reversed([(t[0], t[2], t[3]) for t in tiers]):
            if floor / size > top:
                continue
            # margin + size (p - entry) = rate size p - amount
            price = (size * entry - margin - amount) / (size * (1 - rate))
            if price >= floor / size:
                return max(min(price, top), 0.0)
            top = floor / size
        return 0.0
    bottom = entry
    for i, (_, _, rate, amount) in enumerate(tiers):
        top = steps[i + 1] if i + 1 < len(tiers) else math.inf
        if top <= bottom:
            continue
        # margin + size (entry - p) = rate size p - amount
        price = (size * entry + margin + amount) / (size * (1 + rate))
        if price < top:
            return max(price, bottom)
        bottom = top
    raise AssertionError("the last tier has no end")


# --- estimators: sigma ---------------------------------------------------------------------------


def sigma_1d(
    prices: list[tuple[int, float]], at: int, window: int, sampling: int, coverage: float
) -> float:
    """Sigma over one day from (time, price) in order: last price of each slot of the window."""
    last: dict[int, tuple[int, float]] = {}
    newest = 0
    for time, price in prices:
        if time >= newest:
            newest = time
            last[time // sampling] = (time, price)
    ends = (at - 1) // sampling
    slots = [s for s in sorted(last) if s > ends - window // sampling]
    if len(slots) < coverage * (window // sampling) or len(slots) < 2:
        return math.nan
    total = 0.0
    for i in range(1, len(slots)):
        total += math.log(last[slots[i]][1] / last[slots[i - 1]][1]) ** 2
    span = last[slots[-1]][0] - last[slots[0]][0]
    day = 86_400 * 10**9
    return math.sqrt(total / span * day) if total > 0 and span > 0 else math.nan


# --- estimators: the fold of the reference -------------------------------------------------------


class OIFlowTwin:
    """The reference estimator's book as dictionaries of coins, aged and closed one by one.

    Events are dictionaries: kind, ts_known, ts_event, span_s, p (the payload). Bins are counted
    from the anchor; the grid holds `-half <= bin < half`.
    """

    def __init__(self, *, price_kind, step, half, weights, half_lives_ns, shifts):
        self.price_kind, self.step, self.half = price_kind, step, half
        self.weights, self.half_lives_ns, self.shifts = weights, half_lives_ns, shifts
        self.coins = {}  # (side, bracket, bin) -> coins; side 0 longs, 1 shorts
        self.consumed, self.outside = [0.0, 0.0], [0.0, 0.0]
        self.anchor = self.mark = self.mark_ts = None
        self.oi = None  # (ts_event, ts_known, coins)
        self.entries = [{}, {}, {}]  # of trades, of bars, of the path

    def bin(self, price):
        return math.floor(math.log(price / self.anchor) / self.step)

    def inside(self, i):
        return -self.half <= i < self.half

    def event(self, e):
        kind, p = e["kind"], e["p"]
        if kind == self.price_kind:
            low, high, close = (p[0], p[0], p[0]) if kind == "trade" else (p[2], p[1], p[3])
            self.price(e, low, high, close)
        if kind == "trade" and self.anchor is not None:
            self.spread(self.entries[0], p[0], p[0], p[1])
        if kind == "bar" and self.anchor is not None and p[4] > 0:
            begun = e["ts_event"] - 0.95 * e["span_s"] * 10**9
            if self.oi is None or begun >= self.oi[0]:
                self.spread(self.entries[1], p[2], p[1], p[4])
        if kind == "open_interest":
            self.snapshot(e, p[0])

    def price(self, e, low, high, close):
        if self.anchor is None:
            self.anchor = close
        elif e["ts_event"] < self.mark_ts:
            return
        seconds, a, b = e["span_s"], low, high
        if e["span_s"] == 0 and self.mark is not None:
            seconds = (e["ts_event"] - self.mark_ts) / 10**9
            a, b = min(self.mark, close), max(self.mark, close)
        if e["kind"] != "trade" and seconds > 0:
            self.spread(self.entries[2], a, b, seconds)
        self.mark, self.mark_ts = close, e["ts_event"]
        self.consume(self.bin(low), self.bin(high))

    def spread(self, row, low, high, weight):
        first, last = self.bin(low), self.bin(high)
        for i in range(max(first, -self.half), min(last, self.half - 1) + 1):
            share = 1.0
            if first != last:
                left = max(self.anchor * math.exp(i * self.step), low)
                right = min(self.anchor * math.exp((i + 1) * self.step), high)
                share = max(math.log(right / left), 0.0) / math.log(high / low)
            row[i] = row.get(i, 0.0) + weight * share

    def consume(self, first_long, last_short):
        for key in list(self.coins):
            side, _, i = key
            if (side == 0 and i >= first_long) or (side == 1 and i <= last_short):
                self.consumed[side] += self.coins.pop(key)

    def snapshot(self, e, coins):
        if self.oi is not None and e["ts_event"] < self.oi[0]:
            return
        if self.oi is not None and self.anchor is not None:
            age = e["ts_known"] - self.oi[1]
            for side, k, i in self.coins:
                self.coins[side, k, i] *= 0.5 ** (age / self.half_lives_ns[k])
            for side in (0, 1):
                gained = coins - self.oi[2]
                taken, self.consumed[side] = self.consumed[side], 0.0
                if gained > 0:
                    self.open(side, gained)
                exits = max(-gained - taken, 0.0)
                if exits > 0:
                    for key in self.coins:
                        if key[0] == side:
                            self.coins[key] *= max(1 - exits / self.oi[2], 0.0)
            here = self.bin(self.mark)
            self.consume(here, here)
        self.oi = (e["ts_event"], e["ts_known"], coins)
        self.entries = [{}, {}, {}]

    def open(self, side, coins):
        here = self.bin(self.mark)
        row = next((r for r in self.entries if sum(r.values()) > 0), {})
        if not row and not self.inside(here):
            self.outside[side] += coins
            return
        row = row or {here: 1.0}
        total = math.fsum(row.values())
        for k, weight in enumerate(self.weights):
            for i, share in row.items():
                opened = coins * weight * share / total
                to = i + self.shifts[side][k]
                if not self.inside(to):
                    self.outside[side] += opened
                elif opened > 0:
                    self.coins[side, k, to] = self.coins.get((side, k, to), 0.0) + opened


# --- estimators: clusters ------------------------------------------------------------------------


def smoothed(row: list[float], n: int, width: int) -> list[float]:
    """`row` under a triangular kernel; nothing lies before its start."""
    half = width // 2
    out = []
    for j in range(n):
        total = 0.0
        for d in range(-half, half + 1):
            if 0 <= j + d < len(row):
                total += row[j + d] * (half + 1 - abs(d))
        out.append(total / (half + 1) ** 2)
    return out


def prominent_peaks(y: list[float], share: float) -> list[tuple[int, float]]:
    """(bin, prominence) of the peaks of `y[:-1]`, given `y[-1]`, with 0 before the start."""
    n = len(y) - 1
    padded = [0.0, *y]
    found: list[tuple[int, float]] = []
    for start in range(n):
        end = start
        while end < n and y[end + 1] == y[start]:
            end += 1
        if not (padded[start] < y[start] and end < n and y[end + 1] < y[start]):
            continue
        peak = (start + end) // 2
        lows = []
        for way in (-1, 1):
            i, low = peak + 1, y[peak]
            while 0 <= i < len(padded) and padded[i] <= y[peak]:
                low = min(low, padded[i])
                i += way
            lows.append(low)
        found.append((peak, y[peak] - max(lows)))
    return [(j, p) for j, p in found if p >= share * max(y[:n])]


def cluster_bands(y: list[float], share: float) -> list[tuple[int, int, int]]:
    """(first, last, peak) of each cluster: the bins around a peak that stay above half of it."""
    n = len(y) - 1
    peaks = prominent_peaks(y, share)
    if not peaks:
        return []
    saddles = []
    for k in range(len(peaks) - 1):
        a, b = peaks[k][0], peaks[k + 1][0]
        lowest = min(y[a : b + 1])
        saddles.append(min(j for j in range(a, b + 1) if y[j] == lowest))
    starts = [0, *(s + 1 for s in saddles)]
    stops = [*saddles, n - 1]
    out = []
    for (peak, prominence), start, stop in zip(peaks, starts, stops, strict=True):
        level = y[peak] - 0.5 * prominence
        inner = [j for j in range(start, peak) if y[j] < level]
        outer = [j for j in range(peak, stop + 1) if y[j] < level]
        first = max(inner) + 1 if inner else start
        last = min(outer) - 1 if outer else stop
        out.append((first, last, peak))
    return out


def density_rank(
    y: list[float], first: int, last: int, base: float, step: float, edges: list[float]
) -> float:
    """Share of the bins in the distance band of bin `first` that are at or below the mean."""

    def band(j: int) -> int:
        return sum(base + j * step >= edge for edge in edges)

    mean = math.fsum(y[first : last + 1]) / (last + 1 - first)
    same = [v for j, v in enumerate(y[:-1]) if band(j) == band(first)]
    return max(sum(v <= mean for v in same), 1) / len(same)


# --- estimators: what is small --------------------------------------------------------------------


def bin_of(price: float, edges: list[float]) -> int:
    """How many edges are at or below the price, less one."""
    return sum(edge <= price for edge in edges) - 1


def asymmetry(below: list[float], above: list[float], bins: int) -> float:
    """(below - above) / (below + above) over the nearest bins."""
    down, up = math.fsum(below[:bins]), math.fsum(above[:bins])
    return (down - up) / (down + up) if down + up > 0 else 0.0


def observed(
    liquidations: list[tuple[int, int, float, float]], totals: bool, at: int
) -> tuple[float, float]:
    """USD of longs and shorts in the 24 clock hours up to that of the instant before `at`.

    A liquidation is (time, span_s, long, short); a bucket belongs to the hour it ends in.
    """
    if not liquidations:
        return math.nan, math.nan
    hour = 3_600 * 10**9
    newest = (at - 1) // hour
    kept = []
    for time, span, long, short in liquidations:
        if totals == (span > 0) and newest - 24 < (time - (span > 0)) // hour <= newest:
            kept.append((long, short))
    return math.fsum(k[0] for k in kept), math.fsum(k[1] for k in kept)


def volume_profile(
    events: list[dict], price_kind: str, step: float, half: int, half_life_h: float, at_hour: int
) -> list[dict[int, float]]:
    """Coins of trades, of bars and seconds of the mark's path by bin, as they weigh at an hour."""
    twin = OIFlowTwin(
        price_kind=price_kind, step=step, half=half, weights=[], half_lives_ns=[], shifts=[]
    )
    totals: list[dict[int, float]] = [{}, {}, {}]
    for e in events:
        if e["kind"] == "open_interest":
            continue
        twin.entries = [{}, {}, {}]
        twin.event(e)
        weight = 0.5 ** ((at_hour - e["ts_event"] // (3_600 * 10**9)) / half_life_h)
        for total, row in zip(totals, twin.entries, strict=True):
            for i, value in row.items():
                total[i] = total.get(i, 0.0) + value * weight
    return totals
