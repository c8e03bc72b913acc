"""What mkdocstrings asks of us while it reads the source: docstrings become Markdown, and some members go."""

import sys
from typing import Any

import griffe

from docs.make import reference
from docs.make.docstrings import markdown


def inherited(module: str, name: str, member: str) -> bool:
    """Whether a base of the class has a member of that name: it is described there."""
    cls = getattr(sys.modules.get(module), name, object)
    return any(member in vars(base) for base in cls.__mro__[1:-1])


class Docstrings(griffe.Extension):
    """Docstrings in Markdown; members that have none, or that a base class describes, are left out."""

    def __init__(self) -> None:
        self.names = reference.names(reference.pages())

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that was read, a class after its members."""
        for name, member in list(obj.members.items()) if obj.is_class else ():
            documented = not member.is_alias and member.docstring is not None
            if name != "__init__" and (not documented or inherited(obj.module.path, obj.name, name)):
                obj.del_member(name)
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value, self.names)
