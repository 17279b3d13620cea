"""Masking in values and in texts, by the default rules."""

from __future__ import annotations

from collections import OrderedDict, UserList, deque
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import msgspec
import pytest
from celery.utils.serialization import get_pickled_exception

from django_celery_results.records import TaskRecord
from django_celery_results_redact.masking import TaskMasking

if TYPE_CHECKING:
    from typing_extensions import Self

    from tests.configuring import Configure

MASK = "********"
CARD = "4111 1111 1111 1111"


def masked(status: str = "SUCCESS", **values: Any) -> TaskRecord:
    """Return a masked record with these values."""
    record = TaskRecord(task_id="t1", status=status, **values)
    TaskMasking(record).apply()
    return record


class Login(NamedTuple):
    """A tuple with named fields."""

    user: str
    password: str


@dataclass(frozen=True)
class Account:
    """An immutable object."""

    user: str
    api_key: str
    keys: list[Any] = field(default_factory=list)


class Shop(msgspec.Struct, frozen=True):
    """An immutable msgspec object; the plugin msgspec stores it as plain data."""

    name: str
    token: str = ""


class Failed(Exception):
    """An exception whose arguments do not fit its ``__init__``."""

    def __init__(self, user: str, *, token: str) -> None:
        super().__init__(f"{user} has no access")
        self.token = token


@attrs.frozen
class Card:
    """An immutable attrs object; the plugin msgspec stores it as plain data."""

    owner: str
    pin: str


class Raising(dict[str, Any]):
    """A dict whose items cannot be read."""

    def items(self) -> Any:
        """Fail."""
        raise RuntimeError("first-secret")


@dataclass(repr=False)
class Unset:
    """An object that lacks a field that it declares."""

    password: str = field(init=False)


class Strange(Exception):
    """An exception that takes only keyword arguments."""

    def __new__(cls, *, detail: str) -> Self:
        """Accept keyword arguments only."""
        return super().__new__(cls, detail)

    def __init__(self, *, detail: str) -> None:
        super().__init__(f"no {detail}")


class Numbered(UserList[Any]):
    """A sequence of a custom class, which is left alone."""


