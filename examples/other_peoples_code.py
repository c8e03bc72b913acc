"""Code that has never heard of nnx, differentiated: array-api-extra's, einops's and SciPy's own functions.

They are written for the Array API standard, and ask an array for its namespace; a watched array answers with nnx's. So
a gradient, and a Hessian for Newton's method, go through functions that nobody wrote a derivative for:

    a portfolio   min over w of wᵀ cov(returns) w, Σ w = 1    array_api_extra.cov
    a picture     the gradient of mean-pooled patches          einops.array_api.reduce
    a fit         max likelihood of a gamma distribution       scipy.special.gammaln, whose slope is ψ

SciPy looks at SCIPY_ARRAY_API when it is imported; it and einops are left out where they are not installed.

    python examples/other_peoples_code.py
"""

import importlib.util
import os

import numpy as np

import nnx


def portfolio():
    """The weights of least variance: by steps along the gradient, and as the textbook has them, C⁻¹1 / 1ᵀC⁻¹1."""
    import array_api_extra as xpx

    rng = np.random.default_rng(0)
    returns = rng.normal(size=(3, 200)) * np.asarray([[1.0], [2.0], [0.5]]) + 0.3 * rng.normal(size=(1, 200))

    def variance(z):
        xp = z.__array_namespace__()
        w = xp.concat([z, 1.0 - xp.sum(z, keepdims=True)])
        return xpx.cov(xp.sum(w[:, None] * returns, axis=0, keepdims=True))

    z = np.asarray([0.2, 0.2])
    slope, curvature = nnx.grad(variance)(z), nnx.hessian(variance)(z)
    z = z - np.linalg.solve(curvature, slope)  # the variance is quadratic: one step of Newton's is enough
    found = np.append(z, 1.0 - z.sum())
    c = np.linalg.solve(np.cov(returns), np.ones(3))
    return found, c / c.sum()


def picture():
    """Each pixel's share in the sum of squared patch means, (n/p)² patches of p² pixels: 2 mean / p²."""
    from einops.array_api import reduce

    x = np.arange(36.0).reshape(6, 6)
    pooled = "(h p) (w q) -> h w"
    gradient = nnx.grad(lambda x: x.__array_namespace__().sum(reduce(x, pooled, "mean", p=3, q=3) ** 2))(x)
    return gradient, np.kron(2 * reduce(x, pooled, "mean", p=3, q=3) / 9, np.ones((3, 3)))


def fit():
    """Shape and scale of a gamma distribution by Newton's method; at the maximum, shape · scale is the mean."""
    from scipy.special import gammaln

    x = np.random.default_rng(1).gamma(2.5, 1.5, 1000)
    mean, mean_log = float(x.mean()), float(np.log(x).mean())

    def negative_log_likelihood(theta):
        xp = theta.__array_namespace__()
        shape, scale = xp.exp(theta[0]), xp.exp(theta[1])
        return mean / scale + shape * theta[1] + gammaln(shape) - (shape - 1.0) * mean_log

    theta = np.asarray([0.0, np.log(mean)])
    steps, slope = 0, np.ones(2)
    while np.abs(slope).max() > 1e-12 and steps < 30:
        steps += 1
        slope = nnx.grad(negative_log_likelihood)(theta)
        theta = theta - np.linalg.solve(nnx.hessian(negative_log_likelihood)(theta), slope)
    return np.exp(theta), mean, steps


def main():
    found, expected = portfolio()
    print(f"portfolio of least variance: {found.round(4)}, by linear algebra {expected.round(4)}")
    assert np.allclose(found, expected, atol=1e-9)
    if importlib.util.find_spec("einops"):
        gradient, expected = picture()
        print(f"gradient through einops, first row: {gradient[0].round(3)}")
        assert np.allclose(gradient, expected)
    if os.environ.get("SCIPY_ARRAY_API") and importlib.util.find_spec("scipy"):
        (shape, scale), mean, steps = fit()
        print(f"gamma distribution: shape {shape:.3f}, scale {scale:.3f} after {steps} steps (drawn from 2.5 and 1.5)")
        assert abs(shape * scale - mean) < 1e-9
        assert abs(shape - 2.5) < 0.3


if __name__ == "__main__":
    os.environ.setdefault("SCIPY_ARRAY_API", "1")
    main()
