"""The project itself on a laptop: over HTTP, with tokens."""

import hashlib
import hmac
import json
import re
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from moto.server import ThreadedMotoServer
from moto.utilities.utils import load_resource

from local.aws import PASSWORD
from tests.conftest import ROOT
from tests.local.conftest import Stack, running

PAYMENT = {"amount": 100, "currency": "USD"}


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def _sign_in(stack: Stack) -> dict[str, str]:
    stack.token("carol")
    cognito = _client("cognito-idp", stack.cognito_url)
    [pool] = cognito.list_user_pools(MaxResults=10)["UserPools"]
    clients = cognito.list_user_pool_clients(UserPoolId=pool["Id"])["UserPoolClients"]
    [people] = [client for client in clients if client["ClientName"] == "people"]
    return cognito.initiate_auth(
        ClientId=people["ClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "carol@example.com", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]


def test_the_printed_calls_work_as_they_are_pasted(payments: Stack) -> None:
    [token] = re.findall(r"^  (TOKEN=.*)", payments.guide, re.MULTILINE)
    curls = re.findall(r"^  (curl (?:.*\\\n)*.*)", payments.guide, re.MULTILINE)

    create, get = (
        json.loads(
            subprocess.run(
                ["sh", "-c", f"{token}\n{curl}"], cwd=ROOT, capture_output=True, check=True
            ).stdout
        )
        for curl in curls
    )

    assert create["amountMinor"] == 10000
    assert get["status"] == "PENDING"


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
    token = _sign_in(payments)["AccessToken"]

    assert payments.call("POST", "/payment", token, PAYMENT).status == 201


def test_a_bare_token_is_taken_as_api_gateway_takes_it(payments: Stack) -> None:
    headers = [("authorization", payments.token())]

    assert payments.call("POST", "/payment", None, PAYMENT, headers).status == 201


def _encode(part: bytes | dict[str, Any]) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


def _no_token(stack: Stack) -> None:
    return None


def _garbage(stack: Stack) -> str:
    return "a.b.c"


def _expired(stack: Stack) -> str:
    return stack.token(expired=True)


def _id_token(stack: Stack) -> str:
    return _sign_in(stack)["IdToken"]


def _tampered(stack: Stack) -> str:
    header, _, signature = stack.token().split(".")
    payload = {**_claims(stack.token()), "sub": "somebody else"}
    return f"{header}.{_encode(payload)}.{signature}"


def _of_another_pool(stack: Stack) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "kid": "dummy"}, _claims(stack.token()), key)


def _signed_with_the_key_that_comes_with_moto(stack: Stack) -> str:
    key = RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))
    return jwt.encode({"alg": "RS256", "kid": "dummy"}, _claims(stack.token()), key)


def _without_algorithm(stack: Stack) -> str:
    return f"{_encode({'alg': 'none'})}.{_encode(_claims(stack.token()))}."


def _signed_with_the_public_key_as_a_secret(stack: Stack) -> str:
    pool = _claims(stack.token())["iss"].rpartition("/")[2]
    with urlopen(f"{stack.cognito_url}/{pool}/.well-known/jwks.json") as jwks:
        [key] = KeySet.import_key_set(json.load(jwks)).keys
    signed = f"{_encode({'alg': 'HS256'})}.{_encode(_claims(stack.token()))}"
    signature = hmac.digest(key.as_pem(private=False), signed.encode(), hashlib.sha256)
    return f"{signed}.{_encode(signature)}"


@pytest.mark.parametrize(
    "make_token",
    [
        _no_token,
        _garbage,
        _expired,
        _id_token,
        _tampered,
        _of_another_pool,
        _signed_with_the_key_that_comes_with_moto,
        _without_algorithm,
        _signed_with_the_public_key_as_a_secret,
    ],
)
def test_a_token_that_is_not_good_is_a_401(payments: Stack, make_token: Any) -> None:
    response = payments.call("POST", "/payment", make_token(payments), PAYMENT)

    assert response.status == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json["traceId"] == response.headers["x-amz-apigw-id"]


def test_the_terminal_says_what_is_wrong_with_a_token_of_another_run(payments: Stack) -> None:
    payments.call("POST", "/payment", _of_another_pool(payments), PAYMENT)

    assert "no key of this pool, whose keys every start makes anew: make -s token" in payments.log()


def test_a_token_without_the_scope_is_a_403(payments: Stack) -> None:
    token = payments.token(scope="payments/read")

    response = payments.call("POST", "/payment", token, PAYMENT)

    assert response.status == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert payments.call("GET", "/payment", token).status == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/payments"), ("DELETE", "/payment")])
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


def test_the_data_live_in_another_store_and_stay_their_users(
    payments: Stack, tmp_path: Path
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())

    with running(ROOT / "template.yaml", tmp_path / "log", "--dynamodb", url) as stack:
        assert stack.dynamodb_url == url
        payment = stack.call("POST", "/payment", stack.token(), PAYMENT).json
        assert _claims(stack.token())["sub"] == _claims(payments.token())["sub"]

    items = _client("dynamodb", url).scan(TableName="PaymentsTable")["Items"]
    assert payment["paymentId"] in {item["paymentId"]["S"] for item in items}
    server.stop()
