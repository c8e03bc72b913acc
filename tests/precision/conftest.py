"""`half` runs a test once for each library and dtype of 16 bits that it has, `float16` once for each that has this."""

import pytest

import nnx
from tests.precision.halves import pairs
from tests.support import REQUIRED, open_backend


def pytest_collection_modifyitems(items):
    """Tests that run on a backend, as with the fixture of that name."""
    for item in items:
        if {"half", "float16"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("on_backend")


def active(request):
    """Inside of the test the backend is active; the test gets the dtype's name."""
    name, dtype = request.param
    try:
        opened = open_backend(name)
    except nnx.BackendUnavailable as error:
        if name in REQUIRED:
            raise
        pytest.skip(str(error).partition("\n")[0])
    with nnx.use_backend(name, opened.device):
        yield dtype


half = pytest.fixture(params=pairs("float16", "bfloat16"), ids="-".join, name="half")(active)
float16 = pytest.fixture(params=pairs("float16"), ids="-".join, name="float16")(active)
