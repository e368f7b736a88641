"""Measure ours beside its peers, and write docs/performance.md's tables and chart.

    python benchmarks/bench.py           everything (a quarter of an hour)
    python benchmarks/bench.py check     ours alone, against benchmarks/figures.json

Instructions are counted by valgrind: they are the same within a thousandth from run to run, on a
busy machine as on an idle one. Times are compared in pairs, and a ratio whose range spans one is
called inconclusive.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from tools.build import interpreter

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = HERE / ".built"
FIGURES = HERE / "figures.json"
PEERS = ["limit", "hello", "flask", "fastapi", "powertools"]
CALLS = ["create", "read"]
EVENTS = {"create": ROOT / "events/create_payment.json", "read": ROOT / "events/get_payment.json"}
ALLOWED = 1.03
WARM = 100
ROUNDS = 7
PYTHON = interpreter("3.13") or sys.exit("python3.13 is needed: it is what Lambda runs")


def main() -> None:
    if sys.argv[1:] == ["check"]:
        check()
        return
    build()
    with stub() as env:
        counts = {s: instructions(s, env) for s in ["ours", *PEERS]}
        shipped = {s: cold_as_shipped(s, env) for s in PEERS}
        paired = processor_time(env)
        starts = cold_starts(env)
    result = {
        "made": time.strftime("%Y-%m-%d"),
        "build": interpreter_build(),
        "instructions": counts,
        "as_shipped": shipped,
        "processor": paired,
        "starts": starts,
        "sizes": {s: sizes(s) for s in ["ours", *PEERS]},
        "dynamodb": dynamodb_units(),
    }
    FIGURES.write_text(json.dumps(result, indent=1) + "\n")
    report(result)


def check() -> None:
    """Fail where ours takes over 3% more instructions than the committed figures."""
    if not shutil.which("valgrind"):
        print("bench-check: skipped, valgrind is not installed")
        return
    committed = json.loads(FIGURES.read_text())
    if committed["build"] != interpreter_build():
        print(f"bench-check: skipped, the figures are of another build: {committed['build']}")
        return
    build(peers=[])
    with stub() as env:
        now = instructions("ours", env)
    worse = 0
    for name, value in now.items():
        before = committed["instructions"]["ours"][name]
        over = value > before * ALLOWED
        worse += over
        print(
            f"{name:12} {value / 1e6:8.1f} M, committed {before / 1e6:8.1f} M {'REGRESSED' * over}"
        )
    print(f"{len(now) - worse} passed, {worse} failed")
    sys.exit(bool(worse))


def interpreter_build() -> str:
    """Counts are comparable on the same Python, OpenSSL and C library alone."""
    code = "import sys, ssl, platform as p; print(sys.version.split()[0], p.python_compiler(), p.python_build()[1], ssl.OPENSSL_VERSION, *p.libc_ver(), p.machine(), sep=', ')"
    return subprocess.check_output([PYTHON, "-c", code], text=True).strip()


# --- What is measured ---


def build(peers: list[str] = PEERS) -> None:
    shutil.rmtree(BUILT, ignore_errors=True)
    machine = platform.machine()
    (BUILT / "ours").mkdir(parents=True)
    architecture = {"aarch64": "arm64"}.get(machine, machine)
    sam = [Path(sys.executable).parent / "sam", "build", "--build-dir", BUILT / "ours/build"]
    run([*sam, "--parameter-overrides", f"Architecture={architecture}"], cwd=ROOT)
    install(BUILT / "runtime", HERE / "requirements.txt")
    compile_all(BUILT / "runtime")
    for peer in peers:
        task = BUILT / f"{peer}-shipped"
        install(task, HERE / f"peers/{peer}/requirements.txt")
        shutil.copy(HERE / f"peers/{peer}/app.py", task)
        for cache in list(task.rglob("__pycache__")):
            shutil.rmtree(cache)
        shutil.copytree(task, BUILT / peer)
        compile_all(BUILT / peer)


def install(target: Path, requirements: Path) -> None:
    target.mkdir(parents=True)
    uv = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--no-config"]
    run([*uv, "--python", PYTHON, "--target", target, "-r", requirements])


def compile_all(task: Path) -> None:
    command = [PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", task]
    subprocess.run(command, check=False)


def run(command: list[Any], **options: Any) -> None:
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")


def task_and_handler(stack: str, call: str) -> tuple[Path, str]:
    if stack == "ours":
        function = {"create": "CreatePaymentFunction", "read": "GetPaymentFunction"}[call]
        folder = {"create": "create_payment", "read": "get_payment"}[call]
        return BUILT / "ours/build" / function, f"{folder}.app.handler"
    return BUILT / stack, f"app.{call}"


# --- The stand-in for DynamoDB, and a function's environment ---


@contextlib.contextmanager
def stub(forward: str = "") -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
                key,
                "-out",
                certificate,
            ]
        )
        both = Path(folder, "both.pem")
        both.write_text(Path(key).read_text() + Path(certificate).read_text())
        server = subprocess.Popen(
            [sys.executable, HERE / "stub.py", both, *([forward] if forward else [])],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout
        port = server.stdout.readline().strip()
        try:
            yield {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_SESSION_TOKEN": "testing",
                "AWS_REGION": "eu-central-1",
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_ENDPOINT_URL_DYNAMODB": f"https://127.0.0.1:{port}",
                "AWS_XRAY_SDK_ENABLED": "false",
                "CERTIFICATE": certificate,
                "FOLDER": folder,
                "TABLE_NAME": f"bench-{uuid.uuid4()}",
                "IDEMPOTENCY_TABLE": f"bench-{uuid.uuid4()}",
                "ALLOWED_ORIGIN": "*",
                "POWERTOOLS_SERVICE_NAME": "payment-api",
                "POWERTOOLS_METRICS_NAMESPACE": "payments",
                "PYTHONHASHSEED": "0",
                "PATH": os.environ["PATH"],
            }
        finally:
            server.terminate()
            server.wait()


def environment(env: dict[str, str], task: Path) -> dict[str, str]:
    """Add what the stub's certificate has to be trusted with: what the package itself ships, and it."""
    bundle = Path(env["FOLDER"], f"{task.parent.name}-{task.name}.pem")
    shipped = task / "botocore/cacert.pem"
    if not shipped.exists():  # the limit: a whole system's authorities, as Lambda's own has them
        shipped = BUILT / "hello/botocore/cacert.pem"
    bundle.write_text(shipped.read_text() + Path(env["CERTIFICATE"]).read_text())
    return {**env, "AWS_CA_BUNDLE": str(bundle)}


