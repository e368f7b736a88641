"""What `make audit` makes of pip-audit's report."""

import json

from tools.audit import verdict

GOOD = {"name": "boto3", "version": "1.43.0", "vulns": []}
BAD = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
UNKNOWN = {"name": "six", "skip_reason": "Dependency not found on PyPI"}


def report(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_a_known_vulnerability_fails_and_says_where_it_is_fixed() -> None:
    passes, words = verdict(report(GOOD, BAD, UNKNOWN))

    assert not passes
    assert words.splitlines() == [
        "urllib3 1.0: PYSEC-1, fixed in 1.1",
        "urllib3 1.0: PYSEC-2, fixed in no version yet",
    ]


def test_what_was_asked_and_is_clean_passes() -> None:
    assert verdict(report(GOOD)) == (True, "no known vulnerability in 1 dependencies")


def test_what_could_not_be_asked_passes_and_is_told() -> None:
    for text in ("", "Traceback", report(GOOD, UNKNOWN)):
        passes, words = verdict(text)
        assert passes
        assert "NOT audited" in words
