"""The body's JSON against a second parser, and the headers against their rule in other words."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic_core import from_json

from shared.api.problems import MAX_BODY_BYTES
from shared.api.request import Request
from shared.errors import InvalidRequest, RequestTooLarge
from tests.conftest import proxy_event

PIECES = st.one_of(
    st.sampled_from(
        [
            *"{}[],:\"\\-+.eE01' \n\t\x0b\xa0\ufeff\x00\x7fä😀",
            '"a"',
            '"b"',
            "null",
            "true",
            "false",
            "NaN",
            "Infinity",
            "25",
            "1e9",
            '{"a":1}',
            '{"b":[1.50,',
            "//",
        ]
    ),
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def parse(body: str, *, is_base64: bool = False) -> object:
    event = {**proxy_event("create_payment"), "body": body, "isBase64Encoded": is_base64}
    return Request(event).json()


def parsed_or_refused(body: str) -> tuple[bool, object]:
    try:
        return True, parse(body)
    except InvalidRequest as refusal:
        return False, refusal


def as_floats(value: object) -> object:
    """Return the value with every number as the float next to it, so that two parsers compare."""
    if isinstance(value, dict):
        return {name: as_floats(member) for name, member in value.items()}
    if isinstance(value, list):
        return list(map(as_floats, value))
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return repr(float(value) + 0.0) if is_number else value


@given(st.lists(PIECES, max_size=12).map("".join))
@example('{"a": 01}')
@example("[1,]")
@example('"\t"')
@example('{"a": 1} {}')
def test_what_is_json_is_what_a_second_parser_takes(body: str) -> None:
    assume(not body.startswith("\ufeff"))
    is_json, value = parsed_or_refused(body)
    try:
        other = from_json(body.encode())
    except ValueError:
        assert not is_json
        return

    assert is_json or "is given twice" in str(value)
    assert not is_json or as_floats(value) == as_floats(other)


@given(VALUES, st.booleans(), st.booleans(), st.sampled_from([None, 1]))
def test_a_document_is_read_however_it_is_written(
    document: object, has_bom: bool, is_base64: bool, indent: int | None
) -> None:
    assume(document is not None)
    body = "\ufeff" * has_bom + json.dumps(document, ensure_ascii=is_base64, indent=indent)
    if is_base64:
        body = base64.b64encode(body.encode()).decode()

    assert as_floats(parse(body, is_base64=is_base64)) == as_floats(document)


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\x00}\x00")  # UTF-16
@example(b"\xed\xa0\x80")  # a surrogate
def test_bytes_are_read_as_utf8_or_refused(data: bytes) -> None:
    try:
        expected = parsed_or_refused(data.decode())
    except UnicodeDecodeError:
        expected = (False, None)

    body = base64.b64encode(data).decode()

    if expected[0]:
        assert as_floats(parse(body, is_base64=True)) == as_floats(expected[1])
    else:
        with pytest.raises(InvalidRequest):
            parse(body, is_base64=True)


@given(st.text(max_size=20))
@example("é")
@example("e30")
@example("e30=\n")
def test_text_that_is_no_base64_is_refused(body: str) -> None:
    try:
        data = base64.b64decode(body.encode(), validate=True)
    except ValueError:
        data = b""
    assume(not data.strip())

    with pytest.raises(InvalidRequest):
        parse(body, is_base64=True)


@given(st.integers(-3, 3), st.sampled_from(["ascii", "ä", "😀"]))
def test_a_body_is_measured_before_it_is_read(over: int, letter: str) -> None:
    body = "x" * (MAX_BODY_BYTES + over - 1) + letter[0]

    with pytest.raises(RequestTooLarge if over > 0 else InvalidRequest):
        parse(body)


def casings(name: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from([c.lower(), c.upper()]) for c in name)).map("".join)


def key_or_none(*headers: tuple[str, list[str]]) -> str | None:
    event = proxy_event("create_payment")
    event["multiValueHeaders"] = dict(headers)
    return Request(event).idempotency_key


PRINTABLE = {chr(code) for code in range(0x20, 0x7F)}
SENT = st.one_of(
    st.text(max_size=300),
    st.text(sorted(PRINTABLE), max_size=300),
    st.text(sorted(PRINTABLE), min_size=250, max_size=260),
    st.text('" \t\x00\r\nka', max_size=6),
)


@given(casings("Idempotency-Key"), SENT)
@example("idempotency-key", '"')
@example("idempotency-key", '""')
@example("idempotency-key", '"""')
@example("idempotency-key", '" "')
@example("idempotency-key", " \t" + '"' + "~" * 255 + '"\t ')
@example("idempotency-key", "~" * 256)
@example("idempotency-key", "a\r\nX-Injected: 1")
def test_a_key_is_printable_ascii_in_any_casing_or_refused(name: str, sent: str) -> None:
    key = sent.strip(" \t")
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]

    if 1 <= len(key) <= 255 and set(key) <= PRINTABLE:
        assert key_or_none((name, [sent])) == key
    else:
        with pytest.raises(InvalidRequest):
            key_or_none((name, [sent]))


@given(st.lists(casings("idempotency-key"), min_size=2, max_size=3, unique=True), SENT)
def test_two_keys_are_refused_though_they_be_equal(names: list[str], sent: str) -> None:
    for headers in ([(name, [sent]) for name in names], [(names[0], [sent, sent])]):
        with pytest.raises(InvalidRequest, match="must be sent once"):
            key_or_none(*headers)


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=20)), max_size=4))
def test_no_other_header_is_taken_for_the_key(headers: dict[str, Any]) -> None:
    assume(not any(name.lower() == "idempotency-key" for name in headers))

    assert key_or_none(*headers.items()) is None
