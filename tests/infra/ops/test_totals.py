"""Pages become totals: every number summed exactly, nothing lost, nothing rounded."""

import io
import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from infra.ops.tabular import emit
from infra.ops.totals import EXACT, total

WINDOW = "2026-11-23T09:00:00Z"


def page(subject: str, sk: str, events: int, kind: str = "order", **sums: str) -> dict[str, dict[str, object]]:
    return {
        "pk": {"S": f"{kind}#{subject}"},
        "sk": {"S": sk},
        "events": {"N": str(events)},
        "ids": {"SS": [f"{index:011d}" for index in range(events)]},
        **{f"sum_{name}": {"N": value} for name, value in sums.items()},
    }


def test_pages_of_one_window_are_one_row() -> None:
    rows, columns = total([page("a", WINDOW, 75, bytes="10"), page("a", f"{WINDOW}#00001", 3, bytes="5")])
    assert rows == [{"type": "order", "subject": "a", "window": WINDOW, "events": 78, "sum_bytes": 15}]
    assert columns == ["type", "subject", "window", "events", "sum_bytes"]


def test_a_subject_keeps_its_own_hash_signs() -> None:
    rows, _ = total([page("room#12", WINDOW, 1)])
    assert rows[0]["subject"] == "room#12"


def test_items_that_are_not_pages_are_left_out() -> None:
    record = {"pk": {"S": "order#a"}, "sk": {"S": "x"}, "events": {"N": "7"}}
    latest = {"pk": {"S": "order#a"}, "sk": {"S": "y"}, "version": {"N": "7"}}
    assert total([record, latest])[0] == []


def test_a_sum_that_a_row_never_had_is_absent_and_not_zero() -> None:
    rows, columns = total([page("a", WINDOW, 1), page("b", WINDOW, 1, bytes="0")])
    assert columns[-1] == "sum_bytes"
    assert "sum_bytes" not in rows[0]
    assert rows[1]["sum_bytes"] == 0


def test_rows_are_sorted_and_grouped_by_what_was_asked() -> None:
    pages = [page("b", WINDOW, 2, bytes="1"), page("a", WINDOW, 1), page("b", "2026-11-23T10:00:00Z", 4, bytes="2")]
    assert [row["subject"] for row in total(pages)[0]] == ["a", "b", "b"]
    rows, columns = total(pages, "subject")
    assert rows == [{"subject": "a", "events": 1}, {"subject": "b", "events": 6, "sum_bytes": 3}]
    assert columns == ["subject", "events", "sum_bytes"]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**17), max_value=10**17)))
def test_sums_of_38_digits_are_exact(amounts: list[Decimal]) -> None:
    pages = [page("a", f"{WINDOW}#{index:05d}", 1, x=format(amount, "f")) for index, amount in enumerate(amounts)]
    scaled = sum(int(EXACT.scaleb(amount, 20)) for amount in amounts)
    rows, _ = total(pages)
    if amounts:
        found = rows[0]["sum_x"]
        assert isinstance(found, int | Decimal)
        assert EXACT.scaleb(Decimal(found), 20) == scaled


def test_json_prints_numbers_exactly_and_whole_numbers_as_integers() -> None:
    rows, columns = total([page('a"é', WINDOW, 1, x="12345678901234567890.123456789012345678", y="3.0", z="1E+30")])
    out = io.StringIO()
    emit(rows, columns, "json", out)
    assert '"sum_x": 12345678901234567890.123456789012345678' in out.getvalue()
    parsed = json.loads(out.getvalue(), parse_float=Decimal)
    assert parsed == [
        {
            "type": "order",
            "subject": 'a"é',
            "window": WINDOW,
            "events": 1,
            "sum_x": Decimal("12345678901234567890.123456789012345678"),
            "sum_y": 3,
            "sum_z": 10**30,
        }
    ]
    assert '"sum_y": 3,' in out.getvalue()


def test_no_rows_are_an_empty_json_list_and_a_csv_header() -> None:
    out = io.StringIO()
    emit([], ["type", "events"], "json", out)
    assert json.loads(out.getvalue()) == []
    out = io.StringIO()
    emit([], ["type", "events"], "csv", out)
    assert out.getvalue() == "type,events\n"


def test_on_a_terminal_a_table_has_every_cell_whatever_marks_it_contains() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    emit([{"type": "[bold]order", "events": Decimal("0.5")}], ["type", "events"], "table", out)
    assert "[bold]order" in out.getvalue()
    assert "0.5" in out.getvalue()


def test_a_plain_table_has_one_line_per_row_and_no_trailing_blanks() -> None:
    out = io.StringIO()
    emit([{"type": "order", "events": 5}, {"type": "x", "events": 12}], ["type", "events"], "table", out)
    assert out.getvalue() == "type   events\norder       5\nx          12\n"
