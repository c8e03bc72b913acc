"""The network of Nielsen's book: 784-30-10, sigmoid, quadratic cost, SGD with η = 3.0 and mini-batches of 10.

M. Nielsen, "Neural Networks and Deep Learning", chapter 1; weights and biases begin as N(0, 1), as there. Options
from his chapter 3: L2 regularisation, C + λ/2n Σ w² over the weights (not the biases), dropout on the hidden layer,
and weights that begin as N(0, 1/n_in), with which no neuron is saturated before it has learnt anything.

Data: Fashion-MNIST if its files are found, 28 × 28 pixels as in the book; else the 8 × 8 digits that ship with nnx,
each pixel made 3 × 3 and framed with zeros to 28 × 28.

    python examples/nielsen.py
    python examples/nielsen.py --data fashion-mnist --epochs 30 --l2 5 --dropout 0.1
"""

import argparse

import numpy as np

import nnx
from nnx import data


def enlarged_digits(seed=0):
    """The 8 × 8 digits as 784 pixels: (x, y) to train on and (x, y) to test on."""
    images, labels = data.digits()
    large = np.kron(images.reshape(-1, 8, 8), np.ones((1, 3, 3), dtype=np.float32))
    large = np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784)
    train, validation, test = data.train_val_test_split(large, labels, (0.8, 0.1, 0.1), seed, stratify=True)
    both = (np.concatenate(parts) for parts in zip(validation, test, strict=True))
    return train, tuple(both)


def load(choice):
    """The data by name; "auto" takes Fashion-MNIST where it is found."""
    if choice in ("auto", "fashion-mnist"):
        try:
            return "fashion-mnist", *data.fashion_mnist()
        except data.DatasetMissing as error:
            if choice == "fashion-mnist":
                raise
            print(f"Fashion-MNIST was not found: the digits that ship with nnx take its place.\n({error})")
    return "digits", *enlarged_digits()


def network(dropout=0.0, small_weights=False):
    """784-30-10 with weights and biases from N(0, 1), as the book's Network(sizes)."""
    model = nnx.Sequential(nnx.Linear(784, 30), nnx.Sigmoid(), nnx.Dropout(dropout), nnx.Linear(30, 10), nnx.Sigmoid())
    for path, p in model.named_parameters():
        std = p.shape[1] ** -0.5 if small_weights and path.endswith("weight") else 1.0
        model.update({path: nnx.init.normal(tuple(p.shape), std=std)})
    return model


def accuracy(model, x, y):
    model.eval()
    chosen = np.argmax(nnx.to_numpy(model(x)), axis=1)
    model.train()
    return float(np.mean(chosen == y))


def train(model, train_set, test_set, epochs, eta=3.0, batch_size=10, l2=0.0, report=print):
    """Nielsen's SGD(training_data, epochs, mini_batch_size, eta, test_data=...); returns the test accuracies."""
    x, labels = train_set
    targets = np.eye(10, dtype=np.float32)[labels]  # vectorized_result of the book
    test_x = nnx.asarray(test_set[0])
    loader = data.DataLoader(data.ArrayDataset(x, targets), batch_size, shuffle=True, seed=0)
    optimizer = nnx.optim.SGD(lr=eta)

    def cost(model, x, y):
        c = nnx.losses.quadratic_cost(model(x), y)
        if l2:
            xp = nnx.namespace(c)
            weights = [p for path, p in model.named_parameters() if path.endswith("weight")]
            c = c + sum(xp.sum(w * w) for w in weights) * (l2 / (2 * len(labels)))
        return c

    gradient = nnx.value_and_grad(cost)
    scores = []
    for epoch in range(epochs):
        for batch, wanted in loader:
            _, grads = gradient(model, batch, wanted)
            optimizer.update(model, grads)
        scores.append(accuracy(model, test_x, test_set[1]))
        report(f"epoch {epoch + 1:2d}: {round(scores[-1] * len(test_set[1]))} / {len(test_set[1])}  {scores[-1]:.4f}")
    return scores


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=("auto", "fashion-mnist", "digits"), default="auto")
    parser.add_argument("--epochs", type=int, help="(digits 20, fashion-mnist 3)")
    parser.add_argument("--eta", type=float, default=3.0, help="the learning rate (%(default)s)")
    parser.add_argument("--l2", type=float, default=0.0, help="λ of C + λ/2n Σ w² (%(default)s)")
    parser.add_argument("--dropout", type=float, default=0.0, help="of the hidden layer (%(default)s)")
    parser.add_argument("--small-weights", action="store_true", help="N(0, 1/n_in) in place of N(0, 1)")
    args = parser.parse_args(argv)
    nnx.seed(0)
    name, train_set, test_set = load(args.data)
    model = network(args.dropout, args.small_weights)
    backend = nnx.get_backend()
    print(f"{name}: {len(train_set[1])} to train on, {len(test_set[1])} to test; 784-30-10 on {backend.name}")
    before = accuracy(model, nnx.asarray(test_set[0]), test_set[1])
    print(f"untrained: {before:.4f}")
    scores = train(model, train_set, test_set, args.epochs or (20 if name == "digits" else 3), args.eta, l2=args.l2)
    weights = [nnx.to_numpy(p) for path, p in model.named_parameters() if path.endswith("weight")]
    norm = float(np.sqrt(sum((w**2).sum() for w in weights)))
    print(f"best test accuracy {max(scores):.4f} in epoch {np.argmax(scores) + 1}; ‖weights‖ = {norm:.1f}")
    assert max(scores) > before + 0.2, "it learns"
    return {"data": name, "before": before, "scores": scores, "norm": norm}


if __name__ == "__main__":
    main()
