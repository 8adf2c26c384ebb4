"""`federated demo`: a whole federation on this machine, started as the commands a council and a coordinator type."""
