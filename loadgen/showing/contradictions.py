"""PURE: what in a report.json cannot be true together: a report that was edited, or put together from two loads.

The shape is known to be right (report_shape). Everything here follows from how a load makes its report: what it does
not imply is not asked for, so that a report of an earlier version of this schema has nothing to fear.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from loadgen.outcome.account import UNREAD, was_not_read
from loadgen.outcome.ledger import Ledger
from loadgen.outcome.results import PutResult
from loadgen.showing.report import number, shortcomings
from loadgen.showing.thresholds import EXPRESSION, Threshold, ThresholdError, check, parse

TERMS = ("stored", "without_effect", "quarantined", "expired", "elsewhere", "lost", "not_yet_found")
NAMED = ("sent", "stored", "stored_before", "quarantined", "expired", "lost", "not_yet_found", "duplicates_applied")
AT_MOST = (
    ("stored_before", "stored"), ("superseded", "stored"), ("unknown_stored", "unknown"),
    ("sums_different", "windows"), ("sums_not_checked", "windows"), ("items_different", "items"),
)  # fmt: skip


def first(document: Mapping[str, Any]) -> str | None:
    """The first contradiction, as a clause; None: there is none."""
    return next(all_of(document), None)


def all_of(document: Mapping[str, Any]) -> Iterator[str]:
    ledger, numbers = document["ledger"], document["numbers"]
    yield from _in_ledger(ledger)
    for name in NAMED:
        is_unread = name in UNREAD and numbers[name] is None and was_not_read(ledger)
        if numbers[name] != ledger[name] and not is_unread:
            yield f"ledger.{name} is {ledger[name]}, but numbers.{name} {number(numbers[name])}"
    for index, threshold in enumerate(document["thresholds"]):
        yield from _in_threshold(f"thresholds[{index}]", threshold, numbers)
    if bool(numbers["lines_unreadable"]) != bool(document["unreadable"]):
        yield f"numbers.lines_unreadable is {number(numbers['lines_unreadable'])}, but unreadable names other lines"
        return  # what did not pass cannot be told
    if document["partial"] != (document["problem"] is not None):
        yield f"partial is {_flag(document['partial'])}, but there is {'a' if document['problem'] else 'no'} problem"
    wrong = shortcomings(document)
    if document["passed"] == bool(wrong):
        yield f"passed is {_flag(document['passed'])}, but {'; '.join(wrong) if wrong else 'nothing is wrong'}"
    if document["passed"] == ("NOT passed" in document["verdict"]):
        yield f"passed is {_flag(document['passed'])}, but the verdict says something else"


def _in_ledger(ledger: Mapping[str, Any]) -> Iterator[str]:
    if (total := sum(ledger[term] for term in TERMS)) != ledger["sent"]:
        yield f"ledger.sent is {ledger['sent']}, but its terms ({', '.join(TERMS)}) add up to {total}"
    for part, whole in AT_MOST:
        if ledger[part] > ledger[whole]:
            yield f"ledger.{part} is {ledger[part]}, but ledger.{whole} only {ledger[whole]}"
    kept = sum(ledger["found_reasons"].values()) + sum(ledger["refused"].values())
    if kept != ledger["quarantined"]:
        yield f"ledger.quarantined is {ledger['quarantined']}, but its reasons add up to {kept}"
    account = Ledger(**{each.name: ledger[each.name] for each in fields(Ledger) if each.name in ledger})
    if ledger["balanced"] != account.balanced:
        yield f"ledger.balanced is {_flag(ledger['balanced'])}, but its terms say {_flag(account.balanced)}"


def _in_threshold(place: str, threshold: Mapping[str, Any], numbers: Mapping[str, Any]) -> Iterator[str]:
    value, measured = threshold["value"], None
    try:
        wanted = _parsed(threshold["expression"])
    except ThresholdError:
        yield f"{place}.expression is none"
        return
    measured = numbers.get(wanted.name)
    # Rates and times are calculated again from the lines, and an earlier version may have done it in another way.
    if isinstance(measured, int) and value != measured:
        yield f"{place}.value is {number(value)}, but numbers.{wanted.name} {measured}"
    if check([wanted], {wanted.name: value})[0].passed != threshold["passed"]:
        yield f"{place}.passed is {_flag(threshold['passed'])}, but {wanted} of {number(value)} says something else"


def _parsed(expression: str) -> Threshold:
    """Of any name: another version may have others."""
    found = EXPRESSION.fullmatch(expression)
    return parse(expression, [found[1]] if found else [])


def in_line(result: PutResult, elapsed_s: float | None) -> str | None:
    """What cannot be true of a line, as a clause. `elapsed_s`: how long the load lasted; None: that is not known."""
    if result.failed is None and result.put_us is None:
        return "it was acknowledged and never sent"
    if result.put_us is not None and result.done_us < result.put_us:
        return "it ended before it was sent"
    if elapsed_s is not None and result.done_us / 1e6 > elapsed_s:
        return f"it ended {result.done_us / 1e6:,.1f} s after the start, the load after {elapsed_s:,.1f} s"
    return None


def _flag(value: bool) -> str:
    return "true" if value else "false"
