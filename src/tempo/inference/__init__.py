"""From a loaded model and a video to an answer: prefill, score, allocate, compress, decode."""
