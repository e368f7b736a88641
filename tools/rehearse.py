"""Rehearse a deployment: the real `sam deploy`, on an emulator of AWS, without a network.

    python -m tools.rehearse [dev|staging|prod]
    python -m tools.rehearse mistakes    # plant some, and see each one caught

Deploys, gets a token, runs the smoke test, updates, takes the update back as docs/deploy.md says,
and deletes. staging and prod are deployed as CI does it: by `.ci/deploy`, under the roles of
.github/oidc.yaml. All of it runs on a copy of the project, in namespaces of its own for network,
mounts and processes: nothing reaches AWS, and whatever is started ends with it.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from tempfile import mkdtemp
from threading import Thread
from typing import Any

import boto3
import requests
import tomlkit
from joserfc import jwt
from joserfc.jwk import OctKey

from tools.build import ARCHITECTURE, ROOT, interpreter

# In an environment of its own, for its botocore and its Python.
MINISTACK = ["--from=ministack==1.5.33", "--with=aws-sam-translator==1.115.0,cryptography==50.0.2"]
CERTIFICATE, KEY = ".aws-sam/cert.pem", ".aws-sam/key.pem"
LOG, RESOLV = ".aws-sam/log", ".aws-sam/dns"
REGION = "us-east-1"
ENDPOINT = "https://127.0.0.1:4566"
HOSTS = ("", "*.", "*.execute-api.", "dynamodb.", "cognito-idp.")
GITHUB = "token.actions.githubusercontent.com"
SUBJECT = "repo:octo-org@123456/octo-repo@456789"
APPLICATION, CHECK = "ServerlessDeploymentApplication", "CheckReleaseFunction"
READS = ".aws-sam/build/GetPaymentFunction"
MARK = "Release"  # a header of the other build's answers

# What a rehearsal has to catch: in the built template, this in the place of that.
MISTAKES = {
    "a wrong action": ("Action: dynamodb:GetItem", "Action: dynamodb:DeleteItem"),
    "a wrong scope": ("- payments/write", "- payments/none"),
    "a wrong handler": ("get_payment.app.handler", "get_payment.app.main"),
    "a missing variable": ("ALLOWED_ORIGIN:", "ALLOWED:"),
    "a wrong attribute": ("- ProviderURL", "- ProviderName2"),
    "a check that calls nothing": ("Action: lambda:InvokeFunction", "Action: lambda:ListAliases"),
}


class RehearsalError(Exception):
    """The deployment is not what it should be."""


def main(what: str) -> None:
    """Prepare what needs a network; then go where there is none."""
    if sys.platform != "linux" or os.geteuid():
        print("skipped: a rehearsal needs Linux, and to be root")
        return
    needed = ("unshare", "ip", "openssl", "git", "tar")
    missing = [name for name in needed if not shutil.which(name)]
    if missing or not interpreter("3.13"):
        print("skipped: a rehearsal needs", ", ".join(missing) or "Python 3.13")
        return
    subprocess.run([*_ministack(), "python", "--version"], check=True)  # so that it is here
    project = _copy()
    _make_certificate(project)
    with _step("sam build"):
        _run(project, "sam", "build", "--parameter-overrides", f"Architecture={ARCHITECTURE}")
    failed = _mistakes_not_caught(project) if what == "mistakes" else _inside(what, project)
    shutil.rmtree(project)
    sys.exit(failed)


def _inside(environment: str, project: Path, *options: str, quiet: bool = False) -> int:
    """Rehearse in namespaces of its own; return the exit status."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inside = [sys.executable, "-m", "tools.rehearse", environment, str(project), *options]
    said = subprocess.DEVNULL if quiet else None
    done = subprocess.run([*unshare, *inside], check=False, cwd=ROOT, stdout=said, stderr=said)
    return done.returncode


def _mistakes_not_caught(project: Path) -> int:
    """Deploy the template as it is and with each mistake; return how many pass as right."""
    template = project / ".aws-sam/build/template.yaml"
    right = template.read_text()
    if _inside("dev", project, "smoke"):
        raise RehearsalError("nothing is wrong, and it fails")
    missed = 0
    for name, (that, this) in MISTAKES.items():
        _expect(that in right, f"the template has no {that}")
        template.write_text(right.replace(that, this, -1 if that.endswith(":") else 1))
        is_caught = _inside("dev", project, "smoke", quiet=True) != 0
        missed += not is_caught
        print("caught:" if is_caught else "MISSED:", name, flush=True)
    return missed


