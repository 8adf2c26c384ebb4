"""Files that people change while the node runs: read again whenever they changed, and only then."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["PinnedFiles"]

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells one state of a file from another: a file put in its place has another inode or time."""

    modified_ns: int
    size: int
    inode: int


@dataclass(slots=True)
class PinnedFiles(Generic[Content]):
    """Files of one kind and what was read from them.

    Attributes:
        read: Reads and checks a file; whatever it raises is raised again at the next asking.
    """

    read: Callable[[Path], Content]
    _kept: dict[Path, tuple[_Seen, Content]] = field(default_factory=dict)

    def get(self, path: Path) -> Content:
        """The file's content as it stands now.

        Raises:
            OSError: The file is not there.
        """
        state = path.stat()
        seen = _Seen(state.st_mtime_ns, state.st_size, state.st_ino)
        kept = self._kept.get(path)
        if kept is None or kept[0] != seen:
            kept = (seen, self.read(path))
            self._kept[path] = kept
        return kept[1]
