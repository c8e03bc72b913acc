"""Callbacks: what happens beside the training loop. Each hook gets the Trainer first.

    on_train_begin(trainer)             on_train_end(trainer)        also after an exception, if the former has returned
    on_epoch_begin(trainer)             on_epoch_end(trainer, record)    the epoch's loss, metrics, lr, seconds
    on_gradients(trainer, grads)        before they are clipped and before the update; grads: path -> array
    on_validation(trainer, record)      after a validation within an epoch (fit's validate_every)
    on_batch_end(trainer, loss)         after both; loss is an array: reading it waits for the device

They are called in the order in which they were given, but those with `informs` first, those with `last` last. An entry
that one adds to an epoch's record is seen by those behind it; a list of strings under "messages" is shown by Progress.
With accumulate=k a batch is k of the loader's: what an update is made of.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class Callback:
    """The base: every hook does nothing."""

    informs: ClassVar[bool] = False
    """True if the others must see what it adds to the records."""
    last: ClassVar[bool] = False
    """True if it must see what the others have done."""

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Before the first epoch."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """After the last epoch, also if it ended with an exception; not without an on_train_begin that returned."""

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """After the validation of an epoch."""

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """After a backward pass, before the update."""

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """After an update, and the validation that it was time for."""

    def on_validation(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """After a validation within an epoch; record: epoch, step, val_loss, ..."""

    def state_dict(self) -> dict[str, Any]:
        """What it must know to go on after a resume: what JSON can hold, and arrays by name under "arrays"."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what state_dict gave; called after on_train_begin."""


def in_order(callbacks: Iterable[Callback]) -> list[Callback]:
    """As they are called."""
    return sorted(callbacks, key=lambda callback: callback.last - callback.informs)
