"""SQLite on simulated disks: a file layer (VFS) registered with the very library that Python uses.

Every path under a folder that is routed goes to that folder's `Disk`; all others go to the system as ever. SQLite
itself is the real one, with its journals, locks, log and recovery. So a crash falls between two of its own requests.
"""

import _sqlite3
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, Structure, byref, c_char_p, c_int, c_int64, c_void_p
from typing import Any, Final

from tests.simulation.faults.disk import Died, Disk, File, Full

OK, BUSY, IOERR, FULL, CANTOPEN, NOTFOUND = 0, 5, 10, 13, 14, 12
SHORT_READ: Final = IOERR | 2 << 8
CREATE: Final = 4
SHARED, RESERVED, PENDING, EXCLUSIVE = 1, 2, 3, 4
POWERSAFE_OVERWRITE: Final = 0x1000
SHM_UNLOCK, SHM_EXCLUSIVE = 1, 8
NAME: Final = b"simulated"


class _Methods(Structure):
    _fields_ = [
        ("version", c_int),
        *(
            (name, c_void_p)
            for name in (
                "close", "read", "write", "truncate", "sync", "size", "lock", "unlock", "reserved", "control",
                "sector", "traits", "shm_map", "shm_lock", "shm_barrier", "shm_unmap",
            )
        ),
    ]  # fmt: skip


_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_ACCESS = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int, c_void_p)
_SLEEP = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("max_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("access", c_void_p),
        ("full_path", c_void_p),
        ("dl_open", c_void_p),
        ("dl_error", c_void_p),
        ("dl_sym", c_void_p),
        ("dl_close", c_void_p),
        ("randomness", c_void_p),
        ("sleep", c_void_p),
        ("current_time", c_void_p),
        ("last_error", c_void_p),
        ("current_time_64", c_void_p),
        ("set_call", c_void_p),
        ("get_call", c_void_p),
        ("next_call", c_void_p),
    ]


class _Open:
    """One open file: where it is, and its locks."""

    __slots__ = ("disk", "file", "level", "path", "shm_held")

    def __init__(self, disk: Disk, path: str, file: File) -> None:
        self.disk = disk
        self.path = path
        self.file = file
        self.level = 0
        self.shm_held: dict[int, int] = {}


_routes: dict[str, Disk] = {}
_open_files: dict[int, _Open] = {}
_shared: dict[tuple[int, str], list[Any]] = {}
_kept_alive: list[Any] = []


def route(folder: str, disk: Disk) -> None:
    """Have every database in a folder be on this disk from now on."""
    _routes[folder] = disk


def _others(mine: _Open) -> Iterator[_Open]:
    return (o for o in _open_files.values() if o is not mine and o.file is mine.file and o.disk is mine.disk)


def _plain(call: Callable[..., int]) -> Callable[..., int]:
    def answered(*arguments: Any) -> int:
        try:
            return call(*arguments)
        except Died:
            return IOERR
        except Full:
            return FULL
        except Exception:  # noqa: BLE001 - nothing may pass through the library; a fault here must be seen
            sys.excepthook(*sys.exc_info())
            os.abort()

    return answered


def _close(handle: int) -> int:
    found = _open_files.pop(handle)
    if not any(o.file is found.file for o in _open_files.values()):
        _shared.pop((id(found.disk), found.path), None)
    return OK


def _read(handle: int, into: int, size: int, offset: int) -> int:
    found = _open_files[handle]
    found.disk.check()
    content = bytes(found.file.shown[offset : offset + size])
    ctypes.memmove(into, content, len(content))
    if len(content) == size:
        return OK
    ctypes.memset(into + len(content), 0, size - len(content))
    return SHORT_READ


def _write(handle: int, content: int, size: int, offset: int) -> int:
    found = _open_files[handle]
    found.disk.write(found.file, offset, ctypes.string_at(content, size))
    return OK


def _truncate(handle: int, size: int) -> int:
    found = _open_files[handle]
    found.disk.truncate(found.file, size)
    return OK


def _sync(handle: int, _flags: int) -> int:
    found = _open_files[handle]
    found.disk.sync(found.file)
    return OK


def _size(handle: int, into: int) -> int:
    found = _open_files[handle]
    found.disk.check()
    c_int64.from_address(into).value = len(found.file.shown)
    return OK


def _lock(handle: int, level: int) -> int:
    mine = _open_files[handle]
    mine.disk.check()
    if mine.level >= level:
        return OK
    highest = max((other.level for other in _others(mine)), default=0)
    if level == SHARED and highest >= PENDING:
        return BUSY
    if level >= RESERVED and highest >= RESERVED:
        return BUSY
    if level == EXCLUSIVE and highest >= SHARED:
        mine.level = PENDING
        return BUSY
    mine.level = level
    return OK


def _unlock(handle: int, level: int) -> int:
    mine = _open_files[handle]
    mine.level = min(mine.level, level)
    return OK


def _reserved(handle: int, into: int) -> int:
    mine = _open_files[handle]
    mine.disk.check()
    held = mine.level >= RESERVED or any(other.level >= RESERVED for other in _others(mine))
    c_int.from_address(into).value = int(held)
    return OK


def _shm_map(handle: int, region: int, size: int, extend: int, into: int) -> int:
    mine = _open_files[handle]
    mine.disk.check()
    regions = _shared.setdefault((id(mine.disk), mine.path), [])
    while extend and len(regions) <= region:
        regions.append(ctypes.create_string_buffer(size))
    found = ctypes.addressof(regions[region]) if region < len(regions) else None
    c_void_p.from_address(into).value = found
    return OK


