"""Files, addresses and streams → frames with their real times."""
