"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union


def write_whole(path: Union[str, Path], content: bytes) -> None:
    """Writes beside `path` and renames: whoever reads it sees the old file or the new one. Raises OSError."""
    place = Path(path)
    if not place.parent.is_dir():
        raise FileNotFoundError(f"cannot write {place}: there is no folder {place.parent}")
    partial = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, place)
    finally:
        if partial.exists():
            partial.unlink()
