"""Synthetic videos with ground truth: scripts, their rendering, questions with answers, and scoring."""
