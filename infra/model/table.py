"""PURE: a DynamoDB table's throughput: capacity of the table and of each partition, with burst or growth.

What is modelled (AWS: developer guide, "Provisioned capacity mode", "On-demand capacity mode", "Burst and adaptive
capacity", "Designing partition keys"; facts 10.1 to 10.5): a write unit is 1 KiB of the larger of the item before and
after, a read unit 4 KiB; unused capacity of a provisioned table is kept for up to 300 s; an on-demand table grows with
its traffic; one partition gives 1,000 write and 3,000 read units per second at most, whatever the table has. Adaptive
capacity is instant here: a partition may use all that the table has left. Each partition key is taken to have a
partition of its own, so two hot keys never disturb each other.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from infra.model.bucket import Bucket
from infra.model.table_on_demand import NEW_READ_UNITS_PER_S, NEW_WRITE_UNITS_PER_S, OnDemandRate

WRITE_UNIT_BYTES: Final = 1024
READ_UNIT_BYTES: Final = 4096
PARTITION_WRITE_UNITS_PER_S: Final = 1000
PARTITION_READ_UNITS_PER_S: Final = 3000
BURST_S: Final = 300
# A partition whose bucket is forgotten starts with a full one, so forgetting may only ever allow too much.
PARTITIONS_REMEMBERED: Final = 100_000


class Decision(Enum):
    """Whether a request is served, and if not, whose limit it met."""

    ALLOWED = "allowed"
    TABLE_THROTTLED = "table"
    PARTITION_THROTTLED = "partition"


@dataclass(frozen=True, slots=True)
class TableLimits:
    """Units per second; None is no limit. `burst_s` seconds of unused table capacity are kept (at least one).

    `burst_at_start_s`: seconds of it that are there in the beginning (None: all).
    `on_demand`: the table's units are those it serves from the start (None: as a new table does), and grow with the
    traffic; there is no burst then.
    """

    write_units_per_s: float | None = None
    read_units_per_s: float | None = None
    partition_write_units_per_s: float | None = PARTITION_WRITE_UNITS_PER_S
    partition_read_units_per_s: float | None = PARTITION_READ_UNITS_PER_S
    burst_s: float = BURST_S
    burst_at_start_s: float | None = None
    on_demand: bool = False


class TableCapacity:
    """Decides request by request; what is refused costs nothing. `now` is in seconds and never goes back."""

    def __init__(self, limits: TableLimits) -> None:
        self.limits = limits
        writes = _table(limits, limits.write_units_per_s, NEW_WRITE_UNITS_PER_S)
        reads = _table(limits, limits.read_units_per_s, NEW_READ_UNITS_PER_S)
        self._writes = _Kind(writes, limits.partition_write_units_per_s)
        self._reads = _Kind(reads, limits.partition_read_units_per_s)

    def write(self, partition_key: str, units: float, now: float) -> Decision:
        """A write of `units` write units to the items of one partition key."""
        return self._writes.take(partition_key, units, now)

    def read(self, partition_key: str, units: float, now: float) -> Decision:
        """A read of `units` read units from the items of one partition key."""
        return self._reads.take(partition_key, units, now)


def _table(limits: TableLimits, units_per_s: float | None, when_new: float) -> Bucket | OnDemandRate | None:
    if limits.on_demand:
        return OnDemandRate(when_new if units_per_s is None else units_per_s)
    if units_per_s is None:
        return None
    there_s = limits.burst_at_start_s
    level = None if there_s is None else units_per_s * there_s
    return Bucket(units_per_s, units_per_s * max(limits.burst_s, 1.0), level)


@dataclass(frozen=True, slots=True)
class Throttling:
    """How DynamoDB tells that a request was refused: the exception, its message, and its `reason`.

    `statement_code` is the code of one statement in the answer of a batch.
    """

    code: str
    statement_code: str
    message: str
    reason: str


def throttling(decision: Decision, limits: TableLimits, *, is_write: bool) -> Throttling:
    """AWS: "Error handling with DynamoDB", API_ThrottlingReason, API_TransactWriteItems (messages)."""
    by_key = limits.on_demand or decision is Decision.PARTITION_THROTTLED
    limit = "KeyRangeThroughputExceeded" if by_key else "ProvisionedThroughputExceeded"
    reason = f"Table{'Write' if is_write else 'Read'}{limit}"
    if limits.on_demand:
        message = (
            "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "
            "table or index so please try again shortly. If exceptions persist, check if you have a hot key: "
            "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html."
        )
        return Throttling("ThrottlingException", "ThrottlingError", message, reason)
    message = (
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API."
    )
    return Throttling("ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", message, reason)


class _Kind:
    """Reads or writes: what the table gives, and one bucket for each partition, whose burst is one second."""

    def __init__(self, table: Bucket | OnDemandRate | None, partition_rate: float | None) -> None:
        self._table = table
        self._partition_rate = partition_rate
        self._partitions: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, partition_key: str, units: float, now: float) -> Decision:
        partition = self._partition(partition_key)
        if partition is not None and not partition.can_take(units, now):
            return Decision.PARTITION_THROTTLED
        if self._table is not None and not self._table.take(units, now):
            return Decision.TABLE_THROTTLED
        if partition is not None:
            partition.take(units, now)
        return Decision.ALLOWED

    def _partition(self, key: str) -> Bucket | None:
        if self._partition_rate is None:
            return None
        bucket = self._partitions.get(key)
        if bucket is None:
            bucket = self._partitions[key] = Bucket(self._partition_rate, self._partition_rate)
            if len(self._partitions) > PARTITIONS_REMEMBERED:
                self._partitions.popitem(last=False)
        else:
            self._partitions.move_to_end(key)
        return bucket


def write_units(*sizes: int) -> int:
    """Write units of one write whose item had and has these sizes in bytes: the larger counts, at least one unit."""
    return max(1, math.ceil(max(sizes, default=0) / WRITE_UNIT_BYTES))


def read_units(size: int, *, consistent: bool) -> float:
    """Read units of `size` bytes read; an eventually consistent read costs half."""
    units = max(1, math.ceil(size / READ_UNIT_BYTES))
    return float(units) if consistent else units / 2


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item in DynamoDB's JSON: names and values (AWS: "DynamoDB item sizes and formats").

    Raises ValueError for what is no item.
    """
    try:
        return sum(len(name.encode()) + _value_size(value) for name, value in item.items())
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError("an attribute's value is not in DynamoDB's JSON") from error


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return _base64_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS":
            return sum(len(text.encode()) for text in content)
        case "NS":
            return sum(_number_size(number) for number in content)
        case "BS":
            return sum(_base64_size(text) for text in content)
        case "L":
            return 3 + sum(1 + _value_size(member) for member in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(member) for name, member in content.items())
    raise ValueError(f"{kind} is not an attribute type of DynamoDB")


def _number_size(number: str) -> int:
    """About one byte for two significant digits, one more, and one for a minus sign: AWS gives no exact formula."""
    digits = number.lower().partition("e")[0].lstrip("+-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + number.startswith("-")


def _base64_size(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")
