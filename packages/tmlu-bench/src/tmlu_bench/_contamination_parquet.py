# pyarrow ships no types, so this one module that wraps it cannot be strict.
# pyright: standard
"""Text columns of Parquet files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from twllm_types import DataError


def parquet_column(path: Path, name: str, *, batch_rows: int) -> Iterator[str]:
    """Yield the strings of one column, in order.

    Raises:
        DataError: the file is no Parquet, or has no such column of strings, or a null in it.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: is no Parquet file ({error}); check the file") from error
    with file:
        if name not in file.schema_arrow.names:
            raise DataError(f"{path}: has no column {name!r}; name the text column by --text-field")
        row = 0
        for batch in file.iter_batches(batch_size=batch_rows, columns=[name]):
            for value in batch.column(0).to_pylist():
                row += 1
                if not isinstance(value, str):
                    raise DataError(f"{path}: row {row} of {name!r} is {value!r}; give strings")
                yield value
