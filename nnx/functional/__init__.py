"""Network-sized functions, forward and pullback side by side; PyTorch's `torch.nn.functional` by its names."""

from nnx.functional import activations, rectifiers, shape, smooth, special
from nnx.functional.activations import *
from nnx.functional.dropout import *
from nnx.functional.linear import *
from nnx.functional.rectifiers import *
from nnx.functional.shape import *
from nnx.functional.smooth import *
from nnx.functional.special import *

__all__ = ["dropout", "linear"]  # their modules bear the same names, which the functions hide
__all__ += activations.__all__
__all__ += rectifiers.__all__
__all__ += shape.__all__
__all__ += smooth.__all__
__all__ += special.__all__
