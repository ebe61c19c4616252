"""Who pushes: an open-loop load generator whose ledger is computed from the tables themselves."""
