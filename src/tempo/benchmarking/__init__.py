"""What an answer costs: latency, memory, FLOPs and tokens, against three baselines.

`variants` answers one question in each way and times it, `flops` counts, `measure` goes through one video,
and `comparison` makes tables and figures of the results and says which targets are met.
"""
