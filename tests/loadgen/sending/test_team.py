"""Several sender processes are one load: every event once, one account, one file of results."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ops.errors import CommandError
from infra.ops.outputs import Target, connect
from loadgen.offer.events import EventOptions
from loadgen.offer.truth import Truth
from loadgen.outcome.ledger import Expectations, Findings, Page, reconcile, settle
from loadgen.outcome.metrics import Metrics, Turn
from loadgen.outcome.results import acknowledged_events, decode_all
from loadgen.sending.load import Sending
from loadgen.sending.recorded import Recording
from loadgen.sending.sender import Due
from loadgen.sending.sources import GeneratedSource, Part, RecordedSource
from processor.core.packing import PackingSettings
from processor.core.rule_api import RuleSettings
from tests.support.kinesis_sink import KinesisSink

RULES = RuleSettings(("bytes", "quantity"), 3600)


def source(rate: float, duration_s: float, **changes: Any) -> GeneratedSource:
    return GeneratedSource(EventOptions("r", 1, 1.7e9, **changes), "constant", rate, duration_s, RULES)


def sending(sink: KinesisSink, folder: Path, processes: int) -> tuple[Sending, Metrics, Expectations]:
    metrics, expected = Metrics(110_000), Expectations(RULES.measures)
    connection = connect(Target(sink.endpoint_url, None, "stack"))
    packing = PackingSettings(aggregate=10)
    made = Sending(connection, "events", packing, metrics, expected, folder / "results.jsonl", processes)
    return made, metrics, expected


@settings(max_examples=20)
@given(st.integers(2, 5), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.1]))
def test_the_parts_of_a_load_are_its_schedule_and_share_no_identity(
    of: int, duplicates: float, malformed: float
) -> None:
    whole = source(500, 1.0, duplicates=duplicates, malformed=malformed)
    parts = [list(whole.due(Part(index, of))) for index in range(of)]
    assert sorted(due.due_s or 0 for part in parts for due in part) == [due.due_s for due in whole.due()]
    seen = [{due.truth.digest for due in part if due.truth.reason is None} for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen))
    again = list(whole.due(Part(0, of)))
    assert list(map(plain, parts[0])) == list(map(plain, again)), "the same part is the same events"


def plain(due: Due) -> Due:
    """Its truth as one that compares equal to another source's."""
    return due if isinstance(due.truth, Truth) else due._replace(truth=due.truth.truth())


def test_the_parts_of_a_recording_are_its_lines_and_keep_a_keys_order(tmp_path: Path) -> None:
    lines = ["host\ttime\tmethod\turl\tresponse\tbytes"]
    lines += [f"host-{number % 7}\t{1000 + number}\tGET\t/\t200\t5" for number in range(100)]
    (tmp_path / "day.tsv").write_text("\n".join(lines) + "\nbroken\n")
    recording = RecordedSource(Recording(tmp_path / "day.tsv", None), 10.0, RULES)
    parts = [list(recording.due(Part(index, 3))) for index in range(3)]
    whole = list(recording.due())
    assert Counter(due.payload for part in parts for due in part) == Counter(due.payload for due in whole)
    for part in parts:
        assert [due for due in whole if due in part] == part
    assert sum(len({due.partition_key for due in part}) for part in parts) == 7
    assert recording.unread.lines == 1


def test_two_processes_send_every_event_once_and_leave_one_account(tmp_path: Path) -> None:
    turns: list[Turn] = []
    with KinesisSink() as sink:
        team, metrics, expected = sending(sink, tmp_path, 2)
        began_s = time.time()
        team.run(source(1000, 1.0, malformed=0.02), lambda _now_s, turn: turns.append(turn))
    assert (metrics.acknowledged, metrics.failed) == (1000, 0)
    assert expected.distinct_events == 1000
    assert expected.events_acknowledged == 1000
    assert turns[-1].acknowledged <= 1000
    assert began_s < team.started_s < began_s + 60
    with (tmp_path / "results.jsonl").open() as lines:
        results = list(decode_all(lines))
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]
    assert sum(len(result.due_us) for result in results) == 1000
    assert [result.done_us for result in results] == sorted(result.done_us for result in results)
    again = Metrics(metrics.late_after_us)
    for result in results:
        again.add(result)
    assert again.named() == metrics.named()


def test_a_stopped_team_gives_up_what_is_left_and_says_so_in_the_account(tmp_path: Path) -> None:
    with KinesisSink() as sink:
        team, metrics, expected = sending(sink, tmp_path, 2)

        def stop(_now_s: float, turn: Turn) -> None:
            if turn.acknowledged > 100:
                team.stop()

        team.run(source(2000, 60.0), stop)
        assert metrics.acknowledged >= 100
        assert metrics.offered < 60_000
        assert expected.events_acknowledged == metrics.acknowledged
        assert team.problems == []


