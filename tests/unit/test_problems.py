"""What the client is told of an error."""

import json

import pytest

from shared.api.problems import PROBLEMS, problem_of, to_response
from shared.errors import FieldError, InvalidRequest, PaymentNotFound, StoreUnavailable


def errors_shown(*errors: FieldError) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(to_response(InvalidRequest(*errors), "t").body)[
        "errors"
    ]
    return found


def test_the_text_of_an_error_names_each_field_and_its_rule() -> None:
    error = InvalidRequest(FieldError("amount", "is required"), FieldError("a", "is not known"))

    problem = json.loads(to_response(error, "t").body)

    assert problem["detail"] == "amount: is required; a: is not known"


@pytest.mark.parametrize(("length", "shown"), [(60, "n" * 60), (61, "n" * 60 + "…")])
def test_a_long_name_is_cut(length: int, shown: str) -> None:
    assert errors_shown(FieldError("n" * length, "is not known"))[0]["field"] == shown


def test_a_name_that_is_a_card_number_is_not_repeated() -> None:
    response = to_response(InvalidRequest(FieldError("4242 4242 4242 4242", "is not known")), "t")

    assert json.loads(response.body)["detail"] == "(a card number): is not known"
    assert "4242" not in response.body


@pytest.mark.parametrize("known", [kind for kind in PROBLEMS if kind is not Exception])
def test_a_subclass_of_a_known_error_is_the_same_problem(known: type[Exception]) -> None:
    new = type("New", (known,), {"__init__": lambda _: None})
    assert problem_of(new()) is PROBLEMS[known]


def test_what_an_error_has_no_words_for_its_problem_has() -> None:
    assert json.loads(to_response(PaymentNotFound(), "t").body)["detail"]
    assert "Idempotency-Key" in json.loads(to_response(StoreUnavailable(), "t").body)["detail"]


def test_the_words_of_a_defect_are_not_shown() -> None:
    assert "secret" not in to_response(RuntimeError("secret"), "t").body
