"""One function as the control plane knows it: $LATEST, published versions, aliases, provisioned concurrency.

AWS: configuration-versions, configuration-aliases, provisioned-concurrency. A published version never changes. An alias
names one version, or shares its invocations between two of them by weight.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.model.function.configuration import LATEST, Configuration
from infra.model.function.refusals import (
    RefusedError,
    Violations,
    conflict,
    invalid,
    needed,
    no_alias,
    no_function,
    not_found,
    table,
    text,
    wrong_revision,
)

_ALIAS = re.compile(r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
_NO_CONFIG = "No Provisioned Concurrency Config found for this function"


@dataclass(frozen=True, slots=True)
class Alias:
    """`weights`: the share of invocations, 0 to 1, that one other version gets."""

    name: str
    arn: str
    version: str
    description: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    revision_id: str = ""

    def document(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "AliasArn": self.arn,
            "Name": self.name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.revision_id,
        }
        if self.weights:
            shown["RoutingConfig"] = {"AdditionalVersionWeights": dict(self.weights)}
        return shown


@dataclass(frozen=True, slots=True)
class ProvisionedConfig:
    requested: int
    modified_s: float


class FunctionRecord:
    """Operations raise RefusedError and then have changed nothing. Revision ids and times come from the caller."""

    def __init__(self, latest: Configuration) -> None:
        self.latest = latest
        self.versions: dict[str, Configuration] = {}
        self.aliases: dict[str, Alias] = {}
        self.provisioned: dict[str, ProvisionedConfig] = {}  # by version or alias
        self.tags: Mapping[str, str] = {}
        self._published = 0

    # -- keeping ---------------------------------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "latest": dataclasses.asdict(self.latest),
            "versions": [dataclasses.asdict(version) for version in self.versions.values()],
            "published": self._published,
            "aliases": [dataclasses.asdict(alias) for alias in self.aliases.values()],
            "provisioned": {name: dataclasses.asdict(config) for name, config in self.provisioned.items()},
            "tags": dict(self.tags),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FunctionRecord:
        """What `plain` gave. Raises KeyError or TypeError for something else."""
        record = cls(Configuration(**plain["latest"]))
        record.versions = {each["version"]: Configuration(**each) for each in plain["versions"]}
        record._published = plain["published"]
        record.aliases = {each["name"]: Alias(**each) for each in plain["aliases"]}
        record.provisioned = {name: ProvisionedConfig(**each) for name, each in plain["provisioned"].items()}
        record.tags = plain["tags"]
        return record

    # -- versions --------------------------------------------------------------------------------------------------

    def version(self, qualifier: str | None, share: float = 1.0) -> Configuration:
        """What runs when `qualifier` (None: $LATEST) is invoked; `share`, 0 to below 1, chooses at a weighted alias."""
        if qualifier in (None, LATEST):
            return self.latest
        assert qualifier is not None
        alias = self.aliases.get(qualifier)
        if alias is None and qualifier not in self.versions:
            raise no_function(f"{self.latest.arn}:{qualifier}")
        if alias is None:
            return self.versions[qualifier]
        for version, weight in alias.weights.items():
            if share < weight:
                return self.versions[version]
        return self.latest if alias.version == LATEST else self.versions[alias.version]

    def check_revision(self, revision_id: str | None) -> None:
        if revision_id is not None and revision_id != self.latest.revision_id:
            raise wrong_revision("Function/GetAlias")

    def publish(self, request: Mapping[str, Any], *, revision_id: str, now: float) -> Configuration:
        """The new version, or the last one when nothing has changed since."""
        self.check_revision(request.get("RevisionId"))
        sha256, current = text(request, "CodeSha256"), self.latest.code_sha256
        if sha256 and sha256 != current:
            raise invalid(
                f"CodeSHA256 ({sha256}) is different from current CodeSHA256 in $LATEST ({current}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        last = self.versions.get(str(self._published))
        description = text(request, "Description", self.latest.description)
        made = dataclasses.replace(self.latest, description=description, version=str(self._published + 1))
        if last is not None and made.says_the_same_as(last):
            return last
        self._published += 1
        made = dataclasses.replace(made, revision_id=revision_id, modified_s=now)
        self.versions[made.version] = made
        return made

    def delete_version(self, version: str) -> None:
        if version == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if version in self.aliases:
            raise invalid("Deletion of aliases is not currently supported.")
        pointing = sorted(a.name for a in self.aliases.values() if a.version == version or version in a.weights)
        if pointing:
            raise conflict(f"Unable to delete version because the following aliases reference it: {pointing}")
        self.versions.pop(version, None)  # AWS answers 204 for a version that does not exist
        self.provisioned.pop(version, None)

    # -- aliases ---------------------------------------------------------------------------------------------------

    def create_alias(self, request: Mapping[str, Any], *, revision_id: str) -> Alias:
        needed(request, "Name", "FunctionVersion")
        name, version = text(request, "Name"), text(request, "FunctionVersion")
        violations = Violations()
        if not _ALIAS.fullmatch(name):
            violations.add(name, "name", f"Member must satisfy regular expression pattern: {_ALIAS.pattern}")
        weights = _weights(request, violations)
        violations.check()
        arn = f"{self.latest.arn}:{name}"
        if name in self.aliases:
            raise conflict(f"Alias already exists: {arn}")
        self._check_target(version, weights)
        alias = Alias(name, arn, version, text(request, "Description"), weights, revision_id)
        self.aliases[name] = alias
        return alias

    def update_alias(self, name: str, request: Mapping[str, Any], *, revision_id: str) -> Alias:
        before = self.aliases.get(name)
        if before is None:
            raise not_found(f"Alias not found: {self.latest.arn}:{name}")
        if request.get("RevisionId") not in (None, before.revision_id):
            raise wrong_revision("Function/GetAlias")
        violations = Violations()
        weights = before.weights if request.get("RoutingConfig") is None else _weights(request, violations)
        violations.check()
        version = text(request, "FunctionVersion", before.version)
        self._check_target(version, weights)
        if name in self.provisioned and version != before.version:
            self._check_provisioning(name, version)
        description = text(request, "Description", before.description)
        alias = Alias(name, before.arn, version, description, weights, revision_id)
        self.aliases[name] = alias
        return alias

    def alias(self, name: str) -> Alias:
        if name not in self.aliases:
            raise no_alias(f"{self.latest.arn}:{name}")
        return self.aliases[name]

    def delete_alias(self, name: str) -> None:
        """An alias that does not exist is deleted without an error, as AWS does."""
        self.aliases.pop(name, None)
        self.provisioned.pop(name, None)

    def _check_target(self, version: str, weights: Mapping[str, float]) -> None:
        self._known(version)
        if weights and version == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        for other in weights:
            self._known(other)
            if other == version:
                raise invalid(
                    f"Invalid function version {other}. Function version {other} is already included in routing "
                    "configuration."
                )

    def _known(self, version: str) -> None:
        if version != LATEST and version not in self.versions:
            raise no_function(f"{self.latest.arn}:{version}")

    # -- provisioned concurrency -----------------------------------------------------------------------------------

    def check_provisionable(self, qualifier: str) -> None:
        """Whether `qualifier` may have provisioned concurrency of its own (AWS: never $LATEST)."""
        if self._target(qualifier) == LATEST:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        self._check_provisioning(qualifier, self._target(qualifier))

    def provisioned_config(self, qualifier: str) -> ProvisionedConfig:
        self.check_qualifier(qualifier)
        if qualifier not in self.provisioned:
            raise RefusedError(404, "ProvisionedConcurrencyConfigNotFoundException", _NO_CONFIG)
        return self.provisioned[qualifier]

    def check_qualifier(self, qualifier: str) -> None:
        if self._target(qualifier) == LATEST:
            raise invalid("The function resource provided must be an alias or a published version.")

    def total_provisioned(self, *, without: str) -> int:
        return sum(config.requested for name, config in self.provisioned.items() if name != without)

    def provisioned_by_version(self) -> dict[str, int]:
        """What every published version should have ready."""
        return {self._target(name): config.requested for name, config in self.provisioned.items()}

    def _target(self, qualifier: str) -> str:
        """The version behind a qualifier. RefusedError when there is none."""
        if qualifier in self.aliases:
            return self.aliases[qualifier].version
        if qualifier != LATEST and qualifier not in self.versions:
            arn = f"{self.latest.arn}:{qualifier}"
            raise no_function(arn) if qualifier.isdecimal() else no_alias(arn)
        return qualifier

    def _check_provisioning(self, qualifier: str, version: str) -> None:
        others = {name: self._target(name) for name in self.provisioned if name != qualifier}
        if version not in others.values():
            return
        if qualifier == version:
            raise conflict("Version is pointed by a Provisioned Concurrency alias")
        raise conflict(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        )


def _weights(request: Mapping[str, Any], violations: Violations) -> Mapping[str, float]:
    given = table(table(request, "RoutingConfig"), "AdditionalVersionWeights")
    shown = "{" + ", ".join(f"{version}={weight}" for version, weight in given.items()) + "}"
    where = "routingConfig.additionalVersionWeights"
    if any(not version.isdecimal() or len(version) > 1_024 for version in given):
        violations.add(
            shown,
            where,
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have "
            "length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]",
        )
    if any(isinstance(w, bool) or not isinstance(w, int | float) or not 0.0 <= w <= 1.0 for w in given.values()):
        violations.add(
            shown,
            where,
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have "
            "value greater than or equal to 0.0, Member must not be null]",
        )
    if len(given) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    return {version: float(weight) for version, weight in given.items()} if not violations.found else {}
