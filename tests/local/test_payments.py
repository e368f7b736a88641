"""The project itself on a laptop: over HTTP, with tokens."""

import hashlib
import hmac
import json
import re
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import boto3
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from moto.server import ThreadedMotoServer

from local import aws, loopback
from local.gateway import Gateway
from local.stack import api
from local.template import Template
from local.users import UserPool
from tests.conftest import ROOT
from tests.local.conftest import Client, Stack, running, wait_for

PAYMENT = {"amount": 100, "currency": "USD"}


AT_STRIPE = {
    "amount": 5,
    "currency": "USD",
    "gateway": "stripe",
    "returnUrl": "https://shop.example/",
}
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


@pytest.fixture(scope="module")
def pool() -> UserPool:
    return UserPool(Template(ROOT / "template.yaml"))


@pytest.fixture(scope="module")
def gateway(pool: UserPool) -> Iterator[Client]:
    """Serve the API's gateway before functions that are never to be called."""
    app = Gateway(api(Template(ROOT / "template.yaml")), pool, lambda *_: pytest.fail("called"), {})
    with loopback.serving(app, loopback.listen(0)) as url:
        yield Client(int(url.rpartition(":")[2]))


def test_the_printed_calls_work_as_they_are_pasted(payments: Stack) -> None:
    assert len(payments.guide.splitlines()) < 20  # a screen
    tokens = re.findall(r"^  (\w+=\$\(make .*)", payments.guide, re.MULTILINE)
    curls = re.findall(r"^  (curl .*)", payments.guide, re.MULTILINE)
    shell = "\n".join([*tokens, *(f"{curl} && echo" for curl in curls)])

    run = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, check=True)
    create, confirm, capture, refund, cancel, get, listed, update = map(
        json.loads, run.stdout.splitlines()
    )

    assert (create["amountMinor"], create["status"]) == (10000, "PENDING")
    assert (confirm["status"], capture["status"]) == ("PROCESSING", "CAPTURED")
    assert (capture["amountCaptured"], refund["amount"]) == (60, 40)
    assert (cancel["currentStatus"], update["currentStatus"]) == ("PARTIALLY_REFUNDED",) * 2
    assert get["refunds"] == [refund]
    assert get["paymentId"] in [payment["paymentId"] for payment in listed["payments"]]


@pytest.mark.parametrize("path", ["/payment", "/prod/payment"])
def test_a_payment_is_created_and_read_at_the_root_and_under_the_stage(
    payments: Stack, path: str
) -> None:
    token = payments.token()

    created = payments.call("POST", path, token, PAYMENT)
    read = payments.call("GET", created.headers["Location"], token)

    assert created.status == 201
    assert created.headers["Location"] == f"{path}?paymentId={created.json['paymentId']}"
    assert read.status == 200
    assert read.json == created.json
    assert read.headers["x-amzn-RequestId"]
    assert read.headers["x-amz-apigw-id"]
    assert read.headers["X-Amzn-Trace-Id"].startswith("Root=1-")


def test_a_payment_is_its_users_alone(payments: Stack) -> None:
    location = payments.call("POST", "/payment", payments.token(), PAYMENT).headers["Location"]

    assert payments.call("GET", location, payments.token("bob")).status == 404


def test_concurrent_calls_with_one_key_make_one_payment(payments: Stack) -> None:
    token = payments.token()
    key = [("Idempotency-Key", "at-once")]

    with ThreadPoolExecutor(4) as threads:
        calls = [
            threads.submit(payments.call, "POST", "/payment", token, PAYMENT, key) for _ in range(4)
        ]

    assert {call.result().status for call in calls} == {201}
    assert len({call.result().json["paymentId"] for call in calls}) == 1


def test_a_token_of_a_password_sign_in_is_taken(payments: Stack) -> None:
    token = payments.token(scope="aws.cognito.signin.user.admin")

    assert payments.call("POST", "/payment", token, PAYMENT).status == 201


def test_a_bare_token_is_taken_as_api_gateway_takes_it(payments: Stack) -> None:
    headers = [("authorization", payments.token())]

    assert payments.call("POST", "/payment", None, PAYMENT, headers).status == 201


def _encode(part: bytes | dict[str, Any]) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


def _no_token(pool: UserPool) -> None:
    return None


def _garbage(pool: UserPool) -> str:
    return "a.b.c"


def _expired(pool: UserPool) -> str:
    return pool.token("alice", expired=True)


def _id_token(pool: UserPool) -> str:
    return pool.sign({**_claims(pool.token("alice")), "token_use": "id"})


