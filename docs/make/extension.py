"""What mkdocstrings asks of us while it reads the source: docstrings become Markdown, and some members are left out."""

from typing import Any

import griffe

from docs.make import reference
from docs.make.docstrings import markdown


class Docstrings(griffe.Extension):
    """Docstrings in Markdown; members that have none, or that only say "See ...", are left out."""

    def __init__(self) -> None:
        self.names = reference.names(reference.pages())

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that was read, a class after its members."""
        for name, member in list(obj.members.items()) if obj.is_class else ():
            doc = member.docstring.value if not member.is_alias and member.docstring else ""
            if name != "__init__" and (not doc or doc.startswith(("See ", "[See"))):
                obj.del_member(name)
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value, self.names)
