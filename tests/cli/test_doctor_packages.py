"""`orchestrator doctor` warns of another distribution that shares the import name."""

from importlib import metadata

import pytest

from orchestrator.cli.maintain.doctor import Verdict, examine
from orchestrator.distribution import FOREIGN_NAME, NAME


class Installed:
    """What the metadata of an installed distribution says."""

    version = "3.2.1"


@pytest.mark.parametrize("installed", [True, False])
def test_a_package_that_shares_the_import_name_is_a_warning(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> Installed:
        if installed and name == FOREIGN_NAME:
            return Installed()
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("orchestrator.cli.maintain.doctor.distribution", distribution)
    found = [finding for finding in examine(None, None) if finding.subject == "package"]
    assert [finding.verdict for finding in found] == ([Verdict.WARN] if installed else [])
    assert all("3.2.1" in finding.message and NAME in finding.fix for finding in found)
