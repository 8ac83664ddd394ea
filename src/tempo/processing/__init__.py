"""Frames and words → model inputs: patches, token ids, and batches of segments."""
