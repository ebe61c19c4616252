"""A zip of a request becomes a folder, and nothing outside that folder is ever touched."""

import base64
import io
import os
import shutil
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local import function_code
from infra.local.function_code import of_folder, unpack, zip_of
from infra.model.function.refusals import RefusedError
from tests.support.lambda_endpoint import zipped

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


def test_files_are_unpacked_with_their_folders_and_may_be_run_when_they_might_before(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/b/c.py", "x = 1")
        script = zipfile.ZipInfo("bin/run")
        script.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(script, "#!")
        archive.mkdir("empty")
    code = unpack(content.getvalue(), tmp_path / "into")
    assert (code.task_root / "a/b/c.py").read_text() == "x = 1"
    assert os.access(code.task_root / "bin/run", os.X_OK)
    assert not os.access(code.task_root / "a/b/c.py", os.X_OK)
    assert (code.task_root / "empty").is_dir()
    assert (code.size, len(base64.b64decode(code.sha256))) == (len(content.getvalue()), 32)


def link(name: str, target: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, target)
        archive.writestr(f"{name}/written", "through the link")
    return content.getvalue()


def torn(content: bytes) -> bytes:
    """The middle of the first file's data is other than its checksum says."""
    return content[:60] + bytes(byte ^ 0xFF for byte in content[60:80]) + content[80:]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06",
        zipped({"../outside": "x"}),
        zipped({"a/../../outside": "x"}),
        zipped({"/outside": "x"}),
        zipped({"..\\outside": "x"}),
        zipped({"file": "x", "file/below": "y"}),
        link("link", "/etc"),
        link("link", ".."),
        torn(zipped({"noise": os.urandom(500)})),
        zipped({"cut": os.urandom(500)})[:-30],
    ],
    ids=["empty", "end only", "parent", "deep parent", "absolute", "backslash", "file and folder", "link", "link up", "torn", "cut"],
)  # fmt: skip
def test_what_leaves_the_folder_or_is_no_zip_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    into = tmp_path / "below" / "into"
    with pytest.raises(RefusedError) as refused:
        unpack(content, into)
    assert (refused.value.code, refused.value.message) == ("InvalidParameterValueException", UNREADABLE)
    assert [path for path in tmp_path.rglob("*") if path.name != "below"] == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="ab./\\~ ", min_size=1, max_size=12), min_size=1, max_size=4))
def test_no_name_in_a_zip_reaches_outside_the_folder(tmp_path: Path, names: list[str]) -> None:
    into = tmp_path / "deep" / "er" / "into"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of two files of one name
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
    try:
        unpack(content.getvalue(), into)
    except RefusedError:
        assert not into.exists()
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(into)]
    assert outside == []
    shutil.rmtree(into, ignore_errors=True)


def test_a_zip_that_unpacks_to_too_much_is_refused_by_what_it_says_and_by_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function_code, "UNZIPPED_BYTES_MAX", 100_000)
    bomb = zipped({"zeros": b"\0" * 100_000})
    assert len(bomb) < 1_000
    with pytest.raises(RefusedError, match="Unzipped size must be smaller than 100000 bytes"):
        unpack(bomb, tmp_path / "honest")
    size = (100_000).to_bytes(4, "little")
    liar = bomb.replace(size, (10).to_bytes(4, "little"))
    assert liar != bomb
    with pytest.raises(RefusedError):
        unpack(liar, tmp_path / "liar")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_of_too_many_files_or_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_code, "FILES_MAX", 3)
    with pytest.raises(RefusedError, match="4 files"):
        unpack(zipped({str(number): "" for number in range(4)}), tmp_path / "into")
    monkeypatch.setattr(function_code, "ZIPPED_BYTES_MAX", 100)
    with pytest.raises(RefusedError) as refused:
        zip_of({"ZipFile": base64.b64encode(b"x" * 100).decode()})
    assert (refused.value.status, refused.value.code) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize("code", [{}, {"ZipFile": ""}, {"ZipFile": "???"}, {"ZipFile": 1}, {"S3Bucket": "b"}])
def test_code_that_is_not_a_zip_in_the_request_is_refused(code: dict[str, object]) -> None:
    with pytest.raises(RefusedError) as refused:
        zip_of(code)
    assert refused.value.status == 400


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = of_folder(tmp_path)
    assert of_folder(tmp_path) == first
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("compiled")
    assert of_folder(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    renamed = of_folder(tmp_path)
    assert renamed.sha256 != first.sha256
    (tmp_path / "b.py").write_text("2")
    assert of_folder(tmp_path).sha256 != renamed.sha256
