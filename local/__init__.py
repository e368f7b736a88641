"""The laptop's stand-in for API Gateway, Cognito and Lambda, driven by template.yaml.

__main__ → serve → gateway → authorizer, proxy, functions → worker (a process of its own)
                 → aws (DynamoDB and Cognito, by moto) → stack (template.yaml)

No Docker and no AWS account; nothing listens on anything but the loopback address.
"""


class LocalError(Exception):
    """What keeps the laptop's stack from running, in one line for the person at the terminal."""