def driver(task: Path | str, handler: str, call: str, calls: int) -> list[Any]:
    return [
        PYTHON,
        "-P",  # -P and -s as -I has them, but PYTHONHASHSEED counts: one order of every set
        "-s",
        "-S",
        "-B",  # Lambda's file system is read-only: what is not shipped compiled is compiled each time
        HERE / "driver.py",
        BUILT / "runtime",
        task,
        handler,
        EVENTS[call],
        str(calls),
    ]


# --- Instructions ---


def count(command: list[Any], env: dict[str, str]) -> int:
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        ["nice", *tool, *command], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")
    return int(re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)[1].replace(",", ""))  # type: ignore[index]


def bare(env: dict[str, str]) -> int:
    return count(driver("-", "-", "read", 0), env)


def instructions(stack: str, env: dict[str, str]) -> dict[str, int]:
    nothing = bare(env)
    found = {}
    for call in CALLS:
        task, handler = task_and_handler(stack, call)
        surroundings = environment(env, task)
        first = count(driver(task, handler, call, 1), surroundings)
        more = count(driver(task, handler, call, 1 + WARM), surroundings)
        found[f"cold {call}"] = first - nothing
        found[f"warm {call}"] = (more - first) // WARM
    print(stack, found, flush=True)
    return found


def cold_as_shipped(stack: str, env: dict[str, str]) -> dict[str, int]:
    task, nothing = BUILT / f"{stack}-shipped", bare(env)
    found = {}
    for call in CALLS:
        surroundings = environment(env, task)
        found[f"cold {call}"] = count(driver(task, f"app.{call}", call, 1), surroundings) - nothing
    print(stack, "as shipped", found, flush=True)
    return found


# --- Processor time and memory ---


def spin() -> float:
    began = time.process_time()
    sum(range(10_000_000))
    return time.process_time() - began