def rehearse(environment: str, project: Path, only_smoke: bool) -> None:
    """Deploy, use, update, take back, delete."""
    _be_alone(project)
    with _step("the emulator starts"):
        _start_emulator(project)
    stack = Stack(environment, project)
    with _step(f"{'.ci/deploy' if stack.by_ci else 'sam deploy'}, a token, the smoke test"):
        stack.deploy()
        stack.smoke()
    with _step("the check of each function's version"):
        stack.check()
    if only_smoke:
        return
    stack.create("stripe", status=400)
    payment, before, given = stack.create("manual"), stack.versions(), stack.parameters
    usual = {"Environment": environment, "ReleaseType": "Canary" if stack.by_ci else "AllAtOnce"}
    _expect(given.items() >= usual.items(), f"{given} are not {usual}")

    with _step("another build, at once"):
        first = stack.build_another()
        stack.deploy("--parameter-overrides", "ReleaseType=AllAtOnce")
    _expect(stack.read(payment) == "another", "the alias is not at the other build")
    others = {**given, "ReleaseType": "AllAtOnce"}
    _expect(stack.parameters == others, f"{stack.parameters} are not {others}")

    with _step("the next release, of the first build, with Stripe"):
        stack.put_back(first)
        stack.configure(Gateways="manual,stripe")
        stack.deploy()
    after = stack.versions()
    _expect(not before.items() & after.items(), f"an alias has not moved: {before}, {after}")
    _expect(stack.read(payment) == "first", "the alias is not at the first build")
    _expect(stack.parameters == {**given, "Gateways": "manual,stripe"}, "it is no usual release")
    stack.create("stripe")
    with _step("the check of each new version"):
        stack.check()

    with _step("sam delete"):
        table = stack.outputs["PaymentsTableName"]
        _run(project, "sam", "delete", *stack.config, "--no-prompts")
    is_kept = table in _client("dynamodb").list_tables()["TableNames"]
    _expect(is_kept is (environment == "prod"), f"the table is kept: {is_kept}")


