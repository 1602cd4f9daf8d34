"""Student's t through a correlation: the p-value of r, and the quantile that follows from it."""

from math import exp, lgamma, log, log1p, sqrt

import numpy as np

# exp(-40) is below the last digit of a float
_DIGITS = 40.0
_BISECTIONS = 200


def correlation_p_value(r: float, degrees_of_freedom: int) -> float:
    """Two-sided p-value of t = r sqrt(v / (1 - r^2)) with v degrees of freedom, v >= 1, r in [-1, 1].

    p = I_{1 - r^2}(v/2, 1/2), the regularised incomplete beta function (Abramowitz & Stegun 26.5.27 and 26.7.1). The
    same as `scipy.stats.pearsonr`, whose exact distribution under normality is this one.
    """
    square = min(1.0, r * r)
    if square == 0.0:
        return 1.0
    if square == 1.0:
        return 0.0
    if square < 0.5 and square * degrees_of_freedom < 30.0:
        # The quicker series; p is above 1e-7, so that the difference from 1 loses nothing that matters.
        return 1.0 - _beta_series(square, 0.5, degrees_of_freedom / 2)
    return _beta_series(1.0 - square, degrees_of_freedom / 2, 0.5)


def student_quantile(level: float, degrees_of_freedom: int) -> float:
    """The t with P(|T| <= t) = `level`, in (0, 1), for v >= 1 degrees of freedom: bisection of the p-value over r."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if correlation_p_value(middle, degrees_of_freedom) > 1 - level:
            low = middle
        else:
            high = middle
    return low * sqrt(degrees_of_freedom / (1 - low * low))


def _beta_series(x: float, a: float, b: float) -> float:
    """I_x(a, b) by its power series, all terms positive (Abramowitz & Stegun 26.5.4), x in (0, 1)."""
    largest_term = max(0.0, ((a + b) * x - a - 1) / (1 - x))
    num_terms = int(_DIGITS / -log(x) + largest_term) + 64
    n = np.arange(num_terms, dtype=np.float64)
    total = 1.0 + float(np.cumprod((a + b + n) / (a + 1 + n) * x).sum())
    log_front = a * log(x) + b * log1p(-x) - log(a) - lgamma(a) - lgamma(b) + lgamma(a + b)
    return min(1.0, exp(log_front) * total)
