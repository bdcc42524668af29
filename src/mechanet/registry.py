"""Classes that a file can name.

A file holds plain data and never code: of a layer, a loss, an optimizer, a schedule or an initializer it holds the
name of the class and the options. What it names is looked up among the classes that mechanet lists and those that
`register` made known.
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Self, TypeVar

from mechanet import checks


@dataclass(frozen=True)
class Family:
    """Classes that files tell apart by their names, such as all losses.

    Parameters
    ----------
    what : str
        What errors call one of them.
    key : str
        Where a configuration holds the name.
    classes : dict from name to class
        Those that files can name.
    """

    what: str
    key: str = "name"
    classes: dict[str, Any] = field(default_factory=dict)


class Named:
    """What layers, losses, optimizers, schedules and initializers share: a dataclass whose fields are its options.

    Options are numbers, text, None, others of the same family, or lists of these. A class with other options turns
    them into such in `to_plain`, and back in `from_plain`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # a subclass is a dataclass
    family: ClassVar[Family]

    @classmethod
    def file_name(cls) -> str:
        """The name by which a file knows the class."""
        return cls.__name__

    def to_plain(self) -> dict[str, Any]:
        """The options as plain data."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.init}

    @classmethod
    def from_plain(cls, options: dict[str, Any]) -> Self:
        """One with the options that `to_plain` gave."""
        return cls(**options)

    def config(self) -> dict[str, Any]:
        """Name and options, as plain data that `from_config` takes back.

        Raises
        ------
        ValueError
            If a file would not be read back as this: the class is not registered, or an option is no plain data.
        """
        config = _described(self)
        try:
            again = self.from_config(json.loads(json.dumps(config)))
        except (TypeError, ValueError) as error:
            raise ValueError(_not_plain(self, error)) from error
        if _described(again) != config or _classes(again) != _classes(self):
            raise ValueError(_not_plain(self, "they would be read back as others"))
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The member of the family that `config` described."""
        options, family = dict(config), cls.family
        try:
            found = family.classes[checks.one_of(family.what, options.pop(family.key, None), family.classes)]
        except ValueError as error:
            hint = "A class of your own is defined, with @mechanet.register above it, before it is loaded."
            raise ValueError(f"{error} {hint}") from None
        try:
            made: Self = found.from_plain({name: cls._read(value) for name, value in options.items()})
        except RecursionError:
            raise ValueError(
                f"{family.what} expects options within options, but not hundreds deep. "
                "Received: options nested too deeply to be read."
            ) from None
        return made

    @classmethod
    def _read(cls, value: Any) -> Any:
        """An option: another of the family, a list, or what it is."""
        if isinstance(value, list):
            return [cls._read(item) for item in value]
        return cls.from_config(value) if isinstance(value, Mapping) and cls.family.key in value else value


Class = TypeVar("Class", bound=type)


def register(cls: Class) -> Class:
    """Make a class of your own known by its name, so that files which name it can be written and read.

    Put it above a layer, a loss, an optimizer, a schedule or an initializer. A file holds its name and its options
    and never code: a process that loads the file defines and registers the class first. A loss is known by its
    `name`, the others by the name of the class.

    Parameters
    ----------
    cls : type
        A dataclass derived from Layer, Loss, Optimizer, Schedule or Initializer; its fields are its options.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    TypeError
        If it is no such class.
    ValueError
        If another class has its name. A class that is defined again, as when a cell of a notebook is run again,
        takes the place of the one before.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import mechanet as mn
    >>> @mn.register
    ... @dataclass
    ... class Offset(mn.Layer):
    ...     by: float = 1.0
    ...     def forward(self, X, training=None):
    ...         return X + self.by, None
    ...     def backward(self, dA, cache, input_gradient=True):
    ...         return dA
    >>> mn.Network([Offset(2.0), mn.Dense(1)], input_shape=(3,)).config()["layers"][0]
    {'layer': 'Offset', 'by': 2.0}
    """
    family = getattr(cls, "family", None)
    if not isinstance(cls, type) or not issubclass(cls, Named) or not isinstance(family, Family):
        raise TypeError(
            "register expects a class derived from Layer, Loss, Optimizer, Schedule or Initializer. "
            f"Received: {cls!r:.100}."
        )
    options = [f.name for f in fields(cls) if f.init] if is_dataclass(cls) else None
    if options is None or sorted(options) != sorted(inspect.signature(cls).parameters):
        raise TypeError(
            "register expects a dataclass, made from its fields and nothing else. "
            f"Received: {cls.__name__}{inspect.signature(cls)}. Put @dataclass between @register and the class."
        )
    name = cls.file_name()
    taken = family.classes.get(name, cls)
    if not name or _place(taken) != _place(cls):
        owner = f", which is that of {_place(taken)}" if name else ""
        raise ValueError(
            f"register expects a {family.what} with a name that no other has. "
            f"Received: {_place(cls)} with the name {name!r}{owner}. Give it another."
        )
    family.classes[name] = cls
    return cls


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _described(one: Named) -> dict[str, Any]:
    """Name and options, if files can name the class."""
    cls, family = type(one), one.family
    if family.classes.get(cls.file_name()) is not cls:
        raise ValueError(
            "a file holds names and options, never code, and expects classes that it can name. "
            f"Received: {family.what} {_place(cls)}, which is not registered. Put @mechanet.register above the "
            "class, here and where the file is loaded; or keep net.parameters yourself."
        )
    return {family.key: cls.file_name(), **one.to_plain()}


def _plain(value: Any) -> Any:
    if isinstance(value, Named):
        return _described(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if getattr(value, "shape", None) == () else value  # a number of an array library


def _classes(value: Any) -> list[type]:
    """The classes in an option, in the order of the fields. One that was read back as plain data is not there."""
    if isinstance(value, Named):
        return [type(value), *(kind for f in fields(value) for kind in _classes(getattr(value, f.name)))]
    if isinstance(value, (list, tuple)):
        return [kind for item in value for kind in _classes(item)]
    return []


def _not_plain(one: Named, why: Any) -> str:
    return (
        "a file expects options that are numbers, text, None, or lists of them. "
        f"Received: {one.family.what} {one!r:.100}: {why}. "
        "Turn such options into plain ones in its to_plain, and back in its from_plain."
    )
