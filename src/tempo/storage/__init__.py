"""Files that are whole or not there, whatever ends the process: locks, atomic writes, hashes."""
