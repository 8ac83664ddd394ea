"""How the embedded model is made and what the design's claims rest on. Not part of the package."""
