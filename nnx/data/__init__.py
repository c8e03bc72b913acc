"""Data on the host: sets, files, splits and checks are NumPy; a loader's batches are born on the active backend."""

from nnx.data import transforms
from nnx.data.checks import check_finite, check_labels
from nnx.data.dataset import ArrayDataset, Dataset, Subset
from nnx.data.fetching import FetchError, fetch
from nnx.data.files import read_idx, read_npz, write_idx
from nnx.data.images import read_image_folder, read_images
from nnx.data.loader import DataLoader
from nnx.data.memmap import MemmapDataset, open_npy, write_npy
from nnx.data.parquet import read_parquet
from nnx.data.places import DatasetMissing
from nnx.data.scaling import Standardize
from nnx.data.sets import abalone, cifar10, diabetes, digits, fashion_mnist, iris, kmnist, mnist
from nnx.data.splits import random_split, train_val_test_split
from nnx.data.table import Table, read_csv
from nnx.data.text import CharacterSet, Windows, shakespeare, sonnets

__all__ = [
    "ArrayDataset",
    "CharacterSet",
    "DataLoader",
    "Dataset",
    "DatasetMissing",
    "FetchError",
    "MemmapDataset",
    "Standardize",
    "Subset",
    "Table",
    "Windows",
    "abalone",
    "check_finite",
    "check_labels",
    "cifar10",
    "diabetes",
    "digits",
    "fashion_mnist",
    "fetch",
    "iris",
    "kmnist",
    "mnist",
    "open_npy",
    "random_split",
    "read_csv",
    "read_idx",
    "read_image_folder",
    "read_images",
    "read_npz",
    "read_parquet",
    "shakespeare",
    "sonnets",
    "train_val_test_split",
    "transforms",
    "write_idx",
    "write_npy",
]
