"""A neuron, a layer, and the ways to write one down: W a + b with columns, x W + b with rows, and nnx's x Wᵀ + b.

A neuron weighs its inputs, adds a bias and applies a function: a = σ(w · x + b). A layer is several neurons that see
the same inputs; their weights are stacked into a matrix. Books and libraries stack them differently:

    columns  a = σ(W x + b)    x: (i, n)   W: (o, i)   b: (o, 1)   a sample is a column (Nielsen, most of the books)
    rows     a = σ(x W + b)    x: (n, i)   W: (i, o)   b: (o,)     a sample is a row, and W is the books' W transposed
    nnx      a = σ(x Wᵀ + b)   x: (n, i)   W: (o, i)   b: (o,)     samples are rows, W is the books' own (PyTorch's)

The numbers are the same, and so are the gradients: only the letters change sides.

    python examples/neuron_and_layer.py
"""

import math

import numpy as np

import nnx

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]  # four samples of two inputs
W = [[-4.0, -4.0], [3.0, 5.0], [0.5, -0.5]]  # three neurons; the first computes NAND
B = [6.0, -7.0, 0.25]


def neuron(x, w, b):
    """σ(w · x + b) of one sample, in plain Python: what all the matrices below stand for."""
    z = sum(wi * xi for wi, xi in zip(w, x, strict=True)) + b
    return 1.0 / (1.0 + math.exp(-z))


def columns(x, w, b):
    return nnx.functional.sigmoid(w @ x + b)


def rows(x, w, b):
    return nnx.functional.sigmoid(x @ w + b)


def total(a):
    return nnx.namespace(a).sum(a)


def main():
    one_by_one = np.asarray([[neuron(x, w, b) for w, b in zip(W, B, strict=True)] for x in X])
    x, w, b = (nnx.asarray(values, "float32") for values in (X, W, B))
    column_b = nnx.namespace(b).reshape(b, (-1, 1))
    layer = nnx.Linear(2, 3).update({"weight": w, "bias": b})
    outputs = {
        "neuron by neuron": one_by_one,
        "columns, W x + b": columns(x.T, w, column_b).T,
        "rows, x W + b": rows(x, w.T, b),
        "nnx, x Wᵀ + b": nnx.functional.sigmoid(layer(x)),
    }
    print("inputs    " + "".join(f"  neuron {k + 1}" for k in range(3)))
    for sample, activations in zip(X, one_by_one, strict=True):
        print(f"{sample}" + "".join(f"{a:10.6f}" for a in activations))
    apart = {name: float(np.abs(nnx.to_numpy(a) - one_by_one).max()) for name, a in outputs.items()}
    for name, difference in apart.items():
        print(f"{name:18} largest difference {difference:.0e}")

    # the gradient of Σ a with respect to the weights, in the form of each convention's own W
    by_columns = nnx.grad(lambda w, x, b: total(columns(x, w, b)))(w, x.T, column_b)
    by_rows = nnx.grad(lambda w, x, b: total(rows(x, w, b)))(w.T, x, b)
    by_layer = nnx.grad(lambda layer, x: total(nnx.functional.sigmoid(layer(x))))(layer, x)["weight"]
    gradients = [nnx.to_numpy(g) for g in (by_columns, by_rows.T, by_layer)]
    worst = max(float(np.abs(g - gradients[0]).max()) for g in gradients)
    shapes = f"{gradients[0].shape} with columns, {gradients[1].T.shape} with rows"
    print(f"∂Σa/∂W             {shapes}; largest difference {worst:.0e}")

    assert max(apart.values()) < 1e-6
    assert worst < 1e-6
    nand = [bool(a > 0.5) for a in one_by_one[:, 0]]
    print(f"neuron 1 fires for {[s for s, fires in zip(X, nand, strict=True) if fires]}: it is a NAND gate")
    assert nand == [True, True, True, False]
    return {"apart": apart, "gradients": worst, "nand": nand}


if __name__ == "__main__":
    main()
