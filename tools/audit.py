"""Ask PyPI's advisories about every locked dependency: `make audit`.

A known vulnerability fails; advisories that cannot be asked do not, and are told.
"""

import json
import subprocess
import sys
from pathlib import Path

PIP_AUDIT = "pip-audit@2.10.1"


def verdict(report: str) -> tuple[bool, str]:
    """Return whether pip-audit's JSON report lets pass, and what to tell."""
    try:
        dependencies = json.loads(report)["dependencies"]
    except ValueError:
        return True, "dependencies NOT audited: the advisories could not be asked"
    found = [
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']},"
        f" fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for dependency in dependencies
        for vulnerability in dependency.get("vulns", [])
    ]
    if found:
        return False, "\n".join(found)
    asked = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if len(asked) < len(dependencies):
        left = len(dependencies) - len(asked)
        return (
            True,
            f"{left} of {len(dependencies)} dependencies NOT audited: PyPI does not know them here",
        )
    return True, f"no known vulnerability in {len(dependencies)} dependencies"


def main() -> int:
    """Audit requirements-dev.txt, which holds what ships as well."""
    uvx = str(Path(sys.executable).with_name("uvx"))
    command = [uvx, PIP_AUDIT, "--disable-pip", "--require-hashes", "--progress-spinner=off"]
    command += ["--format=json", "-r", "requirements-dev.txt"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    passes, words = verdict(run.stdout)
    print(f"pip-audit: {words}")
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
