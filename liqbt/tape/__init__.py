"""The tape: events of a selection in one total order, without duplicates, with an identity.

A tape is derived from a log and can always be built again. Its order is `(ts_known, ts_event, kind,
venue, symbol, sequence, side, span, payload bits, occurrence)`: every part comes from the record,
so that neither the order of files nor the size of batches can be seen in it.
"""
