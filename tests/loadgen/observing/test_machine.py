"""What is known of this process while it sends: its CPU, the machine's, and that it stood still."""

import threading

from loadgen.observing.machine import Machine, cpu_s


class Clock:
    """Goes on by what is waited, and now and then by more: then nobody ran."""

    def __init__(self, *more_s: float) -> None:
        self._more_s, self.now_s = list(more_s), 0.0
        self.is_used_up = threading.Event()

    def wait(self, wait_s: float) -> bool:
        if not self._more_s:
            self.is_used_up.set()
            return True
        self.now_s += wait_s + self._more_s.pop(0)
        return False


def test_time_in_which_a_thread_that_wants_to_run_does_not_is_counted() -> None:
    clock = Clock(0.0, 3.0, 0.01, 0.2, 0.5, 0.0)
    with Machine(lambda: clock.now_s, clock.wait) as machine:
        assert clock.is_used_up.wait(10)
    found = machine.circumstances(1)
    assert found.still_s is not None
    assert found.still_max_s is not None
    assert abs(found.still_s - 3.5) < 1e-6  # the short ones are an interpreter's own
    assert abs(found.still_max_s - 3.0) < 1e-6


def test_cpu_is_that_of_this_process_per_sender() -> None:
    with Machine() as machine:
        until_s = cpu_s() + 0.3
        while cpu_s() < until_s:
            pass
    one, two = machine.circumstances(1), machine.circumstances(2)
    assert one.cpu_share is not None
    assert two.cpu_share == one.cpu_share / 2
    assert 0 < one.cpu_share <= 2
    assert one.machine_share is None or 0 <= one.machine_share <= 1
