"""Old names of keyword arguments, which keep working for some releases."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ngff_bio.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")


def renamed_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function of which keyword arguments were renamed.

    A call with an old name works as one with the new name, and gives a ``DeprecationWarning`` that
    names it.

    Parameters
    ----------
    **names
        The new name of each old one.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        By the decorated function, if a call gives both names of one argument.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise ArgumentError(
                        f"{function.__name__}() got both {new} and its old name {old}",
                        hint=f"give {new} alone",
                    )
                message = f"the argument {old} of {function.__name__}() is deprecated: use {new}"
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate
