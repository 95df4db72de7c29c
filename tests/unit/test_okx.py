"""OKX liquidation orders: sides, contracts, messages, caps; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liqbt.errors import ConfigError, DataError
from liqbt.ingest.colmap import load_map
from liqbt.ingest.table import ingest_file
from liqbt.log.tables import logical_hash
from liqbt.sources import okx
from liqbt.types import Kind, Side

TS = 1_782_862_113_207
MS = 1_000_000


def detail(**cells) -> dict:
    return {
        "side": "sell",
        "posSide": "long",
        "bkPx": "60000",
        "sz": "2",
        "bkLoss": "0",
        "ts": str(TS),
        **cells,
    }


def message(*details: dict, name: str = "BTC-USDT-SWAP") -> dict:
    return {
        "arg": {"channel": "liquidation-orders"},
        "data": [{"instId": name, "details": details}],
    }


def put(folder: Path, *messages: object, indent: int | None = None) -> Path:
    path = folder / "orders.json"
    path.write_text("\n".join(json.dumps(m, indent=indent) for m in messages), encoding="utf-8")
    return path


def rows_of(done) -> list[dict]:
    return done.tables[Kind.LIQUIDATION].to_pylist()


def test_a_push_becomes_a_liquidation_at_its_bankruptcy_price(tmp_path):
    done = okx.read(put(tmp_path, message(detail())))
    (row,) = rows_of(done)
    assert (row["venue"], row["symbol"], row["side"]) == ("okx", "BTC-USDT-SWAP", Side.LONG)
    assert (row["ts_event"], row["ts_known"]) == (TS * MS, (TS + 1000) * MS)
    assert (row["price"], row["size_coins"]) == (60_000, 0.02)
    assert done.summary.price_is == {"liquidation": "bankruptcy"}
    assert done.source["notes"]["throttle"]
    assert done.summary.latency[0].latency_is == "modelled"


@pytest.mark.parametrize(
    ("side", "held", "closed"),
    [
        ("sell", "long", Side.LONG),
        ("buy", "short", Side.SHORT),
        ("buy", "net", Side.SHORT),
        ("sell", "", Side.LONG),
        ("", "short", Side.SHORT),
    ],
)
def test_whose_side_it_is(tmp_path, side, held, closed):
    done = okx.read(put(tmp_path, message(detail(side=side, posSide=held))))
    assert rows_of(done)[0]["side"] == closed


def test_an_order_that_contradicts_the_position_is_not_guessed(tmp_path):
    with pytest.raises(DataError, match="buy order of a long position"):
        okx.read(put(tmp_path, message(detail(side="buy"))))


def test_inverse_contracts_are_dollars_and_an_unknown_contract_is_left_out_and_counted(tmp_path):
    path = put(
        tmp_path,
        message(detail(), name="BTC-USD-SWAP"),
        message(detail(), detail(), name="DOGE-USDT-SWAP"),
    )
    done = okx.read(path)
    assert [r["size_coins"] for r in rows_of(done)] == pytest.approx([2 * 100 / 60_000])
    assert done.source["notes"]["no_face"] == {"DOGE-USDT-SWAP": 2}
    assert done.summary.filtered == 2
    told = okx.read(path, faces={"DOGE-USDT-SWAP": ("coins", 1000)})
    assert sorted(r["size_coins"] for r in rows_of(told))[-1] == 2000
    assert told.source["map_sha256"] != done.source["map_sha256"]


def test_one_answer_written_over_many_lines(tmp_path):
    answer = {"code": "0", "data": message(detail(), detail(ts=str(TS + 5)))["data"], "msg": ""}
    assert len(rows_of(okx.read(put(tmp_path, answer, indent=2)))) == 2


def test_other_messages_are_counted_and_torn_lines_put_aside(tmp_path):
    path = put(
        tmp_path, {"event": "subscribe"}, *[message(detail(ts=str(TS + i))) for i in range(9)]
    )
    path.write_text(path.read_text(encoding="utf-8") + '\n{"data": [{"inst', encoding="utf-8")
    done = okx.read(path, max_bad=0.2)
    assert len(rows_of(done)) == 9
    assert done.source["notes"]["other_messages"] == 1
    assert done.quarantined["reason"].tolist() == ["the line is no JSON object"]
    with pytest.raises(DataError, match="1 of 10 rows cannot be right"):
        okx.read(path)


def test_two_identical_orders_are_two(tmp_path):
    rows = rows_of(okx.read(put(tmp_path, message(detail(), detail()))))
    assert [r["occurrence"] for r in rows] == [0, 1]


def test_an_exact_thousand_of_one_side_is_noted_as_capped(tmp_path):
    details = [detail(ts=str(TS + i), side="buy", posSide="short") for i in range(1000)]
    done = okx.read(put(tmp_path, message(*details, detail())))
    assert done.source["notes"]["capped"] == {"BTC-USDT-SWAP short": 1000}
    assert "capped" not in okx.read(put(tmp_path, message(*details[1:]))).source["notes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "neither one JSON object nor one a line"),
        ("{", "neither one JSON object nor one a line"),
        ("{}", "holds no message"),
        ('{"data": 3}', "holds no message"),
        ('{"data": [{"instId": "X-Y", "details": [{}]}]}', r"\['X-Y'\] is, nobody said"),
        ("[" * 100_000, "neither one JSON object nor one a line"),
        ('{"data": ' + "9" * 5000 + "}", "neither one JSON object nor one a line"),
        ("timestamp,coin\n1,2\n", "is of none"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        okx.read(path)


def test_faces_and_formats_are_checked(tmp_path):
    path = put(tmp_path, message(detail()))
    with pytest.raises(ConfigError, match="face of 'A'"):
        okx.read(path, faces={"A": ("lots", 1)})
    with pytest.raises(ConfigError, match="did you mean 'liquidation-orders'"):
        okx.read(path, format="liquidation-order")


@pytest.mark.data
def test_the_recorded_file_reads_as_its_column_map_says(data_root, root):
    path = data_root / "okx" / "swap-liquidations-2026-03-04.csv.gz"
    done = okx.read(path)
    mapped = ingest_file(load_map(root / "experiments" / "sources" / "okx-liquidations.yaml"), path)
    own, other = (logical_hash(x.tables[Kind.LIQUIDATION]) for x in (done, mapped))
    assert own == other
    assert done.source["notes"]["capped"] == {"BTC buy": 1000}
