"""The whole cost of an answer: seconds, memory, operations and tokens, beside three other ways to get one.

`ways` answers a question in each way and times it, `operations` counts, `measure` goes through one video,
`tables` says what came out and which bars are met.
"""
