"""A function's configuration as Lambda's API takes and shows it, and what AWS refuses of it.

AWS: API_CreateFunction, API_UpdateFunctionConfiguration, gettingstarted-limits, configuration-envvars. What would
change how a function runs on AWS and is not reproduced here is refused instead of being forgotten.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.model.function.refusals import RefusedError, Violations, invalid, not_reproduced, table, text

RUNTIMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3.10")  # awslambdaric needs 3.10
ARCHITECTURES = ("x86_64", "arm64")
TIMEOUT_S, TIMEOUT_S_MAX = 3, 900
MEMORY_MB, MEMORY_MB_MIN, MEMORY_MB_MAX = 128, 128, 10_240
STORAGE_MB, STORAGE_MB_MAX = 512, 10_240
ENVIRONMENT_BYTES_MAX = 4_096
LATEST = "$LATEST"

_ROLE = re.compile(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_HANDLER = re.compile(r"[^\s]+")
_VARIABLE = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
# AWS: configuration-envvars, "Defined runtime environment variables" that are reserved.
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip
# Members of the requests that are taken, and those whose emptiness is the default and may be said.
_TAKEN = {"FunctionName", "Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "Environment"}
_TAKEN |= {"EphemeralStorage", "TracingConfig", "RevisionId", "LoggingConfig"}
_ONLY_AT_CREATION = {"Code", "Publish", "PackageType", "Architectures", "Tags"}
_ONLY_EMPTY = {"VpcConfig", "DeadLetterConfig", "Layers", "FileSystemConfigs", "ImageConfig", "KMSKeyArn"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of a function. `arn` has no qualifier. `code` is the caller's word for where the code lies."""

    name: str
    arn: str
    runtime: str
    role_arn: str
    handler: str
    code: str
    timeout_s: int = TIMEOUT_S
    memory_mb: int = MEMORY_MB
    environment: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    architecture: str = "x86_64"
    log_group: str = ""
    storage_mb: int = STORAGE_MB
    tracing: str = "PassThrough"
    code_sha256: str = ""
    code_bytes: int = 0
    version: str = LATEST
    revision_id: str = ""
    modified_s: float = 0.0

    @property
    def qualified_arn(self) -> str:
        return f"{self.arn}:{self.version}"

    def says_the_same_as(self, other: Configuration) -> bool:
        """Whether publishing would give the same version again."""
        same = dataclasses.replace(
            self, version=other.version, revision_id=other.revision_id, modified_s=other.modified_s, code=other.code
        )
        return same == other


def created(request: Mapping[str, Any], *, arn: str) -> Configuration:
    """The configuration that a CreateFunction asks for, without its code. Raises RefusedError."""
    _refuse_unknown(request, _TAKEN | _ONLY_AT_CREATION)
    _check_model(request, needed=("Role",))
    if text(request, "PackageType", "Zip") != "Zip":
        raise not_reproduced("PackageType Image")
    for member in ("Runtime", "Handler"):
        if not text(request, member):
            raise invalid(f"{member} is mandatory for functions created with deployment packages of type Zip.")
    name = arn.rpartition(":")[2]
    plain = Configuration(name, arn, "", "", "", "", log_group=f"/aws/lambda/{name}")
    architectures = request.get("Architectures") or ["x86_64"]
    return dataclasses.replace(changed(plain, request), architecture=architectures[0])


def changed(before: Configuration, request: Mapping[str, Any]) -> Configuration:
    """`before` with what the request has, as UpdateFunctionConfiguration does. Raises RefusedError."""
    _refuse_unknown(request, _TAKEN | _ONLY_AT_CREATION)
    _check_model(request)
    storage = table(request, "EphemeralStorage").get("Size")
    environment = request.get("Environment")
    return dataclasses.replace(
        before,
        runtime=_runtime(text(request, "Runtime", before.runtime)),
        role_arn=text(request, "Role", before.role_arn),
        handler=text(request, "Handler", before.handler),
        description=text(request, "Description", before.description),
        timeout_s=request.get("Timeout") or before.timeout_s,
        memory_mb=request.get("MemorySize") or before.memory_mb,
        environment=before.environment if environment is None else _environment(table(request, "Environment")),
        storage_mb=storage or before.storage_mb,
        tracing=text(table(request, "TracingConfig"), "Mode", before.tracing),
        log_group=_log_group(table(request, "LoggingConfig"), before.log_group),
    )


