"""PURE: is a backlog growing, and how does throughput grow with concurrency? Least squares with their errors.

`slope` is the regression line of a series with a confidence interval that takes into account that neighbouring samples
of a queue resemble each other. `fit` is the Universal Scalability Law (N. Gunther): throughput at concurrency n is

    x(n) = rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1))

`rate` is what one lane does alone, `contention` the share of the work that waits for something common, `coherency` the
price of every pair of lanes that must agree on something. Contention bends the curve towards rate / contention,
coherency lets it fall beyond sqrt((1 - contention) / coherency) lanes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean

CONFIDENCE = 0.95
ALIKE_MAX = 0.8  # of neighbouring residuals; a series that is more alike than this says nothing about its slope
ITERATIONS_MAX = 200
CONVERGED = 1e-12
NAMES = ("rate", "contention", "coherency")
# Tried in this order: each is the law with some terms held at 0, and a term that comes out negative is not one.
FREE_TERMS: tuple[tuple[int, ...], ...] = ((0, 1, 2), (0, 1), (0, 2), (0,))
DISTINCT_MIN = 3

Vector = list[float]
Matrix = list[Vector]


@dataclass(frozen=True, slots=True)
class Slope:
    """Change per unit of x; the true one is between `low` and `high` with `CONFIDENCE`."""

    value: float
    low: float
    high: float
    samples: int


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The regression line's slope through (x, y), in order of x. Raises ValueError below four points or for one x."""
    if len(points) < 4:
        raise ValueError(f"a slope with an error needs 4 points, not {len(points)}")
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        raise ValueError("a slope needs different values of x")
    value = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    residuals = [y - mean_y - value * (x - mean_x) for x, y in points]
    squares = sum(residual**2 for residual in residuals)
    # As many independent samples as there would be if neighbours' likeness died out evenly (a first-order process).
    alike = sum(a * b for a, b in pairwise(residuals)) / squares if squares > 0 else 0.0
    alike = min(max(alike, 0.0), ALIKE_MAX)
    stretch = (1 + alike) / (1 - alike)
    freedom = max(2.0, len(points) / stretch - 2)
    error = math.sqrt(squares / (len(points) - 2) / spread * stretch)
    margin = student(freedom) * error
    return Slope(value, value - margin, value + margin, len(points))


