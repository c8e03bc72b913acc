"""What the examples reach on whole data sets, in minutes: Fashion-MNIST in three epochs; characters of Shakespeare."""

import runpy
from pathlib import Path

import pytest

from nnx import data

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples"


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="example")["main"]


def there(find):
    """Skip the test where the data set is not; a damaged one is an error."""
    try:
        find()
    except data.DatasetMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "accuracy"), [("lenet", 0.87), ("resnet", 0.90)])
def test_fashion_mnist_in_three_epochs(name, accuracy):
    there(data.fashion_mnist)
    assert main_of("image_models")([name], full=True, epochs=3)[name] >= accuracy


@pytest.mark.parametrize(("name", "loss"), [("gpt", 1.65), ("lstm", 1.60)])
def test_shakespeare(name, loss):
    """Nats a character on the last twentieth of all works, which was not trained on; 1.606 and 1.557 were seen."""
    there(data.shakespeare)
    found = main_of("shakespeare")(name, full=True)
    assert found[name] <= loss < found["bigram"]
