"""Fill one function's package: `sam build` runs this through the Makefile.

    python tools/build.py CreatePaymentFunction ARTIFACTS_DIR

A package holds the function's folder, `shared/`, and those of the locked distributions that their
imports reach. Wheels are chosen for Lambda's Python and processor, whatever machine this is, and
everything is compiled ahead: Lambda's file system is read-only, so a function that comes without
bytecode compiles every module again on each cold start (2.4 times the instructions of a cold start
with bytecode). The same input makes the same bytes.

Any Python from 3.10 on runs it; it needs nothing but pip or uv.
"""

import fcntl
import gzip
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
ARCHITECTURE = platform.machine().replace("aarch64", "arm64")
"""This machine's, as SAM names it."""
WHERE_LAMBDA_UNPACKS = "/var/task"
IN_SAMS_CONTAINER = Path("/tmp/samcli/artifacts")  # noqa: S108 - SAM's name, in its container

# Of ours: YAML holds the words that document an operation.
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", ".*", "*.yaml")

SERVICES = {
    "check_release.deployment": "codedeploy",
    "check_release.functions": "lambda",
    "shared.bus": "events",
    "shared.gateways.keys": "ssm",
    "shared.store.dynamodb": "dynamodb",
}
"""Those of AWS's services that our modules call, as botocore names them."""

# Files of a distribution that no function reads. METADATA is how Amazon Inspector and its like know
# what is in a package.
LEFT_OUT = re.compile(
    r"""\.\./ | bin/ | .*\.(pyc|pyi|js|css)$ | .*/py\.typed$
    | annotated_types/test_cases\.py | .*/tests/
    | boto3/(data|examples)/ | botocore/data/ (?! (codedeploy|dynamodb|events|lambda|ssm)/ | [^/]+$)
    | .*/examples-1\.json$
    | .*/endpoint-rule-set-1\.json(\.gz)?$  # botocore then goes by endpoints.json, which is sooner
    | dateutil/zoneinfo/.*\.tar\.gz$
    | stripe/params/  # for type checkers alone, and a third of all files
    | [^/]+\.dist-info/ (?! METADATA$)
    """,
    re.VERBOSE,
)


class Target(NamedTuple):
    """What a package has to run on."""

    python: str  # the minor version, such as 3.13
    machine: str  # as Python names the processor: aarch64 or x86_64


def main(function: str, artifacts: Path) -> None:
    """Fill `artifacts` with the package of the template's `function`."""
    target = _target(function, artifacts)
    folder = folder_of(function)
    # To stdout: SAM shows a makefile's stderr only where the build fails.
    print(f"{function}: {folder}/ for Python {target.python} on {target.machine}", flush=True)
    for name in (folder, "shared"):
        shutil.copytree(ROOT / name, artifacts / name, ignore=NOT_SHIPPED)
    site = _site(target)
    _compile_models(folder, artifacts)
    _compile(target, artifacts)
    ours, others = _imports(folder)
    for distribution in _needed(others, site):
        _copy(distribution, site, artifacts, f".cpython-{target.python.replace('.', '')}.pyc")
    services = {service for module, service in SERVICES.items() if module in ours}
    _trim(artifacts / "botocore/data", services)
    for path in artifacts.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask: Lambda's user reads it


