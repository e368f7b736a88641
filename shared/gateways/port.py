"""What every payment gateway can do; `manual`, `stripe` and `paypal` come as one file each."""
