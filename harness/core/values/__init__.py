"""Value functions of a prefix: fitted, read while a search writes, checked."""
