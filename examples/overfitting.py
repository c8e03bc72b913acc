"""Overfitting, and three things against it: L2 regularisation, dropout and early stopping, on held-out data.

150 digits, a fifth of them with a wrong label, and a network with 4,800 weights: it learns them by heart, the wrong
ones too. The loss on the training data sinks towards nothing; on held-out data it falls, turns and rises, and the
difference is the overfitting. Three sets, for three purposes:

    training     the gradients
    validation   when to stop (early stopping reads it, so that it is no longer a fair judge)
    test         the table, read once

Every row is the mean over three runs, each with samples, labels and weights of its own.

    python examples/overfitting.py [--figures FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import nnx
from nnx import data, train

RUNS, EPOCHS = 3, 100
TRAINING, VALIDATION = 150, 300
WIDTH = 64
METHODS = {  # L2's λ (weight decay), dropout's p, early stopping's patience
    "nothing": (0.0, 0.0, None),
    "L2": (0.01, 0.0, None),
    "dropout": (0.0, 0.5, None),
    "early stopping": (0.0, 0.0, 8),
}


def sets(seed):
    """(x, y) to train on, with wrong labels among them, to validate and to test."""
    x, y = data.digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    parts = np.split(order, [TRAINING, TRAINING + VALIDATION])
    training, validation, test = ((x[part], y[part]) for part in parts)
    wrong = rng.random(TRAINING) < 0.2
    labels = np.where(wrong, rng.integers(0, 10, TRAINING), training[1])
    return (training[0], labels), validation, test


def one_run(method, seed):
    """The history of a training, and the loss and accuracy on the test set afterwards."""
    decay, p, patience = METHODS[method]
    nnx.seed(seed)
    training, validation, test = sets(seed)
    model = nnx.Sequential(nnx.Linear(64, WIDTH), nnx.ReLU(), nnx.Dropout(p), nnx.Linear(WIDTH, 10))
    optimizer = nnx.optim.SGD(lr=0.4, weight_decay=decay)
    trainer = train.Trainer(model, optimizer, nnx.losses.cross_entropy, {"accuracy": nnx.metrics.accuracy})
    stop = [train.EarlyStopping("val_loss", patience=patience)] if patience else []
    # small batches here, too: products of this size stay on one thread, and this is faster on a busy machine
    held_out = data.DataLoader(data.ArrayDataset(*validation), batch_size=50)
    history = trainer.fit(*training, validation=held_out, epochs=EPOCHS, batch_size=30, callbacks=stop)
    return history, trainer.evaluate(*training), trainer.evaluate(*test)


def main(figures=None):
    table, curves = {}, {}
    print(f"{TRAINING} training samples, a fifth with wrong labels; 64-{WIDTH}-10")
    print(f"{'':16}{'epochs':>7}{'train loss':>12}{'test loss':>11}{'gap':>7}{'train acc.':>12}{'test acc.':>11}")
    for method in METHODS:
        runs = [one_run(method, seed) for seed in range(RUNS)]
        curves[method] = runs[0][0]["loss"], runs[0][0]["val_loss"]
        row = {f"train_{k}": np.mean([fitted[k] for _, fitted, _ in runs]) for k in ("loss", "accuracy")}
        row |= {f"test_{k}": np.mean([judged[k] for _, _, judged in runs]) for k in ("loss", "accuracy")}
        row |= {"epochs": np.mean([len(history) for history, _, _ in runs])}
        row |= {"gap": row["test_loss"] - row["train_loss"]}
        table[method] = {k: float(v) for k, v in row.items()}
        print(
            f"{method:16}{row['epochs']:7.1f}{row['train_loss']:12.3f}{row['test_loss']:11.3f}{row['gap']:7.3f}"
            f"{row['train_accuracy']:12.3f}{row['test_accuracy']:11.3f}"
        )
    losses = curves["nothing"][1]
    turn = int(np.argmin(losses))
    print(
        f"nothing, run 1: lowest validation loss {losses[turn]:.3f} after epoch {turn + 1}, {losses[-1]:.3f} at the end"
    )
    check(table, turn)
    if figures is not None:
        draw(Path(figures), curves)
    return table, turn


def check(table, turn):
    """The plain network overfits; each remedy leaves a smaller gap and does better on the test set."""
    plain = table["nothing"]
    assert plain["train_accuracy"] > 0.95
    assert plain["gap"] > 0.5
    assert turn < EPOCHS // 2
    for method in ("L2", "dropout", "early stopping"):
        assert table[method]["gap"] < plain["gap"], method
        assert table[method]["test_loss"] < plain["test_loss"], method
        assert table[method]["test_accuracy"] > plain["test_accuracy"], method


def draw(folder, curves):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.8), layout="constrained")
    for axes, (method, (fitted, held_out)) in zip(figure.subplots(1, 4, sharey=True), curves.items(), strict=True):
        epochs = range(1, len(fitted) + 1)
        axes.plot(epochs, fitted, label="training")
        axes.plot(epochs, held_out, label="validation")
        axes.set(title=method, xlabel="epoch", xlim=(0, EPOCHS), ylim=(0, 2.5))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("loss")
    figure.axes[0].legend(fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "overfitting.png", dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", metavar="FOLDER", help="draw into this folder (needs matplotlib)")
    main(parser.parse_args().figures)