class Stack:
    """The stack of an environment, deployed from a copy of the project."""

    def __init__(self, environment: str, project: Path) -> None:
        self.environment, self.project = environment, project
        self.name = f"payment-api-{environment}"
        self.by_ci = environment != "dev"
        self.config = ["--config-env", environment] if self.by_ci else []
        self.configure(Architecture=ARCHITECTURE)  # functions run on this machine
        self._token = ""
        self._role: dict[str, str] = {}
        if self.by_ci:
            with _step("the roles of .github/oidc.yaml"):
                self._take_the_role_of_ci()

    def configure(self, **parameters: str) -> None:
        """Choose parameters in samconfig.toml, as a person would."""
        file = self.project / "samconfig.toml"
        config: Any = tomlkit.parse(file.read_text())
        section = config[self.environment if self.by_ci else "default"]
        section["deploy"]["parameters"]["parameter_overrides"].update(parameters)
        file.write_text(tomlkit.dumps(config))

    def deploy(self, *options: str) -> None:
        """Deploy the build that is there; get a services' token, which outlasts the updates."""
        if self.by_ci:
            _run(self.project, ".ci/deploy", self.environment, *options, **self._role)
        else:
            _run(self.project, "sam", "deploy", *options)
        if not self._token:
            token = ["make", "-s", "token", f"STACK={self.name}", "SERVICE=1"]
            self._token = _run(self.project, *token).strip().splitlines()[-1]

    def smoke(self) -> None:
        """Run the smoke test as a person would; .ci/deploy has run it already."""
        if not self.by_ci:
            url = self.outputs["ApiGatewayInvokeURL"]
            _run(self.project, "make", "smoke", f"URL={url}", f"TOKEN={self._token}")

    def check(self) -> None:
        """Ask for each version what CodeDeploy would ask before its first call."""
        functions, deployments = _client("lambda"), _client("codedeploy")
        application, check = map(self._physical_id, (APPLICATION, CHECK))
        for name, version in self.versions().items():
            if name == check:
                continue
            deployment_id = f"{application}/{name}/{version}"
            asked = {"DeploymentId": deployment_id, "LifecycleEventHookExecutionId": "1"}
            done = functions.invoke(FunctionName=check, Payload=json.dumps(asked), LogType="Tail")
            said = deployments.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
            log = base64.b64decode(done["LogResult"]).decode()
            _expect(said.get("status") == "Succeeded", f"{name}, version {version}: {log}")

    def _physical_id(self, name: str) -> str:
        found = _client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=name
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def build_another(self) -> Path:
        """Build another GET /payment; return the package that was there."""
        source, package = self.project / "get_payment/app.py", self.project / READS
        first = package.rename(self.project / ".aws-sam/first")
        package.mkdir()
        marked = f'request.caller, headers={{"{MARK}": "2"}})\n'
        source.write_text(source.read_text().replace("request.caller)\n", marked))
        _run(self.project, "make", f"build-{package.name}", f"ARTIFACTS_DIR={package}")
        return first

    def put_back(self, first: Path) -> None:
        """Put the package that was there in the place of the other."""
        shutil.rmtree(self.project / READS)
        first.rename(self.project / READS)

    def create(self, gateway: str, status: int = 201) -> str:
        """Create a payment with a gateway; return its id."""
        body = {"amount": 1, "currency": "EUR", "gateway": gateway}
        body["returnUrl"] = "https://shop.example/back"
        answer = self._call("POST", json=body)
        _expect(answer.status_code == status, f"{gateway}: {answer.text}")
        return str(answer.json().get("paymentId"))

    def read(self, payment_id: str) -> str:
        """Read a payment; return which build answers."""
        answer = self._call("GET", params={"paymentId": payment_id})
        _expect(answer.ok and answer.json()["paymentId"] == payment_id, answer.text)
        return "another" if MARK in answer.headers else "first"

    def _call(self, method: str, **sent: Any) -> requests.Response:
        url = f"{self.outputs['ApiGatewayInvokeURL']}/payment"
        token = {"Authorization": f"Bearer {self._token}"}
        return requests.request(method, url, headers=token, timeout=30, **sent)

    @property
    def outputs(self) -> dict[str, str]:
        """Return its outputs by their names."""
        return _named(self.name, "Output")

    @property
    def parameters(self) -> dict[str, str]:
        """Return what it was deployed with."""
        return _named(self.name, "Parameter")

    def versions(self) -> dict[str, str]:
        """Return the version that each function's alias points to, by the function's name."""
        functions = _client("lambda")
        names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
        return {
            name: functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
            for name in names
        }

    def _take_the_role_of_ci(self) -> None:
        name = f"payment-api-ci-{self.environment}"
        # The emulator's CloudFormation makes no such provider.
        provider = {"Url": f"https://{GITHUB}", "ClientIDList": ["sts.amazonaws.com"]}
        _client("iam").create_open_id_connect_provider(**provider)
        given = {"SubjectPrefix": SUBJECT, "Environment": self.environment}
        given["CreateProvider"] = "false"
        cloudformation = _client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=(self.project / ".github/oidc.yaml").read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": given[key]} for key in given],
            Capabilities=["CAPABILITY_IAM"],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        made = _named(name, "Output")
        self.configure(PermissionsBoundary=made["PermissionsBoundary"])
        for subject in (f"{SUBJECT}:pull_request", f"repo:octo-org/octo-repo:environment:{name}"):
            with suppress(_client("sts").exceptions.ClientError):
                _assume(made["AwsRoleArn"], subject)
                raise RehearsalError(f"the role of CI trusts {subject}")
        keys = _assume(made["AwsRoleArn"], f"{SUBJECT}:environment:{self.environment}")
        self._role = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "STACK_ROLE": made["StackRoleArn"],
            "UPLOADS_BUCKET": made["UploadsBucket"],
        }


def _assume(role: str, subject: str) -> Any:
    """Take a role with a token as GitHub's; the emulator reads its claims and checks no key."""
    claims = {"iss": f"https://{GITHUB}", "aud": "sts.amazonaws.com", "sub": subject}
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.generate_key())
    return _client("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="ci", WebIdentityToken=token
    )["Credentials"]


# --- What it runs on ---


def _ministack() -> list[str]:
    """Return what runs a command beside MiniStack."""
    uvx = Path(sys.executable).with_name("uvx")
    return [str(uvx), "--quiet", f"--python={interpreter('3.13')}", *MINISTACK]


