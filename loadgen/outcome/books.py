"""PURE: where a sender's results are entered: lines of results.jsonl, the numbers, what the tables must have."""

from collections.abc import Callable, Sequence

from loadgen.offer.columns import DUE_US, Rows
from loadgen.offer.truth import Known
from loadgen.outcome.ledger import Expectations
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult, encode

# Refusals of a whole call that no waiting cures: after one of them nothing more can be sent.
INCURABLE = frozenset({
    "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
    "InvalidSignatureException", "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException",
    "KMSNotFoundException", "NoCredentialsError", "ResourceNotFoundException", "UnrecognizedClientException",
})  # fmt: skip
# So many calls in a row at a load's beginning that were refused for good, and none that was acknowledged: no use in
# going on. One of them may be a strange answer of something on the way.
FIRST_CALLS = 5


class Books:
    """`settled` is what a Sender calls. `write` takes a line; when it raises OSError that is `broken`, and the lines
    end there. `stop` is called when it is no use to go on; `refused` then says why, if the stream is why."""

    def __init__(
        self, metrics: Metrics, expected: Expectations, write: Callable[[str], object], stop: Callable[[], None]
    ) -> None:
        self.metrics, self.expected = metrics, expected
        self._write, self._stop = write, stop
        self.broken: str | None = None
        self.refused: str | None = None
        self._refused_first: set[int] = set()  # when their answers came: all records of a call have the same

    def settled(self, result: PutResult, truths: Sequence[Known]) -> None:
        """One Kinesis record has ended."""
        if self.broken is None:
            try:
                self._write(encode(result) + "\n")
            except OSError as error:
                self.broken = error.strerror or str(error)
                self._stop()
        self.metrics.add(result, truths.numbers[:, DUE_US] if isinstance(truths, Rows) else None)
        if result.failed is None:
            assert result.shard_id is not None
            assert result.sequence_number is not None
            self.expected.acknowledged(truths, result.shard_id, result.sequence_number)
            return
        self.expected.failed(truths, uncertain=result.uncertain)
        if self.refused is None and result.errors and result.failed == result.errors[-1]:
            self._call_refused(result)

    def _call_refused(self, result: PutResult) -> None:
        at = f"{result.done_us / 1e6:,.1f} s after the start"
        if result.failed in INCURABLE:
            self.refused = f"{result.failed}, {at}"
        elif result.attempts == 1 and not self.metrics.acknowledged:
            # Given up after one attempt is what waiting cannot cure.
            self._refused_first.add(result.done_us)
            if len(self._refused_first) >= FIRST_CALLS:
                self.refused = f"the first {FIRST_CALLS} calls were all refused, the last with {result.failed}, {at}"
        if self.refused is not None:
            self._stop()


def ended_early(why: str | None, offered: int, total: int | None) -> str | None:
    """Why a load is partial, with how many events of its schedule it did not come to; None: it is not. `total`: of the
    schedule, None when that is not known."""
    if total is None or offered >= total:
        return why
    rest = f"{total - offered:,} of the {total:,} events of the schedule are not among those offered"
    return f"{why}; {rest}" if why else f"the load ended before its schedule: {rest}"
