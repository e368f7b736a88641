"""`make doctor` names what is missing, and how to get it."""

import shutil

import pytest

from tools import doctor


def test_what_is_missing_is_named_with_a_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "interpreter", lambda _: None)

    assert doctor.main() == 1  # no openssl, no make test
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok       Python 3.")
    for name, *_ in doctor.NEEDS:
        assert any(line.startswith(f"missing  {name}: ") for line in lines)


def test_a_machine_that_has_all_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "interpreter", lambda version: f"/usr/bin/python{version}")
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert doctor.main() == 0
    assert "missing" not in capsys.readouterr().out
