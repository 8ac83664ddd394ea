"""The verbs of the command line, one module each; :mod:`tempo.cli` says what a module holds."""