def _shm_lock(handle: int, first: int, count: int, flags: int) -> int:
    mine = _open_files[handle]
    slots = range(first, first + count)
    if flags & SHM_UNLOCK:
        for slot in slots:
            mine.shm_held.pop(slot, None)
        return OK
    wanted = 2 if flags & SHM_EXCLUSIVE else 1
    for other in _others(mine):
        for slot in slots:
            held = other.shm_held.get(slot, 0)
            if held and (wanted == 2 or held == 2):
                return BUSY
    mine.shm_held.update(dict.fromkeys(slots, wanted))
    return OK


def _nothing(*_: int) -> int:
    return OK


_SIGNATURES: Final = {
    "close": (_close, (c_void_p,)),
    "read": (_read, (c_void_p, c_void_p, c_int, c_int64)),
    "write": (_write, (c_void_p, c_void_p, c_int, c_int64)),
    "truncate": (_truncate, (c_void_p, c_int64)),
    "sync": (_sync, (c_void_p, c_int)),
    "size": (_size, (c_void_p, c_void_p)),
    "lock": (_lock, (c_void_p, c_int)),
    "unlock": (_unlock, (c_void_p, c_int)),
    "reserved": (_reserved, (c_void_p, c_void_p)),
    "control": (lambda *_: NOTFOUND, (c_void_p, c_int, c_void_p)),
    "sector": (lambda *_: 4096, (c_void_p,)),
    "traits": (lambda *_: POWERSAFE_OVERWRITE, (c_void_p,)),
    "shm_map": (_shm_map, (c_void_p, c_int, c_int, c_int, c_void_p)),
    "shm_lock": (_shm_lock, (c_void_p, c_int, c_int, c_int)),
    "shm_barrier": (_nothing, (c_void_p,)),
    "shm_unmap": (_nothing, (c_void_p, c_int)),
}


def library() -> ctypes.CDLL | None:
    """The SQLite that Python's module is linked with, if it can be reached."""
    for place in (getattr(_sqlite3, "__file__", None), None):
        with contextlib.suppress(OSError, AttributeError):
            found = ctypes.CDLL(place)
            found.sqlite3_vfs_find.restype = c_void_p
            found.sqlite3_vfs_find.argtypes = [c_char_p]
            found.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
            return found
    return None


def _make(lib: ctypes.CDLL) -> tuple[_Vfs, int]:
    original_at = lib.sqlite3_vfs_find(None)
    original = _Vfs.from_address(original_at)
    real_open, real_delete, real_access = _OPEN(original.open), _DELETE(original.delete), _ACCESS(original.access)

    methods = _Methods(version=2)
    for name, (function, arguments) in _SIGNATURES.items():
        callback = CFUNCTYPE(c_int, *arguments)(_plain(function))
        _kept_alive.append(callback)
        setattr(methods, name, ctypes.cast(callback, c_void_p).value)
    methods_at = ctypes.addressof(methods)

    def disk_of(name: bytes | None) -> tuple[Disk | None, str]:
        path = "" if name is None else name.decode()
        return _routes.get(path.rpartition("/")[0]), path

    def open_(_vfs: int, name_at: int | None, handle: int, flags: int, out: int | None) -> int:
        name = None if not name_at else ctypes.string_at(name_at)
        disk, path = disk_of(name)
        if disk is None:
            return int(real_open(original_at, name_at, handle, flags, out))
        c_void_p.from_address(handle).value = None  # until it is open there is nothing to close
        disk.check()
        file = disk.files.get(path)
        if file is None:
            if not flags & CREATE:
                return CANTOPEN
            file = disk.create(path)
        _open_files[handle] = _Open(disk, path, file)
        c_void_p.from_address(handle).value = methods_at
        if out:
            c_int.from_address(out).value = flags
        return OK

    def delete(_vfs: int, name: bytes, wait: int) -> int:
        disk, path = disk_of(name)
        if disk is None:
            return int(real_delete(original_at, name, wait))
        disk.check()
        if path in disk.files:
            disk.delete(path, wait=bool(wait))
        return OK

    def access(_vfs: int, name: bytes, flags: int, out: int) -> int:
        disk, path = disk_of(name)
        if disk is None:
            return int(real_access(original_at, name, flags, out))
        disk.check()
        file = disk.files.get(path)
        c_int.from_address(out).value = int(file is not None and (flags != 0 or len(file.shown) > 0))
        return OK

    def sleep(_vfs: int, microseconds: int) -> int:
        return microseconds  # one thread: whoever holds the file will not let go of it in the meantime

    vfs = _Vfs()
    ctypes.memmove(byref(vfs), original_at, ctypes.sizeof(_Vfs))
    vfs.next = None
    vfs.name = NAME
    vfs.file_size = max(original.file_size, 64)
    for field, kind, function in (
        ("open", _OPEN, open_), ("delete", _DELETE, delete), ("access", _ACCESS, access), ("sleep", _SLEEP, sleep),
    ):  # fmt: skip
        callback = kind(_plain(function))
        _kept_alive.append(callback)
        setattr(vfs, field, ctypes.cast(callback, c_void_p).value)
    _kept_alive.extend((methods, vfs))
    return vfs, original_at


_made: list[tuple[_Vfs, int]] = []


@contextlib.contextmanager
def simulated_disks() -> Iterator[None]:
    """Open databases of routed folders on their disks, for the length of the block."""
    lib = library()
    if lib is None:
        raise RuntimeError("This Python's SQLite cannot be reached.")
    if not _made:
        _made.append(_make(lib))
    vfs, original_at = _made[0]
    lib.sqlite3_vfs_register(byref(vfs), 1)
    try:
        yield
    finally:
        lib.sqlite3_vfs_register(original_at, 1)
        _routes.clear()
        _shared.clear()


__all__ = ["library", "route", "simulated_disks"]
