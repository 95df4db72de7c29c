"""Naive twins: every kernel once more in plain Python, sharing no helper with it.

Each section is written from the definition, not from the kernel, and imports the standard library
alone. Slow is fine; obvious is the point.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

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
    (cap_usd, rate, amount_usd, max_leverage), lowest first. Money is in units of a lot times a
    tick, prices of trades in ticks.
    """

    def __init__(self, rules, tiers, leverages, script):
        self.rules, self.tiers, self.leverages, self.script = rules, tiers, leverages, script
        self.positions, self.forced, self.changes, self.funding = [], [], [], []
        self.calendar = []  # (side, due step, running number, position), kept sorted when used
        self.crosses = []  # open cross accounts; the last one takes the place of one that goes
        self.links = 0
        self.money = {"wallets": -rules["insurance"], "insurance": rules["insurance"], "fees": 0}
        self.flow = None

    # what a position is worth

    def usd(self, ticks):
        return ticks * self.rules["tick_up"] / self.rules["tick_down"]

    def liquidation_price(self, p):
        """Where margin + profit = rate · notional − amount, first reached from the entry."""
        if p["kind"] == 0:
            return (0.0, math.inf)[p["side"]]
        coins, entry = p["left"] * self.rules["lot_coins"], self.usd(p["entry"])
        inverse = 1 / (p["left"] * p["entry"] / p["margin"]) if p["margin"] else 0.0
        tier = next((k for k, t in enumerate(self.tiers) if entry * coins < t[0]), None)
        tier = len(self.tiers) - 1 if tier is None else tier
        while True:
            cap, rate, amount, _ = self.tiers[tier]
            floor = self.tiers[tier - 1][0] if tier > 0 else 0.0
            if p["side"] == 0:
                price = (entry * (1 - inverse) - amount / coins) / (1 - rate)
                if tier == 0 or price * coins >= floor:
                    return max(price, 0.0)
                tier -= 1
            else:
                price = (entry * (1 + inverse) + amount / coins) / (1 + rate)
                if tier == len(self.tiers) - 1 or price * coins < cap:
                    return max(price, floor / coins)
                tier += 1

    def tier_limit(self, notional):
        return next((t[3] for t in self.tiers if notional < t[0]), self.tiers[-1][3])

    def bin_of(self, price):
        r = self.rules
        if price <= 0 or price == math.inf:
            return None
        at = math.floor(math.log(price / r["anchor"]) / r["bin_step"]) + r["half_bins"]
        return min(max(at, 0), 2 * r["half_bins"])

    @staticmethod
    def crossed(side, price, trigger):
        return price <= trigger if side == 0 else price >= trigger

    def hit(self, p):
        if not p["stop"]:
            return p["trigger"]
        return max(p["trigger"], p["stop"]) if p["side"] == 0 else min(p["trigger"], p["stop"])

    def total(self, side):
        return sum(p["left"] for p in self.positions if p["side"] == side)

    def ledger(self, ticks):
        """Where the money is; its sum is zero."""
        live = [p for p in self.positions if p["left"]]
        gain = sum((1 - 2 * p["side"]) * p["left"] * (ticks - p["entry"]) for p in live)
        return {**self.money, "margins": sum(p["margin"] for p in live), "unrealised": gain}

    # newcomers

    def terms(self, newcomer, side, lots, ticks, step):
        """Bracket, margin and stop of a newcomer."""
        r = self.rules
        price, coins = self.usd(ticks), lots * r["lot_coins"]
        row = self.script["edges"][step // r["hour_steps"]][side]
        bracket = sum(1 for edge in row if newcomer["mix"] >= edge)
        limit = self.tier_limit(coins * price)
        bracket = max(b for b in range(bracket + 1) if b == 0 or self.leverages[b] <= limit)
        p = {"side": side, "entry": ticks, "left": lots, "lots": lots, "stop": 0.0, "forced": 0}
        p["leverage"], p["kind"] = self.leverages[bracket], 0
        share = 1 / p["leverage"]
        if bracket > 0:
            p["kind"] = 1
            placed = self.placed(newcomer, side, price, min(limit, self.leverages[-1]))
            if placed:
                p["leverage"], share = placed, 1 / placed
            elif newcomer["cross"] < r["cross_share"]:
                p["kind"] = 2
                extra = -math.log1p(-newcomer["cross"] / r["cross_share"])
                share *= 1 + extra * r["cross_extra"]
        p["margin"] = math.floor(lots * ticks * share + 0.5)
        p["trigger"] = self.liquidation_price(p)
        dense = self.seen["bin"][side]
        if r["stops"] > 0 and newcomer["stop"] < r["stop_share"] and dense is not None:
            at = self.bin_of(price)
            stop = r["anchor"] * math.exp((dense - r["half_bins"] + 0.5) * r["bin_step"])
            nearer = stop > p["trigger"] if side == 0 else stop < p["trigger"]
            if nearer and (dense < at if side == 0 else dense > at):
                p["stop"] = stop
        return p

    def placed(self, newcomer, side, price, top):
        """Leverage that puts the liquidation price just beyond the nearest fitting swing."""
        r = self.rules
        if r["placement"] == 0 or newcomer["place"] >= r["placement"]:
            return None
        beyond, rate = 0.004 * (newcomer["place"] / r["placement"]), self.tiers[0][1]
        fitting = []
        for swing in self.swings[side][-16:]:
            if side == 0:
                inverse = 1 - swing * (1 - beyond) * (1 - rate) / price
            else:
                inverse = swing * (1 + beyond) * (1 + rate) / price - 1
            ahead = swing < price if side == 0 else swing > price
            if ahead and 1 / top <= inverse <= 1 / self.leverages[1]:
                fitting.append((abs(math.log(price / swing)), 1 / inverse))
        return min(fitting)[1] if fitting else None

    def open(self, newcomer, side, lots, ticks, index, step, fee):
        r = self.rules
        p = self.terms(newcomer, side, lots, ticks, step)
        p |= {"life_h": newcomer["life"] * r["life_h"], "waited": False, "cool": 0, "fate": 0}
        p |= {"opened": index, "closed": None, "first": p["trigger"]}
        paid = math.floor(fee * (lots * ticks) + 0.5)
        self.money["wallets"] -= p["margin"] + paid
        self.money["fees"] += paid
        self.positions.append(p)
        i = len(self.positions) - 1
        self.link(p)
        self.wait(i, max(index - 1, 0) // r["substeps"], p["life_h"])
        if p["kind"] == 2:
            self.crosses.append(i)

    def link(self, p):
        self.links += 1
        p["link"] = self.links

    def wait(self, i, step, hours):
        """Due in the first later step of exits by whose end so many hours ran on their clock."""
        clock, every = self.script["clock_h"], self.rules["exit_steps"]
        steps = len(clock) - 1
        until = clock[step + 1] + hours
        due = next((k for k in range(step + 1, steps) if clock[k + 1] >= until), steps)
        while (due + 1) % every and due < steps:
            due += 1
        number = max((c[2] for c in self.calendar), default=-1) + 1
        self.calendar.append((self.positions[i]["side"], due, number, i))

    # closing

    def close(self, i, lots, fate, index):
        p = self.positions[i]
        p["left"] -= lots
        if p["left"]:
            return
        p["fate"], p["closed"] = fate, index
        self.calendar = [c for c in self.calendar if c[3] != i]
        if i in self.crosses:
            at = self.crosses.index(i)
            last = self.crosses.pop()
            if last != i:
                self.crosses[at] = last

    def leave_market(self, i, lots, ticks, index, fate, fee):
        """Part of the margin and the profit go home."""
        p = self.positions[i]
        part = p["margin"] if lots == p["left"] else math.floor(p["margin"] * (lots / p["left"]))
        paid = math.floor(fee * (lots * ticks) + 0.5)
        p["margin"] -= part
        profit = (1 - 2 * p["side"]) * lots * (ticks - p["entry"])
        self.money["wallets"] += part + profit - paid
        self.money["fees"] += paid
        whole = lots == p["left"]
        self.close(i, lots, fate, index)
        if not whole and len(self.tiers) > 1:
            self.renew(i, index, 3)

    def renew(self, i, index, reason):
        p = self.positions[i]
        before, p["trigger"] = p["trigger"], self.liquidation_price(p)
        self.link(p)
        if reason and abs(p["trigger"] - before) >= self.usd(1):
            self.changes.append((index, i, reason, p["margin"], p["left"], p["trigger"]))

    def force(self, i, price, ticks, index):
        """Force a position or a share of it; the insurance fund takes what is left."""
        r, p = self.rules, self.positions[i]
        sign, left = 1 - 2 * p["side"], p["left"]
        lots = left
        equity = p["margin"] + sign * left * (ticks - p["entry"])
        if r["cut_above"] > 0 and left * ticks > r["cut_above"] and equity > 0:
            lots = min(max(math.ceil(left * r["cut_share"]), 1), left)
        self.write_forced(i, lots, price, index)
        fee = math.floor(r["liquidation_fee"] * (lots * ticks) + 0.5)
        rest = p["margin"] + sign * lots * (ticks - p["entry"])
        fee = min(fee, max(rest, 0))
        self.money["fees"] += fee
        p["forced"] += lots
        if lots == left:
            self.money["insurance"] += rest - fee
            p["margin"] = 0
            self.close(i, lots, 2, index)
        else:
            p["margin"] = rest - fee
            p["cool"] = index + r["cut_cool"]
            self.close(i, lots, 2, index)
            self.renew(i, index, 2)
        return lots

    def write_forced(self, i, lots, price, index):
        p = self.positions[i]
        side = p["side"]
        row = {"index": index, "position": i, "lots": lots, "whole": lots == p["left"]}
        row |= {"parent": -1, "root": len(self.forced), "mark": price}
        row["bankruptcy"] = self.usd(
            max(p["entry"] - (1 - 2 * side) * p["margin"] / p["left"], 0.0)
        )
        pushed = self.haul < 0 if side == 0 else self.haul > 0
        latest = [k for k, f in enumerate(self.forced)
                  if self.positions[f["position"]]["side"] == side and f["index"] < index
                  and f["index"] > self.rules["warmup_steps"] * self.rules["substeps"]]  # fmt: skip
        if pushed and latest and not self.crossed(side, self.free_price, p["trigger"]):
            last = max(self.forced[k]["index"] for k in latest)
            among = [k for k in latest if self.forced[k]["index"] == last]
            parent = max(among, key=lambda k: self.forced[k]["lots"])  # the first of the largest
            row["parent"], row["root"] = parent, self.forced[parent]["root"]
        self.forced.append(row)

    def settle(self, price, ticks, index):
        """Force and stop out all that the price has reached, nearest bin and latest entry first;
        the other side's soonest-due leave for it. Returns lots forced and stopped by side."""
        r, out = self.rules, ([0, 0], [0, 0])
        for side in (0, 1):
            sign = -1 if side == 0 else 1
            reached = [
                (sign * self.bin_of(self.hit(p)), -p["link"], i)
                for i, p in enumerate(self.positions)
                if p["side"] == side and p["left"] and self.crossed(side, price, self.hit(p))
            ]
            for _, _, i in sorted(reached):
                p = self.positions[i]
                if p["cool"] > index:
                    continue
                if p["stop"] and self.crossed(side, price, p["stop"]):
                    out[1][side] += p["left"]
                    self.leave_market(i, p["left"], ticks, index, 3, r["taker_fee"])
                else:
                    out[0][side] += self.force(i, price, ticks, index)
            need = out[0][side] + out[1][side]
            for c in sorted(c for c in self.calendar if c[0] == 1 - side):
                taken = min(need, self.positions[c[3]]["left"])
                if taken > 0:
                    self.leave_market(c[3], taken, ticks, index, 1, r["maker_fee"])
                    need -= taken
        return out

    def exits(self, side, step, ticks, index):
        """Those due leave, except that a loser waits once more."""
        gone = 0
        while True:
            due = sorted(c for c in self.calendar if c[0] == side and c[1] == step)
            if not due:
                return gone
            i = due[0][3]
            p = self.positions[i]
            loses = ticks < p["entry"] if side == 0 else ticks > p["entry"]
            if loses and not p["waited"] and self.rules["loser_wait"] > 0:
                p["waited"] = True
                self.calendar.remove(due[0])
                self.wait(i, step, self.rules["loser_wait"] * p["life_h"])
            else:
                gone += p["left"]
                self.leave_market(i, p["left"], ticks, index, 1, self.rules["taker_fee"])

    def fund(self, noise, ticks, index):
        r = self.rules
        rate = r["funding_base"] + r["funding_crowding"] * self.seen["asymmetry"] + noise
        rate = min(max(rate, -r["funding_cap"]), r["funding_cap"])
        per_lot = math.floor(rate * ticks + 0.5)
        self.funding.append((index, rate, per_lot))
        for p in self.positions:  # every account pays or receives, from margin or from its wallet
            paid = (1 - 2 * p["side"]) * p["left"] * per_lot
            if p["kind"] == 2 and p["left"]:
                p["margin"] -= paid
            else:
                self.money["wallets"] -= paid
        for i in self.crosses:
            self.renew(i, index, 0)

    def transfer(self, account, share, index):
        if account >= len(self.crosses):
            return
        i = self.crosses[account]
        change = math.floor(self.positions[i]["margin"] * share + 0.5)
        if self.positions[i]["margin"] + change > 0:
            self.positions[i]["margin"] += change
            self.money["wallets"] -= change
            self.renew(i, index, 1)

    # what mechanisms see and do

    def survey(self, price):
        """Lots within reach, the densest smoothed bin of each side, asymmetry and heat."""
        r = self.rules
        lots = [{}, {}]
        for p in self.positions:
            at = self.bin_of(p["trigger"])
            if at is not None:
                lots[p["side"]][at] = lots[p["side"]].get(at, 0) + p["left"]
        mark, last = self.bin_of(price), 2 * r["half_bins"]
        near, best, where = [0, 0], [0, 0], [None, None]
        for side, sign in ((0, -1), (1, 1)):
            for away in range(1, r["reach_bins"] + 1):
                at = mark + sign * away
                if not 0 <= at <= last:
                    continue
                near[side] += lots[side].get(at, 0)
                dense = sum((4 - abs(k)) * lots[side].get(at + k, 0) for k in range(-3, 4))
                if dense > best[side]:
                    best[side], where[side] = dense, at
        both = near[0] + near[1]
        here = sum(lots[s].get(mark + k, 0) for s in (0, 1) for k in range(-3, 4))
        heat = 0.0
        if r["acceleration"] > 0 and both:
            q = (here + self.forced_in_step) / 7 / (both / (2 * r["reach_bins"]))
            heat = r["acceleration"] * min(max((q - 1) / 4, 0), 1)
        self.seen = {"near": near, "best": best, "bin": where, "heat": heat}
        self.seen["asymmetry"] = (near[0] - near[1]) / both if both else 0.0

    def drives(self, sigma, step):
        """Displacement by mechanism that holds for one step."""
        r, s, out = self.rules, self.seen, {}
        unit = sigma * r["step_days"]
        toward = (s["best"][1] > s["best"][0]) - (s["best"][0] > s["best"][1])
        if r["magnet"]:
            out["magnet"] = r["magnet"] * unit * toward
        if r["ratio"]:
            out["ratio"] = -r["ratio"] * unit * s["asymmetry"]
        if r["absolute"]:
            size = (s["near"][0] - s["near"][1]) / (0.05 * r["level_lots"])
            out["absolute"] = -r["absolute"] * unit * min(max(size, -4), 4)
        if r["reversal"] and step < self.back[1]:
            out["sweep_reversal"] = r["reversal"] * unit * self.back[0]
        return out

    def impacts(self):
        """Pushes act at once; what was transient of earlier ones decays."""
        r, out = self.rules, {}
        self.haul = self.push["fuel"] if r["fuel"] else 0.0
        for name in ("fuel", "impact", "stops"):
            if not r[name]:
                continue
            push, self.push[name] = self.push[name], 0.0
            back = self.held[name] * (1 - r["keep_impact"])
            self.held[name] += (1 - r["permanent"]) * push - back
            out[name] = push - back
        return out

    def lean(self, sub):
        """A jump that goes away from the crowded side may follow it instead."""
        a, out = self.seen["asymmetry"], 0.0
        for j in self.script["jumps"]:
            if j["at"] == sub and sub >= self.rules["warmup_steps"] * self.rules["substeps"]:
                away = j["size"] * a > 0
                j["turned"] = away and j["lean"] < self.rules["direction"] * abs(a)
            if j.get("turned") and j["at"] <= sub < j["at"] + j["substeps"]:
                out -= 2 * j["size"]
        return out

    def walls_hold(self, x, to, index):
        for side in (0, 1):
            w = self.wall[side]
            if w is None:
                continue
            over = w["x"] - to if side == 0 else to - w["x"]
            if over > 0 and (x >= w["x"] - 1e-9 if side == 0 else x <= w["x"] + 1e-9):
                taken = min(over, w["left"])
                w["left"] -= taken
                w["absorbed"] += taken
                if w["left"] <= 0:
                    w["until"] = index
                    self.wall[side] = None
                return taken if side == 0 else -taken
        return 0.0

    def build_walls(self, step, x):
        r, hour = self.rules, step // self.rules["hour_steps"]
        for side in (0, 1):
            w = self.wall[side]
            if w and step >= w["last"]:
                w["until"], self.wall[side] = step * r["substeps"], None
            drawn = self.script["wall_draw"][hour][side] < r["wall_share"]
            if self.wall[side] or self.seen["bin"][side] is None or not drawn:
                continue
            edge = self.seen["bin"][side] + (4 if side == 0 else -3)
            at = (edge - r["half_bins"]) * r["bin_step"]
            if (x - at if side == 0 else at - x) > r["bin_step"]:
                w = {"x": at, "left": r["wall_size"], "last": step + r["wall_steps"], "side": side}
                w |= {"from": step * r["substeps"], "until": None, "absorbed": 0.0}
                self.wall[side] = w
                self.walls.append(w)

    def swing(self, step, low, high):
        """Remember an hour; the one `swing_hours` ago is a swing if it stands out on both sides."""
        w = self.rules["swing_hours"]
        self.hours.append((low, high))
        c = len(self.hours) - 1 - w
        if c < w:
            return
        others = [h for k, h in enumerate(self.hours[c - w :]) if k != w]
        if all(h[0] > self.hours[c][0] for h in others):
            self.swings[0].append(self.hours[c][0])
        if all(h[1] < self.hours[c][1] for h in others):
            self.swings[1].append(self.hours[c][1])

    def near_swing(self, price):
        known = self.swings[0][-16:] + self.swings[1][-16:]
        return any(abs(math.log(price / s)) < 0.005 for s in known)

    # the loop

    def run(self):
        """Run it all; returns path, open interest, ledgers, displacement and flows by step."""
        r, script = self.rules, self.script
        subs, warm = r["substeps"], r["warmup_steps"]
        names = ("fuel", "impact", "stops", "magnet", "ratio", "absolute", "direction")
        moving = any(r[n] for n in (*names, "acceleration", "reversal", "walls"))
        self.push = dict.fromkeys(("fuel", "impact", "stops"), 0.0)
        self.held = dict.fromkeys(("fuel", "impact", "stops"), 0.0)
        self.haul, self.free_price, self.back, self.swept = 0.0, 0.0, (0, 0), [0.0, 0.0]
        self.wall, self.walls, self.hours, self.swings = [None, None], [], [], ([], [])
        self.seen = {"near": [0, 0], "best": [0, 0], "bin": [None, None], "asymmetry": 0.0,
                     "heat": 0.0}  # fmt: skip
        self.forced_in_step = 0
        looks = ("magnet", "ratio", "absolute", "direction", "acceleration", "walls", "stops")
        x = script["start"]
        ticks = self.ticks(x)
        path, interest, ledgers, moved, flows = [self.usd(ticks)], [], [], [], []
        self.first_pairs(ticks)
        low = high = path[0]
        for step, sigma in enumerate(script["sigma"]):
            flow = {k: [0, 0] for k in ("opened", "left", "liquidated", "stopped", "taken")}
            here, acting = {}, moving and step >= warm
            funding = r["funding_steps"] and (step + 1) % r["funding_steps"] == 0
            if any(r[n] for n in looks) or funding:
                self.survey(path[-1])
            crowd = 1.0
            if r["placement"] and self.near_swing(path[-1]):
                crowd += 2 * r["placement"]
            scale = 1.0
            if r["oi_power"] and step >= warm:
                scale = (max(self.total(0), 1) / r["level_lots"]) ** r["oi_power"]
            drive = self.drives(sigma * scale, step) if acting else {}
            if acting and r["walls"] and step % r["hour_steps"] == 0:
                self.build_walls(step, x)
            self.forced_in_step = 0
            for sub in range(step * subs, (step + 1) * subs):
                parts, noise = {}, script["noise"][sub] * scale
                if acting:
                    parts = {k: v / subs for k, v in drive.items()}
                    if self.seen["heat"] > 0:
                        parts["acceleration"] = noise * self.seen["heat"]
                    if r["direction"]:
                        parts["direction"] = self.lean(sub)
                    parts |= self.impacts()
                    to = x + noise + sum(parts.values())
                    if r["walls"]:
                        parts["walls"] = self.walls_hold(x, to, sub + 1)
                    to = x + noise + sum(parts.values())
                    self.free_price = r["anchor"] * math.exp(to - self.haul)
                for k, v in parts.items():
                    here[k] = here.get(k, 0.0) + v
                x = 0.0 if sub + 1 == warm * subs else x + noise + sum(parts.values())
                ticks = self.ticks(x)
                price = self.usd(ticks)
                path.append(price)
                low, high = min(low, price), max(high, price)
                self.react(sub, step, price, ticks, flow, acting)
                self.arrive(sub, step, ticks, crowd, flow, acting)
            self.end_step(step, ticks, flow, acting)
            if (step + 1) % r["hour_steps"] == 0:
                self.swing(step, low, high)
                low = high = path[-1]
            interest.append(self.total(0))
            ledgers.append(self.ledger(ticks))
            moved.append(here)
            flows.append(flow)
        return path, interest, ledgers, moved, flows

    def ticks(self, x):
        return max(math.floor(self.rules["anchor_ticks"] * math.exp(x) + 0.5), 1)

    def first_pairs(self, ticks):
        script = self.script
        for j, offset in enumerate(script["first_offset"]):
            entry = max(math.floor(ticks * math.exp(offset) + 0.5), 1)
            lots = script["pairs"][j]["lots"]
            for side in (0, 1):
                newcomer = {**script["newcomers"][j][side], "place": 1.0, "stop": 1.0}
                p = self.terms(newcomer, side, lots, entry, 0)
                if self.crossed(side, self.usd(ticks), p["trigger"]):
                    entry = ticks
            for side in (0, 1):
                newcomer = {**script["newcomers"][j][side], "place": 1.0, "stop": 1.0}
                self.open(newcomer, side, lots, entry, 0, 0, 0.0)

    def react(self, sub, step, price, ticks, flow, acting):
        r = self.rules
        forced, stopped = self.settle(price, ticks, sub + 1)
        for side in (0, 1):
            flow["liquidated"][side] += forced[side]
            flow["stopped"][side] += stopped[side]
            flow["left"][side] += stopped[side] + forced[1 - side] + stopped[1 - side]
            flow["taken"][1 - side] += forced[side] + stopped[side]
        self.forced_in_step += sum(forced)
        if not acting:
            return
        self.push["fuel"] += r["fuel"] * (forced[1] - forced[0]) / r["level_lots"]
        self.push["stops"] += r["stops"] * (stopped[1] - stopped[0]) / r["level_lots"]
        for side in (0, 1):
            self.swept[side] = self.swept[side] * r["keep_swept"] + forced[side]
            if r["reversal"] and self.swept[side] >= r["swept_lots"]:
                self.swept[side] = 0.0
                self.back = (1 if side == 0 else -1, step + 1 + r["back_steps"])

    def arrive(self, sub, step, ticks, crowd, flow, acting):
        r, script = self.rules, self.script
        for j in range(script["pair_from"][sub], script["pair_from"][sub + 1]):
            pair = script["pairs"][j]
            held = max(self.total(0), 1)
            chance = (r["level_lots"] / held) ** r["pull_power"] / r["oversample"]
            if pair["keep"] >= chance * crowd:
                continue
            for side in (0, 1):
                taker = pair["buys"] == (side == 0)
                fee = r["taker_fee"] if taker else r["maker_fee"]
                newcomer = script["newcomers"][j][side]
                self.open(newcomer, side, pair["lots"], ticks, sub + 1, step, fee)
                flow["opened"][side] += pair["lots"]
            flow["taken"][0 if pair["buys"] else 1] += pair["lots"]
            if acting:
                sign = 1 if pair["buys"] else -1
                self.push["impact"] += r["impact"] * sign * pair["lots"] / r["level_lots"]

    def end_step(self, step, ticks, flow, acting):
        r, script, index = self.rules, self.script, (step + 1) * self.rules["substeps"]
        if (step + 1) % r["exit_steps"] == 0:
            gone = [self.exits(side, step, ticks, index) for side in (0, 1)]
            both = min(gone)
            flow["taken"][0] += both // 2
            flow["taken"][1] += both - both // 2
            for side in (0, 1):
                flow["left"][side] += gone[side]
                lots = gone[side] - gone[1 - side]
                if lots > 0:
                    self.open(
                        {
                            **script["churn"][(step + 1) // r["exit_steps"] - 1],
                            "place": 1.0,
                            "stop": 1.0,
                        },
                        side,
                        lots,
                        ticks,
                        index,
                        step,
                        r["maker_fee"],
                    )
                    flow["opened"][side] += lots
                    flow["taken"][1 - side] += lots
            if acting:
                self.push["impact"] += r["impact"] * (gone[1] - gone[0]) / r["level_lots"]
        if r["funding_steps"] and (step + 1) % r["funding_steps"] == 0:
            self.fund(script["premium"][(step + 1) // r["funding_steps"] - 1], ticks, index)
        for k in range(script["transfer_from"][step], script["transfer_from"][step + 1]):
            self.transfer(*script["transfers"][k], index)


def autoregression(shocks, start, keep, scale):
    """x[i + 1] = keep · x[i] + scale · shocks[i]."""
    out = [start]
    for shock in shocks:
        out.append(keep * out[-1] + scale * shock)
    return out


def followed(shocks, gain, keep):
    """Each shock plus gain · (1 − keep) · Σ keep^(j − 1) · shock[i − j]."""
    return [
        shock + gain * (1 - keep) * sum(keep ** (j - 1) * shocks[i - j] for j in range(1, i + 1))
        for i, shock in enumerate(shocks)
    ]


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


def unlike(one: dict, other: dict) -> bool:
    """Whether two payloads say something else; what is unknown contradicts nothing."""
    pairs = zip(one["payload"], other["payload"], strict=True)
    return any(abs(a - b) > 1e-6 * max(abs(a), abs(b)) for a, b in pairs)


def halves(one: dict, other: dict) -> bool:
    """Whether two rows of a bucket's liquidations are its longs and its shorts."""
    (long, short), (other_long, other_short) = one["payload"], other["payload"]
    return (long == 0 and other_short == 0) or (short == 0 and other_long == 0)


def says_more(before: dict, row: dict, totals: int) -> bool:
    """Whether a row of a kind with one value adds to the row before it about the same thing."""
    other = unlike(before, row)
    fuller = any(a != a and b == b for a, b in zip(before["payload"], row["payload"], strict=True))
    if row["seq"] < 0:
        return other or fuller
    if other or before["side"] != row["side"]:
        return row["kind"] == totals and halves(before, row)
    return fuller


def tape(files: list[list[dict]], one_value: set[int], totals: int = 6) -> list[dict]:
    """All rows of all files in canonical order, each event once, with the revisions.

    Of the kinds in `one_value` nothing happens twice: rows without a number that are alike in one
    file are one event there, and twins of any other kind. A value that becomes known later than
    another of the same instant is an event where it differs.
    """
    numbered = []
    for rows in files:
        for row, occurrence in zip(rows, occurrences(rows), strict=True):
            numbered.append({**row, "occurrence": occurrence})

    def place(row: dict) -> tuple:
        bits = tuple(float_bits(v) for v in row["payload"])
        times = (row["ts_known"], row["ts_event"], row["kind"], row["venue"], row["symbol"])
        return (*times, row["seq"], row["side"], row["span_s"], bits, row["occurrence"])

    out, seen = [], {}
    for row in sorted(numbered, key=place):
        about = (row["kind"], row["venue"], row["symbol"])
        if row["seq"] >= 0:
            about = (*about, "id", row["seq"])
        elif row["kind"] in one_value:
            about = (*about, row["ts_event"], row["side"], row["span_s"])
        else:
            about = (*same_event_key(row), row["occurrence"])
        before = seen.get(about)
        once = before is None
        if not once and row["kind"] in one_value:
            once = says_more(before, row, totals)
        if once:
            out.append(row)
        seen[about] = row
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


# --- estimators: the learnt mix -------------------------------------------------------------------


class LevMixTwin:
    """The learnt mix with a dictionary of coins, and lists of what was crossed and liquidated.

    Events are dictionaries: kind, ts_known, ts_event, span_s, side, p (the payload). Bins are
    counted from the anchor; the grid holds `-half <= bin < half`. A class is (source, life,
    leverage), source 0 volume and 1 open interest.
    """

    def __init__(self, *, price_kind, step, half, shifts, lives_ns, prior, rules):
        self.price_kind, self.step, self.half = price_kind, step, half
        self.shifts, self.lives_ns, self.rules = shifts, lives_ns, rules
        self.classes = [
            (source, life, leverage)
            for source in (0, 1)
            for life in range(len(lives_ns))
            for leverage in range(len(shifts[0]))
        ]
        self.prior = dict(zip(self.classes, prior, strict=True))
        self.coins = {}  # (side, class, bin) -> coins
        self.crossed = {}  # (slot, side, class) -> coins
        self.forced = {}  # slot -> [longs, shorts, covered ns]
        self.credit = dict.fromkeys(self.classes, 0.0)
        self.exposure = dict.fromkeys(self.classes, 0.0)
        self.days = 0.0
        self.anchor = self.mark = self.mark_ts = self.settled = self.placed = None
        self.settled_ts = None
        self.oi = None  # (ts_event, coins)
        self.entries, self.flow = [{}, {}, {}], {}
        self.rate, self.flow_sum, self.rise_sum, self.rise = 1.0, 0.0, 0.0, 0.0
        self.visited, self.credited, self.newest, self.totals = {}, -1, -1, False

    def bin(self, price):
        return math.floor(math.log(price / self.anchor) / self.step)

    def slot(self, ts_event):
        return (ts_event - 1) // self.rules["slot_ns"]

    def event(self, e):
        kind, p, anchored = e["kind"], e["p"], self.anchor is not None
        if kind == self.price_kind:
            self.price(e, *((p[0], p[0], p[0]) if kind == "trade" else (p[2], p[1], p[3])))
        if self.anchor is not None:
            if kind == "trade":
                self.spread(self.entries[0], p[0], p[0], p[1])
            if kind == "bar" and p[4] > 0:
                begun = e["ts_event"] - 0.95 * e["span_s"] * 10**9
                settled = self.settled_ts if self.settled_ts is not None else 0
                if begun >= settled:
                    self.spread(self.entries[1], p[2], p[1], p[4])
                else:
                    self.rate = p[4] / e["span_s"]
        if kind == "open_interest":
            self.snapshot(e, p[0])
        if kind == "liquidation_total":
            self.totals = True
            if anchored:
                self.total(e, p[0] / self.mark, p[1] / self.mark)
        if kind == "liquidation" and not self.totals:
            self.single(e, p[1])
        if kind == self.price_kind:
            if self.settled is None:
                self.settled = self.placed = e["ts_known"]
                self.settled_ts = e["ts_event"]
            elif e["ts_known"] - self.settled >= self.rules["settle_ns"]:
                self.settle(e["ts_known"])

    def price(self, e, low, high, close):
        here = None
        if self.anchor is None:
            self.anchor = close
        elif e["ts_event"] < self.mark_ts:
            return
        else:
            here = self.bin(self.mark)
        seconds, a, b = e["span_s"], low, high
        if e["span_s"] == 0 and self.mark is not None:
            seconds = (e["ts_event"] - self.mark_ts) / 10**9
            a, b = min(self.mark, close), max(self.mark, close)
        if e["kind"] != "trade" and seconds > 0:
            self.spread(self.entries[2], a, b, seconds)
        self.mark, self.mark_ts = close, e["ts_event"]
        lowest, highest = self.bin(low), self.bin(high)
        if e["span_s"] == 0:
            lowest = highest = self.bin(close)
        here = self.bin(close) if here is None else here
        for i in range(min(here, lowest), max(here, highest) + 1):
            self.visited[i] = e["ts_event"]
        self.consume(lowest, highest, e["ts_event"])

    def spread(self, row, low, high, weight):
        first, last = self.bin(low), self.bin(high)
        for i in range(max(first, -self.half), min(last, self.half - 1) + 1):
            share = 1.0
            if first != last:
                left = max(self.anchor * math.exp(i * self.step), low)
                right = min(self.anchor * math.exp((i + 1) * self.step), high)
                share = max(math.log(right / left), 0.0) / math.log(high / low)
            row[i] = row.get(i, 0.0) + weight * share

    def consume(self, first_long, last_short, ts_event):
        slot = self.slot(ts_event)
        for key in list(self.coins):
            side, each, i = key
            if (side == 0 and i >= first_long) or (side == 1 and i <= last_short):
                taken = self.coins.pop(key)
                self.crossed[slot, side, each] = self.crossed.get((slot, side, each), 0.0) + taken

    def enter(self, source, row, factor):
        for side in (0, 1):
            for each in self.classes:
                if each[0] != source:
                    continue
                for i, coins in row.items():
                    to = i + self.shifts[side][each[2]]
                    if -self.half <= to < self.half:
                        key = side, each, to
                        self.coins[key] = self.coins.get(key, 0.0) + coins * factor

    def settle(self, ts_known):
        elapsed = ts_known - self.settled
        for key in self.coins:
            self.coins[key] *= 0.5 ** (elapsed / self.lives_ns[key[1][1]])
        kept = 0.5 ** (elapsed / self.rules["forget_ns"])
        here = self.bin(self.mark)
        source = next((k for k in (0, 1, 2) if sum(self.entries[k].values()) > 0), None)
        if source is None:
            row = {here: elapsed / 10**9} if -self.half <= here < self.half else {}
        else:
            row = self.entries[source]
        total, factor = math.fsum(row.values()), 1.0
        if source in (0, 1):
            self.rate = total / (elapsed / 10**9)
        else:
            factor = self.rate
        self.flow_sum = self.flow_sum * kept + total * factor
        self.rise_sum *= kept
        self.enter(0, row, factor)
        for i, coins in row.items():
            self.flow[i] = self.flow.get(i, 0.0) + coins * factor
        self.entries = [{}, {}, {}]
        self.consume(here, here, self.mark_ts)
        self.settled, self.settled_ts = ts_known, self.mark_ts

    def snapshot(self, e, coins):
        if self.oi is not None and e["ts_event"] < self.oi[0]:
            return
        if self.oi is not None and self.settled is not None:
            rise = max(coins - self.oi[1], 0.0)
            self.rise += rise
            self.rise_sum += rise
            half = self.rules["settle_ns"] // 2
            if e["ts_known"] - self.settled >= half:
                self.settle(e["ts_known"])
            if e["ts_known"] - self.placed >= half:
                total = math.fsum(self.flow.values())
                if self.rise > 0 and total > 0:
                    self.enter(1, self.flow, self.rise / self.rise_sum * (self.flow_sum / total))
                    here = self.bin(self.mark)
                    self.consume(here, here, self.mark_ts)
                self.flow, self.rise, self.placed = {}, 0.0, e["ts_known"]
        self.oi = e["ts_event"], coins

    def worth(self):
        if self.days <= 0:
            return 0.0
        mean = math.fsum(self.exposure.values()) / len(self.classes)
        return self.rules["prior_days"] * mean / self.days

    def usd(self, at, sigma, bins, share, half_life):
        """USD of longs and of shorts by bin outward from the mark's, 1 the nearest."""
        out = []
        for side, sign in ((0, -1), (1, 1)):
            held = self.held(at, side)
            fresh = {}
            for d in range(1, min(bins, math.floor(6 * sigma / self.step)) + 1):
                i = self.bin(self.mark) + sign * d
                if -self.half <= i < self.half:
                    left = (
                        0.0
                        if i not in self.visited
                        else 0.5 ** ((at - self.visited[i]) / half_life)
                    )
                    fresh[i] = (1 - left) * math.exp(-(d - 0.5) * self.step / sigma)
            book, kernel = math.fsum(held.values()), math.fsum(fresh.values())
            of_fresh, coins = share if book > 0 else 1.0, self.oi[1] if self.oi else 1.0
            out.append([0.0] * (bins + 1))
            for d in range(1, bins + 1):
                i = self.bin(self.mark) + sign * d
                each = of_fresh * fresh.get(i, 0.0) / kernel if kernel > 0 else 0.0
                each += (1 - of_fresh) * held.get(i, 0.0) / book if book > 0 else 0.0
                out[-1][d] = coins * each * self.anchor * math.exp((i + 0.5) * self.step)
        return out

    def held(self, at, side, *, alone=False):
        """Weighed coins of a side by bin; alone: of classes that rest on the prior."""
        out, weights, worth = {}, self.weights(), self.worth()
        for (of, c, i), coins in self.coins.items():
            if of == side and not (alone and worth > 0 and self.exposure[c] >= worth):
                left = 0.5 ** ((at - self.settled) / self.lives_ns[c[1]])
                out[i] = out.get(i, 0.0) + weights[c] * coins * left
        return out

    def prior_from(self, at, side, bins):
        """Beyond how many bins a side rests on the prior: more than half of each octave does.

        One of several where a last bit decides.
        """
        held, alone, found = self.held(at, side), self.held(at, side, alone=True), [0, 0]
        here, sign = self.bin(self.mark), 2 * side - 1
        for d in range(1, bins + 1):
            octave = [here + sign * k for k in range((d - 1) // 2 + 1, d + 1)]
            within = math.fsum(held.get(i, 0.0) for i in octave)
            on_prior = math.fsum(alone.get(i, 0.0) for i in octave)
            for k, half in enumerate((0.5 - 1e-9, 0.5 + 1e-9)):
                if held.get(octave[-1], 0.0) > 0 and on_prior <= half * within:
                    found[k] = d
        return found

    def weights(self):
        worth = self.worth()
        could = math.fsum(self.prior[c] * self.exposure[c] for c in self.classes)
        liquidated = math.fsum(self.credit.values())
        if not (liquidated > 0 and could > 0 and worth > 0):
            return self.prior
        found = {}
        for source, life, leverage in sorted(self.classes, reverse=True):
            c, higher = (source, life, leverage), (source, life, leverage + 1)
            prior = found.get(higher, self.prior[c] * liquidated / could)
            found[c] = (worth * prior + self.credit[c]) / (worth + self.exposure[c])
        return found

    def learn(self, slots, liquidated):
        weights, slot_ns = self.weights(), self.rules["slot_ns"]
        kept = 0.5 ** (len(slots) * slot_ns / self.rules["forget_ns"])
        self.days = self.days * kept + len(slots) * slot_ns / (86_400 * 10**9)
        for c in self.classes:
            self.credit[c] *= kept
            self.exposure[c] *= kept
        for side in (0, 1):
            crossed = {
                c: math.fsum(self.crossed.get((slot, side, c), 0.0) for slot in slots)
                for c in self.classes
            }
            expected = math.fsum(weights[c] * crossed[c] for c in self.classes)
            for c in self.classes:
                self.exposure[c] += crossed[c]
                if expected > 0:
                    self.credit[c] += liquidated[side] * weights[c] * crossed[c] / expected

    def total(self, e, long, short):
        slot, slot_ns, span = self.slot(e["ts_event"]), self.rules["slot_ns"], e["span_s"] * 10**9
        if span > slot_ns:
            n = min((span + slot_ns // 2) // slot_ns, self.rules["n_slots"])
            self.learn(range(slot - n + 1, slot + 1), (long, short))
            return
        row = self.forced.setdefault(slot, [0.0, 0.0, 0])
        before, row[2] = row[2], row[2] + span
        row[0], row[1] = row[0] + long, row[1] + short
        if before < 0.99 * slot_ns <= row[2]:
            self.learn([slot], row)

    def single(self, e, coins):
        slot = self.slot(e["ts_event"] + 1)
        if slot <= self.credited:
            return
        if self.newest < 0 or slot - self.newest >= self.rules["n_slots"]:
            self.credited = self.newest = slot
            return
        for each in range(self.credited + 1, slot):
            self.learn([each], self.forced.get(each, [0.0, 0.0, 0]))
        self.credited, self.newest = slot - 1, slot
        row = self.forced.setdefault(slot, [0.0, 0.0, 0])
        row[0 if e["side"] > 0 else 1] += coins


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


def published_rows(
    levels: list[tuple[int, float, float, float]],
    anchor: float,
    step: float,
    mark_bin: int,
    n: int,
) -> dict[int, list[float]]:
    """By side, the USD in each of `n` bins outward from the mark's, of (side, low, high, USD)."""
    out = {1: [0.0] * n, -1: [0.0] * n}
    for side, low, high, usd in levels:
        start, end = math.log(low / anchor), math.log(high / anchor)
        for j in range(n):
            k = mark_bin - 1 - j if side > 0 else mark_bin + 1 + j
            shared = min(end, (k + 1) * step) - max(start, k * step)
            if shared > 1e-6 * step:  # an edge of a bin, rounded
                out[side][j] += usd * shared / (end - start)
    return out


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


# --- evaluation: extremes of windows, a penalised logistic fit, simulated extremes ---------------


def window_extremes(low: list[float], high: list[float], first: int, stop: int):
    """Lowest low and highest high of a window, infinities where it is empty."""
    return (
        min(low[first:stop], default=math.inf),
        max(high[first:stop], default=-math.inf),
    )


def logistic_slope(x, offset, y, weight, precision, beta) -> list[float]:
    """Slope of the penalised log likelihood at beta: all zero at its only maximum."""
    slope = [-p * b for p, b in zip(precision, beta, strict=True)]
    for row, o, outcome, w in zip(x, offset, y, weight, strict=True):
        eta = o + math.fsum(v * b for v, b in zip(row, beta, strict=True))
        mean = 1 / (1 + math.exp(-eta))
        for k, v in enumerate(row):
            slope[k] += w * (outcome - mean) * v
    return slope


def garch_path_extremes(rows, shape, omega, alpha, beta, variance, skipped, hours):
    """Walk one path; return the lowest and the highest price watched, as logs from the start."""
    place, low, high = 0.0, math.inf, -math.inf
    for k in range(hours):
        close, lowest, highest = shape[rows[k]]
        scale = math.sqrt(variance)
        if k >= skipped:
            low = min(low, place + scale * lowest)
            high = max(high, place + scale * highest)
        place = place + scale * close
        variance = omega + alpha * (scale * close) ** 2 + beta * variance
    return low, high


# --- estimators: structure of the past price ---------------------------------------------------


def zigzag(bars: list[tuple[float, float, float, float]], reversal: float):
    """Swings of (open, low, high, close): an extreme that the price came back from so far."""
    walked = []
    for begin, low, high, end in bars:
        walked += [low, high, end] if end >= begin else [high, low, end]
    swings, direction, extreme = [], 0, math.nan
    for price in walked:
        if direction == 0:
            direction, extreme = 1, price
        elif (price >= extreme) if direction > 0 else (price <= extreme):
            extreme = price
        elif abs(math.log(price / extreme)) >= reversal:
            swings.append((extreme, direction))
            direction, extreme = -direction, price
    return swings


def day_extremes(stamps: list[int], prices: list[float], keep: int) -> dict:
    """High and low of each of the last days that hold a price."""
    days: dict[int, list[float]] = {}
    for stamp, price in zip(stamps, prices, strict=True):
        days.setdefault(stamp // (86_400 * 10**9), []).append(price)
    out: dict[int, tuple[float, float]] = {}
    for day in sorted(days):
        out = {d: v for d, v in out.items() if d % keep != day % keep}
        out[day] = (max(days[day]), min(days[day]))
    return out


# --- bench ---------------------------------------------------------------------------------------


def windows_total(low, high, first, stop):
    """Sum the lows and highs of every window, once each."""
    return math.fsum(
        low[k] + high[k] for a, b in zip(first, stop, strict=True) for k in range(int(a), int(b))
    )


def partial_slope(dose: list[int], y: list[int], controls: list[list[int]]) -> Fraction | None:
    """The dose's coefficient beside a constant and controls, exactly; None where it is not free.

    Gram and Schmidt in fractions: a control of which nothing is left says nothing.
    """

    def left(column, spanned):
        rest = [Fraction(v) for v in column]
        for other in spanned:
            share = sum(a * b for a, b in zip(rest, other, strict=True)) / sum(b * b for b in other)
            rest = [a - share * b for a, b in zip(rest, other, strict=True)]
        return rest

    spanned = []
    for column in [[1] * len(dose), *controls]:
        rest = left(column, spanned)
        if any(rest):
            spanned.append(rest)
    x = left(dose, spanned)
    if not any(x):
        return None
    return sum(a * b for a, b in zip(x, left(y, spanned), strict=True)) / sum(a * a for a in x)


def densities_around(rows, edges, inside, places, width):
    """USD per smoothed bin that holds each place below, and above, a price."""
    out = []
    for row, sign in zip(rows, (-1, 1), strict=True):
        bins = {
            b: v / (high - low)
            for v, low, high in zip(row, edges, edges[1:], strict=False)
            for b in range(low, high)
        }
        half = width // 2
        kernel = {k: (half + 1 - abs(k)) / (half + 1) ** 2 for k in range(-half, half + 1)}
        found = []
        for place in places:
            bin_ = math.floor(inside + sign * place)  # 0 is the mark's own
            outward = -bin_ - 1 if sign < 0 else bin_ - 1
            total = sum(share * bins.get(outward + k, 0.0) for k, share in kernel.items())
            found.append(0.0 if outward < 0 else total)
        out.append(found)
    return out


# --- evaluation: cascades ---------------------------------------------------------------------


def cascade_hours(
    closes: list[float | None], forced: list[list[float | None]]
) -> tuple[list[int], list[int], list[bool]]:
    """Onsets of cascades and of large moves, and which hours are decided.

    `closes`: log price at the n + 1 edges of hours; `forced`: by hour, of longs and of shorts.
    """
    n = len(closes) - 1
    moves = [
        None if closes[i] is None or closes[i + 1] is None else closes[i + 1] - closes[i]
        for i in range(n)
    ]
    burst, large, decided = [], [], []
    for i in range(n):
        before = [m for m in moves[max(0, i - 72) : i] if m is not None]
        sigma = math.sqrt(math.fsum(m * m for m in before) / len(before)) if before else 0.0
        known = moves[i] is not None and len(before) >= 36 and sigma > 0
        above = []
        for side in (0, 1):
            mine = forced[side][i]
            past = sorted(x for x in forced[side][max(0, i - 720) : i] if x is not None)
            if mine is None or len(past) < 360:
                known = False
            else:
                above.append(mine > 0 and mine > past[math.ceil(0.99 * len(past)) - 1])
        decided.append(known)
        sign = 0
        if known and abs(moves[i]) >= 2 * sigma:
            sign = 1 if moves[i] > 0 else -1
        large.append(sign)
        burst.append(sign if sign and above[0 if sign < 0 else 1] else 0)
    starts = []
    for signs in (burst, large):
        last, out = -100, []
        for i, sign in enumerate(signs):
            out.append(sign if sign and i - last >= 24 else 0)
            last = i if sign else last
        starts.append(out)
    return starts[0], starts[1], decided


def walk_forward(matured: list[int], at: list[int], refit: int, embargo: int) -> dict:
    """For each row, when its model was fitted and on how many of the outcomes, one by one."""
    day, found, fits = 86_400 * 10**9, {}, []
    for moment in sorted(moment - moment % refit for moment in at):
        young = not fits or moment - fits[0] <= 378 * day
        if young or 27 * (moment - fits[-1]) >= moment - fits[0]:
            fits.append(moment)
    for i, moment in enumerate(at):
        fitted = [fit for fit in fits if fit <= moment][-1]
        ripe = [m for m in matured if m + embargo <= fitted]
        found[i] = (fitted, len(ripe))
    return found


def constant_inflow(times: list[int], coins: list[float]) -> list[float]:
    """Open interest of a constant inflow: the mean of all rises, for thirty days before, too."""
    ordered = sorted(zip(times, coins, strict=True))
    rises = sum(max(b[1] - a[1], 0.0) for a, b in itertools.pairwise(ordered))
    first, last = ordered[0][0], ordered[-1][0]
    day = 86_400 * 10**9
    inflow = rises / (last - first) if rises and last > first else 1.0 / day
    return [inflow * (t - first + 30 * day) for t in times]


# --- evaluation: the hourly table ------------------------------------------------------------


def near_mass(
    rows: list[list[float]],
    edges: list[int],
    inside: float,
    step: float,
    decay: float,
    reach: float,
    pieces: int = 400,
) -> list[float]:
    """Weighted mass below and above, each entry cut into pieces that weigh by their middle."""
    out = []
    for side, row in enumerate(rows):
        begin = inside if side == 0 else 1.0 - inside
        total = 0.0
        for entry, usd in enumerate(row):
            near, far = (begin + edges[entry]) * step, (begin + edges[entry + 1]) * step
            low, high = max(near, 0.0), min(far, reach)
            if high <= low:
                continue
            width = (high - low) / pieces
            for k in range(pieces):
                middle = low + (k + 0.5) * width
                total += usd * width / (far - near) * math.exp(-middle / decay)
        out.append(total)
    return out


def decayed_returns(hours: list[float], log_mark: list[float], half_life_h: float) -> list[float]:
    """Σ of past returns, each times ½ to the power of its age in half-lives."""
    out = []
    for i, now in enumerate(hours):
        total = 0.0
        for j in range(1, i + 1):
            move = log_mark[j] - log_mark[j - 1]
            total += move * 0.5 ** ((now - hours[j]) / half_life_h)
        out.append(total)
    return out


def split_return(
    prices: list[tuple[int, float]], opened: int, horizon: int, sigma_1d: float, jump: float
) -> list[float]:
    """Return of a window in σ of its length: of steps up to `jump` σ of their time, and longer."""
    day = 86_400 * 10**9
    first = next(k for k, (at, _) in enumerate(prices) if at >= opened)
    last = next(k for k, (at, _) in enumerate(prices) if at >= prices[first][0] + horizon)
    parts = [0.0, 0.0]
    for k in range(first + 1, last + 1):
        (before, old), (at, new) = prices[k - 1], prices[k]
        step = math.log(new / old)
        parts[abs(step) > jump * sigma_1d * math.sqrt((at - before) / day)] += step
    return [part / (sigma_1d * math.sqrt(horizon / day)) for part in parts]
