"""CBOR as AWS's SDK for Java writes and reads it, and against botocore's own reader."""

import io
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from infra.local.cbor import Instant, dumps, loads

LEAVES = (
    st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=300)
)


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
        max_leaves=20,
    )


@given(values(LEAVES | st.none()))
def test_what_is_written_is_read_again(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(values(LEAVES))  # botocore leaves out members that are null
def test_what_is_written_is_what_botocore_reads(value: Any) -> None:
    encoded = dumps(value)
    assert RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(encoded))) == value


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_is_whole_milliseconds_behind_tag_one(time_ms: int) -> None:
    encoded = dumps({"At": Instant(time_ms / 1000)})
    assert encoded[:4] == b"\xa1bAt"
    assert encoded[4] == 0xC1
    assert loads(encoded[5:]) == time_ms
    back = loads(encoded)["At"]
    assert isinstance(back, Instant)
    assert back == time_ms / 1000


@pytest.mark.parametrize(
    ("encoded", "value"),
    [  # RFC 8949, appendix A
        ("00", 0), ("1818", 24), ("1903e8", 1000), ("1bffffffffffffffff", 2**64 - 1), ("3903e7", -1000),
        ("f90000", 0.0), ("f93c00", 1.0), ("fa47c35000", 100000.0), ("fb3ff199999999999a", 1.1),
        ("f4", False), ("f5", True), ("f6", None), ("f7", None), ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"), ("83010203", [1, 2, 3]), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"), ("7f657374726561646d696e67ff", "streaming"),
        ("9fff", []), ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]), ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("c11b0000018b8f5a3c00", Instant(1698917137.408)), ("c24401020304", b"\x01\x02\x03\x04"),
    ],
)  # fmt: skip
def test_all_forms_of_a_value_are_read(encoded: str, value: object) -> None:
    assert loads(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "ff",
        "18",
        "1c",
        "1f",
        "9f01",
        "bf6161ff",
        "bf01ff",
        "a10102",
        "62c3",
        "61ff",
        "5f6161ff",
        "0000",
        "f8ff",
        "c16161",
        "9b7fffffffffffffff",
        "81" * 40 + "00",
        "8201ff",
    ],
)
def test_what_is_not_cbor_is_a_value_error(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(bytes.fromhex(encoded))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_value_error(encoded: bytes) -> None:
    try:
        loads(encoded)
    except ValueError:
        return
