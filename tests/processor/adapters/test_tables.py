"""Statements over the wire: the table does what the model that the proofs use does, and errors get their names."""

import random
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from processor.adapters.tables import add_text, decode_item, encode, error_code, insert_text, number_text, replace_text
from processor.core.commit import Call
from processor.core.sizes import item_bytes
from processor.core.statements import (
    RETRIABLE,
    UNSURE,
    WRITTEN,
    AddToPage,
    Insert,
    Item,
    Outcome,
    ReadPages,
    Replace,
    Statement,
    Table,
    shape_of,
)
from tests.support.faults import FaultyWire, refused
from tests.support.stage import Stage
from tests.support.toytable import ToyTable

NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.decimals(allow_nan=False, allow_infinity=False, places=15, min_value=-(10**20), max_value=10**20),
)


def one(stage: Stage, statement: Statement) -> Outcome:
    (outcome,) = stage.tables().write(Call(statement.table, (statement,)))
    return outcome


def some_statement(random_: random.Random) -> Statement:
    """A statement on one of a few keys, of which about half are refused."""
    pk, sk = random_.choice("ab"), f"2026-11-23T09:00:00Z{random_.choice(['', '#00001'])}"
    ids = tuple(f"{random_.randrange(40):011d}" for _ in range(random_.randint(1, 4)))
    ids = tuple(dict.fromkeys(ids))
    amounts: dict[str, int | Decimal] = {}
    for name in ("sum_bytes", "sum_quantity", "sum_a-b"):
        if random_.random() < 0.5:
            whole, part = random_.randrange(10**20), Decimal(random_.randrange(-999, 999)) / 8
            amounts[name] = whole if random_.random() < 0.5 else part
    kind = random_.randrange(10)
    if kind < 2:
        return Insert(Table.RESULTS, pk, sk, {"events": len(ids), "ids": frozenset(ids), **amounts})
    if kind < 8:
        absent = frozenset(name for name in amounts if random_.random() < 0.4)
        return AddToPage(pk, sk, amounts, absent, ids, random_.randrange(40), random_.random() < 0.2)
    attributes = {name: random_.choice([1, "x'\"", None, True, Decimal("1.5")]) for name in ("p", "q-r") if kind % 2}
    version = random_.randrange(5)
    body = {**attributes, "version": version, "_shape": shape_of(attributes)}
    if random_.random() < 0.5:
        return Insert(Table.RESULTS, "latest", pk, body)
    stored = random_.choice(["", "p,q-r"])
    stale = tuple(name for name in stored.split(",") if name and name not in body)
    return Replace("latest", pk, body, version, stored, stale)


@pytest.mark.parametrize("seed", range(4))
def test_the_table_answers_every_statement_as_the_model_of_the_proofs_does(stage: Stage, seed: int) -> None:
    random_ = random.Random(seed)
    toy, tables = ToyTable(), stage.tables()
    codes = set()
    for _ in range(150):
        statement = some_statement(random_)
        (real,) = tables.write(Call(Table.RESULTS, (statement,)))
        model = toy.apply(statement)
        assert real == model, statement
        codes.add((type(statement).__name__, real.code))
    assert len(codes) >= 5
    stored: dict[tuple[str, str], Item] = {}
    for wire_item in stage.items(stage.results):
        item = decode_item(wire_item)
        stored[str(item["pk"]), str(item["sk"])] = item
    assert stored == {key: {"pk": key[0], "sk": key[1], **item} for key, item in toy.items.items()}


def test_outcomes_come_in_the_order_of_the_statements(stage: Stage) -> None:
    statements = tuple(Insert(Table.RESULTS, f"k{n}", "s", {"x": n}) for n in range(25))
    assert one(stage, statements[7]) == WRITTEN
    outcomes = stage.tables().write(Call(Table.RESULTS, statements))
    assert [outcome.code for outcome in outcomes] == ["DuplicateItem" if n == 7 else "" for n in range(25)]


def test_a_missing_page_is_a_failed_condition_without_an_item(stage: Stage) -> None:
    statement = AddToPage("nobody", "s", {"sum_x": 1}, frozenset(), ("00000000001",), 31, False)
    assert one(stage, statement) == Outcome("ConditionalCheckFailed")


def test_a_full_page_is_one_statement_within_its_limits(stage: Stage) -> None:
    amounts = {f"sum_{'m' * 55}_{n:03d}": 10**19 + n for n in range(10)}
    ids = tuple(f"{n:011d}" for n in range(77))
    assert one(stage, Insert(Table.RESULTS, "k", "s", {"events": 1, "ids": frozenset({"x" * 11})})) == WRITTEN
    statement = AddToPage("k", "s", amounts, frozenset(amounts), ids, 1, True)
    assert one(stage, statement) == WRITTEN
    text = add_text("t" * 255, tuple(amounts), frozenset(), True) + ' AND NOT contains("ids",?)' * 77
    assert len(text) <= 8192
    assert len(text.partition(" WHERE ")[2]) <= 4096
    assert len(text.partition(" WHERE ")[0]) - 255 <= 4096


