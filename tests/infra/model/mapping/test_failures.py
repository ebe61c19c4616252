"""Retries, their budget and timing; partial responses; bisect; discards."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.model.function import InvokeOutcome, ServiceError, Succeeded, Throttled
from infra.model.mapping import Invoke, NotSent, Pace
from infra.model.mapping.documents import Failure
from tests.support.mapping_world import FIRST, ONE, World, raised, succeeded

QUEUE = "arn:aws:sqs:us-east-1:111111111111:failures"


def poison(*bad: int) -> Callable[[Invoke], InvokeOutcome]:
    """Raises whenever one of these records (0, 1, ...) is in the batch."""
    numbers = {FIRST + number for number in bad}
    return lambda invoke: (
        raised(invoke) if numbers & {record.sequence_number for record in invoke.records} else succeeded(invoke)
    )


def reports(*bad: int) -> Callable[[Invoke], InvokeOutcome]:
    """Answers with batchItemFailures for these records."""
    numbers = {FIRST + number for number in bad}

    def answer(invoke: Invoke) -> InvokeOutcome:
        failures = [
            {"itemIdentifier": str(record.sequence_number)}
            for record in invoke.records
            if record.sequence_number in numbers
        ]
        return Succeeded(invoke.request_id, json.dumps({"batchItemFailures": failures}).encode())

    return answer


def answers(payload: bytes) -> Callable[[Invoke], InvokeOutcome]:
    return lambda invoke: Succeeded(invoke.request_id, payload)


def world(answer: Callable[[Invoke], InvokeOutcome], records: int, **settings: Any) -> World:
    made = World(on_failure_destination_arn=QUEUE, **settings)
    made.answer = answer
    made.put(*"a" * records)
    return made.start()


# Function errors


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_a_failing_batch_is_called_once_more_than_it_may_be_retried(retries: int) -> None:
    """Facts 4.1, 4.5: and the whole batch each time."""
    found = world(poison(1), 3, retry_attempts_max=retries).run(60)
    assert found.sent == [[0, 1, 2]] * (retries + 1)
    assert found.discarded == [[0, 1, 2]]
    assert found.documents[0][1].discarded.attempts == retries + 1


def test_a_failing_batch_blocks_its_lane_for_as_long_as_it_is_retried() -> None:
    """Fact 4.2: with the default settings, for ever."""
    found = world(poison(0), 3, batch_size=1).run(86_400)
    assert {tuple(batch) for batch in found.sent} == {(0,)}
    assert found.documents == []


def test_an_unchanged_retry_keeps_its_request_id() -> None:
    """Fact 4.7."""
    found = world(poison(0), 2, retry_attempts_max=3).run(60)
    assert len(found.request_ids) == 4
    assert len(set(found.request_ids)) == 1


def test_retries_wait_200_ms_doubling_up_to_30_s() -> None:
    """Facts 4.9, 4.10."""
    found = world(poison(0), 1).run(200)
    assert found.gaps_s == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0, 30.0]


def test_after_a_discard_the_lane_goes_on_with_a_fresh_budget_and_a_fresh_wait() -> None:
    found = world(poison(0, 1), 3, batch_size=1, retry_attempts_max=1).run(60)
    assert found.sent == [[0], [0], [1], [1], [2]]
    assert found.gaps_s == [0.2, 0.0, 0.2, 0.0]
    assert len(set(found.request_ids)) == 3


# Throttles and service errors


@pytest.mark.parametrize("refusal", [Throttled("ReservedFunctionConcurrentInvocationLimitExceeded"), ServiceError("x")])
def test_throttles_and_service_errors_are_retried_but_not_counted(refusal: InvokeOutcome) -> None:
    """Fact 4.3; the batch is unchanged, so is its request id (4.7)."""
    outcomes: list[InvokeOutcome | None] = [*[refusal] * 8, None, refusal, None]
    found = world(lambda invoke: outcomes.pop(0) or raised(invoke), 1, retry_attempts_max=1).run(600)
    assert outcomes == []
    assert len(found.sent) == 11
    assert found.discarded == [[0]]
    assert found.documents[0][1].discarded.attempts == 2
    assert len(set(found.request_ids)) == 1


def test_an_event_that_lambda_finds_too_large_uses_the_retry_quota() -> None:
    """Facts 1.14, 4.4: should the service say so; it is an attempt, and its document has no responseContext."""
    too_large = ServiceError("RequestTooLargeException: Request must be smaller than 6291556 bytes")
    found = world(lambda _: too_large, 1, retry_attempts_max=2, event_count_metrics=True).run(60)
    assert found.sent == [[0]] * 3
    assert found.gaps_s == [0.2, 0.4]
    assert len(set(found.request_ids)) == 1
    document = json.loads(found.documents[0][1].body())
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 3
    assert "responseContext" not in document
    assert found.total("InvokedEventCount") == 0
    assert found.machine.last_processing_result == "PROBLEM: Function call failed"


def test_a_record_too_large_to_be_sent_shows_a_problem_and_is_told_once() -> None:
    """Facts 2.8, 4.4: it blocks its lane while retries are without a limit."""
    found = World(pace=Pace(event_bytes_max=2_000))
    told: list[NotSent] = []
    found.told = told.append
    found.put("a")
    found.start().run(1)
    assert found.machine.last_processing_result == "OK"
    (number,) = found.put("a", data=b"x" * 3_000)
    found.put("a")
    found.run(60)
    assert found.machine.last_processing_result == "PROBLEM: Function call failed"
    assert [(each.shard_id, each.sequence_number) for each in told] == [(ONE, number)]
    assert told[0].event_bytes > 4_000
    assert found.sent == [[0]]


def test_a_batch_that_lambda_finds_too_large_is_halved_if_bisect_is_on() -> None:
    """Facts 4.4, 4.19."""
    too_large = ServiceError("RequestTooLargeException: x")
    settings = {"bisect_batch_on_function_error": True, "retry_attempts_max": 0}
    found = world(lambda invoke: succeeded(invoke) if len(invoke.records) < 3 else too_large, 4, **settings).run(60)
    assert found.sent == [[0, 1, 2, 3], [0, 1], [2, 3]]
    assert found.documents == []


def test_throttles_have_a_wait_of_their_own_that_begins_anew_after_a_failure() -> None:
    """Fact 4.10: it grows with every throttle in a row, as it does with every failure."""
    outcomes: list[InvokeOutcome | None] = [*[Throttled("x")] * 3, None, *[Throttled("x")] * 2, None]
    settings = {"retry_attempts_max": 1, "pace": Pace(refused_spread=0.0)}
    found = world(lambda invoke: outcomes.pop(0) or raised(invoke), 1, **settings).run(60)
    assert found.gaps_s == [0.2, 0.4, 0.8, 0.2, 0.2, 0.4]


def test_throttles_do_not_halve_a_batch() -> None:
    """Facts 4.3, 4.19: bisect is for function errors."""
    outcomes: list[InvokeOutcome | None] = [Throttled("x"), Throttled("x"), None]
    found = world(lambda invoke: outcomes.pop(0) or succeeded(invoke), 4, bisect_batch_on_function_error=True).run(60)
    assert found.sent == [[0, 1, 2, 3]] * 3


def test_only_record_age_ends_throttling() -> None:
    """Fact 4.3."""
    found = world(lambda _: Throttled("x"), 2, record_age_s_max=60, retry_attempts_max=0).run(300)
    assert found.discarded == [[0, 1]]
    assert found.documents[0][1].discarded.condition == "RecordAgeExceeded"
    assert found.now - found.documents[0][0] > 200


# Partial responses


def test_without_the_option_a_partial_response_is_ignored_and_the_batch_succeeds() -> None:
    """Fact 4.11: silent loss."""
    found = world(reports(1), 3).run(10)
    assert found.sent == [[0, 1, 2]]
    assert found.documents == []


@pytest.mark.parametrize("payload", [b"null", b"{}", b"[]", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}'])
def test_complete_success_is_one_invocation(payload: bytes) -> None:
    """Fact 4.12."""
    found = world(answers(payload), 3, report_batch_item_failures=True, retry_attempts_max=2).run(10)
    assert found.sent == [[0, 1, 2]]


@pytest.mark.parametrize("identifier", ['""', "null", '"nonsense"'])
def test_complete_failure_uses_the_retry_quota(identifier: str) -> None:
    """Fact 4.13: three invocations with MaximumRetryAttempts 2; functionError is a written null (5.5)."""
    payload = f'{{"batchItemFailures":[{{"itemIdentifier":{identifier}}}]}}'.encode()
    found = world(answers(payload), 3, report_batch_item_failures=True, retry_attempts_max=2).run(10)
    assert found.sent == [[0, 1, 2]] * 3
    assert found.discarded == [[0, 1, 2]]
    assert found.documents[0][1].discarded.failure is Failure.REPORTED


def test_the_failed_record_and_everything_after_it_is_delivered_again() -> None:
    """Facts 4.14, 4.7: with a new request id, and at once (4.9)."""
    outcomes = [reports(2), reports()]
    found = world(lambda invoke: outcomes.pop(0)(invoke), 4, report_batch_item_failures=True).run(10)
    assert found.sent == [[0, 1, 2, 3], [2, 3]]
    assert len(set(found.request_ids)) == 2
    assert found.gaps_s == [0.0]


def test_progress_resets_the_retry_count() -> None:
    """Fact 4.8: record 5 is seen five times, the document says 4."""
    settings = {"batch_size": 3, "retry_attempts_max": 3, "report_batch_item_failures": True}
    found = world(reports(5), 6, **settings).run(60)
    assert found.sent == [[0, 1, 2], [3, 4, 5], [5], [5], [5], [5]]
    assert found.discarded == [[5]]
    assert found.documents[0][1].discarded.attempts == 4


def test_progress_forever_is_never_discarded() -> None:
    """Fact 4.8: each answer settles one record, so a budget of no retries is never used."""

    def answer(invoke: Invoke) -> InvokeOutcome:
        return reports(*(record.sequence_number - FIRST for record in invoke.records[1:]))(invoke)

    found = world(answer, 20, report_batch_item_failures=True, retry_attempts_max=0).run(10)
    assert len(found.sent) == 20
    assert found.documents == []


def test_exhaustion_discards_the_whole_suffix_with_records_that_were_never_bad() -> None:
    """Fact 4.18: [0,1,2,3] with 1 failing, MaximumRetryAttempts 1."""
    found = world(reports(1), 4, report_batch_item_failures=True, retry_attempts_max=1).run(10)
    assert found.sent == [[0, 1, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert found.request_ids[1] == found.request_ids[2] != found.request_ids[0]
    assert found.discarded == [[1, 2, 3]]


# Bisect


def test_a_failing_batch_is_halved_and_the_left_half_goes_to_its_very_end_first() -> None:
    """Facts 4.19, 4.20, 4.22, 4.23: the left half has floor(n/2) records; the splits do not count."""
    found = world(poison(1), 5, bisect_batch_on_function_error=True, retry_attempts_max=2).run(60)
    assert found.sent == [[0, 1, 2, 3, 4], [0, 1], [0], [1], [1], [1], [2, 3, 4]]
    assert found.discarded == [[1]]
    assert found.documents[0][1].discarded.attempts == 3
    assert found.documents[0][0] <= found.invokes[-1][0]
    ids = found.request_ids
    assert ids[3] == ids[4] == ids[5]
    assert len(set(ids)) == 5


def test_halves_start_at_once_and_unchanged_retries_wait() -> None:
    """Fact 4.9."""
    found = world(poison(0), 2, bisect_batch_on_function_error=True, retry_attempts_max=1).run(60)
    assert found.sent == [[0, 1], [0], [0], [1]]
    assert found.gaps_s == [0.0, 0.2, 0.0]


def test_a_single_record_cannot_be_split_and_is_discarded_without_retries() -> None:
    """Fact 4.23."""
    found = world(poison(0), 1, bisect_batch_on_function_error=True, retry_attempts_max=0).run(60)
    assert found.sent == [[0]]
    assert found.discarded == [[0]]


def test_bisect_without_a_limit_blocks_at_the_poisoned_record() -> None:
    """Fact 4.24."""
    found = world(poison(2), 8, bisect_batch_on_function_error=True).run(3_600)
    assert found.sent[-1] == found.sent[-2] == [2]
    assert [7] not in found.sent
    assert found.documents == []


def test_bisect_with_partial_responses_splits_at_the_returned_record() -> None:
    """Fact 4.21, recorded: [1,2,3,4] fails 2; [2,3,4] fails 2; [2]; [2] 222 ms later, same id; discard 2; [3,4]."""
    settings = {"bisect_batch_on_function_error": True, "report_batch_item_failures": True, "retry_attempts_max": 1}
    found = world(reports(1), 4, **settings).run(60)
    assert found.sent == [[0, 1, 2, 3], [1, 2, 3], [1], [1], [2, 3]]
    assert found.gaps_s == [0.0, 0.0, 0.2, 0.0]
    assert found.request_ids[2] == found.request_ids[3]
    assert len(set(found.request_ids)) == 4
    assert found.discarded == [[1]]


def test_a_raised_error_halves_although_partial_responses_are_on() -> None:
    """Fact 4.22."""
    settings = {"bisect_batch_on_function_error": True, "report_batch_item_failures": True, "retry_attempts_max": 0}
    found = world(poison(3), 4, **settings).run(60)
    assert found.sent == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]


# Record age


def test_a_retried_batch_that_grows_too_old_is_discarded_after_eight_calls() -> None:
    """Facts 4.25, 4.28, 4.10: age 60 s, no retry limit: eight invocations of 1.5 s, as many as were recorded."""
    found = world(poison(0), 1, record_age_s_max=60)
    found.duration_s = lambda _: 1.5
    found.run(300)
    assert len(found.sent) == 8
    document = json.loads(found.documents[0][1].body())
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"
    assert document["requestContext"]["approximateInvokeCount"] == 8
    assert "responseContext" not in document


def test_records_too_old_when_read_are_discarded_with_a_count_of_one() -> None:
    """Fact 4.27: never sent, and approximateInvokeCount 1."""
    found = World(on_failure_destination_arn=QUEUE, record_age_s_max=60, retry_attempts_max=0)
    found.put("a", age_s=61)
    found.start().run(5)
    assert found.sent == []
    document = json.loads(found.documents[0][1].body())
    assert document["requestContext"]["approximateInvokeCount"] == 1
    assert "responseContext" not in document


def test_only_the_expired_front_of_a_batch_is_cut_off() -> None:
    """Fact 4.26: six records, the first too old: a document with batchSize 1, the other five are delivered."""
    found = World(on_failure_destination_arn=QUEUE, record_age_s_max=60, batch_size=10)
    found.put("a", age_s=61)
    found.put(*"aaaaa")
    found.start().run(5)
    assert found.discarded == [[0]]
    assert json.loads(found.documents[0][1].body())["KinesisBatchInfo"]["batchSize"] == 1
    assert found.sent == [[1, 2, 3, 4, 5]]


def test_a_record_of_exactly_the_maximum_age_is_still_sent() -> None:
    """Fact 4.25: older ones are not."""
    found = World(on_failure_destination_arn=QUEUE, record_age_s_max=60)
    found.put("a", age_s=60)
    assert found.start().run(1).sent == [[0]]


def test_an_expired_record_behind_a_fresh_one_is_delivered() -> None:
    """Fact 4.26: arrival times need not grow; only the front is looked at."""
    found = World(on_failure_destination_arn=QUEUE, record_age_s_max=60)
    found.put("a")
    found.put("a", age_s=70)
    assert found.start().run(1).sent == [[0, 1]]


def test_the_rest_of_a_batch_whose_front_expired_while_retrying_has_a_fresh_budget() -> None:
    """Facts 4.26, 4.7: the rest is another batch."""
    found = World(on_failure_destination_arn=QUEUE, record_age_s_max=60, retry_attempts_max=20)
    found.answer = poison(0, 1)
    found.put("a", age_s=55)
    found.put("a")
    found.start().run(58)
    assert found.discarded == [[0]]
    assert [1] in found.sent
    both, alone = (
        [request_id for request_id, sent in zip(found.request_ids, found.sent, strict=True) if sent == batch]
        for batch in ([0, 1], [1])
    )
    assert set(both).isdisjoint(alone)
    assert found.documents[0][1].discarded.request_id == both[0]
    assert found.documents[0][1].discarded.attempts == len(both)