def folder_of(function: str) -> str:
    """Return the folder of the template's function: create_payment of CreatePaymentFunction."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", function.removesuffix("Function")).lower()


def _target(function: str, artifacts: Path) -> Target:
    """Return what was asked for.

    SAM tells a makefile neither the runtime nor the architecture (AWS SAM Developer Guide, "Custom
    runtimes": ARTIFACTS_DIR alone), but has both on record by then,
    resolved from the template, samconfig.toml and --parameter-overrides. In its build container
    there is no record, and the container itself is what was asked for. Nothing is guessed else: the
    wrong processor's package would fail on AWS, at its first call.
    """
    record = artifacts.parent.parent / "build.toml"
    definitions = record.read_text() if record.exists() else ""
    for definition in definitions.split("[function_build_definitions."):
        if re.search(rf'^functions = \[.*"{function}"', definition, re.M):
            asked = dict(re.findall(r'^(\w+) = "(.*)"$', definition, re.M))
            machine = asked["architecture"].replace("arm64", "aarch64")
            return Target(asked["runtime"].removeprefix("python"), machine)
    if artifacts == IN_SAMS_CONTAINER:
        return Target("{}.{}".format(*sys.version_info), platform.machine())
    raise SystemExit(
        f"{record} does not tell {function}'s runtime and architecture: SAM writes that in a"
        " `sam build` of all functions, so build without a function's name"
    )


@cache
def _site(target: Target) -> Path:
    """Return a folder with every locked distribution as it is shipped; builds share it."""
    made_of = [Path(__file__).read_text(), (ROOT / "requirements.txt").read_text(), *target]
    made_of += [str(interpreter(target.python)), str(_uv())]
    name = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    site = ROOT / ".aws-sam/site" / name
    if site.exists():
        return site
    if not os.access(ROOT, os.W_OK):  # SAM's container keeps the project read-only
        return _filled(target, Path(tempfile.mkdtemp()))
    site.parent.mkdir(parents=True, exist_ok=True)
    with (site.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `sam build` fills several packages at once
        if not site.exists():
            _filled(target, Path(tempfile.mkdtemp(dir=site.parent))).rename(site)
    return site


def _filled(target: Target, site: Path) -> Path:
    _install(target, site)
    _compile(target, site)
    return site


def _uv() -> str | None:
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def _install(target: Target, site: Path) -> None:
    """Install every locked distribution for the target; none is built here, none runs here."""
    if uv := _uv():
        command = [uv, "pip", "install", "--no-config", "--python", sys.executable]
        command += ["--python-platform", f"{target.machine}-manylinux2014"]
    else:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
        command += ["--no-compile", "--platform", f"manylinux2014_{target.machine}"]
    command += ["--python-version", target.python, "--only-binary", ":all:", "--quiet"]
    command += ["--no-deps", "--require-hashes", "-r", str(ROOT / "requirements.txt")]
    subprocess.run([*command, "--target", str(site)], check=True)


def _imports(folder: str) -> tuple[set[str], set[str]]:
    """Return the modules of ours that the function imports, and the top-level names of others."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.import_hook(f"{folder}.app")
    return set(finder.modules), {name.partition(".")[0] for name in finder.any_missing()}


def _needed(imports: set[str], site: Path) -> Iterator[Distribution]:
    """Yield the distributions that provide the imports, and those that these require in turn."""
    installed = {_key(found.metadata["Name"]): found for found in distributions(path=[str(site)])}
    names = {
        name
        for name, distribution in installed.items()
        if any(file.parts[0] in imports for file in distribution.files or ())
    }
    waiting = list(names)
    while waiting:
        for requirement in installed[waiting.pop()].requires or ():
            name = _key(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
            if name in installed and name not in names and "extra ==" not in requirement:
                names.add(name)
                waiting.append(name)
    return (installed[name] for name in sorted(names))


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _copy(distribution: Distribution, site: Path, artifacts: Path, bytecode: str) -> None:
    """Copy what a function reads of a distribution, with its bytecode: files of this ending."""
    for listed in distribution.files or ():
        if LEFT_OUT.match(str(listed)):
            continue
        for file in (listed, listed.parent / "__pycache__" / (listed.stem + bytecode)):
            if (site / file).exists():
                (artifacts / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(site / file, artifacts / file)


def _compile_models(folder: str, artifacts: Path) -> None:
    """Put in the place of the function's request.py what tools/models.py makes of it."""
    if not (artifacts / folder / "request.py").exists():
        return
    environment = dict(os.environ)
    if not find_spec("pydantic"):  # this Python is not of .venv
        here = Target("{}.{}".format(*sys.version_info), platform.machine())
        environment["PYTHONPATH"] = str(_site(here))
    command = [sys.executable, "-m", "tools.models", folder]
    made = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=environment)
    (artifacts / folder / "request.py").write_bytes(made.stdout)


def _trim(data: Path, services: set[str]) -> None:
    """Leave what clients of the services need of botocore's data, which every cold start parses."""
    if not data.exists():
        return
    for unused in set(SERVICES.values()) - services:
        shutil.rmtree(data / unused)
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        known = partition["services"].items()
        partition["services"] = {name: found for name, found in known if name in services}
    (data / "endpoints.json").write_text(json.dumps(endpoints))
    for packed in data.glob("*/*/service-2.json.gz"):
        model = json.loads(gzip.decompress(packed.read_bytes()), object_hook=_undocumented)
        packed.with_suffix("").write_text(json.dumps(model))
        packed.unlink()


def _undocumented(shape: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in shape.items()
        if name != "documentation" or not isinstance(value, str)
    }


def _compile(target: Target, artifacts: Path) -> None:
    """Compile every module, as Lambda's Python would, for the place where Lambda unpacks it.

    Unchecked: SAM's zip gives every file one time, so bytecode that is checked against its
    source's time would be found stale.
    """
    python = interpreter(target.python)
    if python is None:
        print(
            f"WARNING: no Python {target.python} found, so the package ships no bytecode and a cold"
            f" start takes over twice as long. Put python{target.python} on PATH and build again.",
            flush=True,
        )
        return
    command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(artifacts), "-p", WHERE_LAMBDA_UNPACKS, str(artifacts)]
    # A set's order follows the hash seed, and would be another in each build's bytecode.
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


@cache
def interpreter(version: str) -> str | None:
    """Return an interpreter of this minor version; a name on the PATH may be a shim for none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    candidates += [f"python{version}"]
    for candidate in filter(None, map(shutil.which, candidates)):
        ask = [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        if (
            subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
            == version
        ):
            return candidate
    return None


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
