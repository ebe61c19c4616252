"""SHELL: the processor's I/O. Tables, quarantine, publisher and telemetry; no policy lives here."""
