/* The map of a run, to be panned, zoomed and scrubbed. Draws over uPlot, which has axes, scales and
 * the price line. Nothing is drawn that `state.cut`, the last price known at the slider's forecast,
 * has not reached. Foreign words become text nodes, never markup. */
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const about = JSON.parse($("about").textContent);
  const DAY = 86400, HOUR = 3600, INK = "#1a1a1a";
  const COLOURS = {
    long: ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"],
    short: ["#ffffff", "#fdd0a2", "#fd8d3c", "#c4480a", "#662000"],
  };
  const EDGE = { long: "#1f5fa8", short: "#b8500a" };
  const TYPES = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array,
    i4: Int32Array, f4: Float32Array, f8: Float64Array };
  const state = { place: -1, map: null, now: 0, cut: 0, outcomes: false, x: [0, 1], y: [0, 1], hot: null };
  let plot = null;

  // ---- data -----------------------------------------------------------------------------------
  async function unpack(id, layout) {
    const text = atob($(id).textContent), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = await new Response(stream).arrayBuffer(), out = {};
    for (const [name, [type, first, count, steps]] of Object.entries(layout)) {
      out[name] = new TYPES[type](raw, first, count);
      if (steps) for (let i = 1; i < count; i++) out[name][i] += out[name][i - 1];
    }
    return out;
  }

  async function load(place) {
    const told = about.maps[place], map = { ...told, ...(await unpack(`known-${place}`, told.known)) };
    map.ln = Math.log(told.anchor);
    map.first = new Uint32Array(map.count.length + 1);
    map.count.forEach((n, i) => { map.first[i + 1] = map.first[i] + n; });
    map.lnMark = Float64Array.from(map.mark, Math.log);
    const at = (steps) => map.ln + steps * about.path_step;
    map.path = [Array.from(map.t), Array.from(map.close, at),
      Array.from(map.close, (c, i) => at(c - map.fell[i])), Array.from(map.close, (c, i) => at(c + map.rose[i]))];
    map.came = null;
    return map;
  }

  const last = (sorted, value) => { // the last place whose entry is at or before value; -1: none
    let a = 0, b = sorted.length;
    while (a < b) { const m = (a + b) >> 1; if (sorted[m] <= value) a = m + 1; else b = m; }
    return a - 1;
  };

  function cluster(i) {
    const m = state.map, low = m.low[i] * about.cluster_step + m.ln;
    const f = last(m.first, i), issued = m.issued[i];
    const one = { i, forecast: f, side: m.side[i] > 0 ? "long" : "short", low,
      high: low + m.width[i] * about.cluster_step, usd: Math.expm1(m.usd[i] / about.usd_steps),
      rank: m.rank[i] / 100, since: m.since[i], at: m.at[f] };
    one.near = one.side === "long" ? one.high : one.low;
    one.away = Math.abs(one.near - m.lnMark[f]);
    one.sigma = one.away / m.sigma[f];
    if (issued >= 0) {
      one.born = m.issued_at[issued];
      for (const k of ["p", "placebo", "brownian"]) one[k] = m[k][issued] === about.none ? NaN : m[k][issued] / about.chance_steps;
    }
    return one;
  }

  function outcome(i) { // what had come of a cluster by the price shown; null while it is not over
    const came = state.map.came;
    if (!state.outcomes || !came || !came.over[i] || came.over[i] > state.cut) return null;
    return came.visit[i] ? `visited ${clock(came.visit[i])}` : `not visited within ${about.horizon_s / HOUR} h`;
  }

  // ---- words ----------------------------------------------------------------------------------
  const clock = (s) => `${new Date(s * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const price = (ln) => {
    const p = Math.exp(ln), one = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    return p >= 1000 ? p.toLocaleString("en", one) : round(ln);
  };
  const round = (ln) => { const p = Math.exp(ln); return p.toLocaleString("en", { maximumSignificantDigits: p >= 1000 ? 7 : 6, maximumFractionDigits: p >= 1000 ? 1 : 6, roundingPriority: "lessPrecision" }); };
  const when = (t, step) => { // on the axis
    const d = new Date(t * 1000), say = (o) => d.toLocaleString("en-GB", { timeZone: "UTC", ...o });
    if (step < DAY && t % DAY) return say({ hour: "2-digit", minute: "2-digit" });
    return say({ day: "numeric", month: "short", year: d.getUTCMonth() || d.getUTCDate() > 1 ? undefined : "numeric" });
  };
  const usd = (v) => {
    for (const [size, unit] of [[1e9, " bn"], [1e6, " m"], [1e3, " k"]]) if (v >= size) return `${(v / size).toPrecision(3)}${unit} USD`;
    return `${v.toPrecision(3)} USD`;
  };
  const percent = (v, digits = 1) => (Number.isNaN(v) ? "–" : `${(100 * v).toFixed(digits)} %`);
  const age = (s) => (s >= 3 * DAY ? `${(s / DAY).toFixed(1)} days` : `${+(s / HOUR).toFixed(1)} h`);
  const chances = (c) => (c.born === undefined ? null :
    [percent(c.p), percent(c.placebo), percent(c.brownian)]);

  function put(parent, tag, text) {
    const node = document.createElement(tag);
    node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  // ---- the map as pixels ----------------------------------------------------------------------
  function ramp(stops) {
    const rgb = stops.map((h) => [1, 3, 5].map((k) => parseInt(h.slice(k, k + 2), 16)));
    return Uint32Array.from({ length: 256 }, (_, t) => {
      const x = (t / 255) * (rgb.length - 1), k = Math.min(Math.floor(x), rgb.length - 2), f = x - k;
      const [r, g, b] = [0, 1, 2].map((c) => Math.round(rgb[k][c] * (1 - f) + rgb[k + 1][c] * f));
      return 0xff000000 | (b << 16) | (g << 8) | r;
    });
  }
  const RAMP = { long: ramp(COLOURS.long), short: ramp(COLOURS.short) };
  const PAPER = 0xffffffff, BARE = 0xffececec, HATCH = 0xff5c5c5c;
  const edges = about.edges, ROWS = edges.length - 1;
  const rowOf = (() => { // rows by distance, in steps of the finest
    const step = edges[1], n = Math.round(edges[ROWS] / step), of = new Uint16Array(n);
    for (let r = 0; r < ROWS; r++) of.fill(r, Math.round(edges[r] / step), Math.round(edges[r + 1] / step));
    return (d) => { const k = Math.floor(d / step + 1e-9); return k < n ? of[k] : -1; };
  })();

  function drawHeat(u) {
    const m = state.map, { left, top, width, height } = u.bbox, ctx = u.ctx;
    const image = ctx.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    const full = m.scale[state.now] || 1, lns = Float64Array.from({ length: height }, (_, y) =>
      state.y[1] - ((y + 0.5) / height) * (state.y[1] - state.y[0]));
    const column = new Uint32Array(height);
    let held = -2;
    for (let x = 0; x < width; x++) {
      const t = state.x[0] + ((x + 0.5) / width) * (state.x[1] - state.x[0]);
      let i = t < m.at[0] ? -1 : Math.min(last(m.at, t), state.now);
      const ends = i < 0 ? 0 : m.at[i] + (i === state.now ? 1 : 1.5) * m.spacing;
      if (i >= 0 && t >= ends) i = i === state.now ? -1 : -3;
      if (i !== held) {
        held = i;
        column.fill(i === -3 ? BARE : PAPER);
        if (i >= 0) {
          const shade = (255 / about.shades) * Math.sqrt(m.peak[i] / full), base = i * 2 * ROWS;
          for (let y = 0; y < height; y++) {
            const d = lns[y] - m.lnMark[i], row = rowOf(Math.abs(d));
            if (row < 0) continue;
            const q = m.heat[base + (d < 0 ? row : ROWS + row)];
            if (q) column[y] = (d < 0 ? RAMP.long : RAMP.short)[Math.min(255, Math.round(q * shade))];
          }
        }
      }
      const below = i >= 0 ? m.lnMark[i] - m.prior_long[i] : NaN;
      const above = i >= 0 ? m.lnMark[i] + m.prior_short[i] : NaN;
      for (let y = 0, p = x; y < height; y++, p += width) {
        const hatched = (lns[y] <= below || lns[y] >= above) && (x + y) % 9 === 0;
        pixels[p] = hatched ? HATCH : column[y];
      }
    }
    ctx.putImageData(image, left, top);
  }

  function drawClusters(u) {
    const m = state.map, ctx = u.ctx, { left, top, width, height } = u.bbox, i = state.now;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    const box = (c, from, until) => {
      const a = u.valToPos(from, "x", true), b = u.valToPos(until, "x", true);
      const y = u.valToPos(c.high, "y", true), z = u.valToPos(c.low, "y", true);
      return [a, y, b - a, Math.max(z - y, 1)];
    };
    const begins = m.at[i] + m.spacing, ends = m.at[i] + about.horizon_s;
    const most = Math.max(...Array.from({ length: m.count[i] }, (_, k) => m.usd[m.first[i] + k]), 1);
    for (let k = m.first[i]; k < m.first[i + 1]; k++) {
      const c = cluster(k), rect = box(c, begins, ends);
      ctx.fillStyle = ctx.strokeStyle = EDGE[c.side];
      ctx.globalAlpha = 0.1 + 0.5 * Math.exp((m.usd[k] - most) / about.usd_steps);
      ctx.fillRect(...rect);
      ctx.globalAlpha = 0.9;
      ctx.lineWidth = devicePixelRatio;
      ctx.strokeRect(...rect);
    }
    ctx.globalAlpha = 1;
    if (state.hot !== null) {
      const c = cluster(state.hot), f = c.forecast;
      ctx.strokeStyle = INK;
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.strokeRect(...box(c, m.at[f], f === i ? ends : m.at[f + 1]));
    }
    const x = u.valToPos(m.at[i], "x", true);
    ctx.strokeStyle = INK;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.strokeRect(x, top - 2, 0, height + 4);
    ctx.setLineDash([]);
    if (state.outcomes && m.came) drawOutcomes(u);
    ctx.restore();
  }

  const reached = () => { // episodes whose outcome the price shown has reached
    const out = [], came = state.map.came;
    for (let k = 0; k < came.ended.length; k++) if (came.ended[k] <= state.cut) out.push(k);
    return out;
  };

  function drawOutcomes(u) {
    const { came, ln } = state.map, ctx = u.ctx, r = 3 * devicePixelRatio;
    ctx.lineWidth = 1.4 * devicePixelRatio;
    for (const k of reached()) {
      const x = u.valToPos(came.ended[k], "x", true), y = u.valToPos(ln + came.edge[k] * about.path_step, "y", true);
      ctx.beginPath();
      if (came.visited[k]) {
        ctx.arc(x, y, r, 0, 2 * Math.PI);
        ctx.fillStyle = "#fff";
        ctx.fill();
      } else {
        ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r); ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r);
      }
      ctx.stroke();
    }
  }

  // ---- the view -------------------------------------------------------------------------------
  function ticks(u, axis, low, high) {
    const n = Math.max(2, Math.floor(u.bbox.height / devicePixelRatio / 55)), a = Math.exp(low), b = Math.exp(high);
    const rough = (b - a) / n, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => s >= rough);
    const out = [];
    for (let p = Math.ceil(a / step) * step; p <= b; p += step) if (p > 0) out.push(Math.log(p));
    return out;
  }
  const size = () => ({ width: $("plot").clientWidth, height: Math.round(Math.min(640, Math.max(320, innerHeight * 0.62))) });

  function build() {
    const range = (key) => () => state[key];
    const grid = { stroke: "rgba(0,0,0,.09)", width: 1 }, font = "12px system-ui, sans-serif";
    plot = new uPlot({
      ...size(),
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { drag: { x: false, y: false, setScale: false }, points: { show: false } },
      padding: [10, 26, 0, 0],
      scales: { x: { time: true, range: range("x") }, y: { range: range("y") } },
      axes: [
        { grid, font, labelFont: font, label: "Time, UTC", labelSize: 20, space: 80, values: (u, v, a, s, step) => v.map((t) => when(t, step)) },
        { grid, font, labelFont: font, label: "Price, USD (log scale)", labelSize: 24, size: 66, splits: ticks, values: (u, v) => v.map(round) },
      ],
      series: [{}, { stroke: INK, width: 1.4, points: { show: false } },
        { stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } }],
      bands: [{ series: [3, 2], fill: "rgba(26,26,26,.35)" }],
      hooks: { drawClear: [drawHeat], draw: [drawClusters] },
    }, known(), $("plot"));
    listen(plot.over);
  }

  const known = () => { // the path up to the last price that the forecast could know of
    const n = last(state.map.t, state.cut) + 1, path = state.map.path.map((a) => a.slice(0, n));
    if (path[0][n - 1] !== state.cut && n) {
      const mark = state.map.lnMark[state.now];
      [state.cut, mark, mark, mark].forEach((v, k) => path[k].push(v));
    }
    return path;
  };

  function fit() {
    const m = state.map, end = m.at[state.now] + about.horizon_s, days = innerWidth < 700 ? 4 : 10;
    state.x = [Math.max(end - days * DAY, m.at[0] - 6 * HOUR), end + HOUR];
    const from = Math.max(last(m.at, state.x[0]), 0);
    let low = Infinity, high = -Infinity;
    for (let i = from; i <= state.now; i++) { low = Math.min(low, m.lnMark[i]); high = Math.max(high, m.lnMark[i]); }
    const margin = Math.min(Math.max(2.5 * m.sigma[state.now], 0.02), 0.28);
    state.y = [low - margin, high + margin];
    draw();
  }

  let asked = 0;
  function draw() {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => plot.batch(() => { plot.setData(known(), false); plot.setScale("x", { min: state.x[0], max: state.x[1] }); plot.setScale("y", { min: state.y[0], max: state.y[1] }); }));
  }

  function zoom(factor, x = 0.5, y = 0.5, both = true) {
    const scale = ([a, b], at, least, most) => {
      const span = Math.min(Math.max((b - a) * factor, least), most), mid = a + at * (b - a);
      return [mid - at * span, mid + (1 - at) * span];
    };
    const m = state.map, whole = m.at[m.at.length - 1] - m.at[0] + 4 * DAY;
    state.x = scale(state.x, x, 2 * HOUR, whole);
    if (both) state.y = scale(state.y, y, 0.004, 1.2);
    draw();
  }

  function pan(dx, dy) { // in shares of the view
    const move = ([a, b], by) => [a + by * (b - a), b + by * (b - a)];
    state.x = move(state.x, dx);
    state.y = move(state.y, dy);
    draw();
  }

  // ---- the slider, the table and the tip ------------------------------------------------------
  function seek(i, follow = true) {
    const m = state.map;
    state.now = Math.min(Math.max(i, 0), m.at.length - 1);
    state.cut = m.cut[state.now];
    state.hot = null;
    $("tip").hidden = true;
    $("time").value = state.now;
    $("now").textContent = clock(m.at[state.now]);
    $("time").setAttribute("aria-valuetext", $("now").textContent);
    $("full").textContent = `full colour: ${usd(m.scale[state.now])} per 1 % of price; none: white`;
    if (follow) {
      const t = m.at[state.now], [a, b] = state.x, ln = m.lnMark[state.now], [c, d] = state.y;
      if (t < a || t > b) state.x = [t - 0.75 * (b - a), t + 0.25 * (b - a)];
      if (ln < c || ln > d) state.y = [ln - 0.5 * (d - c), ln + 0.5 * (d - c)];
    }
    table();
    draw();
  }

  function nearest() { // clusters of the forecast from the top down, the nearest eight of each side
    const m = state.map, all = [];
    for (let k = m.first[state.now]; k < m.first[state.now + 1]; k++) all.push(cluster(k));
    const side = (s) => all.filter((c) => c.side === s).sort((a, b) => a.away - b.away).slice(0, 8);
    return [...side("short").reverse(), ...side("long")];
  }

  function table() {
    const head = $("clusters").tHead, body = $("clusters").tBodies[0], m = state.map;
    head.replaceChildren();
    body.replaceChildren();
    const words = ["Side", "From, USD", "To, USD", "Away", "σ of a day", "Notional", "Rank", "Age",
      `Visit within ${about.horizon_s / HOUR} h: with the map`, "without it (placebo)", "Brownian", "issued", ...(state.outcomes ? ["Outcome so far"] : [])];
    const top = put(head, "tr", "");
    words.forEach((w) => { put(top, "th", w).scope = "col"; });
    let above = true;
    for (const c of nearest()) {
      if (above && c.side === "long") { above = false; markRow(body, words.length, m); }
      const row = put(body, "tr", "");
      row.dataset.cluster = c.i;
      [c.side, price(c.low), price(c.high), percent(Math.expm1(c.away), 2), c.sigma.toFixed(2), usd(c.usd), c.rank.toFixed(2),
        age(c.at - c.since), ...(chances(c) || ["–", "–", "–"]), c.born === undefined ? "–" : c.born < c.at ? `${age(c.at - c.born)} before` : "with it", ...(state.outcomes ? [outcome(c.i) || "–"] : [])]
        .forEach((w) => put(row, "td", w));
      row.addEventListener("click", () => point(c.i));
    }
    if (above) markRow(body, words.length, m);
    const mix = about.estimators[m.estimator]?.mix;
    $("mix").textContent = mix ? `Leverage that the estimator assumes of all entries, by weight: ${mix}. What has been passed, closed or aged since is not kept by leverage.` : "";
  }

  function markRow(body, columns, m) {
    const row = put(body, "tr", "");
    row.className = "mark";
    put(row, "td", `mark ${price(m.lnMark[state.now])} USD, ${clock(m.cut[state.now])}`).colSpan = columns;
  }

  function tip(c, left, top) {
    const box = $("tip"), list = document.createElement("dl");
    box.replaceChildren();
    put(box, "b", `${c.side} cluster ${price(c.low)} to ${price(c.high)} USD`);
    const say = (term, text) => { put(list, "dt", term); put(list, "dd", text); };
    say("forecast", clock(c.at));
    say("away", `${percent(Math.expm1(c.away), 2)}, ${c.sigma.toFixed(2)} σ of a day`);
    say("notional", usd(c.usd));
    say("age", `${age(c.at - c.since)}, since ${clock(c.since)}`);
    say("rank", c.rank.toFixed(2));
    const p = chances(c), hours = about.horizon_s / HOUR;
    if (p) {
      say(`visit in ${hours} h`, `${p[0]} with the map`);
      say("placebo", `${p[1]} without the map`);
      say("Brownian", p[2]);
      say("issued", clock(c.born));
    } else say(`visit in ${hours} h`, "no probability issued");
    const m = state.map, prior = c.side === "long" ? m.prior_long[c.forecast] : m.prior_short[c.forecast];
    if (c.away >= prior) say("rests on", "the prior only");
    const came = outcome(c.i);
    if (came) say("outcome", came);
    box.appendChild(list);
    box.hidden = false;
    const stage = $("stage"), x = left + 14 + box.offsetWidth > stage.clientWidth ? left - 14 - box.offsetWidth : left + 14;
    box.style.left = `${Math.min(Math.max(x, 2), Math.max(stage.clientWidth - box.offsetWidth - 2, 2))}px`;
    box.style.top = `${Math.min(Math.max(top + 10, 2), Math.max(stage.clientHeight - box.offsetHeight - 2, 2))}px`;
    for (const row of $("clusters").tBodies[0].rows) row.classList.toggle("on", row.dataset.cluster === String(c.i));
  }

  function under(left, top) { // the cluster under a point of the plot; null: none
    const t = plot.posToVal(left, "x"), ln = plot.posToVal(top, "y"), m = state.map;
    if (t < m.at[0] || t >= m.at[state.now] + about.horizon_s) return null;
    const f = Math.min(last(m.at, t), state.now);
    if (f < state.now && t >= m.at[f] + 1.5 * m.spacing) return null; // no forecast stood then
    for (let k = m.first[f]; k < m.first[f + 1]; k++) {
      const low = m.low[k] * about.cluster_step + m.ln;
      if (ln >= low && ln < low + m.width[k] * about.cluster_step) return k;
    }
    return null;
  }

  function hover(left, top) {
    const k = under(left, top), changed = k !== state.hot;
    state.hot = k;
    if (k === null) $("tip").hidden = true;
    else tip(cluster(k), left + plot.over.offsetLeft, top + plot.over.offsetTop);
    if (changed) draw();
  }

  function point(k) { // at a cluster of the slider's forecast, as if hovered over
    const c = cluster(k), x = plot.valToPos(Math.min(c.at + about.horizon_s / 2, state.x[1]), "x");
    state.hot = k;
    const middle = (c.low + c.high) / 2, [a, b] = state.y;
    if (middle < a || middle > b) { state.y = [middle - (b - a) / 2, middle + (b - a) / 2]; draw(); }
    tip(c, x + plot.over.offsetLeft, ((state.y[1] - middle) / (state.y[1] - state.y[0])) * plot.over.clientHeight + plot.over.offsetTop);
    draw();
  }

  function cycle(by) {
    const m = state.map, all = nearest().sort((a, b) => a.away - b.away).map((c) => c.i);
    if (!all.length) return;
    const k = all.indexOf(state.hot);
    point(all[(k < 0 ? (by > 0 ? 0 : all.length - 1) : k + by + all.length) % all.length]);
  }

  // ---- hands ----------------------------------------------------------------------------------
  function listen(over) {
    const down = new Map();
    let moved = false;
    const spot = (e) => { const r = over.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    over.addEventListener("pointerdown", (e) => { down.set(e.pointerId, spot(e)); moved = false; over.setPointerCapture(e.pointerId); $("stage").focus({ preventScroll: true }); });
    over.addEventListener("pointermove", (e) => {
      const to = spot(e), from = down.get(e.pointerId), w = over.clientWidth, h = over.clientHeight;
      if (!from) { hover(...to); return; }
      if (down.size === 1) {
        if (!moved && Math.hypot(to[0] - from[0], to[1] - from[1]) < 5) return;
        moved = true;
        pan((from[0] - to[0]) / w, (to[1] - from[1]) / h);
      } else {
        moved = true;
        const other = [...down].find(([id]) => id !== e.pointerId)[1];
        const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
        zoom(apart(from) / apart(to), other[0] / w, 1 - other[1] / h);
      }
      down.set(e.pointerId, to);
    });
    const up = (e) => { if (down.delete(e.pointerId) && !moved && e.type === "pointerup") hover(...spot(e)); };
    over.addEventListener("pointerup", up);
    over.addEventListener("pointercancel", up);
    over.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse" && !down.size && state.hot !== null) { state.hot = null; $("tip").hidden = true; draw(); } });
    over.addEventListener("wheel", (e) => {
      e.preventDefault();
      const [x, y] = spot(e);
      zoom(1.0015 ** e.deltaY, x / over.clientWidth, 1 - y / over.clientHeight, !e.shiftKey);
    }, { passive: false });
  }

  const turn = (id) => { const list = $(id); list.selectedIndex = (list.selectedIndex + 1) % list.options.length; return choose(); };
  const KEYS = {
    ArrowLeft: (e) => seek(state.now - (e.shiftKey ? day() : 1)), ArrowRight: (e) => seek(state.now + (e.shiftKey ? day() : 1)),
    ArrowUp: () => pan(0, 0.1), ArrowDown: () => pan(0, -0.1), PageUp: () => pan(-0.5, 0), PageDown: () => pan(0.5, 0),
    "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7), Home: fit,
    n: () => cycle(1), p: () => cycle(-1), o: () => $("outcomes").click(), m: () => turn("market"), e: () => turn("estimator"),
  };
  const day = () => Math.max(1, Math.round(DAY / state.map.spacing));

  function toggle() {
    state.outcomes = $("outcomes").checked;
    $("dots").hidden = !state.outcomes;
    const held = state.map;
    const show = () => { if (state.map === held) { table(); if (state.hot !== null) point(state.hot); draw(); } };
    if (!state.outcomes || held.came.ended) return show();
    return unpack(`came-${state.place}`, about.maps[state.place].came).then((came) => { held.came = came; show(); });
  }

  async function choose() {
    const market = +$("market").value, estimator = +$("estimator").value, before = state.map;
    const place = about.maps.findIndex((m) => m.market === market && m.estimator === estimator);
    $("stage").classList.toggle("none", place < 0);
    if (place < 0) { $("now").textContent = "no forecast of this market by this estimator"; return; }
    const map = await load(place), when = before ? before.at[state.now] : Infinity;
    if (+$("market").value !== market || +$("estimator").value !== estimator) return;
    const same = before && before.market === market;
    state.place = place;
    state.map = map;
    map.came = state.outcomes ? await unpack(`came-${place}`, about.maps[place].came) : {};
    $("time").max = map.at.length - 1;
    $("hatched").hidden = !map.prior_long.some((v) => !Number.isNaN(v));
    state.now = Math.max(last(map.at, when), 0);
    state.cut = map.cut[state.now];
    if (!plot) build();
    if (!same) fit();
    seek(state.now, same);
  }

  for (const [id, names] of [["market", about.markets], ["estimator", about.estimators.map((e) => e.name)]]) {
    names.forEach((name, i) => { put($(id), "option", name).value = i; });
    $(id).addEventListener("change", choose);
  }
  $("outcomes").addEventListener("change", toggle);
  $("time").addEventListener("input", () => seek(+$("time").value));
  $("back").addEventListener("click", () => seek(state.now - 1));
  $("forth").addEventListener("click", () => seek(state.now + 1));
  $("in").addEventListener("click", () => zoom(0.7));
  $("out").addEventListener("click", () => zoom(1 / 0.7));
  $("fit").addEventListener("click", fit);
  $("stage").addEventListener("keydown", (e) => {
    const act = KEYS[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act(e);
  });
  addEventListener("resize", () => { if (plot) { plot.setSize(size()); draw(); } });
  const start = about.maps[0];
  $("market").value = start.market;
  $("estimator").value = start.estimator;
  choose().then(() => { document.body.dataset.ready = "1"; }, (error) => {
    $("now").textContent = typeof DecompressionStream === "undefined"
      ? "this browser is too old: Chrome 80, Firefox 113 or Safari 16.4 can read this page" : `the map cannot be read: ${error}`;
  });
})();
