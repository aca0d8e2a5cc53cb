"""What a component's tests need: tiny tables with known truth and the contract suites that every component meets."""
