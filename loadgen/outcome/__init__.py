"""PURE: what came of a load: results, numbers, and the ledger that is computed from the tables themselves."""
