"""PURE: what the target did during a load, from its own log, metrics and quotas, and which limit it ran into."""
