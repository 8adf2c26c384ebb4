"""How far off answers are, by method: measured on noise drawn by the real laws, never asserted on a clock."""
