"""Reading the YAML header of a database: PyYAML, every scalar left as the text that stands there.

The header comes from somebody else, so nothing in it may act: tags are ignored, aliases to what contains
them are refused, and so is a file larger than any header is.
"""

from __future__ import annotations

from typing import Final

import yaml

Value = str | list["Value"] | dict[str, "Value"]

_LARGEST: Final = 4_000_000  # characters; a header of ten thousand speakers has a tenth of that
_NULLS: Final = ("", "~", "null", "Null", "NULL")


class _Loader(yaml.BaseLoader):  # type: ignore[misc]
    """PyYAML's loader of texts, with YAML's empty values as empty texts."""

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """The text of a scalar; a word in quotation marks is never an empty value."""
        text = str(super().construct_scalar(node))
        return "" if node.style is None and text in _NULLS else text


def load(text: str) -> dict[str, Value]:
    """The mapping that a header describes. Raises ``ValueError`` naming the line that does not fit."""
    if len(text) > _LARGEST:
        raise ValueError(f"{len(text)} characters are more than a header has")
    try:
        # A loader that makes texts, lists and mappings only.
        value = yaml.load(text, Loader=_Loader)  # noqa: S506
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(value, dict):
        raise ValueError("line 1: expected 'key: value'")
    return value
