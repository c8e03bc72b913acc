"""A training in a process of its own, to be killed: a tiny network that writes its whole state every few updates.

    python -m tests.train.killed FOLDER [--resume]

prints "saved STEP" once a checkpoint of that step is on the disk, and "done" at the end.
"""

import sys
from pathlib import Path

import nnx
from nnx.train import Callback, Checkpoint, CSVLogger, EarlyStopping, MetricsLog, ModelCheckpoint
from tests.train.networks import loader, points, trainer

EPOCHS, EVERY = 40, 3


class Say(Callback):
    """Tells what is on the disk by now."""

    last = True

    def on_batch_end(self, trainer, loss):
        if trainer.step % EVERY == 0:
            print("saved", trainer.step, flush=True)


def main(folder, resume):
    schedule = {"schedule": lambda opt: nnx.optim.CosineAnnealingLR(opt, 300), "schedule_every": "step"}
    t = trainer(nnx.optim.Adam(1e-2), **schedule, accumulate=2, average=nnx.optim.EMA(0.9))
    nnx.seed(5)
    if resume and (folder / "state.safetensors").exists():
        t.resume(folder / "state.safetensors")
        print("resumed", t.step, flush=True)
    else:
        print("resumed 0", flush=True)
    callbacks = [
        EarlyStopping("loss", patience=1000, restore_best=False),
        ModelCheckpoint(folder / "best-{epoch}.safetensors", "val_loss", save_top_k=2),
        MetricsLog(folder / "log.jsonl"),
        CSVLogger(folder / "log.csv"),
        Checkpoint(folder / "state.safetensors", every=EVERY),
        Say(),
    ]
    t.fit(loader(), validation=points(30, seed=9), epochs=EPOCHS, callbacks=callbacks)
    print("done", t.step, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--resume" in sys.argv)