def student(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t, by its expansion around the normal one: within 1 % from 2 degrees on."""
    if freedom < 2:
        return math.tan(math.pi / 2 * confidence)  # Cauchy's, exact for one degree of freedom
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted curve. Standard errors are None for a term held at 0, and without more points than terms.

    `unexplained`: root mean square of the residuals, each as a share of its throughput. `covariance`: of the three
    terms, None where their errors are; `freedom`: points beyond the terms that were fitted.
    """

    rate: float
    contention: float
    coherency: float
    rate_error: float | None
    contention_error: float | None
    coherency_error: float | None
    unexplained: float
    points: int
    covariance: tuple[tuple[float, ...], ...] | None = None
    freedom: int = 0

    def at(self, concurrency: float) -> float:
        """Throughput."""
        return _value([self.rate, self.contention, self.coherency], concurrency)

    def margin_at(self, concurrency: float) -> float | None:
        """The curve, not a single point, is within so much of `at` with `CONFIDENCE`; None: its error is not known."""
        if self.covariance is None:
            return None
        gradient = _gradient([self.rate, self.contention, self.coherency], concurrency)
        square = sum(
            gradient[i] * gradient[j] * self.covariance[i][j] for i in range(len(NAMES)) for j in range(len(NAMES))
        )
        return student(float(self.freedom)) * math.sqrt(max(0.0, square))

    @property
    def best_concurrency(self) -> float | None:
        """Where throughput is highest; None: it never falls."""
        if self.coherency <= 0:
            return None
        return math.sqrt(max(0.0, 1 - self.contention) / self.coherency)

    @property
    def ceiling(self) -> float | None:
        """The throughput that no concurrency exceeds; None: there is none in sight."""
        best = self.best_concurrency
        if best is not None:
            return self.at(max(1.0, best))
        return self.rate / self.contention if self.contention > 0 else None


def fit(points: Sequence[tuple[float, float]]) -> Law:
    """The law through (concurrency, throughput). Raises ValueError when the points cannot carry it.

    Least squares of the relative deviations: a throughput was measured to within a share of itself.
    """
    distinct = {n for n, _ in points}
    if len(distinct) < DISTINCT_MIN:
        raise ValueError(f"the scaling law needs {DISTINCT_MIN} different concurrencies, not {len(distinct)}")
    if any(n <= 0 or x <= 0 or not math.isfinite(n * x) for n, x in points):
        raise ValueError("concurrencies and throughputs must be positive")
    scale = max(x for _, x in points)
    scaled = [(float(n), x / scale) for n, x in points]
    best: tuple[float, Vector, tuple[int, ...]] | None = None
    for free in FREE_TERMS:
        terms = _descend(scaled, _start(scaled, free), free)
        if min(terms) < 0 or not all(math.isfinite(term) for term in terms):
            continue
        squares = _squares(scaled, terms)
        if best is None or squares < best[0] * (1 - 1e-9):
            best = squares, terms, free
    if best is None:
        raise ValueError("no curve of the law comes near these points")
    squares, terms, free = best
    covariance = _covariance(scaled, terms, free, squares)
    errors = [None if covariance is None or i not in free else math.sqrt(max(0.0, covariance[i][i])) for i in range(3)]
    units = (scale, 1.0, 1.0)
    return Law(
        terms[0] * scale,
        terms[1],
        terms[2],
        None if errors[0] is None else errors[0] * scale,
        errors[1],
        errors[2],
        math.sqrt(squares / len(points)),
        len(points),
        None
        if covariance is None
        else tuple(tuple(covariance[i][j] * units[i] * units[j] for j in range(3)) for i in range(3)),
        len(points) - len(free),
    )


def _value(terms: Sequence[float], n: float) -> float:
    return terms[0] * n / (1 + terms[1] * (n - 1) + terms[2] * n * (n - 1))


def _gradient(terms: Vector, n: float) -> Vector:
    below = 1 + terms[1] * (n - 1) + terms[2] * n * (n - 1)
    return [n / below, -terms[0] * n * (n - 1) / below**2, -terms[0] * n * n * (n - 1) / below**2]


def _squares(points: Sequence[tuple[float, float]], terms: Vector) -> float:
    try:
        return sum((1 - _value(terms, n) / x) ** 2 for n, x in points)
    except (ZeroDivisionError, OverflowError):
        return math.inf


def _start(points: Sequence[tuple[float, float]], free: tuple[int, ...]) -> Vector:
    """n / x is linear in 1 / rate, contention / rate and coherency / rate: their linear fit is near the right one."""
    columns: list[Callable[[float], float]] = [lambda _: 1.0, lambda n: n - 1, lambda n: n * (n - 1)]
    # Weighted with x / n: the reciprocal would let the smallest throughput decide.
    rows = [([columns[i](n) * x / n for i in free], 1.0) for n, x in points]
    solved = _solve(*_normal(rows))
    linear = [0.0, 0.0, 0.0]
    for i, value in zip(free, solved or [], strict=False):
        linear[i] = value
    if linear[0] <= 0:
        return [max(x / n for n, x in points), 0.0, 0.0]
    return [1 / linear[0], max(0.0, linear[1] / linear[0]), max(0.0, linear[2] / linear[0])]


def _descend(points: Sequence[tuple[float, float]], terms: Vector, free: tuple[int, ...]) -> Vector:
    """Gauss-Newton with Levenberg's damping: a step that does not improve is made shorter."""
    damping, squares = 1e-3, _squares(points, terms)
    for _ in range(ITERATIONS_MAX):
        rows = [
            ([gradient[i] / x for i in free], 1 - _value(terms, n) / x)
            for n, x in points
            for gradient in [_gradient(terms, n)]
        ]
        matrix, right = _normal(rows)
        for i in range(len(free)):
            matrix[i][i] *= 1 + damping
        step = _solve(matrix, right)
        if step is None:
            break
        tried = list(terms)
        for i, change in zip(free, step, strict=True):
            tried[i] += change
        improved = _squares(points, tried)
        if improved <= squares and all(1 + tried[1] * (n - 1) + tried[2] * n * (n - 1) > 0 for n, _ in points):
            moved = max(abs(change) for change in step)
            terms, squares, damping = tried, improved, damping / 10
            if moved < CONVERGED:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return terms


def _covariance(
    points: Sequence[tuple[float, float]], terms: Vector, free: tuple[int, ...], squares: float
) -> Matrix | None:
    """Of all terms, 0 for those that are held; None: there are not more points than terms."""
    spare = len(points) - len(free)
    matrix, _ = _normal([([_gradient(terms, n)[i] / x for i in free], 0.0) for n, x in points])
    columns = [_solve(matrix, [float(place == row) for row in range(len(free))]) for place in range(len(free))]
    if spare <= 0 or any(column is None for column in columns):
        return None
    whole = [[0.0] * len(NAMES) for _ in NAMES]
    for i, column in zip(free, columns, strict=True):
        for j, value in zip(free, column or [], strict=True):
            whole[i][j] = squares / spare * value
    return whole


def _normal(rows: Sequence[tuple[Vector, float]]) -> tuple[Matrix, Vector]:
    """The normal equations of rows of (coefficients, value)."""
    size = len(rows[0][0])
    matrix = [[sum(row[i] * row[j] for row, _ in rows) for j in range(size)] for i in range(size)]
    return matrix, [sum(row[i] * value for row, value in rows) for i in range(size)]


def _solve(matrix: Matrix, right: Vector) -> Vector | None:
    """Gauss's elimination with pivots; None: there is no single solution."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(rows[row][i]))
        if abs(rows[pivot][i]) < 1e-300:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for other in range(size):
            if other != i:
                factor = rows[other][i] / rows[i][i]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[i], strict=True)]
    return [rows[i][size] / rows[i][i] for i in range(size)]
