"""How tempo-nano, the embedded model, is made."""
