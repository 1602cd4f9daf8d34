"""How records are read."""

from dataclasses import dataclass

from tw_corpus._extract import ExtractMode
from twllm_types import ConfigError

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of all readers.

    Attributes:
        text_field: field of a JSON object, or column of a Parquet file, that holds the text.
        id_field: field or column that holds the id; a record without one is named by file and position.
        max_record_bytes: the longest line, file, page or archive record that is read, in bytes before and after its
            own content encoding; a longer one is a fault, and no more than about this much of it is held in memory.
        max_replaced_share: with more replacement characters than this share of the text, a text is a fault
            (`undecodable`); 0 allows none, 1 keeps everything.
        extraction: which parts of an HTML page are text.

    Raises:
        ConfigError: a field name is empty, text and id are one field, or a limit is out of range.
    """

    text_field: str = "text"
    id_field: str = "id"
    max_record_bytes: int = 64 * MEBIBYTE
    max_replaced_share: float = 0.005
    extraction: ExtractMode = ExtractMode.MAIN

    def __post_init__(self) -> None:
        for name in ("text_field", "id_field"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty; give the name of a field")
        if self.text_field == self.id_field:
            raise ConfigError(f"text_field and id_field are both {self.text_field!r}; give two fields")
        if self.max_record_bytes < 1:
            raise ConfigError(f"max_record_bytes is {self.max_record_bytes}; give a number of bytes >= 1")
        if not 0 <= self.max_replaced_share <= 1:
            raise ConfigError(f"max_replaced_share is {self.max_replaced_share}; give a share from 0 to 1")
