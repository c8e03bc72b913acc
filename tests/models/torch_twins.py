"""The same architectures written with torch.nn, as their authors publish them: whose weights ours must take."""

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")
nn = torch.nn


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = torch.max_pool2d(self.conv1(x).relu(), 2)
        x = torch.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """torchvision's BasicBlock, or its Bottleneck."""

    def __init__(self, inputs, planes, stride, bottleneck):
        super().__init__()
        wide = planes * 4 if bottleneck else planes
        shapes = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, wide, 1, 1)]
        shapes = shapes if bottleneck else [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        for k, shape in enumerate(shapes, 1):
            setattr(self, f"conv{k}", conv(*shape))
            setattr(self, f"bn{k}", nn.BatchNorm2d(shape[1]))
        self.depth, self.downsample = len(shapes), None
        if stride != 1 or inputs != wide:
            self.downsample = nn.Sequential(conv(inputs, wide, 1, stride), nn.BatchNorm2d(wide))

    def forward(self, x):
        y = x
        for k in range(1, self.depth + 1):
            y = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(y))
            y = y.relu() if k < self.depth else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, layers, bottleneck=False, width=64, small=False, num_classes=1000, in_channels=3):
        super().__init__()
        self.conv1, self.bn1 = conv(in_channels, width, 3 if small else 7, 1 if small else 2), nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        inputs, self.stages = width, len(layers)
        for k, blocks in enumerate(layers):
            planes = width * 2**k
            stage = []
            for j in range(blocks):
                stage.append(Block(inputs, planes, 2 if k and not j else 1, bottleneck))
                inputs = planes * (4 if bottleneck else 1)
            setattr(self, f"layer{k + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for k in range(self.stages):
            x = getattr(self, f"layer{k + 1}")(x)
        return self.fc(x.mean((2, 3)))


class VGG11(nn.Module):
    def __init__(self, hidden, batch_norm):
        super().__init__()
        layers, inputs = [], 3
        for n in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
            if not n:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(inputs, n, 3, padding=1), *([nn.BatchNorm2d(n)] if batch_norm else []), nn.ReLU()]
            inputs = n
        self.features, self.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
            nn.Linear(hidden, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def twice(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, inputs, outputs, width, depth):
        super().__init__()
        sizes = [width * 2**k for k in range(depth + 1)]
        self.down = nn.ModuleList(twice(n, m) for n, m in zip([inputs, *sizes], sizes, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, 2) for n in sizes[-2::-1])
        self.merge = nn.ModuleList(twice(2 * n, n) for n in sizes[-2::-1])
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x):
        fine = []
        for level, down in enumerate(self.down):
            x = down(torch.max_pool2d(x, 2) if level else x)
            fine.append(x)
        x = fine.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([fine.pop(), up(x)], 1))
        return self.head(x)


class Autoencoder(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.encoder, self.decoder = self.stack(sizes), self.stack(sizes[::-1])

    @staticmethod
    def stack(sizes):
        layers = [part for n, m in pairwise(sizes) for part in (nn.Linear(n, m), nn.ReLU())]
        return nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.decoder(self.encoder(x))
