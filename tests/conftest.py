"""For all tests: an example may take as long as a busy machine needs; pytest's own timeout bounds the test.

Properties are tried with so many examples that all tests together take about five minutes on two cores; with ten
times as many by `pytest --hypothesis-profile thorough`.
"""

from hypothesis import settings

EXAMPLES = 50

settings.register_profile("house", deadline=None, max_examples=EXAMPLES)
settings.register_profile("thorough", deadline=None, max_examples=10 * EXAMPLES)
settings.load_profile("house")
