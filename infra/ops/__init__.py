"""SHELL: operators' commands. Each talks to AWS or to the local endpoint with the same calls; none holds a setting."""
