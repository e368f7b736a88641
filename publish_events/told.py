"""What the log and the metrics say of a change whose events are told."""

from shared.api.log import logger, measure
from shared.api.response import ids_of
from shared.payments.events import events, money
from shared.payments.payment import Payment


def note(before: Payment | None, after: Payment | None) -> None:
    """Log each event of a change, and count the money that it moved.

    A record that the stream sends again is counted again.
    """
    for event in events(before, after):
        about = {"eventId": event.event_id, "type": event.type, "status": event.payment.status}
        logger().info("event", extra={**ids_of(event.payment), **about})
    for status, minor in money(before, after):
        assert after  # noqa: S101 - no money moves where it was deleted
        measure("Money", minor, currency=after.currency, status=status)
