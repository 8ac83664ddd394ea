"""Published benchmarks, run through lmms-eval as it is published, and reported on one scale.

`plugin` is what lmms-eval loads; `answering` answers its items and knows nothing of it. `launch` runs
lmms-eval in the environment that has it. `results`, `tables`, `plots` and `report` read what a run left
behind and need nothing but tempo's core dependencies.
"""
