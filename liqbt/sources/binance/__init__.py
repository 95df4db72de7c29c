"""The public archive of Binance futures, and recordings of its liquidation pushes.

What a file gives, per type (`um` is USDⓈ-M, `cm` COIN-M):

`metrics`
    Every five minutes: open interest, and the mark that its value implies. Polled: known 60 s after
    its time (modelled). The implied mark is a point and belongs to the venue `binance-um-metrics`,
    because points and bars of one instrument do not mix. The ratios are not read, and may be empty.
`klines`
    Bars of the last price, known a second after their close.
`markPriceKlines`
    Buckets of the mark.
`indexPriceKlines`
    Bars of the index, of the venue `binance-um-index`: an index triggers nothing, so it is no mark.
`premiumIndexKlines`
    No events: `premium_table` reads them.
`aggTrades`
    Trades with the venue's number; where the buyer was the maker, the taker sold.
`liquidationSnapshot`
    Liquidations at their average price and accumulated fill, each once (`filled_once`); a SELL
    closed a long. At most one per symbol and second: an undercount.
`fundingRate`
    Funding with its interval.
`bookDepth`
    Depth bands (`bands`): the file gives no price, so it is taken from the innermost bands.
`forceOrder`
    Recorded pushes (`push_rows`).

COIN-M counts contracts of 100 USD for BTC and 10 USD for every other coin: coins are contracts ×
face / price, except where the venue gives coins itself (open interest, volume of bars).
"""
