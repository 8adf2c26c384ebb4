"""Steps that bring a coordinator's database from one form to the next; run at every start."""
