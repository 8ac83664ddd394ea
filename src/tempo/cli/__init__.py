"""The verbs of the command line, one module each; :mod:`tempo.cli.main` says what a module holds."""
