"""What one probe of a sweep offers, whole or by several senders."""

import json

from hypothesis import given
from hypothesis import strategies as st

from loadgen.sending.sources import Part
from loadgen.sweep.samples import due_times
from loadgen.sweeping.probe import ProbeSource, Workload


@given(st.integers(1, 5), st.floats(5, 200), st.floats(0, 2))
def test_the_senders_parts_together_are_the_whole_schedule_and_share_no_event(
    processes: int, rate: float, warm_up_s: float
) -> None:
    source = ProbeSource(Workload(300, 50, 0.0, 1), "sweep-1", 1_000_000.0, rate, warm_up_s, 3.0)
    parts = [list(source.due(Part(index, processes))) for index in range(processes)]
    due = sorted(event.due_s for part in parts for event in part if event.due_s is not None)
    assert due == list(due_times(rate, warm_up_s, 3.0)) == [event.due_s for event in source.due()]
    ids = [json.loads(event.payload)["id"] for part in parts for event in part]
    assert len(set(ids)) == len(ids)
