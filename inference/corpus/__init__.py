"""Many clips at once: a manifest of files, shards of it analysed anywhere, and tables that hold each clip once."""

try:
    import pyarrow  # noqa: F401
except ImportError as error:
    raise ImportError('tables of clips need pyarrow: pip install "microemo[corpus]"') from error
