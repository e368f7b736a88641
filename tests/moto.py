"""AWS's services by moto, for the tests.

Three calls of DynamoDB took moto 28 ms, and take it 10 with what stands below: `make test` makes
tens of thousands of them.
"""

import pickle
from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from moto import backends
from moto.core import responses
from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS, JSONSerializer
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Serializer(JSONSerializer):
    """Writes an attribute's value, which moto looks for by ten types and several names of each."""

    def _serialize_type_structure(self, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue":
            serialized[key] = value
        else:
            super()._serialize_type_structure(serialized, value, shape, key)


SERVICE_SPECIFIC_SERIALIZERS["dynamodb"] = {"json": Serializer}

# moto makes these checks of a whole expression again for each of its parts.
ActionCountValidator.traverse = ActionCountValidator.verify_action_counts
OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths

# moto copies an expression to check it: pickle does that faster.
validators.deepcopy = lambda node: pickle.loads(pickle.dumps(node))

# moto works these out for each call, though they never change.
MODULES = list(backends.list_of_moto_modules())
backends.list_of_moto_modules = lambda: MODULES
responses.method_names_from_class = cache(responses.method_names_from_class)
UpdateExpressionParser.make = cache(UpdateExpressionParser.make)


def moto() -> "WSGIApplication":
    """Return AWS's services as an application that answers one call at a time.

    moto checks a write's condition in one step and writes in another.
    """
    services: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = Lock()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return services(environ, start_response)

    return app
