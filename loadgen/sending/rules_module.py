"""SHELL: the rules that the stack runs, imported from this checkout, because they are pure and say what must come out.

The stack names the module (RulesModule); its code is taken from here. When the deployed code is another one, the ledger
finds events where this one does not put them, and says so.
"""

from hashlib import sha256
from importlib import import_module
from pathlib import Path

from infra.ops.errors import ENVIRONMENT, CommandError
from loadgen.offer.truth import RULES_MODULE, Effects

# Of processor/rules.py as it comes with the processor. Any other rules are asked about every single event, which is
# right for these too, but slower (loadgen/offer/truth.py).
SHIPPED_SHA256 = "c81e7dbdd4243e4461ea96e5e2af67394074f2e1020991bd1d2fc7c8b7baf7ad"


def effects_of(name: str) -> Effects | None:
    """The `effects` of the rules module; None: the module that comes with the processor, unchanged.

    Raises CommandError when this checkout has no such rules.
    """
    try:
        module = import_module(name)
    except Exception as error:
        raise CommandError(
            f"the stack runs the rules {name}, which cannot be imported here ({type(error).__name__}: {error}), and "
            "without them nobody knows what must be in the tables: run loadgen in the checkout that was deployed",
            ENVIRONMENT,
        ) from error
    effects: Effects | None = getattr(module, "effects", None)
    if not callable(effects):
        raise CommandError(
            f"the stack runs the rules {name}, which have no effects(event, settings) in this checkout: run loadgen "
            "in the checkout that was deployed",
            ENVIRONMENT,
        )
    return None if name == RULES_MODULE and source_sha256(module.__file__) == SHIPPED_SHA256 else effects


def source_sha256(path: str | None) -> str:
    """Of a module's file; "" when it has none."""
    return sha256(Path(path).read_bytes()).hexdigest() if path else ""
