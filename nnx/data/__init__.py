"""Data on the host: sets, files, splits and checks are NumPy; a loader's batches are born on the active backend."""

from nnx.data.checks import check_finite, check_labels
from nnx.data.dataset import ArrayDataset, Dataset, Subset
from nnx.data.files import read_idx, read_npz, write_idx
from nnx.data.images import read_image_folder, read_images
from nnx.data.loader import DataLoader
from nnx.data.parquet import read_parquet
from nnx.data.scaling import Standardize
from nnx.data.sets import DatasetMissing, digits, fashion_mnist
from nnx.data.splits import random_split, train_val_test_split
from nnx.data.table import Table, read_csv
from nnx.data.text import CharacterSet, Windows, shakespeare, sonnets

__all__ = [
    "ArrayDataset",
    "CharacterSet",
    "DataLoader",
    "Dataset",
    "DatasetMissing",
    "Standardize",
    "Subset",
    "Table",
    "Windows",
    "check_finite",
    "check_labels",
    "digits",
    "fashion_mnist",
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
    "write_idx",
]
