"""What the client is told of what was wrong, within bounds."""

import pytest

from shared.errors import FieldError, InvalidRequest


def test_the_text_of_an_error_names_each_field_and_its_rule() -> None:
    error = InvalidRequest(FieldError("amount", "is required"), FieldError("a", "is not known"))

    assert str(error) == "amount: is required; a: is not known"


@pytest.mark.parametrize(("length", "shown"), [(60, "n" * 60), (61, "n" * 60 + "…")])
def test_a_long_name_is_cut(length: int, shown: str) -> None:
    assert InvalidRequest(FieldError("n" * length, "is not known")).errors[0].field == shown


def test_a_name_that_is_a_card_number_is_not_repeated() -> None:
    [error] = InvalidRequest(FieldError("4242 4242 4242 4242", "is not known")).errors

    assert error == FieldError("(a card number)", "is not known")
