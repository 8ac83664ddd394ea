"""The networks in plain torch, and the ways through them; importing them does not import transformers.

The legend of the shapes in tensors' names is in :mod:`tempo.modeling`.
"""