def _of_another_issuer(pool: UserPool) -> str:
    claims = _claims(pool.token("alice"))
    return pool.sign({**claims, "iss": f"{claims['iss']}x"})


def _tampered(pool: UserPool) -> str:
    header, payload, signature = pool.token("alice").split(".")
    claims = {**_claims(f".{payload}."), "sub": "somebody else"}
    return f"{header}.{_encode(claims)}.{signature}"


def _of_another_pool(pool: UserPool) -> str:
    return jwt.encode({"alg": "RS256"}, _claims(pool.token("alice")), RSAKey.generate_key(2048))


def _without_algorithm(pool: UserPool) -> str:
    return f"{_encode({'alg': 'none'})}.{_encode(_claims(pool.token('alice')))}."


def _signed_with_the_public_key_as_a_secret(pool: UserPool) -> str:
    signed = f"{_encode({'alg': 'HS256'})}.{_encode(_claims(pool.token('alice')))}"
    signature = hmac.digest(
        pool._keys["access"].as_pem(private=False), signed.encode(), hashlib.sha256
    )
    return f"{signed}.{_encode(signature)}"


def _with_header(**header: Any) -> Callable[[UserPool], str]:
    def make(pool: UserPool) -> str:
        _, payload, signature = pool.token("alice").split(".")
        return f"{_encode({'alg': 'RS256', **header})}.{payload}.{signature}"

    return make


@pytest.mark.parametrize(
    "make_token",
    [
        _no_token,
        _garbage,
        _expired,
        _id_token,
        _of_another_issuer,
        _tampered,
        _of_another_pool,
        _without_algorithm,
        _signed_with_the_public_key_as_a_secret,
        _with_header(crit=None),
        _with_header(crit=["exp"]),
        _with_header(kid=["x"]),
        _with_header(alg=["RS256"]),
        _with_header(b64=False),
    ],
)
def test_a_token_that_is_not_good_is_a_401(
    gateway: Client, pool: UserPool, make_token: Callable[[UserPool], str | None]
) -> None:
    response = gateway.call("POST", "/payment", make_token(pool), PAYMENT)

    assert response.status == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json["traceId"] == response.headers["x-amz-apigw-id"]


POST = b"POST /payment HTTP/1.1\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.x\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (POST + b"Content-Length: abc\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 9\r\n\r\n{}", 400),
        (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
        (CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", 400),
        (CHUNKED + b"2\r\n{}", 400),
        (CHUNKED + b"9\r\n{}", 400),
        (CHUNKED + b"fffffffffffffffff\r\n{}", 400),
    ],
)
def test_a_malformed_request_is_a_problem_document(
    gateway: Client, request_: bytes, status: int
) -> None:
    response = gateway.raw(request_)

    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json["title"]


def test_a_defect_of_the_gateways_is_a_problem_document(
    pool: UserPool, capfd: pytest.CaptureFixture[str]
) -> None:
    rest = api(Template(ROOT / "template.yaml"))
    with loopback.serving(Gateway(rest, pool, {}.__getitem__, {}), loopback.listen(0)) as url:
        client = Client(int(url.rpartition(":")[2]))
        response = client.call("POST", "/payment", pool.token("alice"), PAYMENT)

    assert response.status == 502
    assert response.json["type"] == "urn:problem:payment-api:internal"
    assert "Traceback" not in response.text
    assert "Traceback" in capfd.readouterr().err


def test_a_users_name_is_theirs_in_any_case(pool: UserPool) -> None:
    names = ("alice", "Alice", "alice@example.com", "Alice@Example.COM")

    assert len({_claims(pool.token(name))["sub"] for name in names}) == 1
    assert _claims(pool.token("bob"))["sub"] != _claims(pool.token("alice"))["sub"]


def test_the_terminal_says_what_is_wrong_with_a_token_of_another_pool(payments: Stack) -> None:
    token = UserPool(Template(ROOT / "template.yaml")).token("alice")
    payments.call("POST", "/payment", token, PAYMENT)

    assert "the token is signed by no key of this pool: make -s token" in payments.log()


def test_a_token_without_the_scope_is_a_403(payments: Stack) -> None:
    token = payments.token(scope="payments/read")

    response = payments.call("POST", "/payment", token, PAYMENT)

    assert response.status == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert payments.call("GET", "/payment", token).status == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/orders"), ("DELETE", "/payment")])
def test_what_has_no_route_is_a_404(payments: Stack, method: str, path: str) -> None:
    response = payments.call(method, path, payments.token())

    assert response.status == 404
    assert response.json["type"] == "urn:problem:payment-api:no-such-route"


