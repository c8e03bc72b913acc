"""Mutants: each rule broken in one small way, and the tests of rules run on it. One that survives is a missing test.

    python -m tests.mutants                     all of them, in two processes: about half an hour
    python -m tests.mutants reductions --list   those of one file, shown only

`changes` makes them, `run` tries one, `accepted` lists those that change nothing and why.
"""
