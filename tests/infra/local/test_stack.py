"""What `infra up` needs of the machine is taken once, given back, and refused in words."""

import socket
from pathlib import Path

import pytest

from infra.local.stack import server_config
from infra.local.stack_inputs import StackError, StackOptions, bind, data_directory, read_template, writing
from infra.local.stack_told import deployed_stack, ready_line

TEMPLATE = Path(__file__).parents[3] / "infra" / "template.yaml"


def options(template: Path = TEMPLATE, **parameters: str) -> StackOptions:
    return StackOptions(template=template, parameters=parameters, stack_name="mine", region="eu-west-1")


def test_port_0_takes_a_free_port_and_listens_on_loopback() -> None:
    with bind(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        socket.create_connection((host, port), timeout=5).close()


def test_a_port_in_use_is_an_environment_error_that_names_it() -> None:
    with bind(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} ") as raised, bind(port):
            pass
    assert raised.value.exit_status == 3


def test_the_server_owns_the_socket_from_then_on() -> None:
    with bind(0) as listener:
        config = server_config(listener)
        assert listener.fileno() == -1
        (server_socket,) = config.create_sockets().insecure_sockets
        server_socket.close()


def test_a_temporary_data_directory_disappears_and_a_given_one_stays(tmp_path: Path) -> None:
    with data_directory(None) as temporary:
        assert temporary.is_dir()
    assert not temporary.exists()
    with data_directory(tmp_path / "a" / "b") as given:
        assert given.is_dir()
    assert given.is_dir()


def test_a_data_directory_is_used_by_one_stack_at_a_time(tmp_path: Path) -> None:
    with data_directory(tmp_path):
        with pytest.raises(StackError, match="another `infra up`") as raised, data_directory(tmp_path):
            pass
        assert raised.value.exit_status == 3
    with data_directory(tmp_path):
        pass


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="file/data"), data_directory(tmp_path / "file" / "data"):
        pass


def test_a_data_directory_without_room_is_one_sentence_and_an_environment_error(tmp_path: Path) -> None:
    with pytest.raises(StackError) as raised, writing(tmp_path):
        raise OSError(28, "No space left on device", "some/file")
    assert raised.value.exit_status == 3
    assert str(tmp_path) in str(raised.value)
    assert "some/file: No space left on device" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"Resources: 1", b"]["])
def test_what_is_not_a_template_is_a_usage_error_that_names_the_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "template.yaml"
    path.write_bytes(text)
    with pytest.raises(StackError, match=r"template\.yaml") as raised:
        read_template(options(path))
    assert raised.value.exit_status == 2


def test_the_stack_as_described_has_every_parameter_output_and_resource() -> None:
    stack = deployed_stack(read_template(options(ShardCount="5")))
    assert stack.arn.startswith("arn:aws:cloudformation:eu-west-1:000000000000:stack/mine/")
    assert stack.parameters["ShardCount"] == "5"
    assert stack.parameters["Measures"] == "bytes,quantity"
    assert stack.outputs["StreamName"] == "mine-events"
    physical = {resource.logical_id: resource.physical_id for resource in stack.resources}
    assert physical["EventStream"] == "mine-events"
    assert physical["StreamMapping"] == stack.outputs["MappingId"]


def test_the_ready_line_names_what_was_deployed() -> None:
    line = ready_line(read_template(options()), "http://127.0.0.1:1")
    assert line["stream"] == "mine-events"
    assert line["functions"] == ["mine-stream"]
    assert line["tables"] == ["mine-results", "mine-quarantine"]
    assert line["buckets"] == ["mine-failures-000000000000"]
