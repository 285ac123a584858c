"""Every reader against damaged files: a file reads, or it is refused in one line; nothing hangs, nothing explodes."""
