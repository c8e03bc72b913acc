"""Backpropagation node by node: [downstream gradient] = [upstream gradient] × [local gradient].

A network is one composite function, and each operation in it is a node. On the way forward a node computes its output
and keeps what its local gradient needs. On the way back it is handed the upstream gradient, ∂C/∂(its output),
multiplies it by the local gradient, ∂(its output)/∂(its input), and hands the product down.

A value that is used in several places is handed several upstream gradients. They are added up: that is all there is
to a residual connection and to a shared weight.

    python examples/chain_rule.py
"""

import math

import numpy as np

import nnx

W, X, B, Y = 0.6, 1.5, -0.2, 1.0


def cost(w, x, b, y):
    """(σ(w x + b) - y)²."""
    d = nnx.functional.sigmoid(w * x + b) - y
    return d * d


def node_by_node():
    """The rows of the table, written by hand, and the gradients of w, x, b and y that come out at the bottom."""
    p = W * X  # forward: every intermediate value is kept
    z = p + B
    a = 1.0 / (1.0 + math.exp(-z))
    d = a - Y
    nodes = [  # the last node first: (node, its output, its input, local gradient)
        ("C = d²", d * d, "d", 2.0 * d),
        ("d = a - y", d, "a", 1.0),
        ("d = a - y", d, "y", -1.0),
        ("a = σ(z)", a, "z", a * (1.0 - a)),
        ("z = p + b", z, "p", 1.0),
        ("z = p + b", z, "b", 1.0),
        ("p = w x", p, "w", X),
        ("p = w x", p, "x", W),
    ]
    gradient = {"C": 1.0}  # ∂C/∂C
    rows = []
    for node, value, to, local in nodes:
        upstream = gradient[node[0]]
        gradient[to] = upstream * local
        rows.append((node, value, to, upstream, local, gradient[to]))
    return rows, gradient


def first_expression():
    rows, by_hand = node_by_node()
    print(f"C = (σ(w x + b) - y)²  at w = {W}, x = {X}, b = {B}, y = {Y}\n")
    print(f"{'node':10} {'value':>9}   {'to':2} {'upstream':>10} × {'local':>9} = {'downstream':>10}")
    for node, value, to, upstream, local, downstream in rows:
        print(f"{node:10} {value:9.6f}   {to:2} {upstream:10.6f} × {local:9.6f} = {downstream:10.6f}")
    _, pullback = nnx.vjp(cost, *(nnx.asarray(v, "float64") for v in (W, X, B, Y)))
    found = dict(zip("wxby", map(float, pullback(nnx.asarray(1.0, "float64"))), strict=True))
    print("nnx.vjp    " + "  ".join(f"∂C/∂{name} = {g:.6f}" for name, g in found.items()))
    return {name: abs(found[name] - by_hand[name]) for name in found}


def residual():
    """y = x + f(x): x is used twice. The identity's upstream gradient arrives undiminished beside f's."""
    x, w = nnx.asarray(0.5, "float64"), nnx.asarray(0.01, "float64")  # f(x) = tanh(w x) is nearly flat

    def whole(x, w):
        return x + nnx.namespace(x, w).tanh(x * w)

    along_skip = 1.0
    along_f = float(nnx.grad(lambda x, w: nnx.namespace(x, w).tanh(x * w))(x, w))
    total = float(nnx.grad(whole)(x, w))
    print(f"residual, y = x + f(x):   along the skip {along_skip:.6f} + through f {along_f:.6f} = {total:.6f}")
    return total, along_skip + along_f


def shared_weight():
    """y = tanh(w tanh(w x)): the gradient of w is the sum of what two separate weights would have got."""
    x, w = nnx.asarray(0.5, "float64"), nnx.asarray(0.8, "float64")

    def two_layers(first, second, x):
        xp = nnx.namespace(first, second, x)
        return xp.tanh(second * xp.tanh(first * x))

    first, second = map(float, nnx.vjp(two_layers, w, w, x)[1](nnx.asarray(1.0, "float64"))[:2])
    total = float(nnx.grad(lambda w, x: two_layers(w, w, x))(w, x))
    print(f"shared w, tanh(w tanh(w x)): first use {first:.6f} + second use {second:.6f} = {total:.6f}")
    return total, first + second


def shared_layer():
    """The same for a model: one layer in two places is one parameter, with one gradient, the sum."""
    nnx.seed(0)
    layer = nnx.Linear(3, 3, dtype="float64")
    twice = nnx.Sequential(layer, nnx.Tanh(), layer)
    apart = nnx.Sequential(nnx.Linear(3, 3, dtype="float64"), nnx.Tanh(), nnx.Linear(3, 3, dtype="float64"))
    apart.update({f"{k}.{name}": p for k in (0, 2) for name, p in layer.state_dict().items()})
    x = nnx.asarray(np.linspace(-1.0, 1.0, 12).reshape(4, 3))

    def loss(model, x):
        return nnx.namespace(x).sum(model(x))

    shared, separate = nnx.grad(loss)(twice, x), nnx.grad(loss)(apart, x)
    summed = separate["0.weight"] + separate["2.weight"]
    worst = float(np.abs(nnx.to_numpy(shared["0.weight"] - summed)).max())
    print(f"shared layer: gradients {sorted(shared)}; the sum of two separate layers' but for {worst:.0e}")
    return worst, sorted(shared)


def what_is_kept():
    """Records on the tape before and after the way back: each is dropped, with what it kept, once it has run."""
    tape = nnx.Tape()
    watched = tape.watch(nnx.asarray(W, "float64"))
    c = cost(watched, *(nnx.asarray(v, "float64") for v in (X, B, Y)))
    before = len(tape.nodes)
    tape.backward([(c, nnx.asarray(1.0, "float64"))])
    plain = cost(*(nnx.asarray(v, "float64") for v in (W, X, B, Y)))
    print(f"records kept by the forward pass: {before} (w x, + b, σ, - y, d²); after the way back: {len(tape.nodes)}")
    print(f"without a tape nothing is kept: the result is a plain {type(plain).__name__}")
    return before, len(tape.nodes), not isinstance(plain, nnx.Var)


def main():
    apart = first_expression()
    print("\nSeveral upstream gradients are summed")
    sums = {"residual": residual(), "shared weight": shared_weight()}
    layer_apart, paths = shared_layer()
    print()
    kept, left, plain = what_is_kept()
    assert max(apart.values()) < 1e-15
    for total, summed in sums.values():
        assert abs(total - summed) < 1e-15
    assert layer_apart < 1e-14
    assert (kept, left, plain) == (5, 0, True)
    return {"apart": apart, "sums": sums, "layer": layer_apart, "paths": paths, "kept": kept, "left": left}


if __name__ == "__main__":
    main()
