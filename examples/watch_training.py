"""Watching a training: what is wrong is named, with the layer and what helps, before anyone draws a curve.

Four networks are trained on the handwritten digits that ship with nnx, each by the same few lines:

    deep sigmoid        ten sigmoid layers: by BP2 the error shrinks in each layer that it is carried back
    deep ReLU           the same with ReLU and its initialisation: nothing to say
    dead ReLUs          biases far below 0: most units of a layer are 0 for every sample, and no gradient moves them
    log of a ReLU       log(0) is -inf, and -inf times 0 is NaN: TerminateOnNaN says where, and keeps the weights

    python examples/watch_training.py
"""

import numpy as np

import nnx
from nnx import data, train

WIDTH, DEPTH = 32, 10


def network(activation, depth=DEPTH):
    layers = [nnx.Linear(64, WIDTH), activation()]
    for _ in range(depth - 1):
        layers += [nnx.Linear(WIDTH, WIDTH), activation()]
    net = nnx.Sequential(*layers, nnx.Linear(WIDTH, 10))
    if activation is nnx.ReLU:
        for layer in net:
            if isinstance(layer, nnx.Linear):
                layer.weight = nnx.init.kaiming_normal(layer.weight.shape, nonlinearity="relu")
    return net


def with_dead_units():
    net = network(nnx.ReLU, depth=2)
    fall = nnx.asarray([-30.0] * (WIDTH - 4) + [0.0] * 4, "float32")
    net[2].bias = net[2].bias + fall
    return net


class Log(nnx.Module):
    """A layer that somebody has written in haste."""

    def __call__(self, x):
        """x log x."""
        xp = nnx.namespace(x)
        return x * xp.log(x)


def watched(net, x, y, epochs=2):
    """Train, and return what the callbacks have said in the last epoch, the norms and the shares."""
    gradients, activations = train.GradientStats(), train.ActivationStats()
    trainer = train.Trainer(net, nnx.optim.SGD(lr=0.05), nnx.losses.cross_entropy)
    trainer.fit(x, y, epochs=epochs, batch_size=64, callbacks=[gradients, activations, train.TerminateOnNaN()])
    return gradients, activations


def show(name, gradients, activations):
    print(f"\n{name}")
    deltas = gradients.deltas[-1]
    print("  ‖δ‖ by layer: " + "  ".join(f"{path} {delta:.0e}" for path, delta in deltas.items()))
    messages = [*gradients.messages, *activations.messages]
    for message in messages[:3] or ["nothing to say"]:
        print(f"  {message}")
    if len(messages) > 3:
        print(f"  and {len(messages) - 3} more")


def main():
    nnx.seed(0)
    x, y = data.digits()
    x = x - np.float32(0.5)
    found = {}
    for name, net in {
        "deep sigmoid": network(nnx.Sigmoid),
        "deep ReLU": network(nnx.ReLU),
        "dead ReLUs": with_dead_units(),
    }.items():
        found[name] = watched(net, x, y)
        show(name, *found[name])

    gradients, _ = found["deep sigmoid"]
    assert gradients.messages[0].startswith("the gradient of 0.weight vanishes"), "the first layer learns nothing"
    assert "ReLU in place of sigmoid" in gradients.messages[0], "and what helps is said"
    deltas = list(gradients.deltas[-1].values())
    assert deltas == sorted(deltas), "BP2: δ is smaller in every layer that it is carried back"
    assert not any(f"{2 * DEPTH}.weight" in message for message in gradients.messages), "the last one is well"

    gradients, activations = found["deep ReLU"]
    assert not gradients.messages
    assert not activations.messages

    _, activations = found["dead ReLUs"]
    assert activations.shares[-1]["3"] >= (WIDTH - 4) / WIDTH > 0.25 > activations.shares[-1]["1"]
    assert len(activations.messages) == 1
    assert "units of 3 (ReLU) are dead" in activations.messages[0], "the second activation, by its path"

    net = nnx.Sequential(nnx.Linear(64, WIDTH), nnx.ReLU(), Log(), nnx.Linear(WIDTH, 10))
    before = net.state_dict()
    with np.errstate(all="ignore"):  # NumPy warns of each function; the callback says which was the first
        try:
            watched(net, x, y)
        except train.Diverged as error:
            said = str(error)
    print(f"\nlog of a ReLU\n  {said}")
    assert "multiply made the first NaN" in said
    assert "in layer 2 (Log), called at watch_training.py" in said
    after = net.state_dict()
    for path, w in before.items():
        assert (nnx.to_numpy(w) == nnx.to_numpy(after[path])).all(), "the step that failed has changed nothing"
    return found, said


if __name__ == "__main__":
    main()
