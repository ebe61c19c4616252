"""What the processor runs on: the template, models of the AWS services it meets, and the local runtime."""
