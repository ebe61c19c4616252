"""SHELL: code of functions made through the API: a zip out of a request becomes a folder, without trusting it.

AWS: gettingstarted-limits (50 MB zipped in a request, 250 MB unzipped). Nothing is written outside the folder: names
that point elsewhere and links are refused, sizes are those that were really unpacked.
"""

import base64
import binascii
import hashlib
import io
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from infra.model.function.refusals import RefusedError, invalid, not_reproduced

ZIPPED_BYTES_MAX = 52_428_800
UNZIPPED_BYTES_MAX = 262_144_000
FILES_MAX = 30_000  # AWS names no limit; this one bounds our disk's inodes
_CHUNK_BYTES = 1_048_576
_UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


class Code(NamedTuple):
    """`sha256` is base64, as AWS shows it; `size` in bytes, of the zip or of the folder that it came from."""

    task_root: Path
    sha256: str
    size: int


def zip_of(code: Mapping[str, Any]) -> bytes:
    """The zip in a request's Code. Raises RefusedError."""
    if any(code.get(name) for name in ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri", "SourceKMSKeyArn")):
        raise not_reproduced("Code other than ZipFile")
    given = code.get("ZipFile")
    if not isinstance(given, str) or not given:
        raise invalid("Please provide a source for function code.")
    try:
        content = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(400, "SerializationException", "ZipFile is not base64") from error
    if len(content) >= ZIPPED_BYTES_MAX:
        message = f"Zipped size must be smaller than {ZIPPED_BYTES_MAX} bytes"
        raise RefusedError(413, "RequestEntityTooLargeException", message)
    return content


def unpack(content: bytes, into: Path) -> Code:
    """Unpacks into the new folder `into`; when that is refused the folder is gone again. Raises RefusedError."""
    into.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _unpack(archive, into)
    except RefusedError:
        shutil.rmtree(into, ignore_errors=True)
        raise
    # zipfile names no single error for what it cannot read: also encryption, unknown methods, a file that is a folder.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        shutil.rmtree(into, ignore_errors=True)
        raise invalid(_UNREADABLE) from error
    return Code(into, base64.b64encode(hashlib.sha256(content).digest()).decode(), len(content))


def of_folder(task_root: Path) -> Code:
    """Code that was not uploaded as a zip: the hash is of all names and contents."""
    digest, size = hashlib.sha256(), 0
    for path in sorted(task_root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            name = path.relative_to(task_root).as_posix().encode()
            digest.update(len(name).to_bytes(8) + name + len(content).to_bytes(8) + content)
            size += len(content)
    return Code(task_root, base64.b64encode(digest.digest()).decode(), size)


def _unpack(archive: zipfile.ZipFile, into: Path) -> None:
    members = archive.infolist()
    if len(members) > FILES_MAX:
        raise invalid(f"the zip has {len(members)} files; at most {FILES_MAX} are taken here")
    if sum(member.file_size for member in members) >= UNZIPPED_BYTES_MAX:
        raise invalid(f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes")
    left = UNZIPPED_BYTES_MAX
    for member in members:
        target = into / _safe(member)
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left <= 0:
                    raise invalid(f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes")
                file.write(chunk)
        target.chmod(0o755 if (member.external_attr >> 16) & 0o111 else 0o644)


def _safe(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path inside the folder. Raises RefusedError for one that leaves it, and for links and devices."""
    path = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or "\\" in member.filename
        or (kind and kind not in (stat.S_IFREG, stat.S_IFDIR))
    ):
        raise invalid(_UNREADABLE)
    return path
