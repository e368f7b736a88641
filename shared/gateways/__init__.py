"""The payment gateways: the port, and one file each."""
