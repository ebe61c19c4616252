"""SHELL: the Kinesis function's entry point. Importing it is the init phase: settings, rules, one DynamoDB client.

A wrong setting or a rules module that cannot be used fails here, at init, with an error that says what to change, and
not once per batch.
"""

import gc
import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from processor.adapters import clients
from processor.adapters.quarantine import Quarantine
from processor.adapters.tables import Tables
from processor.adapters.telemetry import Telemetry
from processor.batches import BatchProcessor, Clocks
from processor.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

    from processor.core.effects import Effect
    from processor.core.events import Event


class Context(Protocol):
    """The one thing used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left until the timeout."""
        ...


def build(settings: Settings) -> BatchProcessor:
    """Wire up a processor; raise SettingsError where the rules module cannot be used."""
    return BatchProcessor(
        rules=load_rules(settings),
        tables=Tables(clients.dynamodb(), settings.results_table, settings.quarantine_table),
        quarantine=Quarantine(settings.failure_bucket, settings.quarantine_days, clients.s3),
        telemetry=Telemetry(settings.service, settings.namespace, settings.log_level),
        clocks=Clocks(time.monotonic, time.time, time.sleep, random.random),
        systemic_share=settings.systemic_share,
    )


def load_rules(settings: Settings) -> "Callable[[Event], Iterable[Effect]]":
    """Import the rules module and return its `effects` with the rule settings bound."""
    name = settings.rules_module
    try:
        module = import_module(name)
    except Exception as error:
        raise SettingsError(
            f"RULES_MODULE={name!r} cannot be imported: {type(error).__name__}: {error}; name a module that is in the"
            " deployment package and imports without error"
        ) from error
    effects = getattr(module, "effects", None)
    if not callable(effects):
        raise SettingsError(f"RULES_MODULE={name!r} has no function effects(event, settings): see processor/rules.py")
    return partial(effects, settings=settings.rules)


_processor = build(load())

# What init made (botocore's models above all) lives as long as the environment: a full collection that walks over it
# took 70 to 150 ms of every fourth batch of 1,000 keys. A batch makes tens of thousands of objects and hardly a cycle.
gc.freeze()
gc.set_threshold(50_000, 10, 10)


def handler(event: object, context: Context) -> "PartialItemFailureResponse":
    """Process one batch of Kinesis records (AWS: Lambda, Using Lambda with Kinesis Data Streams)."""
    return _processor.handle(event, context.get_remaining_time_in_millis())
