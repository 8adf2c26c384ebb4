"""Everything that runs inside one council."""
