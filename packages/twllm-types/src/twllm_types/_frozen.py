"""Mappings inside frozen records."""

from typing import NoReturn, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


# pyright wants the first name of the methods that this one replaces.
def _refuse(self: object, *_arguments: object, **_named: object) -> NoReturn:  # noqa: ARG001
    raise TypeError("a mapping in a frozen record cannot change; make a changed copy, by dataclasses.replace")


class FrozenDict(dict[_Key, _Value]):
    """A dict that refuses every change; what the records hold where they are given a mapping.

    Equal to a dict of the same items, written as JSON like one, pickled and deep-copied, and accepted by
    `dataclasses.asdict`; `types.MappingProxyType` fails at all but the first. Only the mapping itself is frozen: a list
    among its values stays a list. `copy` and `|` give ordinary dicts.
    """

    __slots__ = ()

    __setitem__ = _refuse
    __delitem__ = _refuse
    __ior__ = _refuse
    clear = _refuse
    pop = _refuse
    popitem = _refuse
    setdefault = _refuse
    update = _refuse

    def __reduce__(self) -> tuple[type["FrozenDict[_Key, _Value]"], tuple[dict[_Key, _Value]]]:
        # Pickle and deepcopy would otherwise fill the copy item by item.
        return type(self), (dict(self),)


def freeze(record: object, *names: str) -> None:
    """Replace the named mappings of a frozen record under construction by frozen copies; None stays None."""
    for name in names:
        value = getattr(record, name)
        if value is not None and not isinstance(value, FrozenDict):
            object.__setattr__(record, name, FrozenDict(value))
