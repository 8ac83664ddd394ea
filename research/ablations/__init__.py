"""Ablations: what each part of the method contributes, measured with one model on the same questions."""
