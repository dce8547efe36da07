"""Chapter 2: rows become weights, by Axolotl recipes."""
