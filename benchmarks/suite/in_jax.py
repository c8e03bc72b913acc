"""The networks and their training steps in JAX, as one writes them by hand for jax.jit: pure functions of a dict."""

import math

LR = 1e-4


def _dense(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _mlp(jax, p, x, state):
    names = list(dict.fromkeys(name.partition(".")[0] for name in p))
    for name in names[:-1]:
        x = jax.nn.relu(_dense(p, name, x))
    return _dense(p, names[-1], x), state


def _conv(jax, w, x, stride=1, padding=0):
    return jax.lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2)


def _max_pool(jax, x):
    return jax.lax.reduce_window(x, -math.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def _lenet(jax, p, x, state):
    def conv(name, x, padding):
        return _conv(jax, p[f"{name}.weight"], x, 1, padding) + p[f"{name}.bias"][:, None, None]

    x = _max_pool(jax, jax.nn.relu(conv("conv1", x, 2)))
    x = _max_pool(jax, jax.nn.relu(conv("conv2", x, 0)))
    x = x.reshape(x.shape[0], -1)
    return _dense(p, "fc3", jax.nn.relu(_dense(p, "fc2", jax.nn.relu(_dense(p, "fc1", x))))), state


def _batch_norm(jax, p, name, x, state, training):
    """The statistics of the batch, and the running ones after it; in evaluation the running ones."""
    if training:
        mean, var, n = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size // x.shape[1]
        for kind, new in (("mean", mean), ("var", var * (n / (n - 1)))):
            key = f"{name}.running_{kind}"
            state = {**state, key: 0.9 * state[key] + 0.1 * jax.lax.stop_gradient(new)}
    else:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale = p[f"{name}.weight"] * jax.lax.rsqrt(var + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + p[f"{name}.bias"][:, None, None], state


def _resnet(jax, p, x, state, training=True):
    def both(conv, norm, x, state, stride, padding):
        return _batch_norm(jax, p, norm, _conv(jax, p[f"{conv}.weight"], x, stride, padding), state, training)

    x, state = both("conv1", "bn1", x, state, 1, 1)
    x = jax.nn.relu(x)
    for k, stride in ((1, 1), (2, 2), (3, 2)):
        at = f"layer{k}.0"
        y, state = both(f"{at}.conv1", f"{at}.bn1", x, state, stride, 1)
        y, state = both(f"{at}.conv2", f"{at}.bn2", jax.nn.relu(y), state, 1, 1)
        if stride > 1:
            x, state = both(f"{at}.downsample.0", f"{at}.downsample.1", x, state, stride, 0)
        x = jax.nn.relu(y + x)
    return _dense(p, "fc", x.mean((2, 3))), state


def _layer_norm(jax, p, name, x):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def _gpt(jax, p, x, state, heads=4):
    n, t, d = x.shape
    qkv = _dense(p, "attn.c_attn", _layer_norm(jax, p, "ln_1", x)).reshape(n, t, 3, heads, d // heads)
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = q @ k.swapaxes(-1, -2) * (1 / math.sqrt(d // heads))
    scores = jax.numpy.where(jax.numpy.tri(t, dtype=bool), scores, -math.inf)
    y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, t, d)
    x = x + _dense(p, "attn.c_proj", y)
    inside = jax.nn.gelu(_dense(p, "mlp.c_fc", _layer_norm(jax, p, "ln_2", x)), approximate=False)
    return x + _dense(p, "mlp.c_proj", inside), state


def _lstm(jax, p, x, state):
    w = {name.removeprefix("rnn."): a for name, a in p.items()}
    z = x.swapaxes(0, 1) @ w["weight_ih_l0"].T + w["bias_ih_l0"] + w["bias_hh_l0"]

    def cell(carry, z):
        h, c = carry
        i, f, g, o = jax.numpy.split(z + h @ w["weight_hh_l0"].T, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
        h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
        return (h, c), h

    zeros = jax.numpy.zeros((x.shape[0], w["weight_hh_l0"].shape[1]), x.dtype)
    return jax.lax.scan(cell, (zeros, zeros), z)[1].swapaxes(0, 1), state


FORWARD = {"mlp": _mlp, "lenet": _lenet, "resnet": _resnet, "gpt": _gpt, "lstm": _lstm}


def _loss(jax, case, z, y):
    if case.loss == "mse_loss":
        return ((z - y) ** 2).mean()
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()


def _started(jax, case):
    state = {name: jax.numpy.asarray(x) for name, x in case.weights().items() if "num_batches" not in name}
    params = {name: x for name, x in state.items() if "running" not in name}
    buffers = {name: x for name, x in state.items() if "running" in name}
    x, y = case.batch()
    return params, buffers, jax.numpy.asarray(x), jax.numpy.asarray(y.astype("int32") if y.dtype.kind == "i" else y)


def _adam(jax, p, g, m, v, t):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    size, root = LR / (1 - 0.9**t), (1 - 0.999**t) ** -0.5
    return p - size * m / (jax.numpy.sqrt(v) * root + 1e-8), m, v


def train(case):
    """One step under jax.jit; what it changes is donated."""
    import jax

    params, buffers, x, y = _started(jax, case)
    zeros = {name: jax.numpy.zeros_like(p) for name, p in params.items()}
    carried = params, buffers, zeros, dict(zeros), jax.numpy.asarray(0.0)

    def loss_of(params, buffers, x, y):
        z, buffers = FORWARD[case.family](jax, params, x, buffers)
        return _loss(jax, case, z, y), buffers

    def pure(carried, x, y):
        params, buffers, m, v, t = carried
        (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(params, buffers, x, y)
        if case.optimizer == "SGD":
            params = {k: p - LR * grads[k] for k, p in params.items()}
            return (params, buffers, m, v, t), loss
        new = {k: _adam(jax, p, grads[k], m[k], v[k], t + 1) for k, p in params.items()}
        params, m, v = ({k: new[k][i] for k in new} for i in range(3))
        return (params, buffers, m, v, t + 1), loss

    if case.optimizer is None:  # nothing changes: nothing is carried on
        fixed = jax.jit(lambda params, x, y: jax.value_and_grad(loss_of, has_aux=True)(params, buffers, x, y))

        def gradients():
            (loss, _), grads = fixed(params, x, y)
            next(iter(grads.values())).block_until_ready()
            return float(loss)

        gradients.gradients = lambda: fixed(params, x, y)[1]
        return gradients
    carried = jax.tree.map(lambda a: a.copy(), carried)
    run = jax.jit(pure, donate_argnums=0)

    def step():
        nonlocal carried
        carried, loss = run(carried, x, y)
        return float(loss)

    return step


def infer(case):
    """The forward pass under jax.jit."""
    import jax

    params, buffers, x, _ = _started(jax, case)
    options = {"training": False} if case.family == "resnet" else {}
    run = jax.jit(lambda params, x: FORWARD[case.family](jax, params, x, buffers, **options)[0])
    return lambda: run(params, x).block_until_ready()
