"""PURE: the Kinesis event source mapping as a sans-IO state machine. `now` comes in, commands come out.

    shards, records, outcomes, `now`  ->  EventSourceMapping  ->  ListShards, Read, Invoke, Deliver, Checkpoint, ...

`machine` is the whole; below it `shard` (one shard: reading, lanes, checkpoint) and `lane` (one lane: batches, retries,
bisect, record age, discards; `outgoing`: what it sends). `config` is frozen, `commands` are data, `events` and
`documents` are the exact bytes that the function and the on-failure destination get, `response` says what a function's
answer means, `lineage` which shards may be read, `sharing` how many mappings read them, `lifecycle` which state is
reported, `changes` what a change does to what is running, `filters` which records are delivered at all, `windows` how a
tumbling window keeps its state and ends, `errors` the words in which a configuration is refused, `settings` and
`listing` what the API's requests mean. Whoever performs the commands (in real or in virtual time) decides nothing.

Two known differences from AWS: a retry uses the records held in memory (Lambda reads them again, which costs the
shard's read throughput), and a record that leaves the stream's retention while its lane is blocked is still retried.
"""

from infra.model.mapping.commands import (
    AwaitRecords,
    BeginAnew,
    Checkpoint,
    Command,
    CompleteShard,
    Deliver,
    Invoke,
    ListShards,
    Metric,
    NotSent,
    Read,
    Subscribe,
    Unsubscribe,
)
from infra.model.mapping.config import MappingConfig, Pace
from infra.model.mapping.identifiers import RequestIds
from infra.model.mapping.lifecycle import Delays, MappingInUseError, State
from infra.model.mapping.machine import EventSourceMapping
from infra.model.mapping.positions import AfterSequenceNumber, AtSequenceNumber, StartingPosition
from infra.model.mapping.sharing import Sharing

__all__ = [
    "AfterSequenceNumber",
    "AtSequenceNumber",
    "AwaitRecords",
    "BeginAnew",
    "Checkpoint",
    "Command",
    "CompleteShard",
    "Delays",
    "Deliver",
    "EventSourceMapping",
    "Invoke",
    "ListShards",
    "MappingConfig",
    "MappingInUseError",
    "Metric",
    "NotSent",
    "Pace",
    "Read",
    "RequestIds",
    "Sharing",
    "StartingPosition",
    "State",
    "Subscribe",
    "Unsubscribe",
]
