"""The table in memory under the name that these tests know: it is the simulator's, so that there is one."""

from infra.sim.table import MemoryTable as ToyTable

__all__ = ["ToyTable"]