class Sum(tuple[Any, ...]):
    """A tuple whose class does not accept an iterable."""

    __slots__ = ()

    def __new__(cls, left: Any, right: Any) -> Self:
        """Take two values."""
        return super().__new__(cls, (left, right))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"password": "x", "user": "bob"}, {"password": MASK, "user": "bob"}),
        ({"X-Api-Key": "x", "clientSecret": 5}, {"X-Api-Key": MASK, "clientSecret": MASK}),
        ({"password": None, "token": ""}, {"password": None, "token": MASK}),
        ({b"password": b"x"}, {b"password": MASK}),
        ({1: {"pwd": ["x"]}, "tokens": 7}, {1: {"pwd": MASK}, "tokens": 7}),
        ([{"a": ({"cvc": 123},)}], [{"a": ({"cvc": MASK},)}]),
        ([("Authorization", "Basic x"), ("a", "b")], [("Authorization", MASK), ("a", "b")]),
        (OrderedDict(token="x", a=1), OrderedDict(token=MASK, a=1)),
        (MappingProxyType({"token": "x", "a": 1}), {"token": MASK, "a": 1}),
        ({CARD}, {MASK}),
        ({CARD: 1, "a": 2, (1,): 3, True: 4}, {MASK: 1, "a": 2, (1,): 3, True: 4}),
        ([{4111111111111111: "a"}, {b"pwd=x": "b"}], [{MASK: "a"}, {b"pwd=" + MASK.encode(): "b"}]),
        (frozenset({CARD}), frozenset({MASK})),
        (Login("bob", "x"), Login("bob", MASK)),
        (Sum(CARD, 1), [MASK, 1]),
        (Account("bob", "x", [CARD]), Account("bob", MASK, [MASK])),
        (Shop("a", "x"), Shop("a", MASK)),
        (Shop, Shop),
        (4111111111111111, MASK),
        ([4111111111111112, 1700000000000, True], [4111111111111112, 1700000000000, True]),
        (b"password=abc \xff", b"password=" + MASK.encode() + b" \xff"),
        (b"\xff", b"\xff"),
        (bytearray(b"pwd=x"), bytearray(b"pwd=" + MASK.encode())),
        (deque([{"pwd": "x"}, 1]), deque([{"pwd": MASK}, 1])),
        (Card("bob", "x"), Card("bob", MASK)),
        ([4111111111111111.0, Decimal(4111111111111111), 1.5], [MASK, MASK, 1.5]),
        (["mysql", "--password", "x", "-h", "db"], ["mysql", "--password", MASK, "-h", "db"]),
        (["--file", "--password"], ["--file", "--password"]),
        (
            {"db_pwd": 1, "cvv2": 2, "auth": ("a", "b")},
            dict.fromkeys(["db_pwd", "cvv2", "auth"], MASK),
        ),
        ({"password" * 50: 1, "a" * 300: 2}, {"password" * 50: MASK, "a" * 300: 2}),
    ],
)
def test_secret_in_a_value_is_masked(value: Any, expected: Any) -> None:
    """In containers of any type; the rest keeps its value and type."""
    result = masked(result=value).result
    assert (repr(expected), type(expected)) == (repr(result), type(result))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=abc, user=bob", f"password={MASK}, user=bob"),
        ("Password: it's", f"Password: {MASK}'s"),
        ('{"token": "x y\\" z", "a": 1}', f'{{"token": "{MASK}", "a": 1}}'),
        ('"{\\"token\\": \\"a b\\", \\"c\\": 1}"', f'"{{\\"token\\": \\"{MASK}\\", \\"c\\": 1}}"'),
        ("login(user, password='abc', b=1)", f"login(user, password='{MASK}', b=1)"),
        ("secret => ['a', 'b'] c", f"secret => {MASK} c"),
        ("secret: 'never ends", f"secret: '{MASK}'"),
        ('{"secret": {"a": [1], "b": "}\\"x"}, "c": 1}', f'{{"secret": {MASK}, "c": 1}}'),
        ("secret: (a [b] c", f"secret: {MASK}"),
        ('secret=\\"a\\\\\\"b, c', f'secret=\\"{MASK}\\"b, c'),
        ("mysql --password abc -h db", f"mysql --password {MASK} -h db"),
        ("['mysql', '--password', 'a b', '-h']", f"['mysql', '--password', '{MASK}', '-h']"),
        ("mysql --password -h db --port 5", "mysql --password -h db --port 5"),
        ("the password:", "the password:"),
        ("if token == 5: check_token(token): x", "if token == 5: check_token(token): x"),
        ("Authorization: Bearer abc\nHost: b", f"Authorization: {MASK}\nHost: b"),
        ("set-cookie: a=b; c=d", f"set-cookie: {MASK}"),
        ("curl -H 'Bearer abcdefgh1'", f"curl -H 'Bearer {MASK}'"),
        ("postgres://bob:pa:ss@db/x", f"postgres://bob:{MASK}@db/x"),
        ("postgres://bob:p@ss@db/x?a@b", f"postgres://bob:{MASK}@db/x?a@b"),
        ("a eyJhbGci.eyJzdWIi.c2ln b", f"a {MASK} b"),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        (f"ghp_{'a1' * 18}", MASK),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nx", f"{MASK}\nx"),
        (f"card {CARD} 12/26", f"card {MASK} 12/26"),
        ("card 3782-822463-10005.", f"card {MASK}."),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("4111111111111112 and 12-4111111111111111", "4111111111111112 and 12-4111111111111111"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secret_in_a_text_is_masked(text: str, expected: str) -> None:
    """Equally in a result, a traceback and an exception's message."""
    record = masked(result={"exc_message": (text,)}, traceback=text, meta={"note": text})
    assert [expected] * 3 == [
        record.result["exc_message"][0],
        record.traceback,
        (record.meta or {})["note"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'password': 'a\\'b', 'n': 1}", "{'password': '********', 'n': 1}"),
        ("{'é': 'ü', 'token': [1, {'a': 2}], 'c': 3}", "{'é': 'ü', 'token': ********, 'c': 3}"),
        ("{'user': User(name='b', password='x')}", "{'user': User(name='b', password='********')}"),
        ("{'h': [['Cookie', 'a'], ['b', 'c']]}", "{'h': [['Cookie', '********'], ['b', 'c']]}"),
        ("{'password': None, **x}", "{'password': None, **x}"),
        ("{'c': ['a', '--pwd', 'b', 1]}", "{'c': ['a', '--pwd', '********', 1]}"),
        ("{'password': 'a\n\\b', 'c': '\\d'}", "{'password': '********', 'c': '\\d'}"),
        # These cannot be parsed: if the end of a value is uncertain, mask to the end of the text.
        ("{'u': <User: b>, 'pwd': 'x', 'c': 1}", "{'u': <User: b>, 'pwd': '********', 'c': 1}"),
        ("{'u': <User: b>, 'pwd': ['x', 'y'], 'c': 1}", "{'u': <User: b>, 'pwd': ********"),
        ("{'password': 'x\\', 'c': 'y'}", "{'password': '********'"),
        ("{'c': 'y', 'password': 'x...", "{'c': 'y', 'password': '********'"),
        ("{'a': '\ud800', 'pwd': 'x'}", "{'a': '\ud800', 'pwd': '********'}"),
    ],
)
def test_secret_in_a_repr_is_masked(text: str, expected: str) -> None:
    """Arguments usually arrive as reprs, sometimes truncated; the rest stays as it was."""
    assert expected == masked(kwargs=text).kwargs


def test_arguments_themselves_are_masked() -> None:
    """Protocol 1 messages and eager tasks carry the arguments themselves."""
    record = masked(args=[{"token": "x"}, 1], kwargs={"password": "y", "b": CARD})
    assert ([{"token": MASK}, 1], {"password": MASK, "b": MASK}) == (record.args, record.kwargs)


def test_secret_is_masked_in_other_places() -> None:
    """Its name identifies it in one place only."""
    record = masked(
        status="FAILURE",
        kwargs="{'password': 'it\\'s me', 'pin_token': 98765}",
        result={"exc_type": "E", "exc_message": ["no it's me", 98765, {"it's me": 98765.5}]},
        traceback="raise E('no it\\'s me') \"it's me\"",
    )
    assert {"exc_type": "E", "exc_message": [f"no {MASK}", MASK, {MASK: 98765.5}]} == record.result
    assert f"raise E('no {MASK}') \"{MASK}\"" == record.traceback


def test_short_secret_is_masked_only_under_its_name() -> None:
    """Elsewhere it would match in the middle of words."""
    record = masked(kwargs="{'password': 'abc'}", result="abcdef")
    assert ("{'password': '********'}", "abcdef") == (record.kwargs, record.result)


def test_exception_is_copied() -> None:
    """The pickle serializer stores the copy; making it calls no ``__init__``."""
    error = Failed(CARD, token="abcdef")
    copied = masked("FAILURE", result=error).result
    expected = (Failed, (f"{MASK} has no access",), MASK)
    assert expected == (type(copied), copied.args, copied.token)
    assert ((f"{CARD} has no access",), "abcdef") == (error.args, error.token)


def test_exception_without_secrets_is_the_same_one() -> None:
    """It is not copied needlessly."""
    error = ValueError("no")
    assert masked("FAILURE", result=error).result is error


def test_children_are_left_alone() -> None:
    """The children are ids, not values."""
    children = [[[CARD, None], None]]
    record = masked(meta={"children": children, "card": CARD}, stamps={"token": "x", "a": 1})
    assert {"children": children, "card": MASK} == record.meta
    assert {"token": MASK, "a": 1} == record.stamps


def test_value_of_the_task_is_left_as_it_was() -> None:
    """It belongs to the running task."""
    value = {"a": [{"password": "secret!", "b": Account("b", "x")}], "c": {CARD}}
    before = deepcopy(value)
    masked(result=value, kwargs=value, meta=value)
    assert before == value


def test_value_without_secrets_is_the_same_object() -> None:
    """At any depth."""
    value = {"a": [1, "b", {"c": Decimal(1), "d": None}], "e": Numbered([CARD])}
    record = masked(result=value, args=(value,))
    assert record.result is value


def test_circular_value_is_masked_as_a_whole() -> None:
    """Serializers such as pickle accept it."""
    value: dict[str, Any] = {"token": "x"}
    value["again"] = [value]
    assert MASK == masked(result=value, kwargs={"secret": value}).result


def test_mask_and_keys_can_be_set(configure: Configure) -> None:
    """They replace the defaults."""
    configure(redact={"MASK": "?", "KEYS": ["iban*"]})
    value = {"iban_number": "x", "password": "y"}
    assert {"iban_number": "?", "password": "y"} == masked(result=value).result


def test_no_key_is_secret_if_the_list_is_empty(configure: Configure) -> None:
    """Not even the empty key."""
    configure(redact={"KEYS": [], "PATTERNS": [], "CARD_NUMBERS": False})
    value = {"password": "y", "": CARD}
    assert value is masked(result=value).result


def test_patterns_can_be_set(configure: Configure) -> None:
    """With a group ``secret``, only that group is masked."""
    configure(redact={"PATTERNS": [r"ID-\d+", r"(?P<secret>\w+)@mail"]})
    assert f"{MASK} of {MASK}@mail" == masked(result="ID-55 of bob@mail").result


def test_url_encoded_secret_is_masked() -> None:
    """As in the error of an HTTP client that could not connect."""
    text = "GET /?q=it%27s%2Fme and it%27s%2fme+2 failed"
    record = masked(kwargs={"password": "it's/me"}, traceback=text)
    assert f"GET /?q={MASK} and it%27s%2fme+2 failed" == record.traceback


def test_secrets_with_a_common_prefix_are_all_masked() -> None:
    """The longest match wins, however many secrets share the prefix."""
    secrets = [f"abcd{'x' * number}" for number in range(10)] + ["abyz1", "12345", "abcdy"]
    text = f"{' '.join(secrets)} abcq"
    expected = f"{' '.join([MASK] * len(secrets))} abcq"
    assert expected == masked(kwargs={"password": secrets}, traceback=text).traceback


@pytest.mark.parametrize("kind", [Raising, Unset])
def test_object_that_cannot_be_inspected_harms_no_other_secret(kind: Any) -> None:
    """The result is not lost either: it is masked as a whole."""
    value = {"a": {"password": "first-secret"}, "held": kind(), "token": 2**20_000}
    record = masked(result=value, meta={"children": ["c"], "note": "first-secret"})
    assert ({"children": ["c"], "note": MASK}) == record.meta
    assert "first-secret" not in repr(record.result)


def test_circular_meta_keeps_the_children() -> None:
    """Masking all of the meta would leave text, which cannot be read as meta."""
    meta: dict[str, Any] = {"children": [["id", None]]}
    meta["own"] = meta["again"] = [meta]
    assert {"children": [["id", None]]} == masked(meta=meta).meta


def test_exception_that_cannot_be_copied_keeps_its_name() -> None:
    """Celery makes a class of that name from its stand-in."""
    error = masked("FAILURE", result=Strange(detail=CARD)).result
    expected = ("Strange", (f"no {MASK}",))
    assert expected == (type(get_pickled_exception(error)).__name__, error.exc_args)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "secrets", [range(10**8, 10**8 + 10_000), [f"id-{one:05}" for one in range(10_000)]]
)
def test_many_secrets_are_found_as_fast_as_one(secrets: Any) -> None:
    """A task may get ten thousand secrets; searching one after the other takes minutes."""
    found = masked(kwargs={"password": list(secrets)}, traceback="x 100000123 id-00005 " * 50_000)
    assert MASK in str(found.traceback)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("beginning", ["password=", 'password=\\"', "password: [", "--pwd "])
@pytest.mark.parametrize("piece", ["\\", '\\"', "'\\", "[", "] [", "'", "=a"])
def test_long_value_takes_no_quadratic_time(beginning: str, piece: str) -> None:
    """The value of a secret name, which would take hours otherwise."""
    assert masked(result=beginning + piece * 100_000).result.startswith(beginning[:4])


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece", ["x", "a.", "a-", "eyJ-", "a ", "4", "4 ", "\\", "token", "token:", "token: ["]
)
def test_long_text_takes_no_quadratic_time(piece: str) -> None:
    """A task may return such a text, which would take hours otherwise."""
    text = piece * 100_000
    assert masked(result=f"{text}\npwd=x").result.startswith(piece[:5])
