"""SHELL: asks the target: CloudWatch, logs, tables."""
