"""The kinds of error of the whole project; each is also the built-in error that a caller would expect."""

from __future__ import annotations

from typing import Any, Dict


class PopsparseError(Exception):
    """Base of every error that the project raises on purpose.

    Numbers that the message names are also attributes: `PatternError("...", row=7).row == 7`.
    """

    def __init__(self, message: str, **numbers: Any) -> None:
        super().__init__(message)
        self.message = message
        for name, value in numbers.items():
            setattr(self, name, value)

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.message, {k: v for k, v in vars(self).items() if k != "message"}))


def _rebuild(kind: type, message: str, numbers: Dict[str, Any]) -> PopsparseError:
    """An error equal to the pickled one (worker processes hand errors back)."""
    error: PopsparseError = kind(message, **numbers)
    return error


class PatternError(PopsparseError, ValueError):
    """A block pattern is not well formed: coordinates, block size, density."""


class ShapeError(PopsparseError, ValueError):
    """An array has another shape than the product needs."""


class DTypeError(PopsparseError, TypeError):
    """An array has a data type that is not supported here."""


class FormatError(PopsparseError, ValueError):
    """A file or a foreign matrix cannot be read as a block-sparse matrix."""


class ModelError(PopsparseError, ValueError):
    """A neural network has no layer that fits what was asked for, or has one that must not be changed."""


class TargetError(PopsparseError, ValueError):
    """A machine description is unknown or malformed."""


class PlanError(PopsparseError, ValueError):
    """A plan was asked for with options that contradict each other, or is used with what it was not made for."""


class CapacityError(PopsparseError, ValueError):
    """A pattern has more blocks than a dynamic plan has room for."""


class ProgramError(PopsparseError, RuntimeError):
    """A program breaks a rule of the machine: it reads unwritten memory, writes a word twice, overflows a field."""


class TileMemoryError(PopsparseError, MemoryError):
    """One tile needs more bytes than it has."""


class DeviceMemoryError(PopsparseError, MemoryError):
    """An accelerator's memory cannot hold what was asked for."""


class TargetUnavailableError(PopsparseError, RuntimeError):
    """The machine that was asked for is not there; the message says why and what to do."""
