"""Files that a command writes: whole or not at all, and known to be writable before anything is sent."""

import errno
import os
import tempfile
from pathlib import Path


def check_file(path: Path) -> None:
    """See that a file can be written, as far as that can be known without writing it.

    Raises:
        OSError: It cannot; it names the file as it was written.
    """
    if path.is_dir():
        raise _refused(errno.EISDIR, path)
    if path.exists() and not path.is_file():
        if not os.access(path, os.W_OK):
            raise _refused(errno.EACCES, path)
        return
    check_directory(path.resolve().parent, told_as=path)


def check_directory(directory: Path, *, told_as: Path | None = None) -> None:
    """See that files can be made in a directory.

    Args:
        directory: The directory.
        told_as: What an error names instead.

    Raises:
        OSError: They cannot.
    """
    if not directory.exists():
        raise _refused(errno.ENOENT, told_as or directory)
    if not directory.is_dir():
        raise _refused(errno.ENOTDIR, told_as or directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _refused(errno.EACCES, told_as or directory)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a device or a pipe is written into.

    Raises:
        OSError: It cannot be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()  # what a link points to is replaced, not the link
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _refused(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
