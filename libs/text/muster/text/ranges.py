"""Whether the last digits of a number matter: a range of which they do not is judged once for all of its numbers.

The patterns of phonenumbers' metadata are read into expressions, of which the derivative by a digit is taken: what the
rest of a number must look like once this digit was read. Where every rest of so many digits fits, or none does, they do
not matter.
"""

from functools import cache
from typing import Final

_Expression = int
"""A number of `_made`: equal expressions are the same number."""

_DIGITS: Final = "0123456789"
_NONE: Final = 0
_EMPTY: Final = 1
_REPEATS_MAX: Final = 20
_made: Final[list[tuple[object, ...]]] = [("none",), ("empty",)]
_numbers: Final[dict[tuple[object, ...], _Expression]] = {("none",): _NONE, ("empty",): _EMPTY}


class Unread(Exception):
    """A pattern with something in it that is not read here."""


def _expression(*parts: object) -> _Expression:
    known = _numbers.get(parts)
    if known is None:
        known = _numbers[parts] = len(_made)
        _made.append(parts)
    return known


def _sequence(first: _Expression, second: _Expression) -> _Expression:
    if _NONE in (first, second):
        return _NONE
    if first == _EMPTY:
        return second
    return first if second == _EMPTY else _expression("sequence", first, second)


def _either(*options: _Expression) -> _Expression:
    each: set[_Expression] = set()
    for option in options:
        each |= set(_made[option][1]) if _made[option][0] == "either" else {option}  # type: ignore[call-overload]
    each.discard(_NONE)
    if len(each) < 2:
        return each.pop() if each else _NONE
    return _expression("either", frozenset(each))


@cache
def is_empty(expression: _Expression) -> bool:
    """Whether nothing more need follow."""
    match _made[expression]:
        case ("empty",):
            return True
        case ("sequence", int(first), int(second)):
            return is_empty(first) and is_empty(second)
        case ("either", frozenset() as options):
            return any(map(is_empty, options))
    return False


@cache
def after(expression: _Expression, digit: str) -> _Expression:
    """What must follow once this digit was read."""
    match _made[expression]:
        case ("digits", frozenset() as digits):
            return _EMPTY if digit in digits else _NONE
        case ("sequence", int(first), int(second)):
            rest = _sequence(after(first, digit), second)
            return _either(rest, after(second, digit)) if is_empty(first) else rest
        case ("either", frozenset() as options):
            return _either(*(after(option, digit) for option in options))
    return _NONE


def after_each(expressions: frozenset[_Expression], digit: str) -> frozenset[_Expression]:
    """What must follow of any of them that may still fit."""
    return frozenset({after(expression, digit) for expression in expressions} - {_NONE})


@cache
def _fits_all(expression: _Expression, count: int) -> bool | None:
    """Whether each rest of so many digits fits; None where some do and some do not."""
    if expression == _NONE:
        return False
    if count == 0:
        return is_empty(expression)
    found = {_fits_all(after(expression, digit), count - 1) for digit in _DIGITS}
    return found.pop() if len(found) == 1 else None


def matters(expression: _Expression, digits: str, more: int) -> bool:
    """Whether it depends on the `more` digits behind these if the whole fits."""
    return _fits_all(_behind(expression, digits), more) is None


def may_fit(expression: _Expression, digits: str, more: int) -> bool:
    """Whether the whole fits with some `more` digits behind these."""
    return _fits_all(_behind(expression, digits), more) is not False


def _behind(expression: _Expression, digits: str) -> _Expression:
    for digit in digits:
        expression = after(expression, digit)
    return expression


def begins(expression: _Expression, digits: str) -> frozenset[int] | None:
    """How many of the digits may be taken as the beginning that this is; None where more digits could make a longer
    one."""
    found = set()
    for count, digit in enumerate(digits):
        if is_empty(expression):
            found.add(count)
        expression = after(expression, digit)
        if expression == _NONE:
            return frozenset(found)
    return None


@cache
def read(pattern: str | None) -> _Expression:
    """A pattern of the metadata; Unread for what is none of them. No pattern fits nothing."""
    if not pattern:
        return _NONE
    reader = _Reader(pattern)
    found = reader.either()
    if reader.at < len(pattern):
        raise Unread(pattern)
    return found


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.at = 0
        self._pattern = pattern

    def _take(self, text: str) -> bool:
        taken = self._pattern.startswith(text, self.at)
        self.at += len(text) if taken else 0
        return taken

    def either(self) -> _Expression:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return _either(*options)

    def _sequence(self) -> _Expression:
        items = []
        while self.at < len(self._pattern) and self._pattern[self.at] not in "|)":
            items.append(self._repeated(self._one()))
        found = _EMPTY
        for item in reversed(items):
            found = _sequence(item, found)
        return found

    def _one(self) -> _Expression:
        if self._take("(?:") or self._take("("):
            found = self.either()
            if not self._take(")"):
                raise Unread(self._pattern)
            return found
        if self._take("\\d"):
            return _expression("digits", frozenset(_DIGITS))
        if self._take("["):
            return self._set()
        digit = self._pattern[self.at]
        if digit not in _DIGITS:
            raise Unread(self._pattern)
        self.at += 1
        return _expression("digits", frozenset(digit))

    def _set(self) -> _Expression:
        inside, _, _ = self._pattern[self.at :].partition("]")
        self.at += len(inside) + 1
        found: set[str] = set()
        plain = inside.replace("\\d", "0-9")
        while plain:
            if not all(one in _DIGITS for one in (plain[0], plain[2:3] if plain[1:2] == "-" else "0")):
                raise Unread(self._pattern)
            last = plain[2] if plain[1:2] == "-" else plain[0]
            found.update(_DIGITS[int(plain[0]) : int(last) + 1])
            plain = plain[3:] if plain[1:2] == "-" else plain[1:]
        return _expression("digits", frozenset(found))

    def _repeated(self, item: _Expression) -> _Expression:
        if self._take("?"):
            return _either(_EMPTY, item)
        if not self._take("{"):
            return item
        bounds, _, _ = self._pattern[self.at :].partition("}")
        self.at += len(bounds) + 1
        least, _, most = bounds.partition(",")
        if not least.isdecimal() or not (most or least).isdecimal() or int(most or least) > _REPEATS_MAX:
            raise Unread(self._pattern)
        found = _EMPTY
        for nth in range(int(most or least), 0, -1):
            found = _sequence(item, found)
            if nth > int(least):
                found = _either(_EMPTY, found)
        return found
