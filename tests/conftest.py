"""For all tests: an example may take as long as a busy machine needs; pytest's own timeout bounds the test."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
