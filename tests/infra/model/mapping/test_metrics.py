"""What a mapping counts and shows."""

import json

from infra.model.function import Succeeded, Throttled
from tests.support.mapping_world import FIRST, World, raised, succeeded


def test_polled_counts_every_read_and_publishes_zero_for_empty_ones() -> None:
    """Fact 8.10."""
    world = World(event_count_metrics=True)
    world.put(*"aaa")
    world.start().run(2.5)
    assert [value for name, value in world.metrics if name == "PolledEventCount"] == [3, 0, 0]


def test_invoked_counts_again_at_every_retry_and_failed_counts_what_failed() -> None:
    """Fact 8.10."""
    world = World(event_count_metrics=True)
    outcomes = [raised, raised, succeeded]
    world.answer = lambda invoke: outcomes.pop(0)(invoke)
    world.put(*"aaa")
    world.start().run(5)
    assert world.total("InvokedEventCount") == 9
    assert world.total("FailedInvokeEventCount") == 6


def test_failed_includes_partial_failures() -> None:
    """Fact 8.10."""
    world = World(event_count_metrics=True, report_batch_item_failures=True)
    failure = json.dumps({"batchItemFailures": [{"itemIdentifier": str(FIRST + 1)}]}).encode()
    payloads = [failure, b"null"]
    world.answer = lambda invoke: Succeeded(invoke.request_id, payloads.pop(0))
    world.put(*"aaa")
    world.start().run(5)
    assert world.total("InvokedEventCount") == 3 + 2
    assert world.total("FailedInvokeEventCount") == 2
    assert world.machine.last_processing_result == "OK"


def test_a_throttled_attempt_is_neither_invoked_nor_failed() -> None:
    """Facts 4.3, 8.7: the function did not run."""
    world = World(event_count_metrics=True)
    outcomes = [Throttled("x"), None]
    world.answer = lambda invoke: outcomes.pop(0) or succeeded(invoke)
    world.put("a")
    world.start().run(5)
    assert world.total("InvokedEventCount") == 1
    assert world.total("FailedInvokeEventCount") == 0


def test_iterator_age_is_that_of_the_last_record_when_it_is_sent() -> None:
    """Fact 8.8: in ms, for every attempt."""
    world = World(batching_window_s=4)
    world.put("a")
    world.start().run(2)
    world.put("a")
    outcomes = [raised, succeeded]
    world.answer = lambda invoke: outcomes.pop(0)(invoke)
    world.run(5)
    assert [value for name, value in world.metrics if name == "IteratorAge"] == [2000, 2200]


def test_event_counts_are_published_only_if_asked_for() -> None:
    """Fact 8.10: opt-in; the totals are kept either way."""
    world = World()
    world.put("a")
    world.start().run(5)
    assert {name for name, _ in world.metrics} == {"IteratorAge"}
    assert world.machine.totals["PolledEventCount"] == 1


def test_the_last_processing_result_goes_from_nothing_to_ok_to_a_problem_and_back() -> None:
    """Fact 2.8: a discard does not overwrite it."""
    world = World(batch_size=1, retry_attempts_max=0)
    assert world.machine.last_processing_result == "No records processed"
    world.put("a")
    world.start().run(1)
    assert world.machine.last_processing_result == "OK"
    world.answer = raised
    world.put("a")
    world.run(2)
    assert world.machine.totals["DroppedEventCount"] == 1
    assert world.machine.last_processing_result == "PROBLEM: Function call failed"
    world.answer = succeeded
    world.put("a")
    world.run(2)
    assert world.machine.last_processing_result == "OK"


def test_there_are_no_metrics_of_other_kinds_of_sources() -> None:
    """Facts 8.9, 8.10: OffsetLag is for Kafka, DeletedEventCount for queues; whatever happens here."""
    world = World(
        event_count_metrics=True,
        retry_attempts_max=0,
        filters=('{"data":{"a":[1]}}',),
        on_failure_destination_arn="arn:aws:s3:::failures",
    )
    outcomes = [raised, succeeded, raised]
    world.answer = lambda invoke: outcomes.pop(0)(invoke)
    world.put("a", data=b'{"a":1}')
    world.start().run(2)
    world.put("a", data=b'{"a":1}')
    world.run(2)
    world.refusing = True
    world.put("a", data=b'{"a":1}')
    world.run(2)
    assert {name for name, _ in world.metrics} == {
        "IteratorAge",
        "PolledEventCount",
        "FilteredOutEventCount",
        "InvokedEventCount",
        "FailedInvokeEventCount",
        "DroppedEventCount",
        "OnFailureDestinationDeliveredEventCount",
        "DestinationDeliveryFailures",
    }
