"""Files that a command writes: replaced atomically, and checked before any request is sent."""

import errno
import os
import tempfile
from pathlib import Path


def check_file(path: Path) -> None:
    """Check that a file can be written, as far as possible without writing it; an `OSError` names it as given."""
    if path.is_dir():
        raise _refused(errno.EISDIR, path)
    if path.exists() and not path.is_file():
        if not os.access(path, os.W_OK):
            raise _refused(errno.EACCES, path)
        return
    check_directory(path.resolve().parent, named=path)


def check_directory(directory: Path, *, named: Path | None = None) -> None:
    """Check that files can be created in a directory; an `OSError` names the path `named`, if given, instead."""
    if not directory.exists():
        raise _refused(errno.ENOENT, named or directory)
    if not directory.is_dir():
        raise _refused(errno.ENOTDIR, named or directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _refused(errno.EACCES, named or directory)


def write_file(path: Path, data: bytes) -> None:
    """Replace a file atomically; write into it if it is a device or a pipe."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()  # replace what a link points to, not the link
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
