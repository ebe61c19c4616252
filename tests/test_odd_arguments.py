"""Whatever an option is given, a command ends soon, with a documented exit status and a sentence; never a traceback.

No stack is needed: nobody listens at the endpoint, so that what is accepted ends with status 3.
"""

import functools
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from infra import cli as infra
from infra import intrinsics
from infra.ops.errors import CommandError
from infra.ops.outputs import Connection
from loadgen import cli as loadgen
from loadgen.offer.recordings import TSV_COLUMNS

PARSE = functools.cache(intrinsics.parse)  # the template is read hundreds of times
ODD = {
    "empty": "",
    "space": " ",
    "control": "\x1b[2J\x07\n",
    "nul": "\x00",
    "bytes": "\udcff\udcfe",
    "unicode": "١٢ü🙂",
    "minus": "-1",
    "digits": "9" * 5000,
    "huge": "99999999999999",
    "infinite": "inf",
    "nan": "nan",
    "exponent": "1e400",
    "fraction": "0.0000001",
    "option": "--",
    "brackets": "[{(${",
    "long": "a" * 70_000,
    "year": "99999-01-01",
    "offset": "0001-01-01T00:00:00+23:59",
    "pairs": "=,=,==",
}
RUN = ["run", "--rate=5", "--duration=1"]
SIMULATE = ["simulate", "--events=20"]
TARGET = ["--stack-name", "--region"]
# Of each command: how it is called, what it would reach, and its options. FILE is the test's own.
INFRA = (
    (["results"], "endpoint", ["--from", "--to", "--format", "--by", "--type", "--subject", "--endpoint-url", *TARGET]),
    (["quarantine", "list"], "endpoint", ["--from", "--to", "--format", "--reason", "--endpoint-url", *TARGET]),
    (["quarantine", "show", "s/shardId-0:1"], "endpoint", ["--endpoint-url", *TARGET]),
    (["quarantine", "show"], "endpoint", [""]),
    (["up"], "port", ["--port", "--template", "--parameter", "--region", "--stack-name", "--mapping-lag"]),
    (["simulate"], "", ["--events", "--seeds", "--processes", "--shards", "--rate", "--keys", "--aggregate"]),
    (SIMULATE, "", ["--seed", "--faults", "--template", "--parameter", "--mutation", "--window", "--timeout"]),
    (SIMULATE, "", ["--batch-size", "--batching-window", "--parallelization-factor", "--retries", "--record-age"]),
)
LOADGEN = (
    (["run", "--duration=1"], "endpoint", ["--rate"]),
    (["run", "--rate=1"], "endpoint", ["--duration"]),
    (
        RUN,
        "endpoint",
        ["--out", "--seed", "--profile", "--event-bytes", "--keys", "--skew", "--duplicates", "--malformed"],
    ),
    (RUN, "endpoint", ["--run-id", "--event-time", "--aggregate", "--processes", "--threshold", "--drain-timeout"]),
    (RUN, "endpoint", ["--settle", "--metrics-wait", "--endpoint-url", *TARGET]),
    (
        ["replay", "FILE"],
        "endpoint",
        ["--out", "--format", "--speed", "--aggregate", "--processes", "--settle", *TARGET],
    ),
    (["replay"], "endpoint", [""]),
    (
        ["sweep"],
        "endpoint",
        ["--out", "--seed", "--shards", "--batch-size", "--aggregate", "--point-duration", "--warm-up"],
    ),
    (
        ["sweep"],
        "endpoint",
        [
            "--tolerance",
            "--probes",
            "--start",
            "--processes",
            "--overdrive",
            "--rate-max",
            "--event-bytes",
            "--keys",
            "--skew",
            *TARGET,
        ],
    ),
    (["report"], "", [""]),
)
COMMANDS = [
    pytest.param(main, command, target, option, id=" ".join((name, *command, option)))
    for name, main, calls in (("infra", infra.main, INFRA), ("loadgen", loadgen.main, LOADGEN))
    for command, target, options in calls
    for option in options
]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that nobody else can take, and at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the arguments counts, and that nobody answers is known at once."""

    def silence(connection: Connection, *_arguments: object, **_options: object) -> None:
        raise CommandError(f"{connection.target} does not answer")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("\t".join(TSV_COLUMNS) + "\nh\t807256800\tGET\t/\t200\t5\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Connection, "client", silence)
    monkeypatch.setattr("infra.blueprint.stack.parse", PARSE)


def call(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:  # argparse
        return int(ended.code or 0)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("main", "command", "target", "option"), COMMANDS)
def test_odd_values_end_soon_with_a_documented_status(
    main: Callable[[Sequence[str]], int],
    command: list[str],
    target: str,
    option: str,
    taken: int,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    reached = {"": [], "port": [f"--port={taken}"], "endpoint": [f"--endpoint-url=http://127.0.0.1:{taken}"]}[target]
    for name, value in ODD.items():
        status = call(main, [*command, *reached, *([f"{option}={value}"] if option else ["--", value])])
        said = capfd.readouterr().err
        assert status in (0, 1, 2, 3), name
        assert status != 3 or target, (name, said)
        assert (status in (2, 3)) == bool(said), (name, said)
        assert "Traceback" not in said, (name, said)
    assert {path.name for path in tmp_path.iterdir()} == before
