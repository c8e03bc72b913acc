"""The networks in nnx, as its users write them, on any backend, eager or given to nnx.compile."""

import nnx


def started(case):
    """The case's network on the active backend, with the weights that all begin with."""
    model = case.nnx()
    model.load_state_dict({name: nnx.asarray(x.copy()) for name, x in case.weights().items()})
    return model


def parts(case):
    """model, its loss of a batch, the optimizer or None, and the batch on the active backend."""
    model = started(case)
    loss_of = getattr(nnx.losses, case.loss)
    optimizer = getattr(nnx.optim, case.optimizer)(1e-4) if case.optimizer else None
    x, y = case.batch()
    label = "int32" if nnx.get_backend().name == "jax" and y.dtype.kind == "i" else None
    return model, lambda model, x, y: loss_of(model(x), y), optimizer, nnx.asarray(x), nnx.asarray(y, label)


def train(case, backend="numpy", compiled=False):
    """One step: the loss's gradient, and the optimizer's update if there is one."""
    with nnx.use_backend(backend):
        model, loss_of, optimizer, x, y = parts(case)
        value_and_grad = nnx.value_and_grad(loss_of)

    def plain(x, y):
        loss, grads = value_and_grad(model, x, y)
        if optimizer is None:
            return loss, grads
        optimizer.update(model, grads)
        return loss, None

    run = plain
    if compiled:
        run = nnx.compile(plain, state=(model,) if optimizer is None else (model, optimizer))

    def step():
        loss, grads = run(x, y)
        if grads and backend == "jax":
            next(iter(grads.values())).block_until_ready()
        return float(loss)

    if optimizer is None:
        step.gradients = lambda: {name: nnx.to_numpy(g) for name, g in run(x, y)[1].items()}
    return step


def infer(case, backend="numpy", compiled=False):
    """The forward pass alone, in evaluation mode."""
    with nnx.use_backend(backend):
        model, _, _, x, _ = parts(case)
    model.eval()
    run = nnx.compile(lambda x: model(x), state=(model,)) if compiled else model

    def step():
        y = run(x)
        return y.block_until_ready() if backend == "jax" else y

    return step
