"""`nnx.fuse`: an elementwise function of the standard, traced into an expression, and made one kernel a backend."""

from nnx.fusion.fused import Fused, enabled, fuse, fused_rule, is_enabled, worthwhile
from nnx.fusion.symbols import NotElementwise

__all__ = ["Fused", "NotElementwise", "enabled", "fuse", "fused_rule", "is_enabled", "worthwhile"]
