"""The reference estimator: where open interest would be liquidated, from how it flowed in.

What it does with the events of one market, in their order:

- **Mark.** The grid is anchored at the first price. Where the mark passes, positions are gone:
  longs in the bin of the mark (of a bar's low) and above it, shorts in the bin of the mark (of a
  bar's high) and below it, are taken out and counted as consumed. A price that happened before the
  last one is ignored.
- **Entries.** Since the last snapshot of open interest, traded coins are summed by bin. Trades
  count where they were; where no trade arrived, a bar's volume counts evenly in log price over its
  range; where neither did, time on the mark's path does (a point: evenly over the log segment from
  the last one; a bar of marks: evenly over its range). A bar is used only if it began after the
  last snapshot (event times, with 5 % of its length to spare for a feed's jitter): an hourly bar is
  not the volume of a 5-minute interval. Intervals run from arrival to arrival, so that a difference
  between the latencies of two feeds shifts one against the other.
- **Snapshot of open interest.** The first is only remembered: what was open at the start is
  unknown and is not placed. A rise is opened, the same coins long and short, because every coin
  of open interest is one of each: spread over the brackets by weight and placed `ln(LP / EP)`
  from their entry, from the tiers of the snapshot's date; what thereby lies beyond the current
  mark is consumed at once and counted for the next snapshot. Of a fall, what the mark has
  consumed on a side since the last snapshot is taken off first; the rest is closed there in
  proportion, as a share of the previous open interest. Where the mark consumed more than open
  interest fell nothing is opened in its place: that the estimated positions were not there is as
  likely as that they were replaced, and scaling the survivors at emission makes up for them where
  the others are.
- **Age.** A bracket's coins halve with its half-life, applied at snapshots, by `ts_known`.
- **Observed liquidations** are evidence and remove nothing.

A forecast ages the book to `at`, scales the survivors of each side to the current open interest in
coins (the state is not touched), values each bin at its centre and finds clusters on the fine grid.
Coins placed beyond the grid are counted as outside and are not among the survivors.
"""
