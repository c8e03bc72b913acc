"""A compiler for libraries that have none: a step's calls, written down once, are run again without the framework.

The step runs once on stand-ins (traced.py), which compute what they stand for and write down every call of the library.
What is written is a program of straight lines (program.py): no tape, no modules, no optimizer; calls whose results
nobody needs are left out, and arrays that nobody needs any more are written over. Its results are the step's, bit for
bit, as the calls are the same ones.
"""

from nnx.backend.replay.compiler import compiler_of

__all__ = ["compiler_of"]
