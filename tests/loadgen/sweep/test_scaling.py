"""Slope and scaling law: the truth behind synthetic data is found, with honest errors."""

import math
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sweep.scaling import fit, slope, student

LANES = [1, 2, 3, 4, 6, 8, 12, 16]


def law(rate: float, contention: float, coherency: float, n: float) -> float:
    return rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


@given(st.floats(-1000, 1000), st.floats(-100, 100), st.integers(4, 60))
def test_a_straight_line_has_its_own_slope(begin: float, rise: float, count: int) -> None:
    found = slope([(float(x), begin + rise * x) for x in range(count)])
    assert found.value == pytest.approx(rise, abs=1e-6)
    assert found.low - 1e-6 <= rise <= found.high + 1e-6
    assert found.samples == count


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_the_interval_holds_the_true_slope_about_as_often_as_it_says(alike: float) -> None:
    random = Random(7)
    inside = 0
    for _ in range(400):
        noise, points = 0.0, []
        for x in range(30):
            noise = alike * noise + random.gauss(0, 10)
            points.append((float(x), 3 * x + noise))
        found = slope(points)
        inside += found.low <= 3 <= found.high
    assert inside >= 0.90 * 400


def test_a_saw_does_not_grow() -> None:
    found = slope([(x / 2, 1000.0 * (x % 4)) for x in range(60)])
    assert found.low < 0 < found.high


@pytest.mark.parametrize("points", [[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], [(1.0, 1.0)] * 5])
def test_too_few_points_have_no_slope(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="slope"):
        slope(points)


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (10, 2.228), (1000, 1.962)])
def test_students_quantiles_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


@given(st.floats(1, 1e5), st.floats(0, 0.5), st.floats(0, 0.05))
def test_the_terms_behind_exact_data_are_found(rate: float, contention: float, coherency: float) -> None:
    found = fit([(n, law(rate, contention, coherency, n)) for n in LANES])
    assert found.rate == pytest.approx(rate, rel=1e-3)
    assert found.contention == pytest.approx(contention, abs=2e-3)
    assert found.coherency == pytest.approx(coherency, abs=2e-3)
    assert found.unexplained < 1e-3


def test_the_errors_cover_the_truth_behind_noisy_data() -> None:
    random, inside = Random(11), {"contention": 0, "coherency": 0}
    for _ in range(200):
        points = [(n, law(500, 0.1, 0.01, n) * random.gauss(1, 0.03)) for n in LANES * 2]
        found = fit(points)
        for name, truth in (("contention", 0.1), ("coherency", 0.01)):
            error = getattr(found, f"{name}_error")
            inside[name] += error is not None and abs(getattr(found, name) - truth) <= 2.5 * error
    assert min(inside.values()) >= 0.9 * 200


def test_the_errors_are_as_large_as_what_the_terms_scatter_by_and_no_larger() -> None:
    random = Random(13)
    found = [fit([(n, law(500, 0.1, 0.01, n) * random.gauss(1, 0.03)) for n in LANES * 2]) for _ in range(150)]
    for name in ("rate", "contention", "coherency"):
        said = fmean(getattr(one, f"{name}_error") or 0.0 for one in found)
        assert said == pytest.approx(stdev(getattr(one, name) for one in found), rel=0.25)


def test_no_term_is_negative_and_one_that_is_held_at_nothing_has_no_error() -> None:
    faster_than_linear = fit([(1, 100.0), (2, 210.0), (4, 440.0), (8, 900.0)])
    assert (faster_than_linear.contention, faster_than_linear.coherency) == (0.0, 0.0)
    assert faster_than_linear.contention_error is None
    assert faster_than_linear.ceiling is None
    assert faster_than_linear.best_concurrency is None


def test_three_points_carry_the_law_but_no_errors() -> None:
    found = fit([(n, law(100, 0.2, 0.02, n)) for n in (1, 2, 4)])
    assert found.contention_error is None
    assert found.contention == pytest.approx(0.2, abs=1e-3)


def test_the_best_concurrency_is_where_the_curve_is_highest() -> None:
    found = fit([(n, law(100, 0.05, 0.01, n)) for n in LANES])
    assert found.best_concurrency == pytest.approx(math.sqrt(0.95 / 0.01), rel=0.01)
    assert found.ceiling == pytest.approx(max(law(100, 0.05, 0.01, n / 100) for n in range(100, 3000)), rel=1e-3)
    only_contention = fit([(n, law(100, 0.05, 0, n)) for n in LANES])
    assert only_contention.ceiling == pytest.approx(2000, rel=0.02)


@pytest.mark.parametrize(
    "points", [[(1, 1.0), (2, 2.0)], [(1, 1.0), (1, 1.1), (2, 2.0)], [(0, 1.0), (1, 1.0), (2, 1.0)]]
)
def test_points_that_cannot_carry_a_curve_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"scaling law|positive"):
        fit(points)


def test_the_band_around_the_curve_holds_the_true_one_about_as_often_as_it_says() -> None:
    random, inside = Random(12), {1: 0, 12: 0, 64: 0}
    for _ in range(200):
        found = fit([(n, law(500, 0.05, 0.002, n) * random.gauss(1, 0.03)) for n in LANES * 2])
        for n in inside:
            margin = found.margin_at(n)
            assert margin is not None
            inside[n] += abs(found.at(n) - law(500, 0.05, 0.002, n)) <= margin
    assert min(inside.values()) >= 0.88 * 200
    assert fit([(n, law(100, 0.2, 0.02, n)) for n in (1, 2, 4)]).margin_at(2) is None
