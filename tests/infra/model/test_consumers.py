"""Consumers and their subscriptions with time moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.sequence import HASH_KEYS
from infra.model.stream import Entry, Quotas, Stream, StreamError, Written
from infra.model.subscription import EVENT_BYTES_MAX, Subscription, SubscriptionEvent

T = 1_700_000_000.0
MIB = 1024 * 1024
FIRST = "shardId-000000000000"
BOUNDLESS = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)


def make(transition_s: float = 0.0, quotas: Quotas | None = BOUNDLESS) -> Stream:
    return Stream(
        "orders",
        account_id="111111111111",
        region="eu-west-1",
        shard_count=1,
        now=T,
        transition_s=transition_s,
        ready=True,
        quotas=quotas,
    )


def refused(code: str) -> "pytest.RaisesExc[StreamError]":
    return pytest.raises(StreamError, check=lambda error: error.code == code)


def subscribed(stream: Stream, now: float = T, start: str = "TRIM_HORIZON") -> Subscription:
    consumer = stream.register_consumer("audit", now)
    return stream.subscribe(consumer, FIRST, start, now)


def put(stream: Stream, size: int, now: float, n: int = 1) -> list[int]:
    outcomes = stream.put([Entry("k", bytes(size - 1))] * n, now)
    return [outcome.sequence_number for outcome in outcomes if isinstance(outcome, Written)]


def events_until(
    stream: Stream, subscription: Subscription, now: float, end: float
) -> list[tuple[float, SubscriptionEvent]]:
    """Asks whenever the model says so, and not in between."""
    found = []
    for _ in range(10_000):
        event, due = stream.next_event(subscription, now)
        if event is not None:
            found.append((now, event))
        elif due >= end or subscription.ended:
            return found
        else:
            assert due > now
            now = due
    raise AssertionError("it does not come to rest")


# ---- consumers


def test_a_consumer_is_creating_then_active_then_deleting_then_gone() -> None:
    stream = make(transition_s=2.0)
    consumer = stream.register_consumer("audit", T + 0.5)
    assert consumer.arn == f"{stream.arn}/consumer/audit:{int(T)}"
    assert consumer.status == "CREATING"
    with refused("ResourceInUseException"):
        stream.subscribe(consumer, FIRST, "LATEST", T + 1)
    with refused("ResourceInUseException"):
        stream.deregister_consumer(consumer, T + 1)
    stream.settle(T + 2.5)
    assert consumer.status == "ACTIVE"
    stream.deregister_consumer(consumer, T + 3)
    assert consumer.status == "DELETING"
    assert stream.consumers.find(name="audit") is consumer
    stream.settle(T + 5)
    with refused("ResourceNotFoundException"):
        stream.consumers.find(name="audit")


def test_a_stream_has_at_most_twenty_consumers() -> None:
    """Fact 9.10."""
    stream = make()
    for number in range(20):
        stream.register_consumer(f"c{number}", T)
    with refused("LimitExceededException"):
        stream.register_consumer("c20", T)
    stream.deregister_consumer(stream.consumers.find(name="c7"), T)
    stream.register_consumer("c20", T)
    assert len(stream.consumers) == 20


def test_at_most_five_consumers_are_created_at_once() -> None:
    stream = make(transition_s=2.0)
    for number in range(5):
        stream.register_consumer(f"c{number}", T)
    with refused("LimitExceededException"):
        stream.register_consumer("c5", T + 1.9)
    stream.register_consumer("c5", T + 2)


def test_a_name_is_taken_once_and_found_by_name_and_arn_together() -> None:
    stream = make()
    audit, billing = stream.register_consumer("audit", T), stream.register_consumer("billing", T)
    with refused("ResourceInUseException"):
        stream.register_consumer("audit", T)
    assert stream.consumers.find(name="audit", arn=audit.arn) is audit
    with refused("ResourceNotFoundException"):
        stream.consumers.find(name="audit", arn=billing.arn)


def test_a_consumer_that_is_not_there_is_told_in_the_words_of_aws() -> None:
    """As recorded from AWS for a consumer that was named by its ARN."""
    stream = make()
    with pytest.raises(StreamError) as error:
        stream.consumers.find(arn=f"{stream.arn}/consumer/audit:1789808633")
    words = "Consumer audit with creation timestamp 1789808633 under stream: orders, account 111111111111 not found."
    assert error.value.message == words


def test_a_stream_with_consumers_is_deleted_only_with_them_and_ends_their_subscriptions() -> None:
    stream = make(transition_s=0.0)
    subscription = subscribed(stream)
    with refused("ResourceInUseException"):
        stream.delete(T)
    stream.delete(T, with_consumers=True)
    assert subscription.ended
    assert subscription.failure is not None
    assert subscription.failure.code == "ResourceNotFoundException"


# ---- subscriptions


def test_subscribing_again_within_five_seconds_is_refused_and_later_takes_over() -> None:
    """Fact 9.10."""
    stream = make()
    first = subscribed(stream)
    consumer = stream.consumers.find(name="audit")
    with refused("ResourceInUseException"):
        stream.subscribe(consumer, FIRST, "LATEST", T + 4.9)
    assert not first.ended
    second = stream.subscribe(consumer, FIRST, "LATEST", T + 5)
    assert first.ended
    assert first.failure is not None
    assert first.failure.code == "ResourceInUseException"
    assert first.failure.message.endswith("consumer: 111111111111:orders:shardId-000000000000:audit")
    assert not second.ended


def test_another_consumer_of_the_same_shard_is_not_in_the_way() -> None:
    stream = make()
    subscribed(stream)
    stream.subscribe(stream.register_consumer("billing", T), FIRST, "LATEST", T)


def test_a_subscription_lasts_five_minutes_and_goes_on_after_its_continuation() -> None:
    """Fact 9.10."""
    stream = make()
    subscription = subscribed(stream)
    numbers = put(stream, 10, T + 1, 3)
    events = events_until(stream, subscription, T + 1, T + 400)
    assert subscription.ended
    assert subscription.failure is None
    assert events[-1][0] <= T + 300
    assert [record.sequence_number for _, event in events for record in event.records] == numbers
    last = events[-1][1].continuation
    assert last == numbers[-1]
    later = put(stream, 10, T + 310)
    again = stream.subscribe(
        stream.consumers.find(name="audit"), FIRST, "AFTER_SEQUENCE_NUMBER", T + 311, sequence_number=last
    )
    event, _ = stream.next_event(again, T + 311)
    assert event is not None
    assert [record.sequence_number for record in event.records] == later


@pytest.mark.parametrize("start", ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])
def test_the_continuation_of_an_idle_subscription_is_a_number_that_misses_and_repeats_nothing(start: str) -> None:
    stream = make()
    consumer = stream.register_consumer("audit", T)
    before = [] if start == "TRIM_HORIZON" else put(stream, 10, T)
    time_s = T + 1 if start == "AT_TIMESTAMP" else None
    idle = stream.subscribe(consumer, FIRST, start, T + 1, timestamp_s=time_s)
    event, _ = stream.next_event(idle, T + 1)
    assert event is not None
    assert event.records == ()
    assert event.millis_behind_latest == 0
    assert event.continuation is not None
    numbers = put(stream, 10, T + 2)
    again = stream.subscribe(consumer, FIRST, "AFTER_SEQUENCE_NUMBER", T + 6, sequence_number=event.continuation)
    event, _ = stream.next_event(again, T + 6)
    assert event is not None
    assert [record.sequence_number for record in event.records] == numbers
    assert before + numbers == sorted(before + numbers)


def test_an_idle_subscription_says_every_five_seconds_that_there_is_nothing() -> None:
    stream = make()
    events = events_until(stream, subscribed(stream), T, T + 21)
    assert [at - T for at, _ in events] == [0, 5, 10, 15, 20]


def test_a_subscription_gives_two_mebibytes_a_second_and_uses_nothing_of_the_shards_own_reads() -> None:
    """Facts 2.18, 9.10."""
    stream = Stream("orders", account_id="1" * 12, region="r", shard_count=1, now=T)
    for second in range(10):
        assert len(put(stream, MIB // 4, T + second, 4)) == 4
    subscription = subscribed(stream, T + 10)
    events = events_until(stream, subscription, T + 10, T + 13.999)
    given = sum(len(record.data) + 1 for _, event in events for record in event.records)
    assert given == 10 * MIB  # 2 MiB at once, 2 MiB a second, and the last event may overdraw
    assert events[0][1].millis_behind_latest > 0
    for _ in range(5):
        stream.read(stream.position(FIRST, "TRIM_HORIZON", T + 14), 1, T + 14)


def test_two_consumers_have_two_mebibytes_each() -> None:
    """Fact 2.18."""
    stream = make()
    put(stream, MIB // 4, T, 16)
    for name in ("audit", "billing"):
        subscription = stream.subscribe(stream.register_consumer(name, T), FIRST, "TRIM_HORIZON", T)
        events = events_until(stream, subscription, T, T + 0.0001)
        assert sum(len(event.records) for _, event in events) * MIB // 4 == 2 * MIB


def test_the_last_event_of_a_closed_shard_names_its_children_and_has_no_continuation() -> None:
    """Fact 9.9."""
    stream = make()
    subscription = subscribed(stream)
    numbers = put(stream, 10, T)
    stream.split(FIRST, HASH_KEYS // 2, T + 1)
    events = events_until(stream, subscription, T + 1, T + 9)
    assert len(events) == 1
    assert [record.sequence_number for record in events[0][1].records] == numbers
    assert [child.parent_id for child in events[0][1].children] == [FIRST, FIRST]
    assert events[0][1].continuation is None
    assert subscription.ended
    assert subscription.failure is None


def test_a_closed_shard_is_pushed_to_its_end_before_its_children_are_named() -> None:
    """Fact 9.9."""
    stream = make()
    numbers = put(stream, MIB // 4, T, 14)
    subscription = subscribed(stream)
    stream.split(FIRST, HASH_KEYS // 2, T + 1)
    events = [event for _, event in events_until(stream, subscription, T + 1, T + 20)]
    assert len(events) > 2
    assert [record.sequence_number for event in events for record in event.records] == numbers
    assert [len(event.children) for event in events] == [0] * (len(events) - 1) + [2]
    assert [event.continuation is None for event in events] == [False] * (len(events) - 1) + [True]


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(2, 3 * MIB // 2), st.integers(1, 3)), max_size=12))
def test_a_subscription_gives_everything_once_in_order_and_within_its_rate(steps: list[tuple[float, int, int]]) -> None:
    stream = Stream(
        "orders", account_id="1" * 12, region="r", shard_count=1, now=T, quotas=BOUNDLESS, record_size_kib_max=10_240
    )
    subscription = subscribed(stream)
    now, numbers, got, size = T, [], [], 0
    for pause_s, record_size, n in steps:
        for at, event in events_until(stream, subscription, now, now + pause_s):
            got += [record.sequence_number for record in event.records]
            event_size = sum(len(record.data) + 1 for record in event.records)
            assert event_size <= EVENT_BYTES_MAX or len(event.records) == 1
            size += event_size
            assert size <= 2 * MIB * (1 + at - T) + 3 * MIB // 2 + 10
        now += pause_s
        numbers += put(stream, record_size, now, n)
    for _, event in events_until(stream, subscription, now, T + 250):
        got += [record.sequence_number for record in event.records]
    assert got == numbers
