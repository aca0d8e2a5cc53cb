"""Tail probabilities of statistics that are known by three moments, also where they are too small for a number.

References:
    Pearson (1895), type III curve (a shifted gamma distribution with given mean, variance and skewness); Wilson and
    Hilferty (1931), "The distribution of chi-square"; Gautschi (1979), "A computational procedure for incomplete gamma
    functions" (the continued fraction far out in the tail).
"""

from __future__ import annotations

import math

from scipy import special

__all__ = ["log_gamma_tail", "shifted_gamma_log_tail", "shifted_gamma_tail"]

_NORMAL = 1e-6  # skewness up to which the curve is the normal one


def shifted_gamma_tail(z: float, skewness: float) -> float:
    """Probability above ``z`` of the shifted gamma distribution with mean 0, variance 1 and this skewness.

    For a skewness of at most 0 it is that of the normal distribution, which is heavier there.

    Examples:
        >>> round(shifted_gamma_tail(1.96, 0.0), 3)
        0.025
        >>> round(shifted_gamma_tail(2.0, 2.0), 6) == round(math.exp(-3.0), 6)  # the exponential distribution
        True
    """
    if skewness <= _NORMAL:
        return float(special.ndtr(-z))
    root = 2.0 / skewness
    point = root * root + z * root
    return 1.0 if point <= 0 else float(special.gammaincc(root * root, point))


def shifted_gamma_log_tail(z: float, skewness: float) -> float:
    """Natural logarithm of :func:`shifted_gamma_tail`, finite for every finite ``z``.

    Examples:
        >>> round(shifted_gamma_log_tail(2000.0, 2.0), 6)
        -2001.0
    """
    if skewness <= _NORMAL:
        return float(special.log_ndtr(-z))
    root = 2.0 / skewness
    point = root * root + z * root
    return 0.0 if point <= 0 else log_gamma_tail(root * root, point)


def log_gamma_tail(shape: float, point: float) -> float:
    """Natural logarithm of the upper regularised incomplete gamma function.

    Args:
        shape: Above 0; half the degrees of freedom of a chi-square.
        point: At least 0; half the value of a chi-square.

    Returns:
        A number of at most 0.

    Examples:
        >>> round(log_gamma_tail(1.0, 5000.0), 6)
        -5000.0
    """
    tail = float(special.gammaincc(shape, point))
    if tail > 1e-280:
        return math.log(tail)
    if shape > 1e7:  # Wilson and Hilferty: the fraction below would need as many steps as its root
        cube = (point / shape) ** (1 / 3) - (1 - 1 / (9 * shape))
        return float(special.log_ndtr(-cube * 3 * math.sqrt(shape)))
    tiny = 1e-300
    b = point + 1.0 - shape
    c, d = 1.0 / tiny, 1.0 / b
    fraction = d
    for i in range(1, 100_000):
        a = -i * (i - shape)
        b += 2.0
        d = a * d + b
        c = b + a / c
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = c if abs(c) > tiny else tiny
        step = d * c
        fraction *= step
        if abs(step - 1.0) < 1e-12:
            break
    return -point + shape * math.log(point) - float(special.gammaln(shape)) + math.log(fraction)
