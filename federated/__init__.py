"""What analyst, council and coordinator must agree on."""
