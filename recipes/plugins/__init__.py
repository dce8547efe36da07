"""What runs inside Axolotl: guard, answer accuracy, resuming."""
