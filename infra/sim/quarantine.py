"""DRIVER: quarantined records as items, under the key that the deployed processor gives them (their position)."""

from collections.abc import Sequence
from hashlib import sha256

from processor.core.plan import Quarantined
from processor.core.records import KinesisRecord
from processor.core.statements import Insert, Table, Value
from processor.core.works import InsertOnce

STREAM = "simulated"
WHOLE = "whole"


def position(
    shard_id: str, sequence_number: int | str, subsequence_number: int | None, apart: tuple[str, bytes] | None = None
) -> tuple[str, str]:
    """The quarantine table's key of a user record, or of a whole Kinesis record (None).

    `apart`: partition key and data of one that fan-out has taken out of its aggregate, as their number is not theirs.
    """
    sort_key = WHOLE if subsequence_number is None else f"{subsequence_number:06d}"
    if apart is not None:
        sort_key += "-" + sha256(apart[0].encode() + b"\0" + apart[1]).hexdigest()[:32]
    return f"{STREAM}/{shard_id}:{sequence_number}", sort_key


def keeps(
    quarantined: Sequence[Quarantined], records: Sequence[KinesisRecord], now_s: float, *, fan_out: bool
) -> list[InsertOnce]:
    """The items to be inserted with the commit; payloads stay in the item (they are small here)."""
    works = []
    for bad in quarantined:
        record = records[bad.source]
        apart = (bad.partition_key, bad.payload) if fan_out else None
        pk, sk = position(record.shard_id, record.sequence_number, bad.subsequence_number, apart)
        item: dict[str, Value] = {
            "reason": str(bad.reason),
            "detail": bad.detail,
            "partition_key": bad.partition_key,
            "quarantined_at_ms": int(now_s * 1000),
            "payload": bad.payload,
        }
        works.append(InsertOnce(Insert(Table.QUARANTINE, pk, sk, item), (bad.source,)))
    return works
