"""The filters, tests, functions and methods of expressions."""
