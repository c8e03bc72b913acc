"""The row that makes tally a backend of nnx: its facts, and what differs from the standard. Only nnx imports it."""

import nnx


class TallyBackend(nnx.Backend):
    """Tally on the only device that it has."""

    name = "tally"
    package = "tally"
    install = "pip install ./examples/third_party_backend"
    host = True  # values may be looked at: labels out of range are found

    @classmethod
    def devices(cls):
        """Every device by the name that NNX_DEVICE gives it."""
        return {"cpu": "cpu"}

    @classmethod
    def to_numpy(cls, x):
        """The way out. The way in is the library's own asarray."""
        return x.data
