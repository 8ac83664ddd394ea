"""Files that survive a crash: atomic writes, locks, append-only logs; content hashes and model folders."""
