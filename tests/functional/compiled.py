"""Where a library compiles each step of each shape, long tables are for --slow: test_conv_parity runs always."""

import pytest


def skip_many_shapes(backend, request):
    if backend.name == "jax" and not request.config.getoption("--slow"):
        pytest.skip("slow: JAX compiles each step of each shape")