def test_a_killed_sender_ends_the_load_and_its_lines_are_in_the_numbers_though_not_in_the_ledger(
    tmp_path: Path,
) -> None:
    killed: list[int] = []

    def kill_one(_now_s: float, turn: Turn) -> None:
        if turn.acknowledged > 1000 and not killed:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            senders = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            killed.append(senders[0])
            os.kill(senders[0], signal.SIGKILL)

    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("needs /proc")
    with KinesisSink() as sink:
        team, metrics, expected = sending(sink, tmp_path, 2)
        team.run(source(2000, 60.0), kill_one)
    assert killed
    died, not_in_ledger = team.problems
    assert "died" in died
    rest = metrics.acknowledged - expected.events_acknowledged
    assert rest > 0
    assert f"{rest:,} acknowledged events of sender process" in not_in_ledger
    with (tmp_path / "results.jsonl").open() as lines:
        again = Metrics(metrics.late_after_us)
        for result in decode_all(lines):
            again.add(result)
    assert again.named() == metrics.named()
    team.check()
    assert team.broken is None


def run_for_long(endpoint_url: str, folder: str) -> None:
    """In a process of its own; says when it sends."""
    connection = connect(Target(endpoint_url, None, "stack"))
    metrics, expected = Metrics(110_000), Expectations(RULES.measures)
    made = Sending(connection, "e", PackingSettings(aggregate=10), metrics, expected, Path(folder, "results.jsonl"), 3)
    made.run(source(500, 120.0), lambda _now_s, turn: print(turn.acknowledged, flush=True))


def test_senders_whose_parent_is_killed_end_without_a_word(tmp_path: Path) -> None:
    run = f"from {__name__} import run_for_long; import sys; run_for_long(*sys.argv[1:])"
    with (
        KinesisSink() as sink,
        subprocess.Popen(
            [sys.executable, "-c", run, sink.endpoint_url, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as parent,
    ):
        assert parent.stdout is not None
        assert any(int(line) > 100 for line in parent.stdout)
        parent.kill()
        said = parent.communicate(timeout=60)[1]  # the senders have it open too, until they have ended
    assert said == ""
    assert len(list(tmp_path.glob("results-*.jsonl.part"))) == 3


def test_a_merge_without_room_keeps_the_senders_files_and_names_them(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "results.jsonl").symlink_to("/dev/full")
    with KinesisSink() as sink:
        team, metrics, _ = sending(sink, tmp_path, 2)
        team.run(source(1000, 0.5), lambda *_: None)
    kept = ["results-0.jsonl.part", "results-1.jsonl.part"]
    assert team.broken == f"No space left on device; the lines are kept in {', '.join(kept)}"
    assert metrics.acknowledged == 500
    assert sum(acknowledged_events((tmp_path / name).open()) for name in kept) == 500


def test_senders_that_cannot_start_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name in ("results-0.jsonl.part", "results-1.jsonl.part"):
        (tmp_path / name).write_text("of an earlier load\n")
    with KinesisSink() as sink:
        team, _, _ = sending(sink, tmp_path, 2)
        team._connection = connect(Target("http://192.0.2.1:1", None, "stack"))  # no loopback: a region is needed
        with pytest.raises(CommandError, match="region"):
            team.run(source(10, 1.0), lambda *_: None)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("results.jsonl", "")]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.booleans()), max_size=60), st.sets(st.integers(0, 30))
)
def test_merged_expectations_are_those_of_one_sender(sent: list[tuple[int, int, bool]], before: set[int]) -> None:
    generator = source(100, 1.0).due()
    truths = [due.truth for due in generator][:31]
    window = {(truth.pk, truth.window) for truth in truths}
    whole = Expectations(RULES.measures)
    ours, others = Expectations(RULES.measures), [Expectations(RULES.measures) for _ in range(2)]
    pages = {
        key: [Page(1, truths[number].amounts, frozenset({truths[number].digest})) for number in sorted(before)
              if (truths[number].pk, truths[number].window) == key]
        for key in window
    }  # fmt: skip
    for key, chain in pages.items():
        for expectations in (whole, ours):
            if chain:
                expectations.there_before(key, chain)
    for other in others:
        other.tell_before(ours.known_before())
    owners: dict[int, int] = {}
    for number, (sender, event, fails) in enumerate(sent):
        other = others[owners.setdefault(event, sender)]
        for expectations in (whole, other):
            if fails:
                expectations.failed([truths[event]], uncertain=True)
            else:
                expectations.acknowledged([truths[event]], "shard", str(number))
    for other in others:
        ours.merge(other)
    findings = Findings(checks={key: reconcile(whole.windows[key], pages[key]) for key in whole.windows})
    merged = Findings(checks={key: reconcile(ours.windows[key], pages[key]) for key in ours.windows})
    assert settle(whole, findings) == settle(ours, merged)
    assert {key: (w.sums, w.changed_sums, w.before) for key, w in whole.windows.items()} == {
        key: (w.sums, w.changed_sums, w.before) for key, w in ours.windows.items()
    }
