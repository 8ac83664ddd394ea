"""Generated training data of tempo-nano, made while it trains."""
