"""Is a failure that of a disk which is full, read-only or not ours, whatever library met it? Then it is one line.

unwritable(OSError(28, "No space left on device", "a.json"))                  # "a.json: No space left on device"
unwritable(SafetensorError("I/O error: ... (os error 28)"))                   # "a file: No space left on device"
unwritable(KeyError("x"))                                                     # None
"""

import errno
import os
import re

_WHAT = {
    errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EPERM, errno.ENAMETOOLONG,
    errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EISDIR, errno.ELOOP, errno.ESTALE, errno.ENOTEMPTY,
}  # fmt: skip
_SAID = re.compile(r"(?:os error |\[Errno )(\d+)")  # by libraries in Rust, and by Python where it lists several


def unwritable(error: BaseException) -> str | None:
    """The file, where it is known, and what the system says of it; None for every other failure."""
    if isinstance(error, OSError) and error.errno in _WHAT:
        return f"{error.filename2 or error.filename or 'a file'}: {error.strerror}"
    said = _SAID.search(str(error))
    if said is None or int(said[1]) not in _WHAT:
        return None
    return f"a file: {os.strerror(int(said[1]))}"