def _make_certificate(project: Path) -> None:
    names = [f"DNS:{each}{REGION}.amazonaws.com" for each in HOSTS]
    names += [f"DNS:*.auth.{REGION}.amazoncognito.com", "IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=rehearsal", "-addext", f"subjectAltName={','.join(names)}"]
    command += ["-keyout", str(project / KEY), "-out", str(project / CERTIFICATE)]
    subprocess.run(command, check=True, capture_output=True)


def _copy() -> Path:
    """Return a copy of the project as git sees it, with its .venv and what builds have fetched."""
    project = Path(mkdtemp(prefix="rehearsal-"))
    files = "git ls-files -co --exclude-standard -z | tar -c --null -T - | tar -x -C"
    subprocess.run(["sh", "-c", f"{files} {project}"], cwd=ROOT, check=True)  # noqa: S607
    (project / ".venv").symlink_to((ROOT / ".venv").resolve())
    (ROOT / ".aws-sam/site").mkdir(parents=True, exist_ok=True)
    (project / ".aws-sam").mkdir()
    (project / ".aws-sam/site").symlink_to(ROOT / ".aws-sam/site")
    os.utime(project / "requirements-dev.txt", (0, 0))  # make sets no .venv up
    return project


def _be_alone(project: Path) -> None:
    """Have a network with this machine alone in it, and every name in the world lead there."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    (project / RESOLV).write_text("nameserver 127.0.0.1\n")
    bind = ["mount", "--bind", str(project / RESOLV), os.path.realpath("/etc/resolv.conf")]
    subprocess.run(bind, check=True)
    server = socket(AF_INET, SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    Thread(target=_answer, args=[server], daemon=True).start()
    os.environ.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - the emulator's administrator
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_ENDPOINT_URL=ENDPOINT,
        AWS_CA_BUNDLE=str(project / CERTIFICATE),
        REQUESTS_CA_BUNDLE=str(project / CERTIFICATE),
        SSL_CERT_FILE=str(project / CERTIFICATE),
        AWS_CONFIG_FILE="/dev/null",
        AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        XDG_CACHE_HOME=mkdtemp(dir=project),  # of tokens
        NO_PROXY="*",
    )


def _answer(server: socket) -> None:
    """Answer a query for an IPv4 address with this machine's, any other with none (RFC 1035)."""
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        is_a = query[end - 4 : end - 2] == b"\0\1"
        head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if is_a else b""
        server.sendto(head + query[12:end] + record, client)


def _start_emulator(project: Path) -> None:
    settings = {
        "AUTH": "true",  # policies are held to
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(project / CERTIFICATE),
        "MINISTACK_SSL_KEY": str(project / KEY),
        "MINISTACK_HOST": f"{REGION}.amazonaws.com",
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    kept = os.environ.keys() - {"AWS_ENDPOINT_URL", "XDG_CACHE_HOME"}
    environment = {**{name: os.environ[name] for name in kept}, **settings}
    command = [*_ministack(), "--offline", "python", str(ROOT / "tools/emulator.py")]
    with (project / LOG).open("w") as log:
        emulator = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    while emulator.poll() is None:
        with suppress(requests.ConnectionError):
            requests.get(f"{ENDPOINT}/_ministack/health", timeout=30)
            return
        time.sleep(0.2)
    raise RehearsalError(f"the emulator ended: {(project / LOG).read_text()[-2000:]}")


def _client(service: str) -> Any:
    return boto3.client(service)  # type: ignore[call-overload]


def _named(stack: str, kind: str) -> dict[str, str]:
    """Return the outputs or parameters of a stack by their names."""
    [described] = _client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each[f"{kind}Key"]: each[f"{kind}Value"] for each in described[f"{kind}s"]}


def _run(project: Path, *command: str, **variables: str) -> str:
    """Run a command of the project; return what it prints."""
    path = f"{project}/.venv/bin{os.pathsep}{os.environ['PATH']}"
    variables |= {"PATH": path, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"}
    done = subprocess.run(
        command, cwd=project, env={**os.environ, **variables}, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RehearsalError(f"{' '.join(command)}\n{done.stdout[-4000:]}")
    return done.stdout


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RehearsalError(otherwise)


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:5.1f} s  {name}", flush=True)


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["dev"]
    try:
        if len(arguments) == 1:
            main(arguments[0])
        else:
            rehearse(arguments[0], Path(arguments[1]), arguments[2:] == ["smoke"])
    except RehearsalError as error:
        sys.exit(f"The rehearsal failed: {error}")
