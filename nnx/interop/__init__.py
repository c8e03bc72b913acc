"""Models in other frameworks' programs: an nnx Module as a torch.nn.Module, and as a function of JAX."""

from nnx.interop.into_jax import to_jax_function
from nnx.interop.into_torch import to_torch_module

__all__ = ["to_jax_function", "to_torch_module"]
