"""The ground on which all chapters stand; it imports none of them."""