def test_a_browser_may_ask_before_it_calls(payments: Stack) -> None:
    response = payments.call("OPTIONS", "/payment", headers=[("Origin", "https://shop.example")])

    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]


def test_a_body_larger_than_api_gateway_takes_is_a_413(payments: Stack) -> None:
    response = payments.call("POST", "/payment", payments.token(), b" " * (10 * 1024 * 1024 + 1))

    assert response.status == 413
    assert response.json["status"] == 413


def test_the_tables_are_there_to_look_at(payments: Stack) -> None:
    payment = payments.call("POST", "/payment", payments.token(), PAYMENT).json

    items = _client("dynamodb", payments.dynamodb_url).scan(TableName="PaymentsTable")["Items"]

    assert payment["paymentId"] in {item["paymentId"]["S"] for item in items}


@pytest.mark.slow
def test_the_data_live_in_another_store(tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())

    with running(ROOT / "template.yaml", tmp_path / "log", "--dynamodb", url) as stack:
        assert stack.dynamodb_url == url
        payment = stack.call("POST", "/payment", stack.token(), PAYMENT).json

    items = _client("dynamodb", url).scan(TableName="PaymentsTable")["Items"]
    assert payment["paymentId"] in {item["paymentId"]["S"] for item in items}
    server.stop()


@pytest.mark.parametrize(
    "signal", [pytest.param(SIGINT, marks=pytest.mark.slow, id="Ctrl-C"), SIGKILL]
)
def test_what_was_made_is_there_after_a_restart(tmp_path: Path, signal: int) -> None:
    log, folder = tmp_path / "log", tmp_path / "log-kept"
    with running(ROOT / "template.yaml", log) as stack:
        assert "/log-kept, which is new" in stack.guide
        token = stack.token()
        payment = stack.call("POST", "/payment", token, PAYMENT).json
        at_stripe = stack.call("POST", "/payment", token, AT_STRIPE).json
        confirm = f"/payment/{at_stripe['paymentId']}/confirm"
        page = stack.call("POST", confirm, token).json["nextAction"]["url"]
        session = page.rpartition("/")[2]
        wait_for(lambda: session in (folder / "dynamodb.json").read_text())
        wait_for(lambda: session.encode() in (folder / "stripe").read_bytes())
        stack.end(signal)

    with running(ROOT / "template.yaml", log) as stack:
        assert "/log-kept, which has the data of earlier runs" in stack.guide
        assert (
            stack.call("GET", f"/payment?paymentId={payment['paymentId']}", token).json == payment
        )
        assert _claims(stack.token())["sub"] == _claims(token)["sub"]
        # The payer's page is there too, on the port of the stand-in by now.
        [stripe] = re.findall(r"Stripe: http://127\.0\.0\.1:(\d+)", stack.guide)
        pay = Client(int(stripe)).call("POST", f"/pay/{session}", body=b"outcome=pay", headers=FORM)
        assert pay.status == 303
        read = f"/payment?paymentId={at_stripe['paymentId']}"
        wait_for(lambda: stack.call("GET", read, token).json["status"] == "CAPTURED")


def test_ctrl_c_ends_when_all_is_written(tmp_path: Path) -> None:
    numbers = {"L": [{"N": "1"}] * 40_000}  # which take a while to write
    with loopback.listen(0) as free:
        port = free.getsockname()[1]
    with suppress(KeyboardInterrupt), aws.emulator(port, tmp_path) as url:
        dynamodb = aws.client("dynamodb", url)
        key = {"AttributeName": "key"}
        dynamodb.create_table(
            TableName="numbers",
            KeySchema=[{**key, "KeyType": "HASH"}],
            AttributeDefinitions=[{**key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        dynamodb.put_item(TableName="numbers", Item={"key": {"S": "the last"}, "numbers": numbers})
        raise KeyboardInterrupt

    assert "the last" in (tmp_path / "dynamodb.json").read_text()


@pytest.mark.slow
def test_a_fresh_start_forgets_what_was_made(tmp_path: Path) -> None:
    with running(ROOT / "template.yaml", tmp_path / "log") as stack:
        payment = stack.call("POST", "/payment", stack.token(), PAYMENT).json

    with running(ROOT / "template.yaml", tmp_path / "log", "--fresh") as stack:
        assert "is new" in stack.guide
        path = f"/payment?paymentId={payment['paymentId']}"
        assert stack.call("GET", path, stack.token()).status == 404
