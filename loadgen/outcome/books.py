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
        if result.failed in INCURABLE and result.errors and self.refused is None:
            self.refused = f"{result.failed}, {result.done_us / 1e6:,.1f} s after the start"
            self._stop()
        elif result.attempts == 1 and not self.metrics.acknowledged:
            # Given up after one attempt is what waiting cannot cure: no use in going on.
            self._stop()
