"""What the design claims, measured with one model on the same questions: see `ways` for what is compared."""
