"""Networks that read token by token and remember: a language model (Zaremba et al. 2014), and a tagger.

The names are those of PyTorch's example word_language_model and of its tutorial on tagging.
"""

from nnx import init
from nnx.backend import namespace
from nnx.layers import LSTM, Dropout, Embedding, Linear, Module
from nnx.models.sampling import evaluating, sampled
from nnx.typing import Array

__all__ = ["LSTMLanguageModel", "LSTMTagger"]

State = tuple[Array, Array]


class LSTMLanguageModel(Module):
    """The scores of every next token, and the state to go on from.

    tokens: (n, t) integers in [0, vocab_size)   state: (h, c) of nnx.LSTM, zeros if not given
    returns (n, t, vocab_size) and the new state
    dropout: after the embedding, between the layers and before the scores   tie_weights: one matrix reads and scores
    (Press and Wolf 2017; embedding_dim must then be hidden_size)
    Weights of embedding and scores from U(-0.1, 0.1), the scores' bias 0, as in the example word_language_model.

    >>> import nnx
    >>> scores, (h, c) = LSTMLanguageModel(65, 8, 8)(nnx.asarray([[1, 2, 3]]))
    >>> scores.shape, h.shape
    ((1, 3, 65), (2, 1, 8))
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 200,
        hidden_size: int = 200,
        num_layers: int = 2,
        dropout: float = 0.0,
        tie_weights: bool = False,
        dtype: str = "float32",
    ) -> None:
        if tie_weights and embedding_dim != hidden_size:
            raise ValueError(f"tie_weights needs embedding_dim = hidden_size, got {embedding_dim} and {hidden_size}")
        self.vocab_size = vocab_size
        self.drop = Dropout(dropout)
        self.encoder = Embedding(vocab_size, embedding_dim, dtype=dtype)
        self.encoder.weight = init.uniform((vocab_size, embedding_dim), -0.1, 0.1, dtype)
        self.rnn = LSTM(embedding_dim, hidden_size, num_layers, batch_first=True, dropout=dropout, dtype=dtype)
        self.decoder = Linear(hidden_size, vocab_size, dtype=dtype)
        self.decoder.bias = init.zeros((vocab_size,), dtype)
        tied = self.encoder.weight if tie_weights else init.uniform((vocab_size, hidden_size), -0.1, 0.1, dtype)
        self.decoder.weight = tied

    def __call__(self, tokens: Array, state: State | None = None) -> tuple[Array, State]:
        """See the class."""
        if tokens.ndim != 2:
            raise ValueError(f"LSTMLanguageModel expects tokens (n, t), got {tuple(tokens.shape)}")
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(y)), state

    def generate(
        self,
        tokens: Array,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> Array:
        """tokens (n, t), and max_new_tokens behind them; the arguments are those of nnx.models.GPT.generate."""
        if tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(f"generate continues at least one token: expected (n, t), got {tuple(tokens.shape)}")
        xp = namespace(tokens)
        with evaluating(self, seed):
            read, state = tokens, None
            for _ in range(max_new_tokens):
                scores, state = self(read, state)
                read = xp.astype(sampled(scores[:, -1, :], temperature, top_k), tokens.dtype)
                tokens = xp.concat([tokens, read], axis=1)
        return tokens


class LSTMTagger(Module):
    """The scores of every token's tag, from what stands before it and behind it (Graves and Schmidhuber 2005).

    tokens: (n, t) integers in [0, vocab_size)   lengths: (n,) how many of each row count, if not all
    returns (n, t, num_tags)
    bidirectional: the second half of the features has read from the end

    >>> import nnx
    >>> LSTMTagger(vocab_size=9, num_tags=3, embedding_dim=4, hidden_size=5)(nnx.asarray([[1, 2, 8, 0]])).shape
    (1, 4, 3)
    """

    def __init__(
        self,
        vocab_size: int,
        num_tags: int,
        embedding_dim: int = 64,
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = True,
        dtype: str = "float32",
    ) -> None:
        self.word_embeddings = Embedding(vocab_size, embedding_dim, dtype=dtype)
        self.lstm = LSTM(
            embedding_dim,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            dtype=dtype,
        )
        self.hidden2tag = Linear(2 * hidden_size if bidirectional else hidden_size, num_tags, dtype=dtype)

    def __call__(self, tokens: Array, lengths: Array | None = None) -> Array:
        """See the class."""
        if tokens.ndim != 2:
            raise ValueError(f"LSTMTagger expects tokens (n, t), got {tuple(tokens.shape)}")
        y, _ = self.lstm(self.word_embeddings(tokens), lengths=lengths)
        return self.hidden2tag(y)
