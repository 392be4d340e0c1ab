"""What is known of providers and models without asking them: names, prices, keys."""
