"""The laptop's stand-in for API Gateway, Cognito and Lambda, driven by template.yaml.

__main__ → serve → gateway (API Gateway) → authorizer → users (tokens)
                                         → proxy, functions (Lambda) → worker (a process each)
                 → cognito (the pool that lasts) → users
                 → aws → emulator (DynamoDB, Cognito, EventBridge, SSM: MiniStack, a process)
                 → gateways → stripe, paypal (stand-ins), kept (what they remember)
                 → stack → template (template.yaml)

No Docker and no AWS account; nothing listens on anything but the loopback address.
"""


class LocalError(Exception):
    """What keeps the laptop's stack from running, in one line for the person at the terminal."""
