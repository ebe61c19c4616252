"""`infra up` as a process: how it starts, what it refuses and how, and that it leaves nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.local_stack import INFRA, Up, children, is_alive, until

pytestmark = pytest.mark.integration

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"

# The least that runs: a stream, a function, a mapping. The function is in the folder `task` beside the template.
SMALL = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {Name: small, ShardCount: 1}}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: small
      CodeUri: task/
      Handler: task.module.handler
      Runtime: python3.13
      Timeout: 30
      Role: arn:aws:iam::000000000000:role/small
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Function, EventSourceArn: !GetAtt Stream.Arn, StartingPosition: TRIM_HORIZON}
"""


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the small template with this source as its function; returns the template's path."""

    def write(source: str) -> Path:
        (tmp_path / "task").mkdir()
        (tmp_path / "task" / "module.py").write_text(source)
        template = tmp_path / "template.yaml"
        template.write_text(SMALL)
        return template

    return write


def refused(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`infra up` that is expected to end by itself."""
    said = subprocess.run([INFRA, "up", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout == ""
    assert "Traceback" not in said.stderr
    return said


def put(up: Up, stream: str) -> None:
    up.client("kinesis").put_record(StreamName=stream, Data=b"x", PartitionKey="k")


def test_the_ready_line_is_one_json_object_with_everything_a_script_needs(stack: Up) -> None:
    assert stack.ready.keys() >= {
        *("endpoint_url", "stream", "functions", "tables", "queues", "buckets", "api_url", "console_url", "pid")
    }
    assert stack.ready["pid"] == stack.process.pid
    assert stack.ready["endpoint_url"].startswith("http://127.0.0.1:")
    assert (stack.ready["api_url"], stack.ready["console_url"]) == (None, None)


def test_it_listens_on_loopback_only(stack: Up) -> None:
    port = int(stack.endpoint_url.rpartition(":")[2])
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0_and_without_orphans_while_environments_run(
    start: Callable[..., Up], small: Callable[[str], Path], number: int
) -> None:
    up = start("--template", str(small("def handler(event, context): pass")))
    put(up, "small")
    until(lambda: children(up.process.pid), "an execution environment")
    assert up.stop(number) == 0


def test_no_environment_outlives_a_killed_stack(start: Callable[..., Up], small: Callable[[str], Path]) -> None:
    up = start("--template", str(small("def handler(event, context): pass")))
    put(up, "small")
    below = until(lambda: children(up.process.pid), "an execution environment")
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    until(lambda: not any(map(is_alive, below)), "the end of the environments", 5)


def test_a_second_interrupt_does_not_wait_for_what_is_under_way(
    start: Callable[..., Up], small: Callable[[str], Path]
) -> None:
    up = start("--template", str(small("import time\ndef handler(event, context): time.sleep(25)")))
    put(up, "small")
    below = until(lambda: children(up.process.pid), "an execution environment")
    up.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in up.log.read_text(), "the first interrupt's effect")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(5) == 130
    until(lambda: not any(map(is_alive, below)), "the end of the environments", 5)


def test_a_function_that_cannot_be_imported_says_why_once(
    start: Callable[..., Up], small: Callable[[str], Path]
) -> None:
    up = start("--template", str(small("import there_is_no_such_module\n")))
    put(up, "small")
    until(lambda: "there_is_no_such_module" in up.log.read_text(), "the import error")
    client = up.client("lambda")
    for _ in range(3):
        assert client.invoke(FunctionName="small", Payload=b"{}")["FunctionError"] == "Unhandled"
    assert up.stop() == 0
    assert up.log.read_text().count("there_is_no_such_module") == 1


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert said.returncode == 3
    assert f"port {port}" in said.stderr
    assert "--port" in said.stderr


def test_a_data_dir_in_use_is_named(start: Callable[..., Up], small: Callable[[str], Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    template = str(small("def handler(event, context): pass"))
    start("--template", template, "--data-dir", str(data))
    said = refused("--port", "0", "--template", template, "--data-dir", str(data))
    assert said.returncode == 3
    assert str(data) in said.stderr


def test_without_a_data_dir_nothing_is_left_on_disk(
    start: Callable[..., Up], small: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = str(small("def handler(event, context): pass"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    up = start("--template", template)
    assert list(temporary.glob("infra-up-*"))
    assert up.stop() == 0
    assert list(temporary.iterdir()) == []


def test_an_unsupported_property_is_refused_by_its_path(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(SMALL.replace("ShardCount: 1", "ShardCount: 1, Flavour: sweet"))
    said = refused("--port", "0", "--template", str(template))
    assert said.returncode == 2
    assert "Resources.Stream.Properties.Flavour" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parameter", "ShardCount=many"], "Parameters.ShardCount"),
        (["--parameter", "Nonsense=1"], "Parameters.Nonsense"),
        (["--template", "/nonexistent/template.yaml"], "/nonexistent/template.yaml"),
        (["--region", "moon"], "moon"),
        (["--stack-name", "no spaces"], "no spaces"),
    ],
)
def test_wrong_input_is_one_sentence_and_exits_with_2(arguments: list[str], sentence: str) -> None:
    said = refused("--port", "0", *arguments)
    assert said.returncode == 2
    assert sentence in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_code_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(SMALL)
    said = refused("--port", "0", "--template", str(template))
    assert said.returncode == 2
    assert "Function: CodeUri task/" in said.stderr


def test_parameters_stack_name_and_region_reach_the_resources(start: Callable[..., Up], tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE.parents[1] / "processor", tmp_path / "processor")
    (tmp_path / "infra").mkdir()
    shutil.copy(TEMPLATE, tmp_path / "infra")
    template = str(tmp_path / "infra" / "template.yaml")
    named = ["--stack-name", "mine", "--region", "eu-west-1", "--parameter", "ShardCount=3"]
    up = start("--template", template, *named)
    assert up.ready["stream"] == "mine-events"
    kinesis = up.client("kinesis", region="eu-west-1")
    summary = kinesis.describe_stream_summary(StreamName="mine-events")["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 3
    assert summary["StreamARN"].split(":")[3] == "eu-west-1"
    said = up.infra("results", "--stack-name", "mine", "--region", "eu-west-1", "--format", "json")
    assert (said.returncode, json.loads(said.stdout)) == (0, [])


def test_the_idle_stack_takes_less_than_200_mb_of_memory(stack: Up) -> None:
    pids = [stack.process.pid, *children(stack.process.pid)]
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids[:1]]
    resident_kib = [int(text.split("VmRSS:")[1].split()[0]) for text in status]
    assert sum(resident_kib) < 200 * 1024
