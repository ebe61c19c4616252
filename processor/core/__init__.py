"""PURE: deaggregation, the event envelope, effects, folding and the write plan.

No clock, no randomness, no environment, no boto3, no logging: `now` is an argument, results are values.
"""
