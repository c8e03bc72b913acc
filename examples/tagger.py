"""Where were the spaces? A bidirectional LSTM puts them back into sonnets that were written without any.

Each letter gets a tag: does a word end here. Whether it does depends on what comes behind it as much as on what stands
before, so the tagger reads both ways; beside it stand one that reads forwards only, and a table counted from the same
text: how often a word ends between two letters. F1 is the harmonic mean of precision and recall of the ends of words.

    python examples/tagger.py
"""

import time

import numpy as np

import nnx
from nnx import data, models, train

LINE = 32  # letters, about a line of a sonnet


def tagged(text):
    """The text's letters, small ones alone, and for each whether a word ends with it."""
    words = "".join(c if c.isalpha() or c == "'" else " " for c in text.lower()).split()
    letters = "".join(words)
    ends = np.zeros(len(letters), dtype=np.int64)
    ends[np.cumsum([len(word) for word in words]) - 1] = 1
    return letters, ends


def f1(found, truth):
    """2 · hits / (found + true), of the ends of words."""
    return float(2.0 * np.sum(found & truth) / (np.sum(found) + np.sum(truth)))


def by_table(training, test, n):
    """The ends that the two letters around a gap make likely, where that was counted in the training text."""
    codes, ends = training
    pairs = np.zeros((2, n, n))
    np.add.at(pairs, (ends[:-1], codes[:-1], codes[1:]), 1.0)
    found = np.ones(len(test[0]), dtype=bool)
    found[:-1] = (pairs[1] > pairs[0])[test[0][:-1], test[0][1:]]
    return found


def per_letter(scores, target):
    """The cross entropy of the scores (n, t, 2) of every letter."""
    xp = nnx.namespace(scores)
    return nnx.losses.cross_entropy(xp.reshape(scores, (-1, 2)), xp.reshape(target, (-1,)))


def by_lstm(model, training, test, epochs):
    """The ends that a tagger finds, after training on windows that overlap: their ends are known less well."""
    starts = np.arange(0, len(training[0]) - LINE, LINE // 3)[:, None] + np.arange(LINE)
    x, y = (part[starts] for part in training)
    optimizer = nnx.optim.Adam(lr=1e-2)
    steps = epochs * -(-len(x) // 32)
    schedule = nnx.optim.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps, cycle_momentum=False)
    trainer = train.Trainer(model, optimizer, per_letter, schedule=schedule, schedule_every="step")
    trainer.fit(x, y, epochs=epochs, batch_size=32)
    return nnx.to_numpy(trainer.predict(test[0][None, :])).argmax(-1)[0] == 1  # all of the test text at once


def main(epochs=8):
    """Train both taggers, print F1 and a line with the spaces that were found; returns the F1 of each."""
    letters, ends = tagged(data.sonnets())
    alphabet = data.CharacterSet(letters)
    codes = alphabet.encode(letters)
    cut = len(codes) * 9 // 10  # three of the thirty sonnets are kept for the test
    training, test = (codes[:cut], ends[:cut]), (codes[cut:], ends[cut:])
    answers = {"table of two letters": by_table(training, test, len(alphabet))}
    for name, both in (("LSTM, forwards", False), ("LSTM, both ways", True)):
        nnx.seed(0)
        start = time.perf_counter()
        model = models.LSTMTagger(len(alphabet), 2, embedding_dim=32, hidden_size=64, bidirectional=both)
        answers[name] = by_lstm(model, training, test, epochs)
        print(f"{name}: {model.num_parameters():,} parameters, {time.perf_counter() - start:.1f} s")
    scores = {name: f1(found, test[1] == 1) for name, found in answers.items()}
    for name, found in answers.items():
        line = "".join(c + " " * bool(end) for c, end in zip(letters[cut : cut + 60], found[:60], strict=True))
        print(f"{name:22} F1 {scores[name]:.3f}   {line}")
    assert scores["LSTM, both ways"] > scores["table of two letters"] + 0.1
    assert scores["LSTM, both ways"] > scores["LSTM, forwards"] + 0.05
    return scores


if __name__ == "__main__":
    main()
