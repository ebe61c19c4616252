"""The documented AWS Lambda Powertools way, kept as the reference that the benchmarks measure against."""
