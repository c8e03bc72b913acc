"""A hyperparameter search: choose on the validation set, look at the test set once.

Weights and biases are parameters: gradient descent finds them. What has to be decided before (learning rate, width,
epochs, batch size, ...) are hyperparameters: they are found by trying. Twelve networks, three learning rates × four
widths, are trained on the training set; the one that does best on the validation set is chosen; the test set, which
took no part in anything, says how good it is.

Why not report the validation score? It is the largest of twelve numbers, each with some luck in it, and the largest
has more luck than the others: on new data it is not had again. One division into validation and test does not show
it, as all candidates share the luck of its samples, good or bad. So the held-out samples are divided anew a thousand
times, and each time the choice is made again. On average a network that was picked beforehand scores the same on
both; the chosen one scores less on the test set, and the more candidates there were, the less.

    python examples/hyperparameter_search.py
"""

import itertools

import numpy as np

import nnx
from nnx import data, train

RATES, WIDTHS = (0.1, 0.2, 0.4), (16, 32, 64, 128)
TRAINING, VALIDATION = 400, 100
DIVISIONS = 1000


def fitted(lr, width, x, y):
    """A network trained with these hyperparameters."""
    nnx.seed(0)
    model = nnx.Sequential(nnx.Linear(64, width), nnx.ReLU(), nnx.Linear(width, 10))
    train.Trainer(model, nnx.optim.SGD(lr=lr), nnx.losses.cross_entropy).fit(x, y, epochs=15, batch_size=20)
    return model


def hits(model, x, y):
    """For each sample whether the model is right, as 1.0 or 0.0."""
    return (np.argmax(nnx.to_numpy(model(nnx.asarray(x))), axis=1) == y).astype(float)


def optimism(right, candidates, rng):
    """Validation score - test score of the candidate that is best in validation: the mean, and its standard error.

    right: (all candidates, held-out samples), 1.0 where a candidate is right   candidates: how many take part
    """
    found = []
    for _ in range(DIVISIONS):
        order = rng.permutation(right.shape[1])
        some = right[rng.choice(len(right), candidates, replace=False)]
        validation, test = some[:, order[:VALIDATION]].mean(axis=1), some[:, order[VALIDATION:]].mean(axis=1)
        best = int(np.argmax(validation))
        found.append(validation[best] - test[best])
    return float(np.mean(found)), float(np.std(found) / DIVISIONS**0.5)


def main():
    images, labels = data.digits()
    sizes = [TRAINING, VALIDATION, len(labels) - TRAINING - VALIDATION]
    fractions = [size / len(labels) for size in sizes]
    training, validation, test = data.train_val_test_split(images, labels, fractions, stratify=True)
    print(f"{len(training[1])} samples to train on, {len(validation[1])} to choose by, {len(test[1])} to judge with")

    models = {(lr, width): fitted(lr, width, *training) for lr, width in itertools.product(RATES, WIDTHS)}
    scores = {choice: float(hits(model, *validation).mean()) for choice, model in models.items()}
    print("\nvalidation accuracy\nlr \\ width" + "".join(f"{width:8}" for width in WIDTHS))
    for lr in RATES:
        print(f"{lr:10}" + "".join(f"{scores[lr, width]:8.3f}" for width in WIDTHS))
    chosen = max(scores, key=scores.get)
    final = float(hits(models[chosen], *test).mean())  # the only look at the test set
    print(f"chosen: lr {chosen[0]}, width {chosen[1]}; validation {scores[chosen]:.3f}, test {final:.3f}")
    noise = (final * (1.0 - final) / VALIDATION) ** 0.5
    print(f"(a score of {VALIDATION} samples is off by ± {noise:.3f}: a single division proves nothing, either way)")

    print(f"\n{DIVISIONS} other divisions of the held-out samples: validation - test score of the chosen network")
    x, y = (np.concatenate(parts) for parts in zip(validation, test, strict=True))
    right = np.stack([hits(model, x, y) for model in models.values()])
    rng = np.random.default_rng(0)
    luck = {n: optimism(right, n, rng) for n in (1, 2, 4, 12)}
    for n, (mean, error) in luck.items():
        print(f"best of {n:2}: {mean:+.4f} ± {error:.4f}")
    assert final > 0.85
    assert abs(luck[1][0]) < 4 * luck[1][1], "picked beforehand: no optimism"
    assert luck[2][0] > 4 * luck[2][1]
    assert luck[2][0] < luck[4][0] < luck[12][0]
    return {"scores": scores, "chosen": chosen, "test": final, "luck": luck}


if __name__ == "__main__":
    main()
