"""How small a difference a sample can show."""

from math import sqrt

from twllm_runs.statistics._special import check_level, normal_quantile
from twllm_types import ConfigError


def minimum_detectable_difference(
    n: int,
    *,
    share: float | None = None,
    discordant_share: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> float | None:
    """Smallest difference of two shares that a two-sided test at 1 - level finds with probability `power`.

    With z_a = z((1 + level)/2) and z_b = z(power):

    - `share` = p, two independent samples of n items each: (z_a + z_b) sqrt(2 p (1 - p) / n) (the usual
      normal approximation with both variances p (1 - p); Miller 2024, arXiv 2411.00640, on power analysis);
    - `discordant_share` = s, the same n items, of which the share s is answered rightly by exactly one system: the d
      with d sqrt(n) = z_a sqrt(s) + z_b sqrt(s - d^2) (McNemar's test; Connor 1987, Biometrics 43, 207-211).

    Args:
        n: items (of each sample).
        share: expected share, in (0, 1); give this or `discordant_share`.
        discordant_share: expected share of items on which the systems differ, in (0, 1].
        level: 1 - the size of the test.
        power: in (0.5, 1).

    Returns:
        The difference, in (0, 1); None where even the largest possible difference would not be found.

    Raises:
        ConfigError: n below 1, both or neither share given, or a share, level or power out of range.
    """
    check_level(level)
    if n < 1:
        raise ConfigError(f"n = {n} items show nothing; give at least 1")
    if not 0.5 < power < 1:
        raise ConfigError(f"power {power} must lie in (0.5, 1); 0.8 is usual")
    if (share is None) == (discordant_share is None):
        raise ConfigError("give share (two samples) or discordant_share (the same items), exactly one of the two")
    z_a, z_b = normal_quantile((1 + level) / 2), normal_quantile(power)
    if share is not None:
        if not 0 < share < 1:
            raise ConfigError(f"share {share} must lie in (0, 1)")
        difference = (z_a + z_b) * sqrt(2 * share * (1 - share) / n)
        return difference if difference <= max(share, 1 - share) else None
    if discordant_share is None or not 0 < discordant_share <= 1:
        raise ConfigError(f"discordant_share {discordant_share} must lie in (0, 1]")
    return _paired_difference(n, discordant_share, z_a, z_b)


def _paired_difference(n: int, s: float, z_a: float, z_b: float) -> float | None:
    """The larger root of (n + z_b^2) d^2 - 2 z_a sqrt(s n) d + (z_a^2 - z_b^2) s = 0, Connor's equation squared."""
    inner = n + z_b * z_b - z_a * z_a
    if inner < 0:
        return None
    difference = sqrt(s) * (z_a * sqrt(n) + z_b * sqrt(inner)) / (n + z_b * z_b)
    return difference if difference <= s else None
