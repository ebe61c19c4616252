"""PURE: what is offered: when each event is due, its bytes, and what the tables must have when it was processed."""
