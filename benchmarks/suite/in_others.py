"""The epoch's network in HIPS autograd and in Thinc, as their users write it."""

from benchmarks.suite import in_numpy


def autograd_stepper(case):
    """step(x, y) -> the loss: autograd's gradient, and the update by hand, as its users do."""
    import autograd
    import autograd.numpy as anp

    weights, biases = in_numpy.parameters(case)
    params, move, count = [*weights, *biases], in_numpy.update(case), len(weights)

    def loss(params, x, y):
        for k, (w, b) in enumerate(zip(params[:count], params[count:], strict=True)):
            x = anp.dot(x if k == 0 else anp.maximum(x, 0.0), w.T) + b
        z = x - anp.max(x, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[anp.arange(len(z)), y])

    value_and_grad = autograd.value_and_grad(loss)

    def step(x, y):
        nonlocal params
        value, grads = value_and_grad(params, x, y)
        params = move(params, grads)
        return float(value)

    return step


def thinc_stepper(case):
    """step(x, y) -> the loss."""
    from thinc.api import Adam, Linear, Relu, chain, use_ops

    weights, biases = in_numpy.parameters(case)
    with use_ops("numpy"):
        *hidden, last = [(w.shape[1], w.shape[0]) for w in weights]
        model = chain(*(Relu(nO=o, nI=i) for i, o in hidden), Linear(nO=last[1], nI=last[0]))
        model.initialize()
    for layer, w, b in zip(model.layers, weights, biases, strict=True):
        layer.set_param("W", w.copy())
        layer.set_param("b", b.copy())
    optimizer = Adam(in_numpy.LR, L2=0.0, grad_clip=0.0, use_averages=False)

    def step(x, y):
        z, backprop = model.begin_update(x)
        value, delta = in_numpy.loss_and_delta(case, z, y)
        backprop(delta.astype("float32", copy=False))
        model.finish_update(optimizer)
        return float(value)

    return step
