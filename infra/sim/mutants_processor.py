"""DRIVER: the mistakes of the function: its environments, the processor's core, the conditions of its statements."""

from collections.abc import Sequence
from typing import Any

from infra.model.function import Account, FunctionMachine, Kill
from infra.sim import environment, table
from infra.sim.patching import Patch, always
from processor.core import plan as planning
from processor.core.cache import PageCache
from processor.core.commit import Commit
from processor.core.pages import Chain, PageWriter
from processor.core.statements import UNSURE, AddToPage


def no_identity_condition(_right: Any) -> Any:
    def condition(stored: dict[str, Any], statement: AddToPage) -> bool:
        events: int = stored["events"]
        return events == statement.events if statement.exactly else events <= statement.events

    return condition


def no_bound_condition(_right: Any) -> Any:
    return lambda stored, statement: stored["ids"].isdisjoint(statement.identities)


def cache_of_the_function(right: Any) -> Any:
    """The cache does not die with the process."""

    def begin(self: environment.Process, number: int, function: environment.Function) -> None:
        right(self, number, function)
        self.cache = _CACHES.setdefault(id(function), self.cache)
        if len(_CACHES) > 1:  # of simulations that are over
            _CACHES.clear()
            _CACHES[id(function)] = self.cache

    return begin


_CACHES: dict[int, PageCache] = {}


def cache_knows_what_was_sent(right: Any) -> Any:
    def ask(self: PageWriter) -> Any:
        asked = right(self)
        self.chain.sealed |= set(self._chunk)
        return asked

    return ask


def cache_keeps_what_is_taken(right: Any) -> Any:
    def chain(self: PageCache, key: tuple[str, str]) -> Chain:
        found: Chain = right(self, key)
        self.keep(key, found)
        return found

    return chain


def lost_answer_is_success(right: Any) -> Any:
    def later(self: Commit, task: Any, code: str, now_s: float) -> None:
        if code not in UNSURE:
            right(self, task, code, now_s)

    return later


def reports_the_next_record(right: Any) -> Any:
    def answer(self: environment.Process, invoke: Any, records: Sequence[Any], failed: Sequence[int]) -> Any:
        return right(self, invoke, records, [index + 1 for index in failed if index + 1 < len(records)])

    return answer


def refused_copies_are_copies(right: Any) -> Any:
    def apply(self: Any, source: int, event: Any, payload: bytes, answer: Any) -> Any:
        bad = right(self, source, event, payload, answer)
        return None if event.digest in self._accepted else bad

    return apply


def one_total_of_an_identity(right: Any) -> Any:
    def fold(self: Any, source: int, digest: str, wanted: Any) -> Any:
        known = self._accepted.get(digest)
        return right(self, source, digest, wanted if known is None else known[1])

    return fold


def timeout_lets_live(right: Any) -> Any:
    """The outcome is a timeout, but the process is not killed."""

    def failed(self: FunctionMachine, *arguments: Any, **named: Any) -> list[Any]:
        return [command for command in right(self, *arguments, **named) if not isinstance(command, Kill)]

    return failed


PATCHES: dict[str, tuple[Patch, ...]] = {
    "commit without identity condition": ((table, "_page_condition", no_identity_condition),),
    "commit without bound on a page": ((table, "_page_condition", no_bound_condition),),
    "cache survives a crash": (
        (environment.Process, "__init__", cache_of_the_function),
        (PageWriter, "ask", cache_knows_what_was_sent),
        (PageCache, "chain", cache_keeps_what_is_taken),
    ),
    "lost answer taken for success": ((Commit, "_later", lost_answer_is_success),),
    "failed items acknowledged": ((Commit, "_fail", always(None)),),
    "reserved concurrency ignored": ((Account, "admit", always(None)), (Account, "release", always(None))),
    "timeout does not end the process": ((FunctionMachine, "_failed", timeout_lets_live),),
    "quarantine forgotten": ((environment, "keeps", always([])),),
    "copies that the rules refuse are only copies": ((planning._Fold, "_apply", refused_copies_are_copies),),
    "an identity in one total of a batch": ((planning._Fold, "_fold", one_total_of_an_identity),),
    "next record reported": ((environment.Process, "_answer", reports_the_next_record),),
}
