"""On torch a traced graph runs as it is, but in tests that ask for `inductor`: to compile C++ takes seconds each."""

import pytest

from nnx.backend import torch_compiler


@pytest.fixture
def inductor():
    """The test's programs are compiled on torch, too; skipped where no C++ compiler is."""
    if not torch_compiler.works():
        pytest.skip("torch finds no C++ compiler")


@pytest.fixture(autouse=True)
def _graphs(request, monkeypatch):
    if "inductor" not in request.fixturenames:
        monkeypatch.setattr(torch_compiler, "built", lambda graph, inputs: graph)
        monkeypatch.setattr(torch_compiler, "works", lambda: True)
