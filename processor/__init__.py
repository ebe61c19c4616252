"""What is deployed to Lambda, and nothing else: this package is the zip. It imports nothing from infra or loadgen."""
