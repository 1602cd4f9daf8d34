"""Distribution functions that numpy lacks: normal, Student and beta quantiles, binomial tails."""

from itertools import count
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

from twllm_types import ConfigError

_TINY = 1e-300
_CORNISH_FISHER_FROM = 1000.0


def check_level(level: float) -> None:
    """Refuse a coverage outside (0, 1).

    Raises:
        ConfigError: `level` is 0, 1 or beyond.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level} must lie in (0, 1); for a 95 % interval give 0.95")


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution (Wichura 1988, AS 241, in the standard library)."""
    return NormalDist().inv_cdf(probability)


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of Student's t for a probability in [0.5, 1); the end of an interval of coverage c is at (1 + c) / 2.

    Below 1,000 degrees of freedom v, t solves 2 (1 - p) = I_x(v/2, 1/2) with x = v / (v + t^2) (Abramowitz & Stegun
    26.7.1 and 26.5.27); from there on the Cornish-Fisher series in 1/v to the fourth order (26.7.5), whose error is
    then below 1e-12, where differences of log-gamma functions would lose more.

    Args:
        probability: of a smaller t.
        degrees_of_freedom: v > 0.

    Raises:
        ConfigError: a probability outside [0.5, 1), or no degrees of freedom.
    """
    if not 0.5 <= probability < 1:
        raise ConfigError(f"probability {probability} must lie in [0.5, 1); for a 95 % interval give 0.975")
    if not degrees_of_freedom > 0:
        raise ConfigError(f"{degrees_of_freedom} degrees of freedom have no Student's t; give more than 0")
    if degrees_of_freedom >= _CORNISH_FISHER_FROM:
        return _student_series(normal_quantile(probability), degrees_of_freedom)
    x = beta_quantile(2 * (1 - probability), degrees_of_freedom / 2, 0.5)
    return sqrt(degrees_of_freedom * (1 - x) / x)


def _student_series(z: float, v: float) -> float:
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, start=1))


def correlation_p_value(r: float, degrees_of_freedom: float) -> float:
    """Two-sided p-value of t = r sqrt(v / (1 - r^2)) with v degrees of freedom, n - 2 for the correlation of n items.

    p = I_{1 - r^2}(v/2, 1/2) (Abramowitz & Stegun 26.5.27 and 26.7.1). The same as `scipy.stats.pearsonr`, whose exact
    distribution under normality is this one.

    Args:
        r: a coefficient, in [-1, 1].
        degrees_of_freedom: v, at least 1.

    Raises:
        ConfigError: a coefficient outside [-1, 1], or too few degrees of freedom.
    """
    if not (-1 <= r <= 1 and degrees_of_freedom >= 1):
        raise ConfigError(f"r {r} with {degrees_of_freedom} degrees of freedom; give r in [-1, 1] and at least 1")
    square, half = r * r, degrees_of_freedom / 2
    if square in {0.0, 1.0}:
        return 1.0 - square
    if square < 1.5 / (half + 2.5):
        # Where `beta_cdf` would turn to 1 - I anyhow; 1 - r^2 would lose a small r.
        return 1.0 - beta_cdf(square, 0.5, half)
    return beta_cdf((1 - r) * (1 + r), half, 0.5)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), x in (0, 1), a and b > 0, by its continued fraction.

    Fraction: Abramowitz & Stegun 26.5.8, evaluated by the method of Lentz (1976) with the zeros
    replaced by tiny numbers, as Thompson and Barnett (1986) do; the symmetry
    I_x(a, b) = 1 - I_{1-x}(b, a) keeps x where it converges fast.
    """
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    log_front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    return exp(log_front) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    fraction = numerator = 1.0
    denominator = 0.0
    for step in count():
        half = step // 2
        if step == 0:
            coefficient = 1.0
        elif step % 2 == 0:
            coefficient = half * (b - half) * x / ((a + step - 1) * (a + step))
        else:
            coefficient = -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        denominator = 1.0 / _away_from_zero(1.0 + coefficient * denominator)
        numerator = _away_from_zero(1.0 + coefficient / numerator)
        factor = numerator * denominator
        fraction *= factor
        if step > 0 and abs(factor - 1.0) < 1e-16:
            break
    return fraction - 1.0


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = probability, by bisection down to neighbouring floats."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle


def log_binomial_half(k: int, n: int) -> float:
    """Log P(X = k) for X ~ Binomial(n, 1/2), 0 <= k <= n."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)


def binomial_half_cdf(k: int, n: int) -> float:
    """P(X <= k) for X ~ Binomial(n, 1/2) = I_{1/2}(n - k, k + 1) (Abramowitz & Stegun 26.5.24), 0 <= k < n."""
    return beta_cdf(0.5, n - k, k + 1)
