"""Ending a run in order: at SIGTERM with a checkpoint of the step, and at `max_steps` with no update beyond it."""

# pyright: standard
# transformers' callbacks are not strictly typed

import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# At run time it stands before any of transformers' or TRL's trainers.
_Base = Trainer if TYPE_CHECKING else object


class EndsAtMaxSteps(_Base):
    """Mixin of a trainer: one that resumes from a checkpoint of the last update makes no further one.

    transformers (5.19) compares with `max_steps` behind an update only, and so makes one too many.
    """

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Give the next update nothing, and end, where all updates are made."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return [], None
        return super().get_batch_samples(epoch_iterator, num_batches, device)


class StopOnSignal(TrainerCallback):
    """Notes SIGTERM while training runs; the trainer agrees with the other processes and stops after the step.

    The handler is installed when training begins and the former one put back when it ends. Outside of the main thread
    Python has no handlers, and nothing is installed.

    Attributes:
        requested: this process was told to stop.
        agreed: all processes know, and this step is the last.
        stopped: the run ended so; the checkpoint of its last step is saved.
    """

    def __init__(self) -> None:
        self.requested = False
        self.agreed = False
        self.stopped = False
        self._former: Any = None
        self._installed = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Install the handler."""
        del args, state, control, kwargs
        self.requested = self.agreed = self.stopped = False
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGTERM, self._note)
            self._installed = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Save and stop where all agreed; a single process need not ask."""
        del state, kwargs
        if self.agreed or (self.requested and args.world_size == 1):
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the former handler back."""
        del args, state, control, kwargs
        self.restore()

    def restore(self) -> None:
        """Put the former handler back, also after an error; a second call does nothing."""
        if self._installed:
            signal.signal(signal.SIGTERM, self._former)
            self._installed = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
