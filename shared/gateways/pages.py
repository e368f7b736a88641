"""Where a gateway's page sends the payer's browser afterwards."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.payments.payment import Payment


def way_back(payment: Payment) -> str:
    """Return the payment's return URL, with the payment's id in the query."""
    parts = urlsplit(payment.return_url or "")
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("paymentId", payment.payment_id)]
    return parts._replace(query=urlencode(query)).geturl()
