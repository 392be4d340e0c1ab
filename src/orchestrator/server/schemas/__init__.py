"""What requests and responses contain. The description of the API is generated from these models."""
