"""The version of audiofw, which every module may read and the build takes from here."""

__version__ = "0.1.0"
