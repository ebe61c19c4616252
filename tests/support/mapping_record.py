"""What one event source mapping has wanted, command by command, in the words of the tests."""

from itertools import pairwise

from infra.model.mapping import Checkpoint, Deliver, Invoke, Read, Subscribe

FIRST = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898  # record's sequence number


class MappingRecord:
    """Each command with the second at which it came, where that matters."""

    def __init__(self) -> None:
        self.invokes: list[tuple[float, Invoke]] = []
        self.documents: list[tuple[float, Deliver]] = []
        self.checkpoints: list[Checkpoint] = []
        self.completed: list[str] = []
        self.reads: list[tuple[float, Read]] = []
        self.subscriptions: list[tuple[float, Subscribe]] = []
        self.metrics: list[tuple[str, float]] = []

    @property
    def sent(self) -> list[list[int]]:
        """The sequence numbers of every invocation, counted from the first record put (0, 1, ...)."""
        return [[record.sequence_number - FIRST for record in invoke.records] for _, invoke in self.invokes]

    @property
    def discarded(self) -> list[list[int]]:
        return [
            [record.sequence_number - FIRST for record in deliver.discarded.records] for _, deliver in self.documents
        ]

    @property
    def request_ids(self) -> list[str]:
        return [invoke.request_id for _, invoke in self.invokes]

    @property
    def gaps_s(self) -> list[float]:
        """Seconds between one invocation's start and the next one's."""
        times = [at for at, _ in self.invokes]
        return [round(later - earlier, 3) for earlier, later in pairwise(times)]

    def total(self, name: str) -> float:
        return sum(value for each, value in self.metrics if each == name)