def processor_time(env: dict[str, str]) -> dict[str, Any]:
    """Time every stack once a round, next to a spin of one length: what slows one slows the other."""
    rounds: dict[str, list[float]] = {stack: [] for stack in ["ours", *PEERS]}
    memory: dict[str, int] = {}
    for _ in range(ROUNDS):
        for stack in rounds:
            task, handler = task_and_handler(stack, "create")
            unit = spin()
            child = subprocess.Popen(
                driver(task, handler, "create", 1),
                env=environment(env, task),
                stdout=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
            assert not status
            rounds[stack].append((usage.ru_utime + usage.ru_stime) / unit)
            memory[stack] = max(memory.get(stack, 0), usage.ru_maxrss // 1024)
    return {
        stack: {
            "spins": statistics.median(rounds[stack]),
            "ratios": sorted(o / r for o, r in zip(rounds["ours"], rounds[stack], strict=True)),
            "memory": memory[stack],
        }
        for stack in rounds
    }


# --- A cold start under Lambda's own runtime client ---


def cold_starts(env: dict[str, str]) -> dict[str, Any]:
    """Start each stack under awslambdaric and the runtime interface emulator, in rounds."""
    code = "import samcli.local.rapid, pathlib; print(*samcli.local.rapid.__path__)"
    rapid = Path(subprocess.check_output([sys.executable, "-c", code], text=True).strip())
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    emulator = shutil.copy(rapid / f"aws-lambda-rie-{machine}", env["FOLDER"])
    Path(emulator).chmod(0o755)
    rounds: dict[str, list[tuple[float, float]]] = {stack: [] for stack in ["ours", *PEERS]}
    for _ in range(ROUNDS):
        for stack in rounds:
            rounds[stack].append(start(emulator, stack, env))
    return {
        stack: {
            "first": statistics.median(first for first, _ in found),
            "second": statistics.median(second for _, second in found),
            "ratios": sorted(o[0] / r[0] for o, r in zip(rounds["ours"], found, strict=True)),
        }
        for stack, found in rounds.items()
    }


def start(emulator: str, stack: str, env: dict[str, str]) -> tuple[float, float]:
    """Return the milliseconds of the first call, the init included, and of the second."""
    task, handler = task_and_handler(stack, "create")
    front, runtime = free_port(), free_port()
    command = [
        emulator,
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{front}",
        "--runtime-api-address",
        f"127.0.0.1:{runtime}",
        PYTHON,
        "-S",
        "-m",
        "awslambdaric",
        handler,
    ]
    surroundings = {**environment(env, task), "PYTHONPATH": f"{task}:{BUILT / 'runtime'}"}
    process = subprocess.Popen(
        command, cwd=task, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(front)
        times = []
        for _ in range(2):
            began = time.perf_counter()
            answer = post(
                f"http://127.0.0.1:{front}/2015-03-31/functions/function/invocations",
                EVENTS["create"].read_bytes(),
            )
            times.append((time.perf_counter() - began) * 1000)
            assert json.loads(answer)["statusCode"] == 201, (stack, answer)
        return times[0], times[1]
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def await_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    sys.exit("the runtime interface emulator did not start")


def post(url: str, body: bytes) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
        return bytes(answer.read())


# --- Sizes, and what DynamoDB is asked ---


def sizes(stack: str) -> dict[str, int]:
    found = {}
    for call in CALLS:
        task, _ = task_and_handler(stack, call)
        folder = task if stack == "ours" else BUILT / f"{stack}-shipped"
        with tempfile.TemporaryDirectory() as to:
            found[call] = Path(shutil.make_archive(f"{to}/package", "zip", folder)).stat().st_size
    return found


def dynamodb_units() -> dict[str, Any]:
    """Count calls and capacity units on DynamoDB Local, as the table's owner is billed for them."""
    url = os.environ.get("DYNAMODB_LOCAL_URL")
    if not url:
        print("no DYNAMODB_LOCAL_URL: DynamoDB's units are not measured")
        return dict(json.loads(FIGURES.read_text())["dynamodb"]) if FIGURES.exists() else {}
    import botocore.session

    client = botocore.session.Session().create_client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    found: dict[str, Any] = {}
    with stub(url) as env:
        tables = {env["TABLE_NAME"]: "paymentId", env["IDEMPOTENCY_TABLE"]: "id"}
        for table, key in tables.items():
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        try:
            for stack in ["ours", *PEERS]:
                found[stack] = {}
                for step, call, calls in (
                    ("create", "create", 1),
                    ("replay", "create", 1),
                    ("read", "read", 1),
                ):
                    if step == "replay" and stack not in ("ours", "powertools"):
                        continue
                    task, handler = task_and_handler(stack, call)
                    subprocess.run(
                        driver(task, handler, call, calls),
                        env=environment(env, task),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        check=False,
                    )
                    found[stack][step] = asked(env)
        finally:
            for table in tables:
                client.delete_table(TableName=table)
    return found


def asked(env: dict[str, str]) -> dict[str, Any]:
    import ssl

    context = ssl.create_default_context(cafile=env["CERTIFICATE"])
    url = env["AWS_ENDPOINT_URL_DYNAMODB"] + "/count"
    with urllib.request.urlopen(urllib.request.Request(url, b""), context=context) as answer:
        return dict(json.load(answer))


# --- The report ---


def report(result: dict[str, Any]) -> None:
    sys.path.insert(0, str(HERE))
    from report import write  # type: ignore[import-not-found]

    write(result)


if __name__ == "__main__":
    main()