def document(configuration: Configuration, *, arn: str | None = None) -> dict[str, Any]:
    """FunctionConfiguration of a version that is ready. `arn`: with the qualifier that was asked for."""
    made = datetime.fromtimestamp(configuration.modified_s, UTC)
    return {
        "FunctionName": configuration.name,
        "FunctionArn": configuration.arn if arn is None else arn,
        "Runtime": configuration.runtime,
        "Role": configuration.role_arn,
        "Handler": configuration.handler,
        "CodeSize": configuration.code_bytes,
        "Description": configuration.description,
        "Timeout": configuration.timeout_s,
        "MemorySize": configuration.memory_mb,
        "LastModified": f"{made:%Y-%m-%dT%H:%M:%S}.{made.microsecond // 1000:03d}+0000",
        "CodeSha256": configuration.code_sha256,
        "Version": configuration.version,
        "Environment": {"Variables": dict(configuration.environment)},
        "TracingConfig": {"Mode": configuration.tracing},
        "RevisionId": configuration.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": [configuration.architecture],
        "EphemeralStorage": {"Size": configuration.storage_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": configuration.log_group},
    }


def _refuse_unknown(request: Mapping[str, Any], taken: set[str]) -> None:
    for member, value in request.items():
        if member in taken or value is None or (member in _ONLY_EMPTY and _is_empty(value)):
            continue
        if member == "SnapStart" and table(request, member).get("ApplyOn", "None") == "None":
            continue
        raise not_reproduced(member)


def _is_empty(value: object) -> bool:
    return not (any(value.values()) if isinstance(value, dict) else value)


def _check_model(request: Mapping[str, Any], needed: tuple[str, ...] = ()) -> None:
    violations = Violations()
    for member in needed:
        if request.get(member) is None:
            violations.add(None, member[:1].lower() + member[1:], "Member must not be null")
    role, handler = text(request, "Role"), text(request, "Handler")
    if role and not _ROLE.fullmatch(role):
        violations.add(role, "role", f"Member must satisfy regular expression pattern: {_ROLE.pattern}")
    if len(handler) > 128:
        violations.add(handler, "handler", "Member must have length less than or equal to 128")
    elif handler and not _HANDLER.fullmatch(handler):
        violations.add(handler, "handler", f"Member must satisfy regular expression pattern: {_HANDLER.pattern}")
    if len(text(request, "Description")) > 256:
        violations.add(request["Description"], "description", "Member must have length less than or equal to 256")
    violations.in_range(request, "Timeout", 1, TIMEOUT_S_MAX)
    violations.in_range(request, "MemorySize", MEMORY_MB_MIN, MEMORY_MB_MAX)
    violations.in_range(table(request, "EphemeralStorage"), "Size", STORAGE_MB, STORAGE_MB_MAX)
    mode = table(request, "TracingConfig").get("Mode")
    if mode not in (None, "Active", "PassThrough"):
        accepted = "Member must satisfy enum value set: [Active, PassThrough]"
        violations.add(mode, "tracingConfig.mode", accepted)
    _check_architectures(request, violations)
    if any(not _VARIABLE.fullmatch(name) for name in table(table(request, "Environment"), "Variables")):
        pattern = f"Member must satisfy regular expression pattern: {_VARIABLE.pattern}"
        violations.add("***", "environment.variables", f"Map keys must satisfy constraint: [{pattern}]")
    violations.check()


def _check_architectures(request: Mapping[str, Any], violations: Violations) -> None:
    given = request.get("Architectures")
    if given is None:
        return
    if not isinstance(given, list):
        raise RefusedError(400, "SerializationException", "Architectures is not a list")
    shown = f"[{', '.join(map(str, given))}]"
    if len(given) != 1:
        bound = "greater than or equal to 1" if not given else "less than or equal to 1"
        violations.add(shown, "architectures", f"Member must have length {bound}")
    elif given[0] not in ARCHITECTURES:
        accepted = f"Member must satisfy enum value set: [{', '.join(ARCHITECTURES)}]"
        constraint = f"Member must satisfy constraint: [{accepted}, Member must not be null]"
        violations.add(shown, "architectures", constraint)


def _runtime(runtime: str) -> str:
    if runtime not in RUNTIMES:
        raise invalid(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(RUNTIMES)}] or be a valid ARN"
        )
    return runtime


def _environment(given: Mapping[str, Any]) -> Mapping[str, str]:
    variables = {str(name): text(table(given, "Variables"), name) for name in table(given, "Variables")}
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES_MAX:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {measured}"
        )
    return variables


def _log_group(given: Mapping[str, Any], before: str) -> str:
    if given.get("LogFormat", "Text") != "Text":
        raise not_reproduced("LogFormat JSON")
    return text(given, "LogGroup", before)
