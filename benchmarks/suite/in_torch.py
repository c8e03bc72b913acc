"""The networks in PyTorch, as its users write them, with nnx's names: a state dict fits both."""

import functools
from itertools import pairwise

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:  # its columns are left out
    torch = None

if torch is not None:

    def mlp(widths):
        layers = [nn.Linear(*widths[:2])]
        for i, o in pairwise(widths[1:]):
            layers += [nn.ReLU(), nn.Linear(i, o)]
        return nn.Sequential(*layers)

    class LeNet5(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            return self.fc3(F.relu(self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))))

    class BasicBlock(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
            self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
            self.downsample = nn.Identity()
            if stride != 1 or i != o:
                self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            return F.relu(y + self.downsample(x))

    class ResNet(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
            sizes = [width, width, 2 * width, 4 * width]
            for k, (i, o) in enumerate(pairwise(sizes)):
                setattr(self, f"layer{k + 1}", nn.Sequential(BasicBlock(i, o, 1 if k == 0 else 2)))
            self.fc = nn.Linear(sizes[-1], 10)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn = nn.ModuleDict({"c_attn": nn.Linear(width, 3 * width), "c_proj": nn.Linear(width, width)})
            self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

        def forward(self, x):
            n, t, d = x.shape
            qkv = self.attn["c_attn"](self.ln_1(x)).split(d, dim=2)
            q, k, v = (a.view(n, t, self.heads, d // self.heads).transpose(1, 2) for a in qkv)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(n, t, d))
            return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))

    class FirstOutput(nn.Module):
        def __init__(self, *sizes):
            super().__init__()
            self.rnn = nn.LSTM(*sizes, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0]


def started(case):
    """The case's network with the weights that all begin with."""
    model = case.torch()
    state = {name: torch.from_numpy(x.copy()) for name, x in case.weights().items()}
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    return model


def train(case, compiled=False):
    """One step of PyTorch, eager or by torch.compile."""
    model = started(case)
    x, y = map(torch.from_numpy, case.batch())
    loss_of = getattr(F, case.loss)
    optimizer = getattr(torch.optim, case.optimizer)(model.parameters(), lr=1e-4) if case.optimizer else None
    forward = torch.compile(model) if compiled else model

    def step():
        model.zero_grad() if optimizer is None else optimizer.zero_grad()
        loss = loss_of(forward(x), y)
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        return float(loss.detach())

    def gradients():
        step()
        return {name: p.grad.numpy() for name, p in model.named_parameters()}

    if optimizer is None:
        step.gradients = gradients
    step.before = functools.partial(model.zero_grad, set_to_none=True)
    return step


def infer(case):
    """The forward pass under no_grad, in evaluation mode."""
    model = started(case).eval()
    x, _ = map(torch.from_numpy, case.batch())

    def step():
        with torch.no_grad():
            return model(x)

    return step