def test_pages_are_read_in_order_and_in_parts(stage: Stage) -> None:
    keys = ["w", "w#00001", "w#00002", "x"]
    for number, sk in enumerate(keys):
        one(stage, Insert(Table.RESULTS, "k", sk, {"events": number + 1, "ids": frozenset({f"{number:011d}"})}))
    read = ReadPages("k", "w", "w#99999")
    pages, complete = stage.tables().read(read)
    assert ([page["sk"] for page in pages], complete) == (["w", "w#00001", "w#00002"], True)
    assert pages[1] == {"pk": "k", "sk": "w#00001", "events": 2, "ids": frozenset({"00000000001"})}
    client = stage.client()
    client.meta.events.register("provide-client-params.dynamodb.Query", lambda params, **_: {**params, "Limit": 2})
    pages, complete = stage.tables(client).read(read)
    assert ([page["sk"] for page in pages], complete) == (["w", "w#00001"], False)


def test_reads_are_strongly_consistent(stage: Stage) -> None:
    wire, client = FaultyWire(), stage.client()
    wire.attach(client)
    stage.tables(client).read(ReadPages("k", "w", "w#99999"))
    assert wire.calls[0][1]["ConsistentRead"] is True


def test_an_answer_of_the_wrong_length_leaves_every_effect_open(stage: Stage) -> None:
    client = stage.client()
    client.meta.events.register("after-call.dynamodb.*", lambda parsed, **_: parsed["Responses"].pop())
    statements = tuple(Insert(Table.RESULTS, f"k{n}", "s", {}) for n in range(3))
    outcomes = stage.tables(client).write(Call(Table.RESULTS, statements))
    assert outcomes == [Outcome("InternalServerError", None, True)] * 3
    assert outcomes[0].code in UNSURE


def test_an_error_of_the_call_is_the_outcome_of_each_statement(stage: Stage) -> None:
    client = stage.client()
    FaultyWire(lambda _number, _operation, _body: refused("ThrottlingException")).attach(client)
    statements = tuple(Insert(Table.RESULTS, f"k{n}", "s", {}) for n in range(3))
    assert stage.tables(client).write(Call(Table.RESULTS, statements)) == [Outcome("Throttling", None, True)] * 3


def answered(code: str, status: int = 400) -> ClientError:
    error: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "BatchExecuteStatement")


@pytest.mark.parametrize(
    ("error", "code", "again"),
    [
        (answered("ProvisionedThroughputExceededException"), "ProvisionedThroughputExceeded", True),
        (answered("ThrottlingException"), "Throttling", True),
        (answered("RequestLimitExceeded"), "RequestLimitExceeded", True),
        (answered("InternalServerError", 500), "InternalServerError", True),
        (answered("ServiceUnavailable", 503), "ServiceUnavailable", True),
        (answered("502", 502), "InternalServerError", True),
        (answered("AccessDeniedException"), "AccessDenied", False),
        (answered("ValidationException"), "Validation", False),
        (answered("ExpiredTokenException"), "ExpiredToken", False),
        (answered(""), "Unknown", False),
        (ReadTimeoutError(endpoint_url="x"), "Timeout", True),
        (ConnectTimeoutError(endpoint_url="x"), "Timeout", True),
        (EndpointConnectionError(endpoint_url="x"), "Connection", True),
        (ConnectionClosedError(endpoint_url="x"), "Connection", True),
        (ResponseParserError("x"), "Connection", True),
        (NoCredentialsError(), "NoCredentialsError", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_a_name_that_says_whether_it_is_worth_another_attempt(
    error: Exception, code: str, again: bool
) -> None:
    assert error_code(error) == code
    assert (code in RETRIABLE) is again


@given(value=NUMBERS)
def test_numbers_survive_the_wire_format(value: int | Decimal) -> None:
    wire = encode(value)
    assert decode_item({"x": wire})["x"] == value
    assert "E" not in wire["N"]


def test_numbers_are_written_without_an_exponent_where_that_stays_short() -> None:
    assert number_text(Decimal("1E+3")) == "1000"
    assert number_text(Decimal("1E-7")) == "0.0000001"
    assert number_text(Decimal("1E+120")) == "1E+120"
    assert number_text(Decimal("-1.50")) == "-1.50"


def test_the_table_gives_numbers_back_as_it_likes_and_they_stay_equal(stage: Stage) -> None:
    sent: dict[str, int | Decimal] = {
        "a": Decimal("1.500"),
        "b": Decimal("1E+20"),
        "c": 10**38 - 1,
        "d": Decimal("-0.000000000000001"),
        "e": Decimal("99999999999999999999.999999999999999"),
        "f": 0,
    }
    one(stage, Insert(Table.RESULTS, "k", "s", sent))
    (item,) = stage.items(stage.results)
    assert {name: value for name, value in decode_item(item).items() if name in sent} == sent


def test_quotes_in_names_cannot_leave_their_quotes() -> None:
    assert insert_text('t"x', ("it's",)) == """INSERT INTO "t""x" VALUE {'pk':?,'sk':?,'it''s':?}"""
    assert '"a""b"=?' in replace_text("t", ('a"b',), ())


def test_sizes_are_those_of_the_documentation() -> None:
    # AWS: DynamoDB item sizes and formats: names count, numbers take a byte per two digits and one more
    assert item_bytes({"shirt-color": "R", "shirt-size": "M"}) == 23
    assert item_bytes({"n": 12345}) == 1 + 3 + 1
    assert item_bytes({"n": 1000}) == item_bytes({"n": 1}) == 1 + 1 + 1
    assert item_bytes({"n": Decimal("0.0015")}) == 1 + 1 + 1
    assert item_bytes({"b": True, "z": None, "x": b"abc", "s": "ü"}) == 2 + 2 + 4 + 3
    assert item_bytes({"ids": frozenset({"a" * 11, "b" * 11})}) == 3 + 22
