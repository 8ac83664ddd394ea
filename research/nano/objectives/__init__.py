"""The stages of tempo-nano's training."""
