"""The shapes of messages: strict codec and generated protobuf."""
