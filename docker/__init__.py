"""The images of both parties: how they are built, and what goes with them."""
